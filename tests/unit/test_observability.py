"""What llm-observability renders: which pods are scraped and how, which rules there are, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack import gobuild
from tests.harness import Manifests, helm_fails, notes
from tests.harness.components import OBSERVING_CHART, overlay
from tests.schema.bases import PLATFORM_PLANE
from tests.unit.models import Case, llm, model

MONITOR, RULE = "PodMonitor", "PrometheusRule"
PROMETHEUS = {"serverAddress": "http://prometheus:9090"}
PICKER = {"endpointPicker": {"enabled": True}}
ROUTER = {"router": {"enabled": True}}
SPLIT: dict[str, Any] = {"prefill": {"enabled": True}, **ROUTER}


def observed(values: Any = None, **keys: Any) -> dict[str, Any]:
    """Values of a service that is observed; `keys` are the chart's."""
    return {**(values or llm()), OBSERVING_CHART: {"enabled": True, **keys}}


def endpoint(manifests: Manifests, name: str = "demo") -> Any:
    (found,) = manifests.one(MONITOR, name)["spec"]["podMetricsEndpoints"]
    return found


def rules(manifests: Manifests) -> list[Any]:
    (group,) = manifests.one(RULE)["spec"]["groups"]
    return list(group["rules"])


def alerts(manifests: Manifests) -> set[tuple[str, str]]:
    """Names and sides of all alerts."""
    return {(rule["alert"], rule["labels"]["role"]) for rule in rules(manifests) if "alert" in rule}


def names(manifests: Manifests) -> set[str]:
    return {name for name, _ in alerts(manifests)}


def alert(manifests: Manifests, name: str, severity: str = "warning", role: str = "both") -> Any:
    (found,) = [
        rule
        for rule in rules(manifests)
        if (rule.get("alert"), rule["labels"].get("severity"), rule["labels"]["role"]) == (name, severity, role)
    ]
    return found


def test_nothing_unless_it_is_switched_on() -> None:
    manifests = model(llm())
    assert manifests.all(MONITOR) == manifests.all(RULE) == []
    off = {"enabled": False}
    manifests = model(observed(monitors=off, rules=off, dashboards=off))
    assert manifests.names() == model(llm()).names()


# --- monitors ---------------------------------------------------------------------------------------------------------


def test_an_engine_is_scraped_where_kserve_runs_it() -> None:
    manifests = model(observed())
    assert manifests.one(MONITOR)["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "demo",
        "app.kubernetes.io/part-of": "llminferenceservice",
        "app.kubernetes.io/component": "llminferenceservice-workload",
    }
    assert endpoint(manifests) == {"portNumber": 8000, "path": "/metrics", "interval": "15s", "scheme": "http"}


def test_sides_are_scraped_on_their_ports() -> None:
    """In decode's pods 8000 is the routing sidecar's, which knows nothing of vLLM."""
    manifests = model(observed(llm(**SPLIT)))
    assert endpoint(manifests)["portNumber"] == 8001
    assert endpoint(manifests, "demo-prefill")["portNumber"] == 8000
    (component,) = {
        labels["app.kubernetes.io/component"]
        for labels in [manifests.one(MONITOR, "demo-prefill")["spec"]["selector"]["matchLabels"]]
    }
    assert component == "llminferenceservice-workload-prefill"


@pytest.mark.parametrize(
    ("file", "port"), [("config-llm-decode-template.yaml", 8001), ("config-llm-prefill-template.yaml", 8000)]
)
def test_ports_are_declared_by_kserves_presets(file: str, port: int) -> None:
    """The operator keeps, of the ports that a pod declares, those with this number."""
    preset = (gobuild.module_dir("kserve") / "config" / "llmisvcconfig" / file).read_text()
    assert f"- containerPort: {port}\n" in preset


def test_a_group_is_scraped_at_its_leader() -> None:
    large = llm(model="llama-3-3-70b-instruct", accelerator="nvidia-h100-80gb", parallel={"tensor": 8, "data": 2, "nodes": 2})
    found = model(observed(large)).one(MONITOR)["spec"]["selector"]["matchLabels"]
    assert found["app.kubernetes.io/component"] == "llminferenceservice-workload-leader"


