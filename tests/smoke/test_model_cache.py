"""Weights downloaded once, in the cluster: by the release's Job from a hub that speaks the hub's protocol and wants a token.

The hub is the stand-in of tests/harness/hub.py in a pod, over the claim that the demo filled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hack import demo, downloads, model, prune, versions
from hack.kube import Cluster, Object, until
from tests.harness import hub as stand_in
from tests.smoke import releases
from tests.smoke.engine import Engine

NAME = "cached"
HUB, PORT, TOKEN = "hub", 8080, "hf_of_the_test"
OWN = f"app.kubernetes.io/name={NAME},kserve.io/component=workload"
JOBS = f"app.kubernetes.io/name={NAME},{downloads.LABEL}"
URI = "hf://smoke/tiny"
ENDPOINT = f"http://{HUB}.{demo.NAMESPACE}:{PORT}"
BY_SECRET = {"valueFrom": {"secretKeyRef": {"name": HUB, "key": "token"}}}


def values(*, token: bool = True, uri: str = URI, **cache: Any) -> dict[str, Any]:
    """The demo's model from the hub."""
    env = {"HF_ENDPOINT": ENDPOINT, **({"HF_TOKEN": BY_SECRET} if token else {})}
    llm = {
        "model": "tiny",
        "models": {"tiny": {"uri": uri, "servedName": "smoke", "parameters": 387000}},
        "offline": True,
        "cache": {"enabled": True, "env": env, **cache},
        "overrides": {"resources": releases.ENGINE},
    }
    return {"global": {"llm": llm}, "model-cache": {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}}}


def hub_objects(rate: int = 0) -> list[Object]:
    """The hub: a pod with the script, over the demo's claim, and its Service."""
    metadata = {"name": HUB, "namespace": demo.NAMESPACE, "labels": {"app": HUB}}
    script = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"hub.py": _script()}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": HUB}, "ports": [{"port": PORT}]},
    }
    container = {
        "name": HUB,
        "image": versions.images()["storage-initializer"].ref,
        "command": ["python3", "/script/hub.py", str(PORT), "/hub"],
        "env": [
            {"name": "HUB_TOKEN", "value": TOKEN},
            {"name": "HUB_RATE", "value": str(rate)},
            {"name": "HUB_HOST", "value": f"{HUB}.{demo.NAMESPACE}.svc"},  # another name: as the hub's store is
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "script", "mountPath": "/script"},
            {"name": "model", "mountPath": "/hub/smoke/tiny", "subPath": model.MODEL, "readOnly": True},
        ],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "script", "configMap": {"name": HUB}},
            {"name": "model", "persistentVolumeClaim": {"claimName": model.CLAIM}},
        ],
    }
    return [script, service, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]


def _script() -> str:
    with open(stand_in.__file__) as file:
        return file.read()


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[None]:
    metadata = {"name": HUB, "namespace": demo.NAMESPACE}
    cluster.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}}])
    start_hub(cluster)
    yield
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod,service,configmap,secret", HUB)
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pvc", f"{NAME}-models", "--ignore-not-found")


def start_hub(cluster: Cluster, rate: int = 0) -> None:
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", HUB, "--ignore-not-found")
    cluster.apply(hub_objects(rate))
    releases.ready(cluster, f"app={HUB}", 1, 60)


def job(cluster: Cluster) -> Object:
    """The release's download Job."""
    (found,) = cluster.items("jobs", "-n", demo.NAMESPACE, "-l", JOBS)
    return found


def condition(cluster: Cluster, kind: str) -> Object:
    """A condition of the Job, once it is true."""

    def there() -> list[Object]:
        conditions = job(cluster).get("status", {}).get("conditions", [])
        return [entry for entry in conditions if entry["type"] == kind and entry["status"] == "True"]

    until(lambda: bool(there()), 180, f"the download did not become {kind}", every=1)
    return there()[0]


def gate(cluster: Cluster) -> str:
    """What the gate of the engine's pod says."""
    (pod,) = releases.pods(cluster, OWN)
    return cluster.kubectl("-n", demo.NAMESPACE, "logs", pod["metadata"]["name"], "-c", "model-cache-gate", check=False)


