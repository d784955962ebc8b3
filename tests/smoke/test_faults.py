"""What goes wrong in a running cluster, and what is true afterwards."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter

import pytest
from kubernetes import client

from hack import demo, gobuild, kserve, platform
from hack.console import StepFailed
from hack.kube import Cluster, until
from tests.smoke.engine import Engine

KILL = (
    "import os, pathlib, signal\n"
    "for entry in pathlib.Path('/proc').glob('[0-9]*'):\n"
    "    if (entry / 'cmdline').read_bytes().startswith(b'VLLM::EngineCore'):\n"
    "        os.kill(int(entry.name), signal.SIGKILL)\n"
)


def _pod(core: client.CoreV1Api, namespace: str, name: str) -> client.V1Pod:
    selector = f"app.kubernetes.io/name={name},kserve.io/component=workload"
    pods = [
        pod for pod in core.list_namespaced_pod(namespace, label_selector=selector).items if not pod.metadata.deletion_timestamp
    ]
    assert len(pods) == 1, [pod.metadata.name for pod in pods]
    return pods[0]


def test_a_killed_engine_is_restarted_and_answers_again(cluster: Cluster, core: client.CoreV1Api, engine: Engine) -> None:
    before = _pod(core, demo.NAMESPACE, demo.RELEASE)
    restarts = before.status.container_statuses[0].restart_count
    cluster.kubectl("-n", demo.NAMESPACE, "exec", before.metadata.name, "--", "python3", "-c", KILL)
    until(
        lambda: _pod(core, demo.NAMESPACE, demo.RELEASE).status.container_statuses[0].restart_count > restarts,
        60,
        "the container was not restarted",
    )
    demo.wait_serving(cluster, demo.NAMESPACE, demo.RELEASE, lambda _: None)
    with Engine.connect(cluster, demo.NAMESPACE, demo.RELEASE) as again:
        assert again.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
    assert _pod(core, demo.NAMESPACE, demo.RELEASE).metadata.uid == before.metadata.uid


def test_restricted_pod_security_is_enforced(core: client.CoreV1Api) -> None:
    """The engine's namespace refuses what the engine does not need."""
    container = {"name": "root", "image": "busybox:1", "securityContext": {"privileged": True}}
    pod = {"metadata": {"name": "privileged"}, "spec": {"containers": [container]}}
    with pytest.raises(client.ApiException) as refused:
        core.create_namespaced_pod(demo.NAMESPACE, pod, dry_run="All")
    assert refused.value.status == 403
    assert 'violates PodSecurity "restricted' in json.loads(refused.value.body)["message"]


def test_weights_are_mounted_read_only(cluster: Cluster, core: client.CoreV1Api, engine: Engine) -> None:
    name = _pod(core, demo.NAMESPACE, demo.RELEASE).metadata.name
    write = "open('/mnt/models/x', 'w')"
    told = cluster.kubectl(
        "-n", demo.NAMESPACE, "exec", name, "--", "python3", "-c", f"try:\n {write}\nexcept OSError as e: print(e)"
    )
    assert "Read-only file system" in told


def test_services_can_be_created_while_the_controller_rolls(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """Readiness is the webhook's own port and the old pod drains: no call of the API server meets a closed door."""
    rounds = 3 if request.config.getoption("--full") else 1
    service = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "probe", "namespace": demo.NAMESPACE},
        "spec": {"model": {"uri": "pvc://probe/probe"}},
    }
    command = [str(gobuild.program("kubectl")), "--kubeconfig", str(cluster.kubeconfig), "create", "--dry-run=server", "-f", "-"]
    told: Counter[str] = Counter()
    stop = threading.Event()

    def create() -> None:
        while not stop.is_set():
            done = subprocess.run(command, input=json.dumps(service), text=True, capture_output=True, check=False)
            told["ok" if done.returncode == 0 else done.stderr.strip()[-200:]] += 1
            time.sleep(0.05)

    caller = threading.Thread(target=create)
    caller.start()
    try:
        for _ in range(rounds):
            cluster.kubectl("-n", kserve.NAMESPACE, "rollout", "restart", f"deployment/{kserve.CONTROLLER}")
            cluster.kubectl("-n", kserve.NAMESPACE, "rollout", "status", f"deployment/{kserve.CONTROLLER}", "--timeout=120s")
            time.sleep(8)  # the old pod drains after the rollout has ended
    finally:
        stop.set()
        caller.join()
    assert told["ok"] > 20 * rounds
    assert list(told) == ["ok"], told


def test_an_install_without_a_controller_is_rolled_back(cluster: Cluster) -> None:
    """Refused by the API server half-way: nothing of the release is left."""
    cluster.kubectl("-n", kserve.NAMESPACE, "scale", f"deployment/{kserve.CONTROLLER}", "--replicas=0")
    try:
        until(lambda: not cluster.items("pods", "-n", kserve.NAMESPACE), 60, "the controller's pod is still there")
        arguments = ("refused", "charts/llm-stack", "-n", demo.NAMESPACE, "-f", "values/demo.yaml")
        cluster.helm("install", *arguments, "--rollback-on-failure", "--wait=hookOnly", check=False)
        left = cluster.kubectl("get", "all,configmaps,serviceaccounts,llminferenceservices", "-n", demo.NAMESPACE, "-o", "name")
        assert not [line for line in left.splitlines() if "refused" in line]
        assert "refused" not in cluster.helm("list", "-n", demo.NAMESPACE, "-q")
    finally:
        cluster.kubectl("-n", kserve.NAMESPACE, "scale", f"deployment/{kserve.CONTROLLER}", "--replicas=1")
        platform.wait_serving(cluster)


@pytest.mark.full
def test_an_engine_that_cannot_start_is_explained(cluster: Cluster) -> None:
    """What `make demo` prints for a crashing engine: vLLM's own reason, the pod, the command to look further."""
    arguments = ("broken", "charts/llm-stack", "-n", demo.NAMESPACE, "-f", "values/demo.yaml")
    try:
        cluster.helm("install", *arguments, "--set", "global.llm.engine.args.max-model-len=999999")
        with pytest.raises(StepFailed) as told:
            demo.wait_serving(cluster, demo.NAMESPACE, "broken", lambda _: None)
    finally:
        cluster.helm("uninstall", "broken", "-n", demo.NAMESPACE)
    assert "CrashLoopBackOff" in told.value.reason
    assert "max_position_embeddings" in told.value.reason
    assert told.value.look.endswith(f"-n {demo.NAMESPACE} describe pods")