def test_the_endpoint_picker_is_asked_with_a_token() -> None:
    found = endpoint(
        model(observed(llm(**ROUTER), endpointPicker={"enabled": True, "tokenSecret": {"name": "own", "key": "bearer"}})),
        "demo-endpoint-picker",
    )
    assert found["portNumber"] == 9090
    assert found["authorization"] == {"credentials": {"name": "own", "key": "bearer"}}
    assert "authorization" not in endpoint(model(observed(llm(**ROUTER), **PICKER)), "demo-endpoint-picker")


def test_the_endpoint_pickers_pods_are_those_that_kserve_makes() -> None:
    found = model(observed(llm(**ROUTER), **PICKER)).one(MONITOR, "demo-endpoint-picker")["spec"]["selector"]["matchLabels"]
    constants = (gobuild.module_dir("kserve") / "pkg" / "constants" / "constants.go").read_text()
    assert f'LLMComponentRouterScheduler       = "{found["app.kubernetes.io/component"]}"' in constants


def test_engines_with_tls() -> None:
    manifests = model(observed(llm(**ROUTER), monitors={"scheme": "https", "tlsConfig": {"insecureSkipVerify": True}}, **PICKER))
    assert endpoint(manifests)["scheme"] == "https"
    assert endpoint(manifests)["tlsConfig"] == {"insecureSkipVerify": True}
    assert endpoint(manifests, "demo-endpoint-picker")["scheme"] == "http"


# --- rules ------------------------------------------------------------------------------------------------------------

ALWAYS = {
    *("LLMNoCapacity", "LLMEngineUnreachable", "LLMEngineRestarted", "LLMQueueGrowing", "LLMKVCacheFull", "LLMPreemptions"),
    *("LLMTimeToFirstToken", "LLMInterTokenLatency", "LLMServerErrors", "LLMRequestErrors"),
}


@pytest.mark.parametrize(
    ("values", "keys", "more"),
    [
        (llm(), {}, set()),
        (llm(**ROUTER), {}, set()),
        (llm(**ROUTER), PICKER, {"LLMEndpointPickerDown", "LLMEndpointPickerBypassed"}),
        (llm(prefill={"enabled": True}), {}, {"LLMTransfersFailing"}),
        (llm(**SPLIT), {}, {"LLMTransfersFailing", "LLMTransfersMissing"}),
        (
            llm(autoscaling={"enabled": True, "maxReplicas": 2, "prometheus": PROMETHEUS}),
            {},
            {"LLMAutoscalerAtMaximum", "LLMAutoscalerFailing"},
        ),
        (
            llm(autoscaling={"enabled": True, "maxReplicas": 2, "prometheus": PROMETHEUS}, kserveVersion="0.21"),
            {},
            {"LLMAutoscalerAtMaximum", "LLMAutoscalerFailing"},
        ),
        (llm(), {"kubeStateMetrics": {"enabled": True}}, {"LLMStartupBudget", "LLMDownloadStuck"}),
        (llm(cache={"enabled": False}), {"kubeStateMetrics": {"enabled": True}}, {"LLMStartupBudget"}),
    ],
)
def test_there_are_alerts_for_what_there_is(values: Any, keys: Any, more: set[str]) -> None:
    assert names(model(observed(values, **keys))) == ALWAYS | more


def test_sides_have_alerts_of_their_own() -> None:
    found = alerts(model(observed(llm(**SPLIT))))
    assert {name for name, role in found if role == "prefill"} == (ALWAYS | {"LLMTransfersFailing"}) - {"LLMInterTokenLatency"}
    assert {name for name, role in found if role == "decode"} == ALWAYS | {"LLMTransfersFailing", "LLMTransfersMissing"}


def test_engines_that_may_all_be_stopped_are_missed_by_who_knows_how_many_there_should_be() -> None:
    schedule = {"office": {"start": "0 8 * * *", "end": "0 18 * * *", "replicas": 1}}
    values = llm(autoscaling={"enabled": True, "minReplicas": 0, "maxReplicas": 2, "signals": schedule})
    assert "LLMNoCapacity" not in names(model(observed(values)))
    found = alert(model(observed(values, kubeStateMetrics={"enabled": True})), "LLMNoCapacity", "critical")
    assert found["expr"].startswith(
        'sum(kube_deployment_spec_replicas{namespace="llm",deployment="demo-kserve"}) > 0 unless on () '
    )
    warning = "kubeStateMetrics.enabled tells the two apart"
    assert warning in notes(OBSERVING_CHART, values=values)
    assert warning not in notes(OBSERVING_CHART, values={**values, "kubeStateMetrics": {"enabled": True}})


