"""The real helm against the real API server and controller: install, upgrade after the controller has written, uninstall."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hack import deps
from hack.kube import until
from hack.paths import CHARTS, VALUES
from hack.shell import CommandFailed
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness.controlplane import ControlPlane

# Helm 4 applies server-side by default, Helm 3 always client-side.
WAYS = [("helm", ("--server-side=true",)), ("helm", ("--server-side=false",)), ("helm3", ())]
AWKWARD = {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 1.5, "memory": "2048Mi", "example.com/device": 2}}


@pytest.mark.parametrize(("program", "flags"), WAYS, ids=["helm4-server-side", "helm4-client-side", "helm3"])
def test_a_release_upgrades_after_the_controller_wrote(
    plane: ControlPlane, tmp_path: Path, program: str, flags: tuple[str, ...]
) -> None:
    """The controller rewrites the whole service with its finalizer: what it wrote differently would conflict in Helm 4."""
    deps.build()
    name = f"up-{program}-{len(flags) and flags[0][-4:].strip('=')}"
    extra = tmp_path / "extra.json"
    extra.write_text(json.dumps({"global": {"llm": {"overrides": {"resources": AWKWARD}}}}))
    common = (name, CHARTS / "llm-stack", "-n", NAMESPACE, "--values", VALUES / "demo.yaml", "--values", extra)
    plane.cluster.helm("install", *common, *flags, program=program)
    merged.wait_deployment(plane, NAMESPACE, name)
    until(lambda: _finalizers(plane, name), 20, "the controller did not add its finalizer")
    plane.cluster.helm("upgrade", *common, "--set", "global.llm.replicas=2", *flags, program=program)
    until(
        lambda: merged.wait_deployment(plane, NAMESPACE, name)["spec"]["replicas"] == 2,
        20,
        "the upgrade did not reach the engine",
    )
    plane.cluster.helm("rollback", name, "1", "-n", NAMESPACE, program=program)
    until(lambda: merged.wait_deployment(plane, NAMESPACE, name)["spec"]["replicas"] == 1, 20, "the rollback did not arrive")
    plane.cluster.helm("uninstall", name, "-n", NAMESPACE, program=program)
    until(lambda: plane.cluster.get("llminferenceservice", name, "-n", NAMESPACE) is None, 20, "the service outlives its release")
    assert name not in plane.cluster.helm("list", "-n", NAMESPACE, "-q").split()


def _finalizers(plane: ControlPlane, name: str) -> list[str]:
    service = plane.cluster.get("llminferenceservice", name, "-n", NAMESPACE)
    assert service is not None
    found: list[str] = service["metadata"].get("finalizers", [])
    return found


def test_a_misspelt_key_installs_nothing(plane: ControlPlane) -> None:
    arguments = ("typo", CHARTS / "llm-stack", "-n", NAMESPACE, "--values", VALUES / "demo.yaml")
    with pytest.raises(CommandFailed, match=r"additional properties 'replica' not allowed"):
        plane.cluster.helm("install", *arguments, "--set", "global.llm.replica=2")
    assert json.loads(plane.cluster.helm("list", "-n", NAMESPACE, "--filter", "^typo$", "-o", "json")) == []
