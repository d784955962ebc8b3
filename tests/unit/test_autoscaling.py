"""What scales a service, and by what: ScaledObjects, or KServe's own field; nothing where the count is fixed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.harness import HelmError, Manifests, notes
from tests.harness.components import overlay
from tests.unit.models import Case, llm, model, plan, service

PROMETHEUS = {"serverAddress": "http://prometheus-operated.monitoring:9090"}
SCALED = "ScaledObject"


def scaled(signals: Any = None, **keys: Any) -> dict[str, Any]:
    """A service with one to four engines; `prefill_` before a key is of that side."""
    given = {"enabled": True, "maxReplicas": 4, "prometheus": PROMETHEUS, "signals": signals or {}}
    return llm(autoscaling=overlay(given, keys))


def split(**keys: Any) -> dict[str, Any]:
    return overlay(
        scaled(), llm(prefill=overlay({"enabled": True, "autoscaling": {"maxReplicas": 3}}, keys), router={"enabled": True})
    )


def spec(values: Any) -> Any:
    return model(values).one(SCALED)["spec"]


def trigger(values: Any, name: str) -> Any:
    (found,) = [trigger for trigger in spec(values)["triggers"] if trigger["name"] == name]
    return found


def both(manifests: Manifests) -> dict[str, Any]:
    return {obj["metadata"]["name"]: obj["spec"] for obj in manifests.all(SCALED)}


# --- the object -------------------------------------------------------------------------------------------------------


def test_what_is_scaled_is_what_kserve_makes_and_has_no_other_owner() -> None:
    manifests = model(scaled(minReplicas=2))
    found = manifests.one(SCALED)["spec"]
    assert found["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo-kserve"}
    assert (found["minReplicaCount"], found["maxReplicaCount"]) == (2, 4)
    assert "replicas" not in manifests.one("LLMInferenceService")["spec"]
    assert "fallback" not in found  # without one KEDA leaves the count alone
    assert found["advanced"]["restoreToOriginalReplicaCount"] is False


def test_without_autoscaling_there_is_neither() -> None:
    manifests = model(llm(replicas=3))
    assert manifests.all(SCALED) == []
    assert manifests.one("LLMInferenceService")["spec"]["replicas"] == 3


def test_a_group_is_scaled_as_a_whole() -> None:
    values = overlay(
        scaled(),
        llm(model="llama-3-3-70b-instruct", accelerator="nvidia-h100-80gb", parallel={"tensor": 8, "data": 2, "nodes": 2}),
    )
    found = spec(values)
    assert found["scaleTargetRef"]["kind"] == "LeaderWorkerSet"
    assert found["scaleTargetRef"]["name"] == "demo-kserve-mn"
    assert 'pod=~"demo-kserve-mn-[0-9]+"' in found["triggers"][0]["metadata"]["query"]


def test_sides_scale_apart() -> None:
    found = both(model(split()))
    assert {name: spec["maxReplicaCount"] for name, spec in found.items()} == {"demo-kserve": 4, "demo-kserve-prefill": 3}
    queries = {name: spec["triggers"][0]["metadata"]["query"] for name, spec in found.items()}
    assert "demo-kserve-prefill-" in queries["demo-kserve-prefill"]
    assert "demo-kserve-prefill-" not in queries["demo-kserve"]


@pytest.mark.parametrize("side", ["decode", "prefill"])
def test_one_side_may_scale_alone(side: str) -> None:
    """The other one keeps its number."""
    one = {"maxReplicas": 1}
    values = split(autoscaling=one) if side == "decode" else overlay(split(), llm(autoscaling=one, replicas=2))
    manifests = model(values)
    found = manifests.one("LLMInferenceService")["spec"]
    assert list(both(manifests)) == ["demo-kserve" if side == "decode" else "demo-kserve-prefill"]
    assert (found.get("replicas"), found["prefill"].get("replicas")) == ((None, 1) if side == "decode" else (2, None))


def test_kserve_0_21_scales_by_its_own_field() -> None:
    manifests = model(overlay(scaled(), llm(kserveVersion="0.21")))
    assert manifests.all(SCALED) == []
    found = manifests.one("LLMInferenceService")["spec"]
    assert "replicas" not in found
    assert found["scaling"]["minReplicas"] == 1
    assert found["scaling"]["maxReplicas"] == 4
    assert found["scaling"]["keda"]["triggers"] == spec(scaled())["triggers"]
    # horizontalPodAutoscalerConfig is refused, with a name and without.
    assert found["scaling"]["keda"]["advanced"] == {"restoreToOriginalReplicaCount": False}


def test_volumes_and_budgets_are_for_the_most_engines() -> None:
    manifests = model(scaled())
    assert manifests.one("PersistentVolumeClaim")["spec"]["accessModes"] == ("ReadWriteMany",)
    assert manifests.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_pause_and_fallback() -> None:
    found = model(scaled(paused=True, fallbackReplicas=2)).one(SCALED)
    assert found["metadata"]["annotations"] == {"autoscaling.keda.sh/paused": "true"}
    assert found["spec"]["fallback"] == {"failureThreshold": 2, "replicas": 2, "behavior": "currentReplicasIfHigher"}


# --- how fast ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "window"), [(30, 300), (180, 360), (1500, 3000), (7200, 3600)])
def test_behavior_follows_the_start(start: int, window: int) -> None:
    """Within what the API server takes: a window of at most an hour."""
    behavior = spec(scaled(startSeconds=start))["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert {policy["periodSeconds"] for way in behavior.values() for policy in way["policies"]} == {60}
    assert [f"{policy['value']} {policy['type']}" for policy in behavior["scaleUp"]["policies"]] == ["2 Pods", "100 Percent"]
    assert [f"{policy['value']} {policy['type']}" for policy in behavior["scaleDown"]["policies"]] == ["1 Pods", "50 Percent"]
    assert (behavior["scaleUp"]["stabilizationWindowSeconds"], behavior["scaleDown"]["stabilizationWindowSeconds"]) == (0, window)


def test_the_start_is_derived_from_the_weights() -> None:
    """15.2 GB at 500 MB/s and 90 s."""
    assert plan(scaled())["autoscaling"][1] == "global.llm.autoscaling; an engine starts in about 120 s"


def test_a_behavior_of_ones_own() -> None:
    own = {"scaleDown": {"stabilizationWindowSeconds": 900}}
    assert spec(scaled(behavior=own))["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == own


# --- signals ----------------------------------------------------------------------------------------------------------

PODS = r'namespace="llm",pod=~"demo-kserve-[bcdfghjklmnpqrstvwxz2456789]{1,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"'


def test_requests_are_the_default_and_their_target_follows_what_an_engine_computes_at_once() -> None:
    (found,) = spec(scaled())["triggers"]
    assert found["metadata"]["query"] == (
        f"sum(max by (pod, engine) (vllm:num_requests_running{{{PODS}}})) + "
        f"sum(max by (pod, engine) (vllm:num_requests_waiting{{{PODS}}}))"
    )
    assert found["metricType"] == "AverageValue"
    assert found["metadata"]["ignoreNullValues"] == "false"


@pytest.mark.parametrize(
    ("keys", "slots"),
    [
        ({"engine": {"args": {"max-num-seqs": 16}}}, 16),
        ({"engine": {"args": {"max-num-seqs": 16}}, "parallel": {"data": 2, "tensor": 1}}, 32),
        ({}, 110),  # of 4096 tokens, as many as the fit says
    ],
)
def test_the_target_of_requests(keys: Any, slots: int) -> None:
    values = overlay(scaled(), llm(**keys))
    assert plan(values)["autoscaling"][0] == (
        f"1 to 4, by requests: {slots * 8 // 10} an engine (four fifths of the {slots} that one computes at once)"
    )
    assert trigger(values, "requests")["metadata"]["threshold"] == str(slots * 8 // 10)


def test_latency_is_compared_and_is_zero_only_where_pods_say_that_nobody_asks() -> None:
    found = trigger(scaled({"timeToFirstToken": {"target": 0.5, "percentile": 99, "window": "5m"}}), "timeToFirstToken")
    assert found["metricType"] == "Value"
    assert found["metadata"]["threshold"] == "0.5"
    assert found["metadata"]["query"] == (
        f"(histogram_quantile(0.99, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket{{{PODS}}}[5m]))) >= 0) "
        f"or (sum(max by (pod, engine) (vllm:num_requests_running{{{PODS}}})) + "
        f"sum(max by (pod, engine) (vllm:num_requests_waiting{{{PODS}}})) == 0)"
    )


def test_a_schedule() -> None:
    office = {"start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "timezone": "Europe/Berlin", "replicas": 2}
    assert trigger(scaled({"office": office}), "office") == {
        "type": "cron",
        "name": "office",
        "metadata": {"timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "2"},
    }


def test_several_signals_and_the_highest_counts() -> None:
    signals = {
        "kvCacheUsage": {},
        "requests": {"target": 7},
        "generationTokens": {"target": 1500},
        "own": {"query": "up", "target": 2},
    }
    assert {t["name"]: t["metadata"]["threshold"] for t in spec(scaled(signals))["triggers"]} == {
        "kvCacheUsage": "0.8",
        "requests": "7",
        "generationTokens": "1500",
        "own": "2",
    }


def test_the_endpoint_picker_is_asked_by_its_own_pods() -> None:
    values = overlay(scaled({"endpointPickerQueue": {"target": 4}}), llm(router={"enabled": True}))
    query = trigger(values, "endpointPickerQueue")["metadata"]["query"]
    assert query.startswith('max(inference_pool_average_queue_size{namespace="llm",pod=~"demo-kserve-router-scheduler-[')


@pytest.mark.parametrize(
    ("pod", "sides"),
    [
        ("demo-kserve-7c9d8f6b5-x2vzq", {"demo-kserve"}),
        ("demo-kserve-prefill-7c9d8f6b5-x2vzq", {"demo-kserve-prefill"}),
        ("demo-kserve-kserve-7c9d8f6b5-x2vzq", set()),  # a release demo-kserve
        ("demo-2-kserve-7c9d8f6b5-x2vzq", set()),
        ("my-demo-kserve-7c9d8f6b5-x2vzq", set()),
        ("demo-kserve-mn-0", set()),
        ("demo-kserve-router-scheduler-7c9d8f6b5-x2vzq", set()),
    ],
)
def test_a_query_is_of_one_side_of_one_release(pod: str, sides: set[str]) -> None:
    found = both(model(split()))
    patterns = {
        name: set(re.findall(r'pod=~"([^"]+)"', spec["triggers"][0]["metadata"]["query"])) for name, spec in found.items()
    }
    assert {name for name, (pattern,) in patterns.items() if re.fullmatch(pattern, pod)} == sides


def test_an_engine_whose_version_is_not_known_is_asked_by_both_names() -> None:
    query = trigger(overlay(scaled({"kvCacheUsage": {}}), llm(engine={"version": "0.99"})), "kvCacheUsage")["metadata"]["query"]
    assert query == (
        f"sum(avg by (pod) (max by (pod, engine) ((vllm:kv_cache_usage_perc{{{PODS}}} or vllm:gpu_cache_usage_perc{{{PODS}}}))))"
    )


# --- Prometheus -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modes", "keys"),
    [
        ("bearer", {"bearerToken": "bearerToken"}),
        ("basic", {"username": "username", "password": "password"}),
        ("tls", {"cert": "tls.crt", "key": "tls.key"}),
        ("tls,bearer", {"bearerToken": "bearerToken", "cert": "tls.crt", "key": "tls.key"}),
    ],
)
def test_credentials_come_from_a_secret(modes: str, keys: dict[str, str]) -> None:
    manifests = model(scaled(prometheus={"authModes": modes, "secret": "prom", "caSecret": "ca"}))
    references = {
        entry["parameter"]: (entry["name"], entry["key"])
        for entry in manifests.one("TriggerAuthentication")["spec"]["secretTargetRef"]
    }
    assert references == {"ca": ("ca", "ca.crt"), **{parameter: ("prom", key) for parameter, key in keys.items()}}
    (found,) = manifests.one(SCALED)["spec"]["triggers"]
    assert found["authenticationRef"] == {"name": manifests.one("TriggerAuthentication")["metadata"]["name"]}
    assert found["metadata"]["authModes"] == modes


def test_a_tenant_and_an_untrusted_certificate() -> None:
    metadata = trigger(scaled(prometheus={"tenant": "llm", "unsafeSsl": True}), "requests")["metadata"]
    assert (metadata["customHeaders"], metadata["unsafeSsl"]) == ("X-Scope-OrgID=llm", "true")
    assert model(scaled()).all("TriggerAuthentication") == []


# --- held requests ----------------------------------------------------------------------------------------------------

FLOW = {"enabled": True, "flowControl": {"enabled": True}}


def held(signals: Any = None, flow: Any = None, **keys: Any) -> dict[str, Any]:
    """None to four engines, started by what the endpoint picker holds."""
    given = {"heldRequests": {}, "requests": {}} if signals is None else signals
    return overlay(scaled(given, **{"minReplicas": 0, **keys}), llm(router=overlay(FLOW, {"flowControl": flow or {}})))


def test_held_requests_are_those_of_this_services_picker_and_none_where_it_never_held_one() -> None:
    found = trigger(held(), "heldRequests")
    pods = PODS.replace("demo-kserve-", "demo-kserve-router-scheduler-")
    assert found["metadata"]["query"] == (
        f"sum(inference_extension_flow_control_queue_size{{{pods}}} or 0 * inference_pool_ready_pods{{{pods}}})"
    )
    assert (found["metricType"], found["metadata"]["ignoreNullValues"]) == ("AverageValue", "false")
    # KEDA starts the first engine for what is above activationThreshold, which is 0 unless it is set.
    assert "activationThreshold" not in found["metadata"]


def test_from_nothing_as_many_engines_start_as_the_held_requests_fill() -> None:
    values = overlay(held(), llm(engine={"args": {"max-num-seqs": 16}}))
    assert (
        trigger(values, "heldRequests")["metadata"]["threshold"] == trigger(values, "requests")["metadata"]["threshold"] == "12"
    )
    assert trigger(held({"heldRequests": {"target": 3}, "requests": {}}), "heldRequests")["metadata"]["threshold"] == "3"


# --- refusals and warnings --------------------------------------------------------------------------------------------

NOWHERE = {"prometheus": {"serverAddress": ""}}
OFFICE = {"start": "0 8 * * *", "end": "0 18 * * *", "replicas": 2}
A = "global.llm.autoscaling"
BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 900}}
CASES = (
    Case(
        "a fixed count",
        "global.llm.replicas: 3 is a fixed count and global.llm.autoscaling lets it scale; remove it, or set "
        "global.llm.autoscaling.minReplicas",
        overlay(scaled(), llm(replicas=3)),
        scaled(minReplicas=3),
    ),
    Case(
        "the most below the least",
        f"{A}.maxReplicas: 4 is less than minReplicas, 5; set at least 6",
        scaled(minReplicas=5),
        scaled(minReplicas=3),
    ),
    Case(
        "nothing to scale",
        f"{A}.maxReplicas: 4 is minReplicas as well, so that nothing would scale; set more, or "
        "global.llm.autoscaling.enabled: false",
        scaled(minReplicas=4),
        scaled(minReplicas=3),
    ),
    Case(
        "neither side",
        f"{A}.enabled: neither side may scale; set autoscaling.maxReplicas or prefill.autoscaling.maxReplicas to "
        "more than minReplicas, or enabled: false",
        overlay(split(autoscaling={"maxReplicas": 1}), llm(autoscaling={"maxReplicas": 1})),
        split(autoscaling={"maxReplicas": 1}),
    ),
    Case(
        "a volume for one",
        "global.llm.cache.accessMode: ReadWriteOnce lets one node mount the weights and "
        "global.llm.autoscaling.maxReplicas is 4; set ReadWriteMany, or maxReplicas: 1",
        overlay(scaled(), llm(cache={"accessMode": "ReadWriteOnce"})),
        overlay(scaled(), llm(cache={"accessMode": "ReadWriteMany"})),
    ),
    Case(
        "zero by a metric of what is gone",
        f"{A}.minReplicas: 0 stops the pods that every signal here is read from, and nothing would "
        "start them again; set 1, a schedule, heldRequests with global.llm.router.flowControl, or a signal of what else holds "
        "requests, with `outlivesPods: true`",
        scaled(minReplicas=0),
        scaled({"office": OFFICE}, minReplicas=0),
    ),
    Case(
        "zero by a query of one's own",
        f"{A}.minReplicas: 0 stops the pods that every signal here is read from, and nothing would "
        "start them again; set 1, a schedule, heldRequests with global.llm.router.flowControl, or a signal of what else holds "
        "requests, with `outlivesPods: true`",
        scaled({"own": {"query": "queue", "target": 1}}, minReplicas=0),
        scaled({"own": {"query": "queue", "target": 1, "outlivesPods": True}}, minReplicas=0),
    ),
    Case(
        "zero by requests that nobody holds",
        f"{A}.signals.heldRequests: the endpoint picker holds no requests; set global.llm.router.flowControl.enabled: true, or "
        "another signal",
        held(flow={"enabled": False}),
        held(),
    ),
    Case(
        "zero while requests run",
        f"{A}.signals.heldRequests: is 0 while an engine computes, so that with minReplicas: 0 it would be stopped under its "
        "requests; set requests or runningRequests beside it",
        held({"heldRequests": {}, "kvCacheUsage": {}}),
        held({"heldRequests": {}, "runningRequests": {}}),
    ),
    Case(
        "zero of one side, which the other's engines let through",
        f"{A}.minReplicas: 0 with heldRequests: the endpoint picker holds none once it has an engine of either side: without "
        "decode they fail, and for prefill alone none is held; set 1, or a schedule in place of heldRequests",
        overlay(split(), held()),
        overlay(split(), held(minReplicas=1)),
    ),
    Case(
        "a request given up before an engine is there",
        "global.llm.router.flowControl.defaultRequestTTL: after 60 s a held request is refused, and an engine takes about 120 s "
        "to start; set at least that, or 0",
        held(flow={"defaultRequestTTL": 60}),
        held(flow={"defaultRequestTTL": 120}),
    ),
    Case(
        "more than an engine computes",
        f"{A}.signals.runningRequests.target: an autoscaler acts from a tenth above its target on, and an engine computes 32 "
        "requests at once at most (max-num-seqs): 30 is never passed; set at most 29",
        overlay(scaled({"runningRequests": {"target": 30}}), llm(engine={"args": {"max-num-seqs": 32}})),
        overlay(scaled({"runningRequests": {"target": 29}}), llm(engine={"args": {"max-num-seqs": 32}})),
    ),
    Case(
        "an engine that computes one request at once",
        f"{A}.signals.runningRequests.target: an autoscaler acts from a tenth above its target on, and an engine computes 1 "
        "requests at once at most (max-num-seqs): 1 is never passed; set another signal, such as requests",
        overlay(scaled({"runningRequests": {}}), llm(engine={"args": {"max-num-seqs": 1}})),
        overlay(scaled({"requests": {}}), llm(engine={"args": {"max-num-seqs": 1}})),
    ),
    Case(
        "almost the whole cache",
        f"{A}.signals.kvCacheUsage.target: an autoscaler acts from a tenth above its target on, and no more than the whole "
        "cache, 1, is ever used: 0.95 is never passed; set at most 0.9",
        scaled({"kvCacheUsage": {"target": 0.95}}),
        scaled({"kvCacheUsage": {"target": 0.9}}),
    ),
    Case(
        "an engine's metric that is said to outlive it",
        f"{A}.signals.own.outlivesPods: vllm:num_requests_waiting is the engines' own, and gone with them; remove it, or ask "
        "what holds requests meanwhile",
        scaled({"own": {"query": "sum(vllm:num_requests_waiting)", "target": 1, "outlivesPods": True}, "office": OFFICE}),
        scaled({"own": {"query": "sum(vllm:num_requests_waiting)", "target": 1}, "office": OFFICE}),
    ),
    Case(
        "a picker's average of both sides",
        f"{A}.signals.endpointPickerQueue: the picker's average is of decode and prefill engines together, and says nothing "
        "about either; set requests or waitingRequests",
        overlay(overlay(split(), scaled({"endpointPickerQueue": {"target": 4}})), llm(router={"enabled": True})),
        overlay(scaled({"endpointPickerQueue": {"target": 4}}), llm(router={"enabled": True})),
    ),
    Case(
        "a window without scrapes",
        f"{A}.signals.generationTokens.window: in 30s too few scrapes fall for a rate; set at least 1m",
        scaled({"generationTokens": {"target": 900, "window": "30s"}}),
        scaled({"generationTokens": {"target": 900, "window": "60s"}}),
    ),
    Case(
        "an hour that no day has",
        f'{A}.signals.office.start: "25" stands where cron has the hour, 0 to 23; set that',
        scaled({"office": {**OFFICE, "start": "0 25 * * *"}}),
        scaled({"office": {**OFFICE, "start": "0 08 * * MON-FRI"}}),
    ),
    Case(
        "a Sunday by its other number",
        f'{A}.signals.office.end: "1-7" stands where cron has the day of the week, 0 (Sunday) to 6 or sun to sat; set that',
        scaled({"office": {**OFFICE, "end": "*/15 18,19 1-7 jan 1-7"}}),
        scaled({"office": {**OFFICE, "end": "*/15 18,19 1-7 jan 1-6"}}),
    ),
    Case(
        "an unknown metric",
        f"{A}.signals.own.query: vLLM 0.32 has no metric vllm:gpu_cache_usage_perc; see its /metrics, or set "
        "global.llm.engine.version to what the image holds",
        scaled({"own": {"query": "sum(vllm:gpu_cache_usage_perc)", "target": 1}}),
        scaled({"own": {"query": "sum(rate(vllm:request_success_total[5m]))", "target": 1}}),
    ),
    Case(
        "an unknown signal",
        f"{A}.signals.latency: is no known signal; set one of endpointPickerQueue, endpointPickerRequests, "
        "generationTokens, heldRequests, interTokenLatency, kvCacheUsage, requests, runningRequests, timeToFirstToken, "
        "waitingRequests, a schedule by start, end and replicas, or a query and a target of your own",
        scaled({"latency": {"target": 2}}),
        scaled({"latency": {"target": 2, "query": "up"}}),
    ),
    Case(
        "a latency without a target",
        f"{A}.signals.interTokenLatency.target: is missing; set the seconds within which that part of tokens is to follow",
        scaled({"interTokenLatency": {}}),
        scaled({"interTokenLatency": {"target": 0.05}}),
    ),
    Case(
        "tokens without a target",
        f"{A}.signals.generationTokens.target: is missing; set the tokens in a second that one engine is to make",
        scaled({"generationTokens": {}}),
        scaled({"generationTokens": {"target": 900}}),
    ),
    Case(
        "a query without a target",
        f"{A}.signals.own.target: is missing; set the value of the query for which one engine is enough",
        scaled({"own": {"query": "up"}}),
        scaled({"own": {"query": "up", "target": 1}}),
    ),
    Case(
        "a picker that is not there",
        f"{A}.signals.endpointPickerQueue: there is no endpoint picker to ask; set "
        "global.llm.router.enabled: true, or another signal",
        scaled({"endpointPickerQueue": {"target": 4}}),
        overlay(scaled({"endpointPickerQueue": {"target": 4}}), llm(router={"enabled": True})),
    ),
    Case(
        "a picker without a target",
        f"{A}.signals.endpointPickerRequests.target: is missing; set the requests in a second that one engine is to have",
        overlay(scaled({"endpointPickerRequests": {}}), llm(router={"enabled": True})),
        overlay(scaled({"endpointPickerRequests": {"target": 5}}), llm(router={"enabled": True})),
    ),
    Case(
        "half a schedule",
        f"{A}.signals.office.end: is missing; a schedule has start, end and replicas",
        scaled({"office": {"start": "0 8 * * *", "replicas": 2}}),
        scaled({"office": OFFICE}),
    ),
    Case(
        "a schedule beyond the most",
        f"{A}.signals.office.replicas: 9 is more than maxReplicas, 4; set at most that",
        scaled({"office": {**OFFICE, "replicas": 9}}),
        scaled({"office": {**OFFICE, "replicas": 4}}),
    ),
    Case(
        "no Prometheus",
        f"{A}.prometheus.serverAddress: is empty and {A}.signals.requests asks Prometheus; set its address, such as "
        "http://prometheus-operated.monitoring:9090",
        scaled(**NOWHERE),
        scaled({"office": OFFICE}, **NOWHERE),
    ),
    Case(
        "a password in the address",
        f"{A}.prometheus.serverAddress: holds a password in the values; set authModes: basic and a secret",
        scaled(prometheus={"serverAddress": "http://me:pw@prometheus:9090"}),
        scaled(),
    ),
    Case(
        "a mode without a secret",
        f"{A}.prometheus.secret: is empty and authModes is tls,basic; set the Secret that holds cert, key, username, password",
        scaled(prometheus={"authModes": "tls,basic"}),
        scaled(prometheus={"authModes": "tls,basic", "secret": "p"}),
    ),
    Case(
        "a secret without a mode",
        f"{A}.prometheus.authModes: is empty, so that secret would not be used; set bearer, basic or tls",
        scaled(prometheus={"secret": "p"}),
        scaled(prometheus={"secret": "p", "authModes": "bearer"}),
    ),
    Case(
        "a key of another signal",
        f"{A}.signals.requests.percentile: says nothing here; remove it (this signal has target)",
        scaled({"requests": {"percentile": 99}}),
        scaled({"timeToFirstToken": {"percentile": 99, "target": 2}}),
    ),
    Case(
        "a query with a schedule",
        f"{A}.signals.own.query: says nothing here; remove it (this signal has end, replicas, start, timezone)",
        scaled({"own": {**OFFICE, "query": "up"}}),
        scaled({"own": OFFICE}),
    ),
    Case(
        "an engine's own signal that is said to outlive it",
        f"{A}.signals.requests.outlivesPods: says nothing here; remove it (this signal has target)",
        scaled({"requests": {"outlivesPods": True}, "office": OFFICE}, minReplicas=0),
        scaled({"requests": {}, "office": OFFICE}, minReplicas=0),
    ),
    Case(
        "a schedule of no time",
        f"{A}.signals.office.end: is start as well, so that it never lasts; set another",
        scaled({"office": {**OFFICE, "end": OFFICE["start"]}}),
        scaled({"office": OFFICE}),
    ),
    Case(
        "decode's latency of a prompt",
        f"{A}.signals.timeToFirstToken: says nothing about decode engines; set it on the other side",
        overlay(split(), scaled({"timeToFirstToken": {"target": 2}})),
        split(autoscaling={"signals": {"timeToFirstToken": {"target": 2}}}),
    ),
    Case(
        "prefill's latency between tokens",
        "global.llm.prefill.autoscaling.signals.interTokenLatency: says nothing about prefill engines; set it on the other side",
        split(autoscaling={"signals": {"interTokenLatency": {"target": 0.05}}}),
        overlay(split(), scaled({"interTokenLatency": {"target": 0.05}})),
    ),
    Case(
        "no metrics at all",
        "global.llm.engine.args.disable-log-stats: takes away the metrics that global.llm.autoscaling reads; remove it",
        overlay(scaled(), llm(engine={"args": {"disable-log-stats": True}})),
        llm(engine={"args": {"disable-log-stats": True}}),
    ),
    Case(
        "a fallback beyond the most",
        f"{A}.fallbackReplicas: 9 is more than {A}.maxReplicas, 4; set at most that",
        scaled(fallbackReplicas=9),
        scaled(fallbackReplicas=4),
    ),
    Case(
        "a fallback that starts engines for ever",
        f"{A}.fallbackReplicas: at {A}.minReplicas: 0 the engines' metrics are away as a rule, and each time engines would be "
        "started for it; set 0, or minReplicas: 1",
        scaled({"requests": {}, "office": OFFICE}, minReplicas=0, fallbackReplicas=1),
        scaled({"requests": {}, "office": OFFICE}, fallbackReplicas=1),
    ),
    Case(
        "an authority that KEDA does not read",
        f"{A}.prometheus.caSecret: KEDA reads it with authModes only; set those, or give the authority to KEDA itself (its "
        "operator's --ca-dir)",
        scaled(prometheus={"caSecret": "ca"}),
        scaled(prometheus={"caSecret": "ca", "authModes": "basic", "secret": "p"}),
    ),
    Case(
        "a trust that KEDA does not look at",
        f"{A}.prometheus.unsafeSsl: KEDA does not look at it with caSecret or tls; remove one of them",
        scaled(prometheus={"unsafeSsl": True, "authModes": "tls", "secret": "p"}),
        scaled(prometheus={"unsafeSsl": True, "authModes": "bearer", "secret": "p"}),
    ),
    Case(
        "labels of what KServe makes",
        "keda-autoscaling.labels, keda-autoscaling.annotations: KServe 0.21 makes the ScaledObjects itself; remove them",
        overlay(overlay(scaled(), llm(kserveVersion="0.21")), {"keda-autoscaling": {"labels": {"a": "b"}}}),
        overlay(scaled(), {"keda-autoscaling": {"labels": {"a": "b"}}}),
    ),
    Case(
        "a pause that KServe does not know",
        f"{A}.paused: KServe 0.21 makes the ScaledObject and has no field for it; set enabled: false and replicas",
        overlay(scaled(paused=True), llm(kserveVersion="0.21")),
        overlay(scaled(), llm(kserveVersion="0.21")),
    ),
    Case(
        "a speed that KServe refuses",
        f"{A}.behavior: the resource definition of KServe 0.21 refuses a speed of scaling (no such key: name); remove it, "
        "Kubernetes' default holds",
        overlay(scaled(behavior=BEHAVIOR), llm(kserveVersion="0.21")),
        scaled(behavior=BEHAVIOR),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_cannot_work_is_refused(case: Case) -> None:
    with pytest.raises(HelmError) as refused:
        model(case.refused)
    assert refused.value.messages == [case.message]
    model(case.accepted)


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        (
            {"minReplicas": 0, "signals": {"office": OFFICE}},
            f"{A}.minReplicas is 0: while no engine runs, requests are refused; global.llm.router.flowControl and the signal "
            "heldRequests would hold them and start one; started by office",
        ),
        (
            {"minReplicas": 0, "signals": {"office": OFFICE, "own": {"query": "queue", "target": 1, "outlivesPods": True}}},
            f"{A}.minReplicas is 0: while no engine runs, requests are refused unless what own asks holds them, and the first "
            "one waits about 120 s for an engine; started by office, own",
        ),
        (
            {"minReplicas": 0, "signals": {"office": OFFICE}, "cooldownPeriod": 60},
            f"{A}.cooldownPeriod: 60 s after the last request the engine is stopped, and it takes about 120 s to start; set at "
            "least that",
        ),
        (
            {"signals": {"waitingRequests": {}, "timeToFirstToken": {"target": 2}}},
            f"{A}.signals: without a signal of the load itself engines are taken away as soon as none waits or all is fast "
            "enough, and come back when it is not; set requests beside timeToFirstToken, waitingRequests",
        ),
        (
            {"signals": {"requests": {"target": 400}}},
            f"{A}.signals.requests.target: of 400 requests an engine computes 256 at once (max-num-seqs); the others wait before "
            "another is started",
        ),
        (
            {"signals": {"heldRequests": {}}, "router": FLOW},
            f"{A}.signals: without a signal of the load itself engines are taken away as soon as none waits or all is fast "
            "enough, and come back when it is not; set requests beside heldRequests",
        ),
        (
            {"minReplicas": 0, "signals": {"requests": {}, "heldRequests": {}}, "router": FLOW},
            f"{A}.minReplicas is 0: while no engine runs, the endpoint picker holds requests, the first one for about 120 s, if "
            "client and gateway wait as long; started by heldRequests",
        ),
        (
            {"minReplicas": 0, "signals": {"office": OFFICE}, "router": FLOW},
            f"{A}.minReplicas is 0: while no engine runs, the endpoint picker holds requests, and they start none; set "
            "heldRequests beside; started by office",
        ),
        (
            {"signals": {"waitingRequests": {}, "requests": {}}, "router": FLOW},
            f"{A}.signals.waitingRequests.target: with global.llm.router.flowControl no more than 5 requests wait at an engine, "
            "on average, and 13 are not reached; set less, or heldRequests",
        ),
        ({"pollingInterval": 300}, f"{A}.pollingInterval: 300 s is longer than an engine's start, about 120 s; set less"),
    ],
)
def test_what_makes_no_sense_is_said(keys: Any, warning: str) -> None:
    router = keys.pop("router", {})
    values = overlay(scaled(**keys), llm(router=router))
    assert f"WARNING: {warning}" in model(values).one("ConfigMap", "demo-plan")["data"]["plan"].splitlines()
    assert "WARNING" not in model(scaled()).one("ConfigMap", "demo-plan")["data"]["plan"]


def test_notes_say_how_many() -> None:
    assert "demo-kserve has 1 to 4 engines" in notes("keda-autoscaling", values=scaled())
    assert service(scaled()).get("replicas") is None


def test_annotations_lead_a_prometheus_to_each_sides_own_port() -> None:
    """8000 of a decode pod is the routing sidecar."""
    found = service(overlay(split(), llm(metrics={"scrapeAnnotations": True})))
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics"}
    assert found["annotations"] == {**scraped, "prometheus.io/port": "8001"}
    assert found["prefill"]["annotations"] == {**scraped, "prometheus.io/port": "8000"}
    assert "annotations" not in service(split())


def test_recording_rules_are_no_metrics_of_the_engine() -> None:
    assert trigger(scaled({"own": {"query": "sum(vllm:ttft:p95) + job:vllm:queue:sum", "target": 1}}), "own")


def test_from_nothing_by_kserve_itself() -> None:
    """Its field takes no 0."""
    values = overlay(scaled({"office": OFFICE}, minReplicas=0), llm(kserveVersion="0.21"))
    scaling = model(values).one("LLMInferenceService")["spec"]["scaling"]
    assert (scaling["minReplicas"], scaling["keda"]["idleReplicaCount"]) == (1, 0)
    assert (
        "idleReplicaCount"
        not in model(overlay(scaled(), llm(kserveVersion="0.21"))).one("LLMInferenceService")["spec"]["scaling"]["keda"]
    )


def test_prefill_is_bound_by_the_tokens_of_a_step() -> None:
    values = overlay(split(), llm(engine={"args": {"max-num-batched-tokens": 8192}}))
    (found,) = both(model(values))["demo-kserve-prefill"]["triggers"]
    assert found["metadata"]["threshold"] == "8"
    assert "prompts of 4096 tokens that it computes in four steps of 8192" in plan(values)["prefill scaling"][0]


def test_a_share_of_the_cache_is_of_an_engine_whatever_its_ranks() -> None:
    query = trigger(scaled({"kvCacheUsage": {}}), "kvCacheUsage")["metadata"]["query"]
    assert query == f"sum(avg by (pod) (max by (pod, engine) (vllm:kv_cache_usage_perc{{{PODS}}})))"


LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def names(base: str, digits: int) -> str:
    """A pod's name: apiserver's SimpleNameGenerator keeps 58 characters of what the ReplicaSet asks for, and adds five."""
    return f"{base}-{LETTERS[:digits]}-"[:58] + LETTERS[-5:]


@pytest.mark.parametrize("length", [1, 30, 31, 32, 35, 38])
@pytest.mark.parametrize("digits", [7, 8, 9, 10])
def test_pods_of_long_names_are_found(length: int, digits: int) -> None:
    name = "a" * length
    values = overlay(split(), llm(name=name))
    patterns = {
        side: re.findall(r'pod=~"([^"]+)"', spec["triggers"][0]["metadata"]["query"])[0]
        for side, spec in both(model(values)).items()
    }
    for side in (f"{name}-kserve", f"{name}-kserve-prefill"):
        assert {other for other, pattern in patterns.items() if re.fullmatch(pattern, names(side, digits))} == {side}