def test_a_model_that_generates_nothing_has_no_objectives() -> None:
    values = llm(model="own", models={"own": {"uri": "hf://org/own", "parameters": 1000, "task": "embed"}})
    assert names(model(observed(values))) == ALWAYS - {"LLMTimeToFirstToken", "LLMInterTokenLatency"}


def test_objectives_can_be_none_and_alerts_left_out() -> None:
    none = {"timeToFirstToken": {"seconds": 0}, "interTokenLatency": {"seconds": 0}}
    manifests = model(observed(objectives=none, rules={"disabled": ["LLMPreemptions"]}))
    assert names(manifests) == ALWAYS - {"LLMTimeToFirstToken", "LLMInterTokenLatency", "LLMPreemptions"}
    assert not [rule for rule in rules(manifests) if "slow_ratio" in rule.get("record", "")]


@pytest.mark.parametrize(
    ("percent", "fast", "slow"), [(95, "0.72", "0.3"), (99, "0.144", "0.06"), (99.9, "0.0144", "0.006"), (90, "0.9", "0.6")]
)
def test_burn_rates_follow_the_objective(percent: float, fast: str, slow: str) -> None:
    manifests = model(observed(objectives={"timeToFirstToken": {"percent": percent}}))
    for severity, windows, share in (("critical", ("1h", "5m"), fast), ("warning", ("6h", "30m"), slow)):
        parts = alert(manifests, "LLMTimeToFirstToken", severity)["expr"].split(" and ")
        for window, part in zip(windows, parts[:2], strict=True):
            assert part.startswith(f"llm_stack:time_to_first_token:slow_ratio_rate{window}{{")
            assert part.endswith(f"}} > {share}")


@pytest.mark.parametrize(
    ("seconds", "matcher"), [(5, 'le=~"5|5[.]0"'), (2.5, 'le="2.5"'), (0.001, 'le="0.001"'), (2560, 'le=~"2560|2560[.]0"')]
)
def test_an_objective_is_a_bucket(seconds: float, matcher: str) -> None:
    found = rules(model(observed(objectives={"timeToFirstToken": {"seconds": seconds}})))
    recorded = [rule["expr"] for rule in found if rule.get("record", "").startswith("llm_stack:time_to_first_token")]
    assert len(recorded) == 4
    assert all(matcher in expression for expression in recorded)


def test_thresholds_follow_the_plan() -> None:
    found = model(observed())
    engine = found.one("LLMInferenceService")["spec"]["template"]["containers"][0]
    probe = engine["startupProbe"]
    assert alert(found, "LLMEngineUnreachable")["for"] == f"{probe['periodSeconds'] * probe['failureThreshold']}s"
    assert alert(found, "LLMNoCapacity", "critical")["for"] == "300s"
    large = model(observed(llm(model="qwen2-5-72b-instruct", accelerator="nvidia-h100-80gb")))
    assert alert(large, "LLMNoCapacity", "critical")["for"] == "380s"  # 145 GB at 500 MB/s, and 90 s
    scaled = llm(autoscaling={"enabled": True, "maxReplicas": 2, "prometheus": PROMETHEUS, "startSeconds": 900})
    assert alert(found, "LLMQueueGrowing")["for"] == "600s"
    assert alert(model(observed(scaled)), "LLMQueueGrowing")["for"] == "1800s"
    given = model(
        observed(rules={"thresholds": {"waitingRequests": 7.5, "kvCacheUsage": 0.9, "preemptions": 1, "errorPercent": 0.5}})
    )
    assert "} > 7.5 and " in alert(given, "LLMQueueGrowing")["expr"]
    assert alert(given, "LLMKVCacheFull")["expr"].endswith(" > 0.9")
    assert "more than 90 %" in alert(given, "LLMKVCacheFull")["annotations"]["description"]
    assert alert(given, "LLMPreemptions")["expr"].endswith(" > 1")
    assert alert(given, "LLMServerErrors", "critical")["expr"].endswith(" > 0.5")


