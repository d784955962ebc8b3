"""What is said when packages or a Docker daemon are missing, and how the daemon is configured. Nothing is started here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hack import cached
from hack.console import StepFailed
from hack.lab import daemon, rootfs


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which only apt-get is there, seen by an ordinary user."""
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setitem(daemon.PACKAGES["build"], "libc6-dev", ("/nowhere/*/libc.a",))
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.usefixtures("bare")
def test_all_missing_packages_are_named_with_the_command() -> None:
    with pytest.raises(StepFailed) as caught:
        daemon.ensure_packages()
    for package in ("docker.io", "containerd", "runc", "iptables", "jq", "debootstrap", "gcc", "binutils", "libc6-dev"):
        assert package in caught.value.reason
    assert "apt-get install -y docker.io" in caught.value.reason


@pytest.mark.usefixtures("bare")
def test_only_the_purpose_asked_for_counts() -> None:
    assert "debootstrap" not in daemon.missing_packages(["docker"])
    assert "docker.io" not in daemon.missing_packages(["build"])


@pytest.mark.usefixtures("bare")
def test_no_daemon_and_not_root() -> None:
    with pytest.raises(StepFailed, match=r"no daemon answers \(docker is not installed: apt-get install docker.io\)"):
        daemon.ensure_docker()


@pytest.mark.usefixtures("bare")
def test_bootstrapping_needs_root() -> None:
    with pytest.raises(StepFailed, match="needs root"):
        rootfs.require_root("building the node image")


def test_nothing_missing_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "missing_packages", lambda purposes: [])
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("a program was run"))
    assert daemon.ensure_packages() == []


def test_a_daemon_that_dies_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dockerd = tmp_path / "bin" / "dockerd"
    dockerd.parent.mkdir()
    dockerd.write_text("#!/bin/sh\necho 'failed to start: no space left on device' >&2\nexit 7\n")
    dockerd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dockerd.parent}:/usr/bin:/bin")
    monkeypatch.setenv("LLM_STACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(daemon, "docker_works", lambda: False)
    monkeypatch.setattr(daemon, "ensure_packages", lambda purposes: [])
    with pytest.raises(StepFailed, match="ended with status 7; the end of its log:\nfailed to start: no space left on device"):
        daemon.ensure_docker()


def test_the_machines_own_configuration_is_kept(tmp_path: Path) -> None:
    system = json.dumps({"registry-mirrors": ["https://mirror.test"], "runtimes": {"other": {"path": "/x"}}})
    settings = daemon.configuration(tmp_path, system, wrap=True)
    assert settings["registry-mirrors"] == ["https://mirror.test"]
    assert settings["default-runtime"] == "runc-without-sys-resource"
    assert set(settings["runtimes"]) == {"other", "runc-without-sys-resource"}  # type: ignore[call-overload]
    assert daemon.configuration(tmp_path, None, wrap=False) == {}


@pytest.mark.parametrize(("mask", "lacks"), [("000001ffffffffff", False), ("000001fffeffffff", True)])
def test_bounding_set(mask: str, lacks: bool) -> None:
    assert daemon.lacks_sys_resource(f"CapPrm:\t0\nCapBnd:\t{mask}\n") is lacks


def test_wrapper_takes_the_capability_out(tmp_path: Path) -> None:
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    sets = {"bounding": ["CAP_KILL", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]}
    (tmp_path / "config.json").write_text(json.dumps({"process": {"capabilities": sets}}))
    (tmp_path / "process.json").write_text(json.dumps({"capabilities": sets}))
    arguments = ["create", "--bundle", str(tmp_path), "--process", str(tmp_path / "process.json"), "id"]
    done = subprocess.run(
        [daemon.WRAPPER, *arguments], env={"RUNC": "echo", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == arguments
    left = {"bounding": ["CAP_KILL"], "effective": []}
    assert json.loads((tmp_path / "config.json").read_text()) == {"process": {"capabilities": left}}
    assert json.loads((tmp_path / "process.json").read_text()) == {"capabilities": left}


def test_artifact_key_sees_files_and_values(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = cached.key("x", tmp_path)
    (tmp_path / "a").write_text("2")
    assert cached.key("x", tmp_path) != before
