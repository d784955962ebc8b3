"""A release renders exactly the objects of the component table, named, labelled and placed as they must be."""

from __future__ import annotations

import re

import pytest

from tests.harness import EXAMPLES, SCENARIOS, Scenario, helm_fails, render
from tests.harness.components import CLUSTER_WIDE, CONTROLLER_CHART, DOTTED, LONGEST, MORE, RELEASE, ROWS, key, release, rows

LABEL = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
DNS_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


def test_exactly_the_known_objects(scenario: Scenario) -> None:
    assert sorted(key(obj) for obj in release(scenario).objects) == sorted(rows(scenario))


def test_every_row_is_reached() -> None:
    reached = {id(row) for scenario in (*SCENARIOS, *EXAMPLES) for row in rows(scenario).values()}
    unreached = sorted(f"{row.kind}/{row.name}" for row in ROWS if id(row) not in reached)
    # Rendered with more than one controller and with disks of nodes; the platform's file has one, and none.
    assert unreached == ["LocalModelNodeGroup/gpu-disks", "PodDisruptionBudget/llmisvc-controller-manager"]
    assert set(unreached) <= set(render(CONTROLLER_CHART, values=MORE, namespace="kserve").names())


@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_nothing_enabled_is_refused(helm: str) -> None:
    nothing = {"llm-inference-service": {"enabled": False}, "global": {"llm": {"cache": {"enabled": False}}}}
    with helm_fails(
        "llm-inference-service.enabled: nothing is enabled; set llm-inference-service.enabled or kserve-controller.enabled"
    ):
        render("llm-stack", values=nothing, helm=helm)


def test_names_are_valid_and_short(scenario: Scenario) -> None:
    for obj in release(scenario).objects:
        name = obj["metadata"]["name"]
        assert len(name) <= LONGEST.get(obj["kind"], 63), key(obj)
        assert (DNS_SUBDOMAIN if obj["kind"] in DOTTED else DNS_LABEL).match(name), key(obj)


def test_the_longest_name_fits_everywhere() -> None:
    values = {"global": {"llm": {"model": "qwen2-5-7b-instruct", "accelerator": "cpu", "replicas": 2, "name": "n" * 38}}}
    names = {key(obj): len(obj["metadata"]["name"]) for obj in render("llm-stack", values=values, name="r" * 53).objects}
    assert max(names.values()) <= 63, names


def test_every_object_says_its_namespace(scenario: Scenario) -> None:
    for obj in release(scenario).objects:
        wanted = None if obj["kind"] in CLUSTER_WIDE else scenario.namespace
        assert obj["metadata"].get("namespace") == wanted, key(obj)


def test_standard_labels(scenario: Scenario) -> None:
    known = rows(scenario)
    for obj in release(scenario).objects:
        row, labels = known[key(obj)], obj["metadata"]["labels"]
        standard = {name: value for name, value in labels.items() if name.startswith(("app.kubernetes.io/", "helm.sh/"))}
        assert standard == {
            "app.kubernetes.io/name": standard["app.kubernetes.io/name"],
            "app.kubernetes.io/instance": RELEASE,
            "app.kubernetes.io/component": row.component,
            "app.kubernetes.io/part-of": "llm-stack",
            "app.kubernetes.io/managed-by": "Helm",
            "helm.sh/chart": f"{row.chart}-0.1.0",
        }, key(obj)


def test_labels_and_annotations_are_texts_that_kubernetes_takes(scenario: Scenario) -> None:
    for obj in release(scenario).objects:
        for metadata in (obj["metadata"], obj.get("spec", {}).get("template", {}).get("metadata", {}), obj.get("spec", {})):
            for value in metadata.get("labels", {}).values():
                assert isinstance(value, str), key(obj)
                assert LABEL.match(value), f"{key(obj)}: {value}"
            for value in metadata.get("annotations", {}).values():
                assert isinstance(value, str), key(obj)


def test_names_that_yaml_takes_for_something_else_stay_texts() -> None:
    """`on`, `null` and `123` are valid names in Kubernetes, and a boolean, nothing and a number in YAML."""
    values = {
        "global": {
            "imagePullSecrets": ["123", "null"],
            "llm": {
                "name": "on",
                "model": "123",
                "models": {"123": {"uri": "hf://1/2", "parameters": 1}},
                "accelerator": "cpu",
                "replicas": 2,
                "cache": {"storageClassName": "123", "size": "1"},
                "engine": {
                    "env": {"A": "123", "B": "null", "C": 1.5, "D": 7, "E": "{{ .Spec }}"},
                    "args": {"load-format": "on", "revision": "1e3"},
                },
            },
        },
        "llm-inference-service": {"serviceAccount": {"name": "456"}, "podLabels": {"a": "on"}, "annotations": {"b": "12"}},
    }
    found = render("llm-stack", values=values, name="789", namespace="123")
    service = found.one("LLMInferenceService", "on")
    main = service["spec"]["template"]["containers"][0]
    env = {entry["name"]: entry["value"] for entry in main["env"]}
    assert {name: env[name] for name in "ABCDE"} == {"A": "123", "B": "null", "C": "1.5", "D": "7", "E": "{{`{{`}} .Spec }}"}
    assert main["args"] == ("--load-format", "on", "--revision", "1e3")
    assert service["spec"]["model"] == {"uri": "pvc://on-models/models/123/036bf366d200", "name": "123"}
    assert service["spec"]["template"]["imagePullSecrets"] == ({"name": "123"}, {"name": "null"})
    assert service["spec"]["template"]["serviceAccountName"] == "456"
    assert service["spec"]["labels"] == {"a": "on"}
    assert sorted(obj["metadata"]["name"] for obj in found.all("ServiceAccount")) == ["456", "on-download"]
    assert found.one("ConfigMap", "on-plan")["data"]["model"] == "123"
    assert found.one("PersistentVolumeClaim")["spec"]["storageClassName"] == "123"
    assert found.one("PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"] == "1"
    assert found.one("Pod")["metadata"]["name"] == "on-test"
    for obj in found.objects:
        assert obj["metadata"]["namespace"] == "123"
        assert obj["metadata"]["labels"]["app.kubernetes.io/instance"] == "789"


def test_no_secret_is_rendered(scenario: Scenario) -> None:
    assert release(scenario).all("Secret") == []