def test_alerts_carry_labels_of_ones_own_and_never_lose_ours() -> None:
    found = model(observed(rules={"alertLabels": {"team": "inference", "severity": "none", "namespace": "other"}}))
    assert alert(found, "LLMPreemptions")["labels"] == {
        "team": "inference",
        "severity": "warning",
        "namespace": "llm",
        "llm_service": "demo",
        "role": "both",
    }
    assert all("team" not in rule["labels"] for rule in rules(found) if "record" in rule)


def test_an_unknown_engine_is_asked_by_older_names_too() -> None:
    image = {"image": {"registry": "docker.io", "repository": "own/vllm", "tag": "build-7"}}
    found = alert(model(observed(llm(engine=image))), "LLMKVCacheFull")["expr"]
    assert "vllm:kv_cache_usage_perc{" in found
    assert " or vllm:gpu_cache_usage_perc{" in found
    assert "gpu_cache_usage_perc" not in json.dumps([rule["expr"] for rule in rules(model(observed()))])


def test_labels_of_ones_own_do_not_take_ours() -> None:
    own = {"labels": {"app.kubernetes.io/name": "other", "release": "prometheus"}}
    found = model(observed(monitors=own, rules=own, dashboards=own))
    labelled = [obj["metadata"]["labels"] for obj in found.objects if "release" in obj["metadata"]["labels"]]
    assert len(labelled) > 3
    assert {labels["app.kubernetes.io/name"] for labels in labelled} == {"demo"}


# --- refusals ---------------------------------------------------------------------------------------------------------

BUCKETS = "0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80"
OBJECTIVE = "llm-observability.objectives.%s.seconds: vLLM does not count what takes"
REFUSED = (
    Case(
        "an objective between two buckets",
        f"{OBJECTIVE % 'interTokenLatency'} 0.06 s apart; set one of {BUCKETS}",
        observed(objectives={"interTokenLatency": {"seconds": 0.06}}),
        observed(objectives={"interTokenLatency": {"seconds": 0.05}}),
    ),
    Case(
        "an objective that is a bucket of another histogram",
        f"{OBJECTIVE % 'timeToFirstToken'} 0.05 s apart; set one of 0.001, 0.005, "
        "0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560",
        observed(objectives={"timeToFirstToken": {"seconds": 0.05}}),
        observed(
            llm(engine={"args": {"custom-histogram-buckets": {"time_to_first_token": [0.05, 1]}}}),
            objectives={"timeToFirstToken": {"seconds": 0.05}},
        ),
    ),
    Case(
        "scrapes too far apart",
        "llm-observability.monitors.interval: 2m is longer than a minute: rates over two minutes have nothing to compare, and "
        "after five minutes Prometheus takes an engine for gone; set at most 60s",
        observed(monitors={"interval": "2m"}),
        observed(monitors={"interval": "60s"}),
    ),
    Case(
        "an endpoint picker that is not there",
        "llm-observability.endpointPicker.enabled: there is no endpoint picker to scrape; set global.llm.router.enabled: true, "
        "or endpointPicker.enabled: false",
        observed(**PICKER),
        observed(llm(**ROUTER), **PICKER),
    ),
    Case(
        "a token for nothing",
        "llm-observability.endpointPicker.tokenSecret.name: is set and nothing asks the endpoint picker; set "
        "endpointPicker.enabled: true, or remove it",
        observed(llm(**ROUTER), endpointPicker={"tokenSecret": {"name": "own"}}),
        observed(llm(**ROUTER), endpointPicker={"enabled": True, "tokenSecret": {"name": "own"}}),
    ),
    Case(
        "a release without a model",
        "llm-observability.enabled: there is no model in this release to observe; set llm-observability.enabled: false in it, "
        "and true in the model's",
        overlay(PLATFORM_PLANE, {OBSERVING_CHART: {"enabled": True}}),
        PLATFORM_PLANE,
        "kserve",
    ),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case: Case) -> None:
    with helm_fails(case.message):
        model(case.refused, namespace=case.namespace)
    model(case.accepted, namespace=case.namespace)


def test_notes_name_the_runbook() -> None:
    assert "What its alerts mean: https://wiki.example.com/alerts" in notes(
        OBSERVING_CHART, values={**llm(), "rules": {"runbookUrl": "https://wiki.example.com/alerts"}}
    )
