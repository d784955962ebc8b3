"""Every values file is admitted by the real API server: schema, CEL rules, KServe's webhooks."""

from __future__ import annotations

import json

import pytest

from hack.shell import CommandFailed
from tests.controlplane.conftest import NAMESPACE
from tests.harness import Scenario, render, thaw
from tests.harness.controlplane import ControlPlane
from tests.harness.scenarios import EXAMPLES, SCENARIOS

MODELS = [scenario for scenario in (*SCENARIOS, *EXAMPLES) if scenario.name != "platform"]


@pytest.mark.parametrize("scenario", MODELS, ids=str)
def test_a_release_is_admitted(plane: ControlPlane, scenario: Scenario) -> None:
    objects = [thaw(obj) for obj in render("llm-stack", scenario.file, namespace=NAMESPACE).objects]
    told = plane.cluster.apply(objects, dry_run=True)
    assert told.count("serverside-applied") == len(objects)


def test_an_unknown_field_is_refused(plane: ControlPlane) -> None:
    service = thaw(render("llm-stack", "demo", namespace=NAMESPACE).one("LLMInferenceService"))
    service["spec"]["replica"] = 1
    with pytest.raises(CommandFailed, match=r"unknown field \"replica\""):
        plane.cluster.apply([service], dry_run=True)


def test_the_webhooks_are_asked(plane: ControlPlane) -> None:
    """The defaulter fills the model's name; the validator knows a rule that no schema states."""
    service = thaw(render("llm-stack", "demo", namespace=NAMESPACE).one("LLMInferenceService"))
    del service["spec"]["model"]["name"]
    document = json.dumps(service)
    defaulted = plane.cluster.kubectl(
        "create", "--dry-run=server", "-o", "jsonpath={.spec.model.name}", "-f", "-", stdin=document
    )
    assert defaulted == service["metadata"]["name"]
    service["spec"]["worker"] = {"containers": [{"name": "main"}]}
    with pytest.raises(CommandFailed, match=r"spec\.worker: Invalid value: .* when worker"):
        plane.cluster.apply([service], dry_run=True)
