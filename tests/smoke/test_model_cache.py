"""Weights downloaded once, in the cluster: by the release's Job from a hub that speaks the hub's protocol and wants a token.

All of it without a name server for the outside: what asked for a name there would fail, and be found.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from hack import cluster as kind
from hack import demo, downloads, platform, prune
from hack.kube import Cluster, until
from hack.paths import CHARTS
from tests.harness import values_file
from tests.smoke import cached, names, releases
from tests.smoke.load import load

OWN = releases.workload(cached.NAME)


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[None]:
    metadata = {"name": cached.HUB, "namespace": demo.NAMESPACE}
    cluster.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": cached.TOKEN}}])
    with names.closed(cluster):
        cached.start_hub(cluster)
        yield
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod,service,configmap,secret", cached.HUB)
    _remove_claim(cluster)


def test_a_gated_model_without_a_token_says_so_and_the_engine_waits(cluster: Cluster, hub: None) -> None:
    message = f"{cached.URI}: is gated, and no token is set; accept its licence on the hub"
    with releases.installed(cluster, cached.NAME, cached.values(token=False)):
        failed = cached.condition(cluster, "Failed")
        assert failed["reason"] == "PodFailurePolicy"
        events = cluster.items("events", "-n", demo.NAMESPACE, "--field-selector", "reason=DownloadFailed")
        assert {event["involvedObject"]["name"] for event in events} == {cached.job(cluster)["metadata"]["name"]}
        assert events[0]["message"].startswith(message)
        assert f"download {demo.NAMESPACE}/{cached.job(cluster)['metadata']['name']}: {message}" in downloads.report(cluster)
        until(lambda: message in cached.gate(cluster), 60, "the gate does not say what the download said", every=1)
        (pod,) = releases.pods(cluster, OWN)
        assert [status["restartCount"] for status in pod["status"]["initContainerStatuses"]] == [0]
        assert "running" in pod["status"]["initContainerStatuses"][0]["state"]

        # What make deploy does before an upgrade: a Job that failed is made again.
        name = cached.job(cluster)["metadata"]["name"]
        assert downloads.remove_failed(cluster, demo.NAMESPACE, cached.NAME) == [name]
        assert downloads.remove_failed(cluster, demo.NAMESPACE, cached.NAME) == []
        releases.install(cluster, cached.NAME, cached.values(token=False))
        assert cached.condition(cluster, "Failed")["reason"] == "PodFailurePolicy"
        assert cached.job(cluster)["metadata"]["name"] == name

        # With the token the same pod's successor is served; the Job is another one.
        releases.install(cluster, cached.NAME, cached.values())
        cached.condition(cluster, "Complete")
        releases.assert_answers(cluster, cached.NAME)


def test_what_is_on_the_claim_outlives_the_release_and_the_hub(cluster: Cluster, hub: None) -> None:
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", cached.HUB)
    try:
        began = time.monotonic()
        with releases.installed(cluster, cached.NAME, cached.values()):
            cached.condition(cluster, "Complete")
            print(f"download of what is there: {time.monotonic() - began:.0f} s")
            assert f"{cached.URI}: there already" in downloads.report(cluster)
            releases.assert_answers(cluster, cached.NAME)
    finally:
        cached.start_hub(cluster)


def test_another_revision_is_served_beside_and_pruned_afterwards(
    cluster: Cluster, hub: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Revision and rollback: the folder of each release's values is another one, and both stay until nobody names them."""
    with releases.installed(cluster, cached.NAME, cached.values()):
        cached.condition(cluster, "Complete")
        (before,) = cached.paths(cluster)
        commit = cached.on_the_volume(cluster, REVISION)
        releases.install(cluster, cached.NAME, cached.values(uri=f"{cached.URI}:{commit}"))
        cached.condition(cluster, "Complete")
        (after,) = cached.paths(cluster)
        assert after != before
        cluster.helm("rollback", cached.NAME, "1", "-n", demo.NAMESPACE)
        cached.condition(cluster, "Complete")
        assert cached.paths(cluster) == [before]
        assert f"{cached.URI}: there already" in downloads.report(cluster)

        releases.ready(cluster, OWN, 1)  # until then a pod of the other revision still names its folder
        prune.prune(cluster, demo.NAMESPACE, cached.CLAIM, remove=False, age=0)
        said = capsys.readouterr().out
        assert f"unused {after}: " in said
        assert f"unused {before}: " not in said
        prune.prune(cluster, demo.NAMESPACE, cached.CLAIM, remove=True, age=0)
        assert f"removed {after}: " in capsys.readouterr().out
        prune.prune(cluster, demo.NAMESPACE, cached.CLAIM, remove=True, age=0)
        assert "0 bytes removed" in capsys.readouterr().out
        releases.assert_answers(cluster, cached.NAME)


