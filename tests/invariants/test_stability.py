"""What must not change does not: the same render twice, with either Helm, after a chart bump, after a change of metadata only."""

from __future__ import annotations

import resource
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import deps, documents, schemas
from hack.paths import CHARTS
from tests.harness import SCENARIOS, Manifests, Scenario, render, thaw
from tests.harness.components import release

VERSION = "99.0.0"


def by_name(manifests: Manifests) -> dict[str, Any]:
    found = {f"{obj['kind']}/{obj['metadata']['name']}": thaw(obj) for obj in manifests.objects}
    assert len(found) == len(manifests.objects)
    return found


def what_restarts_pods(manifests: Manifests) -> dict[str, Any]:
    """Every pod template, and the whole spec of what a controller makes pods of."""
    found = {}
    for name, obj in by_name(manifests).items():
        if obj["kind"] in ("LLMInferenceService", "LLMInferenceServiceConfig", "Pod"):
            found[name] = obj["spec"]
        elif "template" in obj.get("spec", {}):
            found[name] = {"template": obj["spec"]["template"], "selector": obj["spec"].get("selector")}
    return found


@pytest.fixture(scope="session")
def bumped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The charts with another version, their dependencies unpacked beside them."""
    folder = tmp_path_factory.mktemp("bumped")

    def copy(chart: str, target: Path) -> None:
        shutil.copytree(CHARTS / chart, target, ignore=lambda path, _names: ["charts"] if Path(path) == CHARTS / chart else [])
        metadata = documents.load((target / "Chart.yaml").read_text())
        metadata["version"] = VERSION
        for dependency in metadata.get("dependencies", []):
            dependency["version"] = VERSION
            copy(dependency["name"], target / "charts" / dependency["name"])
        (target / "Chart.yaml").write_text(documents.dump(metadata))

    copy(schemas.UMBRELLA, folder / schemas.UMBRELLA)
    return folder / schemas.UMBRELLA


def test_a_chart_bump_restarts_nothing(scenario: Scenario, bumped: Path) -> None:
    before, after = release(scenario), release(scenario, chart=bumped)
    versions = {obj["metadata"]["labels"]["helm.sh/chart"].rpartition("-")[2] for obj in after.objects}
    assert versions == {VERSION}
    assert what_restarts_pods(before)
    assert what_restarts_pods(before) == what_restarts_pods(after)
    selectors = [obj["spec"].get("selector") for obj in before.all("Service")]
    assert selectors == [obj["spec"].get("selector") for obj in after.all("Service")]


def test_no_pod_carries_the_chart_version(scenario: Scenario) -> None:
    text = documents.dump(what_restarts_pods(release(scenario)))
    assert "helm.sh/chart" not in text
    assert "managed-by" not in text


METADATA_ONLY: Mapping[str, Any] = {
    "llm-inference-service": {
        "annotations": {"example.com/changed": "yes"},
        "serviceAccount": {"annotations": {"example.com/changed": "yes"}},
    },
    "model-cache": {
        "annotations": {"example.com/changed": "yes"},
        "serviceAccount": {"annotations": {"example.com/changed": "yes"}},
    },
}


def test_metadata_values_restart_nothing(scenario: Scenario, model: bool) -> None:
    before, after = release(scenario), release(scenario, values=METADATA_ONLY)
    assert what_restarts_pods(before) == what_restarts_pods(after)
    changed = {name for name, obj in by_name(after).items() if obj != by_name(before)[name]}
    kinds = {"LLMInferenceService", "ServiceAccount", "PersistentVolumeClaim", "LocalModelNamespaceCache"}
    annotated = {name for name, obj in by_name(before).items() if obj["kind"] in kinds}
    assert changed == (annotated if model else set())


def test_a_change_that_matters_would_be_seen() -> None:
    given = {"global": {"llm": {"model": "qwen2-5-7b-instruct", "accelerator": "cpu"}}}
    changed = {"global": {"llm": {"model": "qwen2-5-7b-instruct", "accelerator": "cpu", "engine": {"env": {"A": "b"}}}}}
    assert what_restarts_pods(render("llm-stack", values=given)) != what_restarts_pods(render("llm-stack", values=changed))


def test_two_renders_are_equal(scenario: Scenario) -> None:
    assert release(scenario).text == release(scenario, fresh=True).text


def test_both_helms_render_the_same_objects(scenario: Scenario) -> None:
    assert by_name(release(scenario)) == by_name(release(scenario, helm="helm3"))


@pytest.mark.parametrize(
    "heaviest", [found for found in SCENARIOS if found.name in ("deploy-disaggregated", "platform")], ids=str
)
def test_a_render_is_quick(heaviest: Scenario) -> None:
    """Helm's own processor time: a loaded machine makes no chart slow."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    seconds = []
    for _ in range(5):
        began = used()
        release(heaviest, fresh=True)
        seconds.append(used() - began)
    assert statistics.median(seconds) < 0.5, seconds


def test_dependencies_are_packed_from_the_present_sources() -> None:
    assert deps.build() == []
