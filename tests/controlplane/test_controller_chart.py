"""The controller chart at the real API server: admission of its objects, presets before the webhook, deletion."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack import kserve
from hack.kube import until
from hack.shell import CommandFailed
from tests.controlplane.conftest import NAMESPACE
from tests.harness.controlplane import ControlPlane


def test_presets_are_there_and_carry_the_label(plane: ControlPlane) -> None:
    presets = plane.cluster.items("llminferenceserviceconfigs", "-n", kserve.NAMESPACE)
    assert len(presets) == 10
    assert all("llm-stack.io/preset" in preset["metadata"]["labels"] for preset in presets)


def test_a_users_own_config_is_still_validated(plane: ControlPlane) -> None:
    """The price of the label is paid by labelled objects only."""
    broken = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": "broken", "namespace": "default"},
        "spec": {"template": {"containers": [{"name": "main", "image": "{{ .Field.That.IsNot }}"}]}},
    }
    with pytest.raises(CommandFailed, match=r"denied the request"):
        plane.cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(broken))
    broken["metadata"] = {"name": "broken", "namespace": "default", "labels": {"llm-stack.io/preset": "true"}}
    plane.cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(broken))


# One service of each mode, in the smallest form that makes the controller create every kind of child.
ROUTER = {"route": {}, "gateway": {}, "scheduler": {}}
ENGINE = {"containers": [{"name": "main"}]}
MODES: dict[str, dict[str, Any]] = {
    "routed": {"router": ROUTER, "template": ENGINE},
    "disaggregated": {"router": ROUTER, "template": ENGINE, "prefill": {"template": ENGINE}},
    "multi-node": {"router": ROUTER, "template": ENGINE, "worker": ENGINE, "parallelism": {"data": 2, "dataLocal": 1}},
}
CHILDREN = {
    "routed": ("deployment/{}-kserve", "httproute/{}-kserve-route", "deployment/{}-kserve-router-scheduler"),
    "disaggregated": ("deployment/{}-kserve", "deployment/{}-kserve-prefill", "serviceaccount/{}-epp-sa"),
    "multi-node": ("leaderworkerset/{}-kserve-mn", "httproute/{}-kserve-route"),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_chart_role_suffices(plane: ControlPlane, mode: str) -> None:
    """The controller runs as the chart's service account: it creates, updates and deletes every kind without being forbidden.

    The reduced role is the chart's own.
    """
    service = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": mode, "namespace": NAMESPACE},
        "spec": {"model": {"uri": "pvc://weights/model", "name": "model"}, **MODES[mode]},
    }
    plane.cluster.apply([service])
    children = [child.format(mode) for child in CHILDREN[mode]]
    until(lambda: all(plane.cluster.get(child, "-n", NAMESPACE) for child in children), 40, f"{children} were not all made")
    service["spec"]["annotations"] = {"example.com/touched": "yes"}
    plane.cluster.apply([service])
    plane.cluster.kubectl("delete", "llminferenceservice", mode, "-n", NAMESPACE, "--timeout=40s")
    assert "is forbidden" not in plane.log("llmisvc-controller")
