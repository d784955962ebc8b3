"""An upgrade restarts engines only when it must, in the real controller's Deployment."""

from __future__ import annotations

import time
from typing import Any

from hack.kube import until
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import render, thaw
from tests.harness.controlplane import ControlPlane, namespace


def _upgrade(plane: ControlPlane, name: str, values: dict[str, Any]) -> dict[str, Any]:
    release = render("llm-stack", "demo", name=name, namespace=NAMESPACE, values=values)
    plane.cluster.apply([thaw(obj) for obj in release.objects])
    applied = plane.cluster.get("llminferenceservice", name, "-n", NAMESPACE)
    assert applied is not None
    return applied


def test_metadata_restarts_nothing_and_a_pod_change_does(plane: ControlPlane) -> None:
    name = "upgrade"
    _upgrade(plane, name, {})
    before = merged.wait_deployment(plane, NAMESPACE, name)
    _upgrade(plane, name, {"llm-inference-service": {"annotations": {"example.com/owner": "search"}}})
    until(lambda: _reconciled(plane, name), 20, "the controller did not look at the upgrade")
    time.sleep(2)  # a wrong controller needs the time to be wrong
    after = merged.wait_deployment(plane, NAMESPACE, name)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"]["template"] == before["spec"]["template"]

    _upgrade(plane, name, {"llm-inference-service": {"podAnnotations": {"example.com/reload": "1"}}})
    until(
        lambda: merged.wait_deployment(plane, NAMESPACE, name)["spec"]["template"] != before["spec"]["template"],
        20,
        "a pod annotation did not reach the engine's pod template",
    )


def _reconciled(plane: ControlPlane, name: str) -> bool:
    service = plane.cluster.get("llminferenceservice", name, "-n", NAMESPACE)
    assert service is not None
    return bool(service.get("status", {}).get("observedGeneration") == service["metadata"]["generation"])


def test_releases_beside_each_other_do_not_collide(plane: ControlPlane) -> None:
    namespace(plane, "other")
    for name, where in (("one", NAMESPACE), ("two", NAMESPACE), ("one", "other")):
        release = render("llm-stack", "demo", name=name, namespace=where)
        deployment = merged.create(plane, [thaw(obj) for obj in release.objects], where, name)
        assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == name
