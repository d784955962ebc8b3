"""The controller chart at the real API server: admission of its objects, presets before the webhook, deletion."""

from __future__ import annotations

import json

import pytest

from hack import kserve
from hack.shell import CommandFailed
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


def test_the_chart_role_suffices(plane: ControlPlane) -> None:
    """The controller runs as the chart's service account: nothing that it asked for was forbidden."""
    assert "is forbidden" not in plane.log("llmisvc-controller")
