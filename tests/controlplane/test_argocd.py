"""The health check for Argo CD in docs/day-2.md, run by a Lua interpreter over what KServe's real controller says of services."""

from __future__ import annotations

import json
import re
from typing import Any

import lupa
import pytest

from hack import documents
from hack.kube import Object, until
from hack.paths import ROOT
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import render, thaw
from tests.harness.controlplane import ControlPlane

DOCUMENT = (ROOT / "docs" / "day-2.md").read_text()
KEY = "resource.customizations.health.serving.kserve.io_LLMInferenceService"


def health(service: Object) -> tuple[str, str]:
    """Status and message, as Argo CD would show them."""
    (block,) = [text for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT, flags=re.S) if KEY in text]
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)

    def table(value: Any) -> Any:
        if isinstance(value, dict):
            return lua.table_from({key: table(item) for key, item in value.items()})
        return lua.table_from([table(item) for item in value]) if isinstance(value, list) else value

    lua.globals()["obj"] = table(service)
    found = lua.execute(documents.load(block)["data"][KEY])
    return found["status"], found["message"]


def service(plane: ControlPlane, name: str) -> Object:
    found = plane.cluster.get("llminferenceservice", name, "-n", NAMESPACE)
    assert found is not None
    return found


def wait(plane: ControlPlane, name: str, status: str) -> str:
    """Until a service is in a state; what is said of it."""
    until(lambda: health(service(plane, name))[0] == status, 30, f"{name} is {health(service(plane, name))}, not {status}")
    return health(service(plane, name))[1]


def test_a_service_from_its_install_to_its_stop(plane: ControlPlane) -> None:
    name = "argo"
    assert health({"metadata": {"name": name}})[0] == "Progressing"
    release = render("llm-stack", "demo", name=name, namespace=NAMESPACE)
    plane.cluster.apply([thaw(obj) for obj in release.objects])
    deployment = merged.wait_deployment(plane, NAMESPACE, name)
    wait(plane, name, "Progressing")

    # What the controller manager and a kubelet, which this control plane has not, would say.
    serving = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
    }
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": ""}
    patch = json.dumps({"status": {**serving, "updatedReplicas": 1, "conditions": [available]}})
    target = ("deployment", deployment["metadata"]["name"], "-n", NAMESPACE)
    plane.cluster.kubectl("patch", *target, "--subresource=status", "--type=merge", "-p", patch)
    assert wait(plane, name, "Healthy") == "serving"

    plane.cluster.kubectl("-n", NAMESPACE, "annotate", "llminferenceservice", name, "serving.kserve.io/stop=true")
    wait(plane, name, "Suspended")


@pytest.mark.parametrize("reference", ["no-such-config"])
def test_a_service_without_its_preset_is_degraded(plane: ControlPlane, reference: str) -> None:
    name = "argo-degraded"
    spec = {"model": {"uri": "hf://example/model", "name": "model"}, "baseRefs": [{"name": reference}]}
    frame = {"apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService"}
    plane.cluster.apply([{**frame, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}])
    assert reference in wait(plane, name, "Degraded")
