"""One service over two pods of a LeaderWorkerSet: they answer as one, compute both, and are replaced together.

Once with a rank in each pod (data parallel), once with one rank cut over both (tensor parallel).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hack import demo, versions
from hack.kube import Cluster, Object, until
from tests.harness.components import overlay
from tests.smoke import releases
from tests.smoke.engine import Engine
from tests.smoke.scaling import schedule, watched

NAME = "nodes"
# The leader also runs an API server for each rank: six processes that start while the worker waits, and more than 2 GiB.
RESOURCES = overlay(releases.ENGINE, {"limits": {"cpu": "1300m", "memory": "3Gi"}})
# Scaled from the beginning, by a schedule of some other day: to begin with it later replaces the pods.
SCALING = {
    "enabled": True,
    "maxReplicas": 2,
    "signals": {"office": {"start": "0 3 1 1 *", "end": "0 4 1 1 *", "replicas": 2}},
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}
VALUES = {"global": {"llm": {"parallel": {"data": 2, "nodes": 2}, "autoscaling": SCALING, "overrides": {"resources": RESOURCES}}}}
OWN = f"app.kubernetes.io/name={NAME}"


def group(cluster: Cluster) -> tuple[Object, Object]:
    """Leader and worker, both of one group and serving."""
    leader, worker = releases.ready(cluster, OWN, 2)
    labels = [pod["metadata"]["labels"] for pod in (leader, worker)]
    prefix = "leaderworkerset.sigs.k8s.io"
    assert [label[f"{prefix}/worker-index"] for label in labels] == ["0", "1"]
    assert len({label[f"{prefix}/group-key"] for label in labels}) == 1
    return leader, worker


def assert_both_engines_compute(engine: Engine) -> None:
    """Questions at once are spread over both; the leader counts for all engines."""
    before = [engine.metric("vllm:generation_tokens_total", engine=rank) for rank in "01"]
    with ThreadPoolExecutor(8) as at_once:
        answers = list(at_once.map(engine.complete, ["The quick brown"] * 16))
    assert {answer["choices"][0]["text"] for answer in answers} == {" fox jumps over the lazy dog."}
    tokens = sum(answer["usage"]["completion_tokens"] for answer in answers)

    def made() -> list[float]:
        now = [engine.metric("vllm:generation_tokens_total", engine=rank) for rank in "01"]
        return [after - old for after, old in zip(now, before, strict=True)]

    until(lambda: sum(made()) == tokens, 10, f"the engines have not counted {tokens} tokens")
    assert min(made()) > 0, made()


@pytest.fixture(scope="module", autouse=True)
def release(cluster: Cluster) -> Iterator[None]:
    with releases.installed(cluster, NAME, VALUES):
        yield


def test_two_pods_answer_as_one(cluster: Cluster) -> None:
    leader, _ = group(cluster)
    slices = cluster.items("endpointslices", "-n", demo.NAMESPACE, "-l", f"kubernetes.io/service-name={NAME}-kserve-workload-svc")
    addresses = [address for found in slices for endpoint in found["endpoints"] for address in endpoint["addresses"]]
    assert addresses == [leader["status"]["podIP"]]
    with Engine.connect(cluster, demo.NAMESPACE, NAME) as engine:
        assert_both_engines_compute(engine)


def test_a_lost_worker_takes_the_group_along_and_it_answers_again(cluster: Cluster) -> None:
    before = group(cluster)
    began = time.monotonic()
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", before[1]["metadata"]["name"], "--grace-period=1", "--wait=false")
    releases.wait_gone(cluster, OWN, before, timeout=90)
    group(cluster)
    with Engine.connect(cluster, demo.NAMESPACE, NAME) as engine:
        assert_both_engines_compute(engine)
    print(f"answers again after {time.monotonic() - began:.0f} s")


def test_a_schedule_brings_another_group_and_takes_it_away(cluster: Cluster) -> None:
    """KEDA counts groups, and KServe's controller leaves that count alone; the first group serves on."""
    before = group(cluster)
    times = schedule(0, 2)
    office = {"start": times["start"], "end": times["end"]}
    releases.install(cluster, NAME, overlay(VALUES, {"global": {"llm": {"autoscaling": {"signals": {"office": office}}}}}))
    with watched(cluster, f"{NAME}-kserve-mn", "leaderworkerset") as watch:
        watch.until(lambda: watch.count == 2, 150, "the schedule starts no group")
        releases.reconcile(cluster, NAME, 5)
        assert watch.count == 2
        watch.until(lambda: len(releases.pods(cluster, OWN)) == 4, 60, "the second group gets no pods")
        watch.until(lambda: watch.count == 1, 180, "the schedule's end stops no group")
    assert [pod["metadata"]["uid"] for pod in group(cluster)] == [pod["metadata"]["uid"] for pod in before]


def test_uninstall_leaves_nothing(cluster: Cluster) -> None:
    cluster.helm("uninstall", NAME, "-n", demo.NAMESPACE)
    kinds = "pods,services,statefulsets,leaderworkersets,controllerrevisions,llminferenceservices,serviceaccounts,secrets"

    def left() -> list[str]:
        found = cluster.kubectl("get", kinds, "-n", demo.NAMESPACE, "-o", "name").split()
        return [name for name in found if f"/{NAME}" in name]

    until(lambda: not left(), 120, "of the release is left what it had", every=1)


# An accelerator that is none: the node says that it has it, and the CPU engine computes.
DEVICE = "example.com/pretended"
CUT = {
    "global": {
        "llm": {
            "accelerator": "pretended",
            "accelerators": {
                "pretended": {
                    "resource": DEVICE,
                    "devicesPerNode": 1,
                    "image": {
                        "registry": "docker.io",
                        "repository": "vllm/vllm-openai-cpu",
                        "tag": versions.images()["engine-cpu"].tag,
                    },
                    "env": {"VLLM_CPU_OMP_THREADS_BIND": "nobind"},
                }
            },
            "parallel": {"tensor": 2, "nodes": 2},
            # Where the vocabulary is cut, vLLM compiles a function, and the test image has no compiler.
            "engine": {"env": {"TORCHDYNAMO_DISABLE": "1"}},
            "overrides": {
                "resources": {
                    "requests": {**RESOURCES["requests"], DEVICE: "1"},
                    "limits": {**RESOURCES["limits"], DEVICE: "1"},
                }
            },
        }
    }
}


@pytest.fixture
def devices(cluster: Cluster) -> Iterator[None]:
    """The node pretends to have accelerators."""
    (node,) = cluster.items("nodes")

    def patch(count: str | None) -> None:
        body = json.dumps({"status": {"capacity": {DEVICE: count}, "allocatable": {DEVICE: count}}})
        cluster.kubectl("patch", "node", node["metadata"]["name"], "--subresource=status", "--type=merge", "-p", body)

    patch("2")
    yield
    patch(None)


def test_one_rank_over_two_pods(cluster: Cluster, devices: None) -> None:
    with releases.installed(cluster, "cut", CUT):
        releases.ready(cluster, "app.kubernetes.io/name=cut", 2)
        with Engine.connect(cluster, demo.NAMESPACE, "cut") as engine:
            assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
