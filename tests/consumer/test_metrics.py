"""The metrics that autoscaling, alerts and dashboards read, against those who export them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hack import documents, flags, gobuild, versions
from hack.console import StepFailed
from tests.unit.models import defined

ROWS: dict[str, dict[str, Any]] = defined("llm-common.metrics")
NAMES: dict[str, str] = defined("llm-common.metricNames")


def base(name: str) -> str:
    """As vLLM's sources and `_metric-names.tpl` write it."""
    return name.removeprefix("vllm:").removesuffix("_total")


def test_every_pinned_version_has_its_names() -> None:
    assert set(NAMES) == {"all", *map(flags.minor, flags.pinned())}


@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row]["name"].startswith("vllm:")])
def test_an_engines_metric_is_in_every_version(row: str) -> None:
    """No row needs a version of its own; what only some have would need a column for it."""
    assert base(ROWS[row]["name"]) in NAMES["all"].split()
    assert base(ROWS[row].get("former", "")) not in NAMES["all"].split()


def test_names_are_read_from_sources(tmp_path: Any) -> None:
    file = tmp_path / "vllm" / "metrics.py"
    file.parent.mkdir()
    file.write_text('Gauge("vllm:a_b")\nCounter(name="vllm:c_total")\nprefix = "vllm:d_"\n# vllm:e\n')
    assert flags.metric_names(tmp_path) == {"a_b", "c"}
    assert documents.load(
        re.sub(r"\{\{.*?\}\}", "", flags.metrics_template({"0.1.0": {"a", "c"}, "0.2.0": {"a", "b"}}), flags=re.S)
    ) == {"all": "a", "0.1": "c", "0.2": "b"}


BUCKETS: dict[str, dict[str, list[float]]] = defined("llm-common.metricBuckets")


def test_buckets_are_of_rows_and_of_known_versions() -> None:
    assert {f"vllm:{name}" for name in BUCKETS["all"]} == {ROWS[row]["name"] for row in ("timeToFirstToken", "interTokenLatency")}
    assert set(BUCKETS) - {"all"} <= set(NAMES)
    for found in BUCKETS.values():
        assert all(bounds == sorted(set(bounds)) and len(bounds) > 10 for bounds in found.values())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "loggers.py",
            'self._histogram_cls(\n    name="vllm:{name}",\n    help="…",\n    buckets=[\n        0.5,\n        1.0,\n    ],\n',
        ),
        ("buckets.py", "OTHER_BUCKETS = (1, 2)\n{family}_BUCKETS: tuple[float, ...] = (\n    0.5,\n    1.0,\n)\n"),
    ],
)
def test_buckets_are_read_from_sources(tmp_path: Any, file: str, text: str) -> None:
    folder = tmp_path / "vllm" / "v1" / "metrics"
    folder.mkdir(parents=True)
    names = [(name, name.removesuffix("_seconds").upper()) for name in flags.HISTOGRAMS]
    (folder / file).write_text("".join(text.format(name=name, family=family) for name, family in names))
    assert flags.metric_buckets(tmp_path) == {name: [0.5, 1.0] for name in flags.HISTOGRAMS}
    same = flags.metric_buckets(tmp_path)
    other = {**same, flags.HISTOGRAMS[0]: [0.5, 2.0]}
    written = re.sub(r"\{\{.*?\}\}", "", flags.buckets_template({"0.1.0": same, "0.2.0": same, "0.3.0": other}), flags=re.S)
    assert documents.load(written) == {"all": same, "0.3": other}


def test_sources_without_buckets_are_refused(tmp_path: Any) -> None:
    folder = tmp_path / "vllm" / "v1" / "metrics"
    folder.mkdir(parents=True)
    (folder / "buckets.py").write_text("")
    with pytest.raises(StepFailed, match="no buckets of time_to_first_token_seconds"):
        flags.metric_buckets(tmp_path)


def sources(name: str, folder: str) -> str:
    """The Go sources of a folder of a pinned module."""
    return "\n".join(path.read_text() for path in sorted((gobuild.module_dir(name) / folder).glob("*.go")))


@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row]["of"] == "keda"])
def test_an_autoscalers_metric_is_registered(row: str) -> None:
    text = sources("keda", "pkg/metricscollector")
    subsystem, _, name = ROWS[row]["name"].removeprefix("keda_").partition("_errors")
    kind = ROWS[row]["kind"].capitalize()
    assert 'DefaultPromMetricsNamespace = "keda"' in re.sub(" +", " ", text)
    named = rf'Namespace: DefaultPromMetricsNamespace,\s*Subsystem: "{subsystem}",\s*Name:\s*"errors{name}"'
    assert re.search(rf"prometheus\.{kind}Opts\{{\s*{named}", text)
    assert '[]string{"namespace", "scaledObject"}' in text


@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row]["of"] == "kubernetes"])
def test_a_metric_of_kube_state_metrics_is_stable(row: str) -> None:
    text = sources("kube-state-metrics", "internal/store")
    assert ROWS[row]["kind"] == "gauge"
    assert re.search(rf'"{ROWS[row]["name"]}",\s*"[^"]*",\s*metric\.Gauge,\s*basemetrics\.STABLE', text)


def test_every_row_has_its_proof() -> None:
    """What no test here reads in a source is what Python's client library and vLLM's web framework export: see the catalogue."""
    elsewhere = {"up", "process_start_time_seconds", "http_requests_total"}
    unread = {row["name"] for row in ROWS.values() if row["of"] == "engine" and not row["name"].startswith("vllm:")}
    assert unread == elsewhere
    assert {row["of"] for row in ROWS.values()} == {"engine", "picker", "keda", "kubernetes"}


def test_the_pickers_module_is_the_one_that_kserve_is_built_with() -> None:
    pin = versions.go_modules()["gateway-api-inference-extension"]
    assert f"\t{pin.module} {pin.version}\n" in (gobuild.module_dir("kserve") / "go.mod").read_text()


def picker_metrics() -> dict[str, str]:
    """Names to kinds of what the endpoint picker registers, from the module that KServe is built with."""
    folder = gobuild.module_dir("gateway-api-inference-extension") / "pkg" / "epp" / "metrics"
    text = (folder / "metrics.go").read_text()
    subsystems = dict(re.findall(r"(\w+)\s*=\s*\"(inference_\w+)\"", text))
    found = re.findall(r"prometheus\.(Gauge|Counter|Histogram)Opts\{\s*Subsystem:\s*(\w+),\s*Name:\s*\"(\w+)\"", text)
    return {f"{subsystems[subsystem]}_{name}": kind.lower() for kind, subsystem, name in found if subsystem in subsystems}


@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row]["of"] == "picker"])
def test_a_pickers_metric_is_registered(row: str) -> None:
    assert picker_metrics()[ROWS[row]["name"]] == ROWS[row]["kind"]