REVISION = (
    "import json, pathlib; (path,) = pathlib.Path('/volume/models').rglob('.model-cache.json');"
    " print(json.loads(path.read_text())['revision'])"
)
FLIP = (
    "import pathlib; path = pathlib.Path('/volume/PATH/model.safetensors');"
    " content = bytearray(path.read_bytes()); content[-1] ^= 1; path.write_bytes(content)"
)


def test_a_changed_file_is_not_served_and_is_downloaded_again(cluster: Cluster, hub: None) -> None:
    with releases.installed(cluster, cached.NAME, cached.values()):
        cached.condition(cluster, "Complete")
        releases.ready(cluster, OWN, 1)
        cached.on_the_volume(cluster, FLIP.replace("PATH", cached.paths(cluster)[0]))
        before = releases.pods(cluster, OWN)
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", before[0]["metadata"]["name"], "--grace-period=1")
        releases.wait_gone(cluster, OWN, before)
        until(lambda: "its content changed" in last_words(cluster), 120, "the gate let a changed file pass", every=1)
        assert last_words(cluster).startswith("the weights on the volume are not those that were published: ")
        # What the message says: delete the Job, then upgrade.
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "job", "-l", cached.jobs())
        releases.install(cluster, cached.NAME, cached.values())
        cached.condition(cluster, "Complete")
        releases.assert_answers(cluster, cached.NAME, 600)


def last_words(cluster: Cluster) -> str:
    """The message with which the engine's gate ended, if it did."""
    found = releases.pods(cluster, OWN)
    if not found:
        return ""
    status = (found[0]["status"].get("initContainerStatuses") or [{}])[0]
    states = [status.get(key, {}).get("terminated", {}) for key in ("state", "lastState")]
    return next((state["message"] for state in states if state.get("message")), "")


def test_a_download_pod_that_is_killed_is_followed_by_one_that_goes_on(cluster: Cluster, hub: None) -> None:
    _remove_claim(cluster)
    cached.start_hub(cluster, rate=60_000)
    with releases.installed(cluster, cached.NAME, cached.values()):
        until(lambda: "downloading: " in downloads.report(cluster), 120, "no download under way", every=0.5)
        (pod,) = releases.pods(cluster, cached.jobs())
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        cached.condition(cluster, "Complete")
        (after,) = releases.pods(cluster, cached.jobs())
        assert after["metadata"]["uid"] != pod["metadata"]["uid"]
        releases.ready(cluster, OWN, 1)
    cached.start_hub(cluster)


def test_kserves_own_download_has_the_memory_that_was_derived(cluster: Cluster, hub: None) -> None:
    """Without a cache: KServe's storage initializer, in every pod."""
    with releases.serving(cluster, cached.NAME, cached.values(enabled=False)) as engine:
        assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
        (pod,) = releases.pods(cluster, OWN)
        (initializer,) = [c for c in pod["spec"]["initContainers"] if c["name"] == "storage-initializer"]
        assert initializer["resources"]["limits"]["memory"] == "3Gi"
        assert json.dumps(cached.TOKEN) not in json.dumps(pod)


def test_the_token_is_nowhere_to_be_read(cluster: Cluster, hub: None) -> None:
    """Neither in a release, nor in a log, nor in an event."""
    with releases.installed(cluster, cached.NAME, cached.values()):
        cached.condition(cluster, "Complete")
        manifest = cluster.helm("get", "all", cached.NAME, "-n", demo.NAMESPACE)
        log = cluster.kubectl("-n", demo.NAMESPACE, "logs", "-l", cached.jobs(), "--tail=-1")
        events = cluster.kubectl("get", "events", "-n", demo.NAMESPACE, "-o", "json")
    assert cached.TOKEN not in manifest + log + events


