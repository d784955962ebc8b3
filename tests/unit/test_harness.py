"""The tests' own tools: frozen renders, one error class, a cache that never lies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from hack.paths import CHARTS
from tests.harness import (
    EXAMPLES,
    SCENARIOS,
    HelmError,
    Manifests,
    freeze,
    helm,
    helm_fails,
    helm_server,
    notes,
    pod_specs,
    render,
    thaw,
)
from tests.harness.components import at, effective_values, externals, overlay, release, rows
from tests.unit.models import llm


def test_a_render_cannot_be_changed() -> None:
    service = render("llm-stack", values=llm()).one("LLMInferenceService")
    with pytest.raises(TypeError):
        service["kind"] = "Other"  # type: ignore[index]
    with pytest.raises(TypeError):
        service["spec"]["template"]["containers"][0]["name"] = "other"
    with pytest.raises(AttributeError):
        service["spec"]["template"]["containers"].append({})
    with pytest.raises(AttributeError):
        render("llm-stack", values=llm()).text = ""  # type: ignore[misc]


def test_freezing_and_thawing() -> None:
    plain: dict[str, Any] = {"a": [1, {"b": "c"}], "d": None}
    frozen = freeze(plain)
    assert isinstance(frozen, MappingProxyType)
    assert frozen == {"a": (1, {"b": "c"}), "d": None}
    plain["a"][1]["b"] = "changed"
    assert frozen["a"][1]["b"] == "c"
    thawed = thaw(frozen)
    assert thawed == {"a": [1, {"b": "c"}], "d": None}
    thawed["a"].append(2)
    assert len(frozen["a"]) == 2


def test_the_same_question_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = helm._helm

    def counting(program: str, arguments: list[str], fresh: bool) -> str:
        asked.append(arguments)
        return real(program, arguments, fresh)

    monkeypatch.setattr(helm, "_helm", counting)
    first = render("llm-stack", values=llm(name="asked-once"))
    assert render("llm-stack", values=llm(name="asked-once")) is first
    assert len(asked) == 1
    again = render("llm-stack", values=llm(name="asked-once"), fresh=True)
    assert again is not first
    assert again.text == first.text
    render("llm-stack", values=llm(name="asked-once"), namespace="other")
    render("llm-stack", values=llm(name="asked-once"), helm="helm3")
    assert len(asked) == 4


@pytest.mark.parametrize("values", [llm(), llm(replicas="many"), llm(accelerator="none")], ids=["renders", "shape", "refused"])
def test_the_server_says_what_the_program_says(values: dict[str, Any]) -> None:
    def told(fresh: bool) -> str:
        try:
            return render("llm-inference-service", values=values, name="server", fresh=fresh).text
        except HelmError as error:
            return error.stderr

    assert told(fresh=False) == told(fresh=True)


def test_a_server_is_replaced_and_one_that_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm_server, "CALLS", 2)
    server = helm_server.HelmServer()
    with ThreadPoolExecutor(4) as threads:
        helps = list(threads.map(lambda name: server.run(name, "--help").stdout, ["template", "lint"] * 6))
    assert [text.count("helm template [NAME]") for text in helps] == [1, 0] * 6
    assert [server.run("no-such-command").returncode for _ in range(5)] == [1] * 5
    assert server.run("version").stdout.startswith("version.BuildInfo")
    server.stop()
    monkeypatch.setattr(helm_server.gobuild, "program", lambda _: Path("/bin/true"))
    with pytest.raises(AssertionError, match="helm-server ended, status 0, at: helm version"):
        server.run("version")


def test_a_refusal_carries_what_helm_said() -> None:
    with pytest.raises(HelmError) as refused:
        render("llm-stack", values=llm(replicas="many"))
    assert "got string, want integer" in refused.value.stderr
    assert refused.value.arguments[:2] == ("template", "demo")
    assert refused.value.stderr in str(refused.value)
    assert refused.value.messages
    assert all("- " not in message[:2] for message in refused.value.messages)


def test_a_chart_that_is_not_there() -> None:
    with pytest.raises(HelmError, match="no-such-chart"):
        render("no-such-chart")


def test_helm_fails_wants_every_message_in_order() -> None:
    def refused(*wanted: str) -> None:
        with helm_fails(*wanted):
            raise HelmError(("template",), "values refused:\n  - a: wrong\n  - b: wrong\n")

    refused("a: wrong", "b: wrong")
    for wanted in ([], ["a: wrong"], ["b: wrong", "a: wrong"], ["a: wro", "b: wrong"]):
        with pytest.raises(AssertionError):
            refused(*wanted)


def test_helm_fails_wants_a_failure() -> None:
    with pytest.raises(AssertionError, match="helm accepted"), helm_fails("a: wrong"):
        pass


def test_values_are_laid_over_values_files() -> None:
    given = render(
        "llm-stack",
        "demo",
        values={"global": {"llm": {"model": "other", "models": {"other": {"uri": "pvc://a/b", "parameters": 1}}}}},
    )
    assert given.one("LLMInferenceService")["spec"]["model"] == {"uri": "pvc://a/b", "name": "other"}
    assert "--dtype" in given.one("LLMInferenceService")["spec"]["template"]["containers"][0]["args"]


@pytest.mark.parametrize("text", ["plain", "1e3", "on", "é", "漢", "🙂", "\U0010ffff", "\\ud83d", "a\nb", "\t", '"', "#", ": "])
def test_values_arrive_as_given(text: str) -> None:
    given = {**llm(), "llm-inference-service": {"test": {"prompt": text}}}
    (container,) = render("llm-stack", values=given).one("Pod")["spec"]["containers"]
    assert {"name": "PROMPT", "value": text} in [dict(entry) for entry in container["env"]]


def test_a_key_that_is_rendered_twice_is_seen(tmp_path: Path) -> None:
    chart = tmp_path / "twice"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: twice\nversion: 0.1.0\n")
    template = chart / "templates" / "configmap.yaml"
    template.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n")
    assert render(chart).one("ConfigMap")["data"] == {"x": "1"}
    template.write_text(template.read_text() + "  x: '2'\n")
    with pytest.raises((AssertionError, HelmError)):
        render(chart, fresh=True)


def test_picking_objects() -> None:
    objects = freeze(
        [
            {"kind": "A", "metadata": {"name": "x"}},
            {"kind": "A", "metadata": {"name": "y"}},
            {"kind": "B", "metadata": {"name": "x"}},
        ]
    )
    manifests = Manifests(objects, "")
    assert manifests.names() == ["A/x", "A/y", "B/x"]
    assert len(manifests.all("A")) == 2
    assert manifests.one("A", "y") is objects[1]
    assert manifests.one("B") is objects[2]
    with pytest.raises(AssertionError, match=r"2 of A/\* in \['A/x', 'A/y', 'B/x'\]"):
        manifests.one("A")
    with pytest.raises(AssertionError, match="0 of C"):
        manifests.one("C")


def test_pods_of_every_kind_are_found() -> None:
    owners = {owner for scenario in SCENARIOS for owner, _ in pod_specs(release(scenario).objects)}
    assert {"LLMInferenceService/demo", "Pod/demo-test", "Deployment/llmisvc-controller-manager"} <= owners


def test_notes_are_what_a_person_sees() -> None:
    assert notes("llm-stack", values=llm()).startswith("The plan of demo ")
    with pytest.raises(HelmError):
        notes("llm-stack", values=llm(model="nothing"))


def test_scenarios_are_the_values_files() -> None:
    assert {scenario.name for scenario in SCENARIOS} >= {"demo", "platform"}
    assert {scenario.namespace for scenario in SCENARIOS if scenario.name == "platform"} == {"kserve"}
    assert len(EXAMPLES) >= 6
    assert all(scenario.file.is_file() for scenario in (*SCENARIOS, *EXAMPLES))
    assert str(SCENARIOS[0]) == SCENARIOS[0].name


def test_dotted_paths() -> None:
    values = {"a": {"b": {"c": 1}, "d": {"c": 2}}, "l": [1, 2]}
    assert list(at(values, "a.*.c")) == [1, 2]
    assert list(at(values, "l.*")) == [1, 2]
    assert list(at(values, "a.x.c")) == []


def test_layers_of_values() -> None:
    assert overlay({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": 3}, "l": [2]}) == {"a": {"b": 3, "c": 2}, "l": [2]}


def test_the_component_table_follows_values() -> None:
    by_name = {scenario.name: scenario for scenario in (*SCENARIOS, *EXAMPLES)}
    assert "PersistentVolumeClaim/demo-models" in rows(by_name["gpu-created-claim"])
    assert "PersistentVolumeClaim/demo-models" not in rows(by_name["gpu-two-replicas"])
    assert externals(by_name["gpu-two-replicas"]) == {"PersistentVolumeClaim/weights", "Secret/licences"}
    assert externals(by_name["demo"]) == {"PersistentVolumeClaim/demo-models"}
    assert effective_values(by_name["demo"])["llm-inference-service"]["test"]["maxTokens"] == 8


def test_every_chart_can_be_rendered() -> None:
    assert {path.parent.name for path in CHARTS.glob("*/values.yaml")} == {
        *("keda-autoscaling", "kserve-controller", "llm-inference-service", "llm-observability", "llm-stack", "model-cache")
    }
