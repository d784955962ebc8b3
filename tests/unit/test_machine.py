"""What `make demo` checks before it works for minutes: each lack gives one message, at once."""

from __future__ import annotations

import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from hack import cluster, gobuild, kube, model, preflight
from hack.console import StepFailed
from hack.lab import images, node_image
from hack.paths import VALUES

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine with nothing built, no cluster, 16 GiB of memory and 100 GiB of disk."""
    monkeypatch.setenv("LLM_STACK_CACHE", str(tmp_path))
    monkeypatch.setattr(cluster, "exists", lambda: False)
    monkeypatch.setattr(cluster, "_memory_gib", lambda: 16.0)
    monkeypatch.setattr(images, "is_built", lambda _name: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 100 * 2**30))
    return monkeypatch


def test_a_fit_machine_passes(machine: pytest.MonkeyPatch) -> None:
    assert cluster.check_machine(["node"]) is None
    assert cluster.check_machine([]) is None


def test_too_little_memory(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(cluster, "_memory_gib", lambda: 3.25)
    with pytest.raises(StepFailed) as refused:
        cluster.check_machine(["node"])
    assert refused.value.reason == "memory: 3.2 GiB are available and the demo needs 8; end other programs or add memory"


def test_too_little_disk_to_build_but_enough_to_run(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 10 * 2**30))
    with pytest.raises(StepFailed) as refused:
        cluster.check_machine(["node"])
    assert refused.value.reason == (
        f"disk: 10.0 GiB are free at {tmp_path} and 25 are needed; free some or set LLM_STACK_CACHE elsewhere"
    )
    machine.setattr(images, "is_built", lambda _name: True)
    assert cluster.check_machine(["node"]) is None


def test_no_go_and_an_old_go(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gobuild.go_version.cache_clear()
    machine.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(
            StepFailed, match=r"^go: not found; install Go 1\.26 or newer \(https://go\.dev/dl\) and put it on PATH$"
        ):
            cluster.check_machine(["node"])
        (tmp_path / "go").write_text("#!/bin/sh\necho go1.21.3\n")
        (tmp_path / "go").chmod(0o755)
        with pytest.raises(StepFailed, match=r"^go: go1\.21\.3 is too old; install Go 1\.26 or newer \(https://go\.dev/dl\)$"):
            cluster.check_machine(["node"])
    finally:
        gobuild.go_version.cache_clear()


@pytest.mark.parametrize("wanted", ["registry", "source"])
def test_the_source_of_images_can_be_chosen(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("IMAGES", wanted)
    assert cluster.image_source() == wanted


def test_an_unknown_source_of_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGES", "local")
    with pytest.raises(StepFailed, match=r"^IMAGES: 'local' is none of registry, source, auto; set one of them$"):
        cluster.image_source()


def test_without_a_registry_images_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGES", "auto")
    monkeypatch.setattr(cluster, "REGISTRY", "http://127.0.0.1:9/v2/")
    assert cluster.image_source() == "source"


def test_the_demos_claim_is_the_one_that_its_values_name() -> None:
    release = preflight.objects(VALUES / "demo.yaml", "demo", "demo")
    (service,) = [obj for obj in release if obj["kind"] == "LLMInferenceService"]
    assert service["spec"]["model"]["uri"] == f"pvc://{model.CLAIM}/{model.MODEL}"


@pytest.mark.parametrize(("label", "loads"), [("", True), ("of another build", True), ("as it is now", False)])
def test_a_node_image_of_another_build_is_not_taken_for_its_name(machine: pytest.MonkeyPatch, label: str, loads: bool) -> None:
    """Docker knows images by name, which stays when our files for the node change."""
    asked: list[str] = []

    def run(*command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(map(str, command)))
        return subprocess.CompletedProcess([], 0, label if "inspect" in command else "", "")

    machine.setattr(cluster, "run", run)
    machine.setattr(cluster, "out", lambda *_: "")
    machine.setattr(gobuild, "program", lambda name: Path(name))
    machine.setattr(images, "archive", lambda name: Path(f"{name}.tar"))
    machine.setattr(node_image, "content", lambda: "as it is now")
    machine.setattr(kube.Cluster, "kubectl", lambda *_: "")
    cluster._create("source", lambda _: None)
    assert ("docker load -i node.tar" in asked) == loads
    assert sum(command.startswith("kind create cluster") for command in asked) == 1