def test_two_releases_at_once_download_once_and_share(cluster: Cluster, hub: None, capsys: pytest.CaptureFixture[str]) -> None:
    """One claim, two Jobs at the same time. What engines write beside the weights is kept for both as well."""
    _new_claim(cluster)
    cached.start_hub(cluster, rate=100_000)
    shared = cached.values(existingClaim=cached.CLAIM, compilation=True)
    with releases.installed(cluster, "one", shared):
        with releases.installed(cluster, "two", shared):
            for name in ("one", "two"):
                cached.condition(cluster, "Complete", name)
            ends = [line.split(": ", 2)[2] for line in downloads.report(cluster).splitlines()]
            print("\n".join(ends))
            assert sorted("there already" in end for end in ends) == [False, True]
            for name in ("one", "two"):
                releases.assert_answers(cluster, name)
            kept = cached.on_the_volume(cluster, WRITTEN).splitlines()
            assert len({path.split("/")[2] for path in kept}) == 1  # the same image, model and layout
        prune.prune(cluster, demo.NAMESPACE, cached.CLAIM, remove=True, age=0)
        assert "0 bytes removed" in capsys.readouterr().out
        releases.assert_answers(cluster, "one")
    _remove_claim(cluster)


WRITTEN = """
import pathlib
for path in pathlib.Path("/volume/compiled").rglob("*"):
    if path.is_file():
        print(path.relative_to("/volume"))
"""


def _remove_claim(cluster: Cluster) -> None:
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pvc", cached.CLAIM, "--ignore-not-found")


def _new_claim(cluster: Cluster) -> None:
    """A claim that no release owns."""
    _remove_claim(cluster)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": cached.CLAIM, "namespace": demo.NAMESPACE}
    cluster.apply([{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}])


def test_another_revision_under_load(cluster: Cluster, hub: None) -> None:
    """While it is downloaded and its engine starts, the old one answers; no request is lost."""
    with releases.installed(cluster, cached.NAME, cached.values()):
        cached.condition(cluster, "Complete")
        before = releases.ready(cluster, OWN, 1)
        commit = cached.on_the_volume(cluster, REVISION.replace("(path,) =", "path, *_ ="))
        cached.start_hub(cluster, rate=60_000)
        with load(cluster, cached.NAME) as asking:
            releases.install(cluster, cached.NAME, cached.values(uri=f"{cached.URI}:{commit}"))
            until(lambda: "downloading: " in downloads.report(cluster), 120, "no download under way", every=0.5)
            answered = asking.done()
            cached.condition(cluster, "Complete")
            assert asking.done() > answered
            releases.wait_gone(cluster, OWN, before)
            answered = asking.done()
            until(lambda: asking.done() > answered + 5, 60, "the new engine does not answer", every=1)
            assert asking.errors() == []
            print(f"{asking.done()} requests, none failed")
    cached.start_hub(cluster)


def test_nothing_asks_for_a_name_outside(cluster: Cluster, hub: None) -> None:
    """What ran since the name server was closed: downloads, gates, engines, hooks."""
    asked = names.asked(cluster)
    assert f"{cached.HUB}.{demo.NAMESPACE}.svc{names.INSIDE}" in asked
    assert {name for name in asked if not name.endswith(names.INSIDE)} == set()
    # That it would be seen, and that it is refused:
    said = cached.on_the_volume(cluster, RESOLVE)
    assert said.startswith("refused: ")
    assert "huggingface.co." in names.asked(cluster)


RESOLVE = """
import socket
try:
    print(socket.getaddrinfo("huggingface.co", 443))
except OSError as error:
    print(f"refused: {error}")
"""


def test_a_node_that_restarts_in_the_middle_of_a_download(cluster: Cluster, hub: None) -> None:
    """A claim that is filled before there is an engine, by chart model-cache alone; the umbrella takes the release over.

    Last: everything in the cluster starts again with the node.
    """
    _remove_claim(cluster)
    cached.start_hub(cluster, rate=30_000)
    values = cached.values()
    alone = {"global": {"llm": {**values["global"]["llm"], "accelerator": "cpu"}}, "followEngine": False, **values["model-cache"]}
    try:
        with values_file(alone) as file:
            cluster.helm("install", cached.NAME, CHARTS / "model-cache", "-n", demo.NAMESPACE, "-f", file)
        until(lambda: "downloading: " in downloads.report(cluster), 120, "no download under way", every=0.5)
        (before,) = releases.pods(cluster, cached.jobs())
        kind.restart()
        cached.start_hub(cluster)
        cached.condition(cluster, "Complete")
        assert before["metadata"]["uid"] not in {
            pod["metadata"]["uid"] for pod in releases.pods(cluster, cached.jobs()) if pod["status"]["phase"] == "Succeeded"
        }
        releases.install(cluster, cached.NAME, values)
        releases.assert_answers(cluster, cached.NAME, 600)
    finally:
        cluster.helm("uninstall", cached.NAME, "-n", demo.NAMESPACE, "--ignore-not-found")
    demo.wait_serving(cluster, demo.NAMESPACE, demo.RELEASE, lambda _: None)
    platform.wait_serving(cluster)
    platform.wait_scaling(cluster)
