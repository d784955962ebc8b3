"""The metrics that autoscaling, alerts and dashboards read, against those who export them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hack import documents, expositions, flags, gobuild, versions
from tests.consumer.exported import VERSIONS, families, faults, queries, selectors
from tests.consumer.test_alerts import RELEASES
from tests.harness import render
from tests.unit.models import UMBRELLA, defined

ROWS: dict[str, dict[str, Any]] = defined("llm-common.metrics")
NAMES: dict[str, str] = defined("llm-common.metricNames")
BUCKETS: dict[str, dict[str, list[float]]] = defined("llm-common.metricBuckets")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row]["of"] == "engine" and ROWS[row]["name"] != "up"])
def test_an_engines_metric_is_exported_by_every_version(row: str, version: str) -> None:
    """No row needs a version of its own; what only some have would need a column for it."""
    exported = families(version)
    assert exported[ROWS[row]["name"]].kind == ROWS[row]["kind"]
    assert ROWS[row].get("former") not in exported


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_exports_what_is_asked_for(version: str) -> None:
    asked = {query for release in RELEASES.values() for query in queries(render(UMBRELLA, values=release))}
    assert {fault for query in asked for fault in faults(query, families(version))} == set()
    names = {selector.name for query in asked for selector in selectors(query)}
    assert {
        row for row in ROWS if ROWS[row]["of"] == "engine" and not any(n.startswith(ROWS[row]["name"]) for n in names)
    } == set()


@pytest.mark.parametrize(
    ("query", "engine", "fault"),
    [
        ("vllm:gpu_cache_usage_perc{}", "", "vllm:gpu_cache_usage_perc: not exported"),
        ("vllm:kv_cache_usage_perc_sum{}", "", "vllm:kv_cache_usage_perc_sum: not exported"),
        ("vllm:num_requests_running_total{}", "", "vllm:num_requests_running_total: not exported"),
        ("vllm:request_success{}", "", "vllm:request_success: not exported"),
        ("vllm:time_to_first_token_seconds{}", "", "vllm:time_to_first_token_seconds: not exported"),
        ("sum by (le) (vllm:request_queue_time_seconds_sum{})", "", "vllm:request_queue_time_seconds_sum: has no label le"),
        ('http_requests_total{code="500"}', "", "http_requests_total: has no label code"),
        (
            'vllm:request_success_total{finished_reason="failed"}',
            "",
            "vllm:request_success_total: finished_reason is never failed",
        ),
        (
            'vllm:nixl_xfer_time_seconds_sum{pod="}"}',
            "serve",
            "vllm:nixl_xfer_time_seconds_sum: only with NixlConnector or MultiConnector",
        ),
        ('vllm:nixl_xfer_time_seconds_sum{pod="}"}', "MultiConnector", ""),
        (
            'max by (pod, engine) (rate(http_requests_total{}[5m])) + on () (kube_pod_info{x="1"})',
            "",
            "http_requests_total: has no label engine",
        ),
        (
            'sum by (le) (vllm:time_to_first_token_seconds_bucket{le=~"5|5[.]0"}) / http_requests_total{status!="x"}',
            "",
            "",
        ),
    ],
)
def test_what_is_not_exported_is_seen(query: str, engine: str, fault: str) -> None:
    assert faults(query, families(VERSIONS[-1]), engine) == [fault] * bool(fault)


# --- what is generated ------------------------------------------------------------------------------------------------


def test_expositions_are_of_the_pinned_versions() -> None:
    assert sorted(expositions.FOLDER.iterdir()) == [expositions.file(version) for version in VERSIONS]
    for version in flags.pinned():
        head = expositions.file(flags.minor(version)).read_text().splitlines()[0]
        assert head.startswith(f"# What the exporter of vLLM {version} registers.")


def test_the_template_is_made_of_the_expositions() -> None:
    assert set(NAMES) == {"all", *VERSIONS}
    texts = {version: expositions.file(version).read_text() for version in VERSIONS}
    known = {version: {*NAMES["all"].split(), *(NAMES[version] or "").split()} for version in VERSIONS}
    assert expositions.template(texts, known) == expositions.TEMPLATE.read_text()


def test_buckets_are_those_of_objectives() -> None:
    assert {f"vllm:{name}" for name in BUCKETS["all"]} == {ROWS[row]["name"] for row in ("timeToFirstToken", "interTokenLatency")}
    assert all(len(bounds) > 10 for found in BUCKETS.values() for bounds in found.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_several_connectors_export_what_each_does(version: str) -> None:
    """The charts render MultiConnector where KV cache is both handed over and offloaded."""
    alone = {"NixlConnector", "TieringOffloadingSpec"}
    both = [family.features for family in families(version).values() if alone & set(family.features)]
    assert len(both) > 10
    assert all("MultiConnector" in features for features in both)


PLAIN = """# HELP vllm:a_total A "b".
# TYPE vllm:a_total counter
vllm:a_total{engine="0",reason="x"} 1.0
vllm:a_total{engine="0",reason="y, \\"z\\""} 2.0
vllm:a_total{engine="1",reason="x"} 0.0
vllm:a_total{engine="1",reason="y, \\"z\\""} 2.0
# HELP vllm:a_created A "b".
# TYPE vllm:a_created gauge
vllm:a_created{engine="0",reason="x"} 1.7e+09
# TYPE vllm:c_seconds histogram
vllm:c_seconds_bucket{le="1.0"} 0.0
vllm:c_seconds_bucket{le="+Inf"} 0.0
vllm:c_seconds_count 0.0
# TYPE python_info gauge
python_info 1.0
"""
MORE = '# TYPE vllm:b gauge\nvllm:b{engine=""} 0.0\n'
KEPT = """# What the exporter of vLLM 1.2.3 registers. Generated by `python -m hack flags`. Do not edit.
# TYPE vllm:a_total counter
vllm:a_total{engine="0",reason="x"} 0
vllm:a_total{engine="0",reason="y, \\"z\\""} 0
vllm:a_total{engine="1",reason="x"} 0
# TYPE vllm:b gauge
# with f g
vllm:b{engine=""} 0
# TYPE vllm:c_seconds histogram
vllm:c_seconds_bucket{le="+Inf"} 0
vllm:c_seconds_count 0
"""


def test_what_is_kept_of_an_exposition() -> None:
    rendered = {"e": PLAIN, "f": PLAIN + MORE, "g": MORE}
    answer = {"version": "1.2.3+cpu", "plain": PLAIN, "rendered": rendered, "other": {"h": PLAIN + MORE}}
    assert expositions.kept(answer) == KEPT
    found = expositions.read(KEPT)
    assert found["vllm:a_total"].series == {"vllm:a_total": {"engine": {"0", "1"}, "reason": {"x", 'y, \\"z\\"'}}}
    assert (found["vllm:b"].features, found["vllm:a_total"].features) == (["f", "g"], [])
    assert expositions.names(found) == {"a", "b", "c_seconds"}


def test_names_and_buckets_by_version(tmp_path: Path) -> None:
    benchmarks = tmp_path / "vllm" / "benchmarks"
    benchmarks.mkdir(parents=True)
    (benchmarks / "serve.py").write_text('"vllm:begins"')
    (tmp_path / "vllm" / "metrics.py").write_text('Gauge("vllm:d")\nCounter(name="vllm:a_total")\nprefix = "vllm:d_"\n# vllm:e\n')
    assert expositions.names_in_sources(tmp_path) == {"a", "d"}

    def text(name: str, *bounds: str) -> str:
        series = [f'vllm:{h}_bucket{{le="{bound}"}} 0\n' for h in expositions.HISTOGRAMS for bound in (*bounds, "+Inf")]
        histograms = "".join(f"# TYPE vllm:{h} histogram\n{''.join(s for s in series if h in s)}" for h in expositions.HISTOGRAMS)
        return f"# TYPE vllm:{name} gauge\n{histograms}"

    texts = {"0.1": text("a", "1.0", "0.5"), "0.2": text("a", "0.5", "1.0"), "0.3": text("b", "2.0")}
    written = expositions.template(texts, {"0.1": {"a"}, "0.2": {"a", "d"}, "0.3": set()})
    names, buckets = re.findall(r"-\}\}\n(.*?)\{\{- end", written, flags=re.S)
    both = " ".join(sorted(expositions.HISTOGRAMS))
    assert documents.load(names) == {"all": both, "0.1": "a", "0.2": "a d", "0.3": "b"}
    first, other = (dict.fromkeys(expositions.HISTOGRAMS, bounds) for bounds in ([0.5, 1.0], [2.0]))
    assert documents.load(buckets) == {"all": first, "0.3": other}
    assert "more:\nd */" in written


# --- what others export -----------------------------------------------------------------------------------------------


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
    """But for `up`, which is Prometheus's own; the picker's is in tests/controlplane/test_flow_control.py."""
    assert {row["of"] for row in ROWS.values()} == {"engine", "picker", "keda", "kubernetes"}


def test_the_pickers_module_is_the_one_that_kserve_is_built_with() -> None:
    pin = versions.go_modules()["gateway-api-inference-extension"]
    assert f"\t{pin.module} {pin.version}\n" in (gobuild.module_dir("kserve") / "go.mod").read_text()