def test_a_gated_model_without_a_token_says_so_and_the_engine_waits(cluster: Cluster, hub: None) -> None:
    message = f"{URI}: is gated, and no token is set; accept its licence on the hub"
    with releases.installed(cluster, NAME, values(token=False)):
        failed = condition(cluster, "Failed")
        assert failed["reason"] == "PodFailurePolicy"
        events = cluster.items("events", "-n", demo.NAMESPACE, "--field-selector", "reason=DownloadFailed")
        assert {event["involvedObject"]["name"] for event in events} == {job(cluster)["metadata"]["name"]}
        assert events[0]["message"].startswith(message)
        assert f"download {demo.NAMESPACE}/{job(cluster)['metadata']['name']}: {message}" in downloads.report(cluster)
        until(lambda: message in gate(cluster), 60, "the gate does not say what the download said", every=1)
        (pod,) = releases.pods(cluster, OWN)
        assert [status["restartCount"] for status in pod["status"]["initContainerStatuses"]] == [0]
        assert "running" in pod["status"]["initContainerStatuses"][0]["state"]

        # What make deploy does before an upgrade: a Job that failed is made again.
        name = job(cluster)["metadata"]["name"]
        assert downloads.remove_failed(cluster, demo.NAMESPACE, NAME) == [name]
        assert downloads.remove_failed(cluster, demo.NAMESPACE, NAME) == []
        releases.install(cluster, NAME, values(token=False))
        assert condition(cluster, "Failed")["reason"] == "PodFailurePolicy"
        assert job(cluster)["metadata"]["name"] == name

        # With the token the same pod's successor is served; the Job is another one.
        releases.install(cluster, NAME, values())
        condition(cluster, "Complete")
        releases.ready(cluster, OWN, 1)
        with Engine.connect(cluster, demo.NAMESPACE, NAME) as engine:
            assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."


def test_what_is_on_the_claim_outlives_the_release_and_the_hub(cluster: Cluster, hub: None) -> None:
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", HUB)
    try:
        began = time.monotonic()
        with releases.installed(cluster, NAME, values()):
            condition(cluster, "Complete")
            print(f"download of what is there: {time.monotonic() - began:.0f} s")
            assert f"{URI}: there already" in downloads.report(cluster)
            releases.ready(cluster, OWN, 1)
            with Engine.connect(cluster, demo.NAMESPACE, NAME) as engine:
                assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
    finally:
        start_hub(cluster)


def test_another_revision_is_served_beside_and_pruned_afterwards(
    cluster: Cluster, hub: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Revision and rollback: the folder of each release's values is another one, and both stay until nobody names them."""
    claim = f"{NAME}-models"
    with releases.installed(cluster, NAME, values()):
        condition(cluster, "Complete")
        (before,) = paths(cluster)
        commit = on_the_volume(cluster, REVISION)
        releases.install(cluster, NAME, values(uri=f"{URI}:{commit}"))
        condition(cluster, "Complete")
        (after,) = paths(cluster)
        assert after != before
        cluster.helm("rollback", NAME, "1", "-n", demo.NAMESPACE)
        condition(cluster, "Complete")
        assert paths(cluster) == [before]
        assert f"{URI}: there already" in downloads.report(cluster)

        releases.ready(cluster, OWN, 1)  # until then a pod of the other revision still names its folder
        prune.prune(cluster, demo.NAMESPACE, claim, remove=False, age=0)
        said = capsys.readouterr().out
        assert f"unused {after}: " in said
        assert f"unused {before}: " not in said
        prune.prune(cluster, demo.NAMESPACE, claim, remove=True, age=0)
        assert f"removed {after}: " in capsys.readouterr().out
        prune.prune(cluster, demo.NAMESPACE, claim, remove=True, age=0)
        assert "0 bytes removed" in capsys.readouterr().out
        releases.ready(cluster, OWN, 1)
        with Engine.connect(cluster, demo.NAMESPACE, NAME) as engine:
            assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."


def paths(cluster: Cluster) -> list[str]:
    """What the release's Job puts onto the volume."""
    (container,) = job(cluster)["spec"]["template"]["spec"]["containers"]
    (spec,) = [json.loads(entry["value"]) for entry in container["env"] if entry["name"] == "CACHE_SPEC"]
    return [item["path"] for item in spec["items"]]


REVISION = (
    "import json, pathlib; (path,) = pathlib.Path('/volume/models').rglob('.model-cache.json');"
    " print(json.loads(path.read_text())['revision'])"
)
FLIP = (
    "import pathlib; path = pathlib.Path('/volume/PATH/model.safetensors');"
    " content = bytearray(path.read_bytes()); content[-1] ^= 1; path.write_bytes(content)"
)


def test_a_changed_file_is_not_served_and_is_downloaded_again(cluster: Cluster, hub: None) -> None:
    with releases.installed(cluster, NAME, values()):
        condition(cluster, "Complete")
        releases.ready(cluster, OWN, 1)
        on_the_volume(cluster, FLIP.replace("PATH", paths(cluster)[0]))
        before = releases.pods(cluster, OWN)
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", before[0]["metadata"]["name"], "--grace-period=1")
        releases.wait_gone(cluster, OWN, before)
        until(lambda: "its content changed" in last_words(cluster), 120, "the gate let a changed file pass", every=1)
        assert last_words(cluster).startswith("the weights on the volume are not those that were published: ")
        # What the message says: delete the Job, then upgrade.
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "job", "-l", JOBS)
        releases.install(cluster, NAME, values())
        condition(cluster, "Complete")
        releases.ready(cluster, OWN, 1, 600)
        with Engine.connect(cluster, demo.NAMESPACE, NAME) as engine:
            assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."


