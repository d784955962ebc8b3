"""Monitors and rules against the Prometheus Operator's own definitions and sources; tests/controlplane asks a real API server."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import jsonschema
import pytest

from hack import gobuild
from tests.consumer.test_alerts import RELEASES
from tests.harness import render
from tests.harness.components import OBSERVING_CHART, overlay
from tests.harness.controlplane import MONITORING, monitoring_crd
from tests.harness.manifests import thaw
from tests.unit.models import UMBRELLA

TLS = {"insecureSkipVerify": False, "serverName": "engines", "ca": {"configMap": {"name": "ca", "key": "ca.crt"}}}
MONITORS = {
    "monitors": {"scheme": "https", "tlsConfig": TLS, "interval": "1m"},
    "endpointPicker": {"tokenSecret": {"name": "token"}},
}
FULL = overlay(RELEASES["sides"], {OBSERVING_CHART: MONITORS})


def closed(schema: Any) -> Any:
    """A definition's schema as the API server reads it with strict field validation: unknown fields are refused."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if "properties" in found and "additionalProperties" not in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
    return found


@cache
def definition(kind: str) -> Any:
    (version,) = [version for version in monitoring_crd(kind)["spec"]["versions"] if version["name"] == "v1"]
    schema = copy.deepcopy(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return closed(schema)


def errors(obj: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(definition(obj["kind"])).iter_errors(thaw(obj))]


@pytest.mark.parametrize("kind", MONITORING)
def test_objects_are_of_their_definition(kind: str) -> None:
    found = render(UMBRELLA, values=FULL).all(kind)
    assert len(found) == {"PodMonitor": 3, "PrometheusRule": 1}[kind]
    for obj in found:
        assert errors(obj) == [], obj["metadata"]["name"]


def test_the_check_sees_fields_that_there_are_not() -> None:
    monitor = thaw(render(UMBRELLA, values=FULL).all("PodMonitor")[0])
    monitor["spec"]["podMetricsEndpoints"][0]["portNamed"] = "http"
    assert errors(monitor) == ["Additional properties are not allowed ('portNamed' was unexpected)"]


def test_a_port_is_chosen_by_its_number_in_a_field_that_stays() -> None:
    """Of the ports that a pod declares; `targetPort` would do the same and is to go."""
    endpoint = definition("PodMonitor")["properties"]["spec"]["properties"]["podMetricsEndpoints"]["items"]["properties"]
    assert endpoint["portNumber"]["type"] == "integer"
    assert "Deprecated" in endpoint["targetPort"]["description"]
    text = (gobuild.module_dir("prometheus-operator") / "pkg" / "prometheus" / "promcfg.go").read_text()
    _, _, after = text.partition("} else if ptr.Deref(ep.PortNumber, 0) != 0 {")
    assert "__meta_kubernetes_pod_container_port_number" in after.partition("} else if")[0]


def test_series_carry_the_labels_that_rules_ask_for() -> None:
    text = (gobuild.module_dir("prometheus-operator") / "pkg" / "prometheus" / "promcfg.go").read_text()
    (function,) = [part for part in text.split("\nfunc ") if part.startswith("(cg *ConfigGenerator) generatePodMonitorConfig(")]
    for meta, label in (("__meta_kubernetes_namespace", "namespace"), ("__meta_kubernetes_pod_name", "pod")):
        _, _, after = function.partition(f'"source_labels", Value: []string{{"{meta}"}}')
        assert f'{{Key: "target_label", Value: "{label}"}}' in after.partition("},\n\t\t{")[0], label