def last_words(cluster: Cluster) -> str:
    """The message with which the engine's gate ended, if it did."""
    found = releases.pods(cluster, OWN)
    if not found:
        return ""
    status = (found[0]["status"].get("initContainerStatuses") or [{}])[0]
    states = [status.get(key, {}).get("terminated", {}) for key in ("state", "lastState")]
    return next((state["message"] for state in states if state.get("message")), "")


def on_the_volume(cluster: Cluster, script: str) -> str:
    """Run Python in a pod that may write to the release's claim; what it prints."""
    container = {
        "name": "own",
        "image": versions.images()["storage-initializer"].ref,
        "command": ["python3", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "weights", "mountPath": "/volume"}],
    }
    metadata = {"name": "own", "namespace": demo.NAMESPACE}
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": f"{NAME}-models"}}],
    }
    cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}])
    try:
        cluster.kubectl("-n", demo.NAMESPACE, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/own", "--timeout=60s")
        return cluster.kubectl("-n", demo.NAMESPACE, "logs", "own").strip()
    finally:
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", "own", "--grace-period=0", "--force")


def test_a_download_pod_that_is_killed_is_followed_by_one_that_goes_on(cluster: Cluster, hub: None) -> None:
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pvc", f"{NAME}-models", "--ignore-not-found")
    start_hub(cluster, rate=60_000)
    with releases.installed(cluster, NAME, values()):
        until(lambda: "downloading: " in downloads.report(cluster), 120, "no download under way", every=0.5)
        (pod,) = releases.pods(cluster, JOBS)
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        condition(cluster, "Complete")
        (after,) = releases.pods(cluster, JOBS)
        assert after["metadata"]["uid"] != pod["metadata"]["uid"]
        releases.ready(cluster, OWN, 1)
    start_hub(cluster)


def test_kserves_own_download_has_the_memory_that_was_derived(cluster: Cluster, hub: None) -> None:
    """Without a cache: KServe's storage initializer, in every pod."""
    with releases.serving(cluster, NAME, values(enabled=False)) as engine:
        assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
        (pod,) = releases.pods(cluster, OWN)
        (initializer,) = [c for c in pod["spec"]["initContainers"] if c["name"] == "storage-initializer"]
        assert initializer["resources"]["limits"]["memory"] == "3Gi"
        assert json.dumps(TOKEN) not in json.dumps(pod)


def test_the_token_is_nowhere_to_be_read(cluster: Cluster, hub: None) -> None:
    """Neither in a release, nor in a log, nor in an event."""
    with releases.installed(cluster, NAME, values()):
        condition(cluster, "Complete")
        manifest = cluster.helm("get", "all", NAME, "-n", demo.NAMESPACE)
        log = cluster.kubectl("-n", demo.NAMESPACE, "logs", "-l", JOBS, "--tail=-1")
        events = cluster.kubectl("get", "events", "-n", demo.NAMESPACE, "-o", "json")
    assert TOKEN not in manifest + log + events
