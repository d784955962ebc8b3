"""Autoscaling in the cluster, all of it real: vLLM's metrics, Prometheus, KEDA, the HorizontalPodAutoscaler, KServe's controller.

A release of its own, on the demo's claim. Each test prints what happened when, as seen from outside.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hack import demo, documents, kserve, platform, prometheus
from hack import keda as operator
from hack.kube import Cluster, holds, until
from tests.harness import render, thaw
from tests.harness.components import overlay
from tests.smoke import releases
from tests.smoke.engine import Engine
from tests.smoke.load import load
from tests.smoke.scaling import schedule, watched
from tests.smoke.test_disaggregated import NAME as SPLIT
from tests.smoke.test_disaggregated import VALUES as SPLIT_VALUES

NAME = "auto"
# A window that a test can wait for, in place of the five minutes and more that are derived.
STEP = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}
QUICK = {"scaleUp": {**STEP, "stabilizationWindowSeconds": 0}, "scaleDown": {**STEP, "stabilizationWindowSeconds": 30}}
# As many clients as want eight engines, where three are allowed: on two cores half of them may not have got to the engine yet.
TARGET, CLIENTS = 2, 16
LONG = {"max_tokens": 128, "ignore_eos": True}


def values(signals: Any = None, **autoscaling: Any) -> dict[str, Any]:
    """The demo's model, two requests at once in an engine, one to three engines by their number, or by other signals."""
    wanted = {
        "enabled": True,
        "maxReplicas": 3,
        "pollingInterval": 5,
        "signals": signals or {"requests": {"target": TARGET}},
        "prometheus": {"serverAddress": f"http://{prometheus.SERVICE}.{prometheus.NAMESPACE}:{prometheus.PORT}"},
        "behavior": QUICK,
    }
    llm = {
        "autoscaling": overlay(wanted, autoscaling),
        "metrics": {"scrapeAnnotations": True},
        "engine": {"args": {"max-num-seqs": 2}},
        "overrides": {"resources": releases.ONE_OF_TWO},
    }
    rules = {"enabled": True, "monitors": {"enabled": False}, "rules": {"format": "ConfigMap"}, "dashboards": {"enabled": False}}
    return {"global": {"llm": llm}, "llm-observability": rules}


@contextmanager
def without_prometheus(cluster: Cluster) -> Iterator[None]:
    """No Prometheus; then one that scrapes nothing, which `empty` starts; in the end the one that there was."""
    scale = ("-n", prometheus.NAMESPACE, "scale", f"deployment/{prometheus.NAME}")
    cluster.kubectl(*scale, "--replicas=0")
    try:
        yield
    finally:
        cluster.apply(obj for obj in prometheus.objects() if obj["kind"] == "ConfigMap")
        cluster.kubectl(*scale, "--replicas=0")
        _gone(cluster)
        cluster.kubectl(*scale, "--replicas=1")


def _gone(cluster: Cluster) -> None:
    pods = ("pods", "-n", prometheus.NAMESPACE, "-l", prometheus.SELECTOR)
    until(lambda: not cluster.items(*pods), 60, "Prometheus does not end")


def empty(cluster: Cluster) -> None:
    """A Prometheus that finds no pod, so that every answer is empty."""
    (configuration,) = [obj for obj in prometheus.objects() if obj["kind"] == "ConfigMap"]
    text = documents.load(configuration["data"]["prometheus.yml"])
    configuration["data"]["prometheus.yml"] = documents.dump({**text, "scrape_configs": []})
    cluster.apply([configuration])
    cluster.kubectl("-n", prometheus.NAMESPACE, "scale", f"deployment/{prometheus.NAME}", "--replicas=1")
    until(lambda: "Ready" in prometheus.ask(cluster, "-/ready", check=False), 60, "Prometheus does not answer")


def restart(cluster: Cluster, namespace: str, *deployments: str) -> None:
    for name in deployments:
        cluster.kubectl("-n", namespace, "rollout", "restart", f"deployment/{name}")
    for name in deployments:
        cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=180s")


def served(cluster: Cluster) -> dict[str, float]:
    """Requests that each engine has finished, by pod."""
    found = {}
    for pod in releases.pods(cluster, releases.workload(NAME)):
        if holds(pod, "Ready"):
            with Engine.connect(cluster, demo.NAMESPACE, NAME, pod["metadata"]["name"]) as engine:
                found[pod["metadata"]["name"]] = engine.metric("vllm:request_success_total")
    return found


def alerts(cluster: Cluster) -> dict[str, str]:
    """The release's alerts that are pending or firing: name to state."""
    found = json.loads(prometheus.ask(cluster, "api/v1/alerts", check=False) or '{"data": {"alerts": []}}')["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert["state"] for alert in found if alert["labels"].get("llm_service") == NAME}


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[None]:
    """One engine, and Prometheus with the release's rules."""
    with releases.installed(cluster, NAME, values()):
        releases.ready(cluster, releases.workload(NAME), 1)
        rules = cluster.get("configmap", f"{NAME}-rules", "-n", demo.NAMESPACE)
        assert rules
        platform.load_rules(cluster, rules["data"])
        try:
            yield
        finally:
            platform.load_rules(cluster, {})


def test_load_brings_engines_and_its_end_takes_them_away(cluster: Cluster, release: None) -> None:
    """Up to three, each of which serves; nobody sets the number back, and no request is lost on the way there and back.

    The alert that more would be wanted is under way for just as long.
    """
    with watched(cluster, f"{NAME}-kserve") as watch:
        watch.until(lambda: watch.metric() == 0, 60, "Prometheus does not know the engine")
        # That KEDA could not ask is pending for a while: it asked before the engine answered.
        usual = {("LLMAutoscalerFailing", "pending")}
        watch.until(lambda: set(alerts(cluster).items()) <= usual, 30, "an alert of an engine that serves")
        with load(cluster, NAME, threads=CLIENTS, **LONG) as asking:
            started = time.monotonic()
            watch.until(lambda: (watch.metric() or 0) > TARGET, 30, "the load does not show in Prometheus")
            seen = time.monotonic()
            watch.until(lambda: watch.count > 1, 60, "no second engine is wanted")
            print(f"reaction: {time.monotonic() - seen:.0f} s from the metric, {time.monotonic() - started:.0f} s from the load")
            watch.until(lambda: watch.ready == 3, 400, "not three engines")
            watch.until(lambda: len(served(cluster)) == 3 and min(served(cluster).values()) > 0, 60, "one serves nothing")
            print(served(cluster))
            watch.until(lambda: "LLMAutoscalerAtMaximum" in alerts(cluster), 60, "nobody says that three are not enough")

            releases.reconcile(cluster, NAME, 10)
            restart(cluster, kserve.NAMESPACE, kserve.CONTROLLER)
            restart(cluster, operator.NAMESPACE, operator.OPERATOR, "keda-metrics-apiserver")
            restart(cluster, prometheus.NAMESPACE, prometheus.NAME)
            watch.until(lambda: (watch.metric() or 0) > TARGET, 60, "Prometheus is not back")
            assert {row[2] for row in watch.rows[[row[2] for row in watch.rows].index(3) :]} == {3}, watch.table()
        assert asking.errors() == []
        watch.until(lambda: watch.count == 1, 180, "engines stay")
        releases.ready(cluster, releases.workload(NAME), 1)
        watch.until(lambda: "LLMAutoscalerAtMaximum" not in alerts(cluster), 60, "the alert stays")
        assert "firing" not in alerts(cluster).values()


def test_without_an_answer_nothing_changes(cluster: Cluster, release: None) -> None:
    """Neither an outage nor an empty answer stops an engine, though nobody asks any more; an upgrade before loses nothing."""
    with watched(cluster, f"{NAME}-kserve") as watch:
        releases.install(cluster, NAME, values(maxReplicas=2))
        with load(cluster, NAME, threads=CLIENTS, **LONG) as asking:
            watch.until(lambda: watch.count == 2, 120, "no second engine is wanted")
            # What the upgrade brings starts before the others compute: with an equal share of the CPU it took six minutes.
            sooner = overlay(releases.ENGINE, {"requests": {"cpu": "200m"}})
            changed = overlay(values(maxReplicas=2), {"global": {"llm": {"overrides": {"resources": sooner}}}})
            before = releases.pods(cluster, releases.workload(NAME))
            releases.install(cluster, NAME, changed)
            releases.wait_gone(cluster, releases.workload(NAME), before, 400)
            watch.until(lambda: watch.count == watch.ready == 2, 300, "not two engines after the upgrade")
            assert asking.errors() == []
            with without_prometheus(cluster):
                _gone(cluster)
                outage = time.monotonic()
                watch.until(lambda: watch.conditions()["Ready"].startswith("False"), 60, "nobody says that Prometheus is away")
                print(watch.conditions())
                cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", asking.pod, "--grace-period=0", "--force")
                watch.hold(2, 45)
                empty(cluster)
                watch.hold(2, 45)
                assert watch.metric() is None
                assert watch.conditions()["Ready"].startswith("False")
                print(f"held for {time.monotonic() - outage:.0f} s")
        watch.until(lambda: watch.count == 1, 180, "with the answers back the second engine stays")


def test_a_query_that_prometheus_refuses_is_told(cluster: Cluster, release: None) -> None:
    with watched(cluster, f"{NAME}-kserve") as watch:
        watch.until(lambda: watch.count > 0, 30, "no engine")
        before = watch.count
        releases.install(cluster, NAME, values(signals={"own": {"query": "sum(", "target": 1}}))
        watch.until(lambda: watch.conditions().get("Ready", "").startswith("False"), 120, "nobody says that the query is wrong")
        assert watch.count == before
        events = cluster.items("events", "-n", demo.NAMESPACE, "--field-selector", "reason=KEDAScalerFailed")
        assert any("prometheus query api returned error. status: 400" in event["message"] for event in events), events
        watch.until(lambda: "LLMAutoscalerFailing" in alerts(cluster), 60, "no alert says that nothing scales")


def test_a_fallback_adds_engines_and_a_pause_keeps_them(cluster: Cluster, release: None) -> None:
    """Without Prometheus as many as the fallback says; while paused nobody takes them away, though nothing is to do."""
    fallback = {"maxReplicas": 2, "fallbackReplicas": 2}
    releases.install(cluster, NAME, values(**fallback))
    with watched(cluster, f"{NAME}-kserve") as watch:
        watch.until(lambda: watch.conditions().get("Ready", "").startswith("True"), 60, "KEDA does not take the change")
        with without_prometheus(cluster):
            watch.until(lambda: watch.count == 2, 120, "the fallback starts no engine")
            print(watch.conditions())
            releases.install(cluster, NAME, values(**fallback, paused=True))
            watch.until(lambda: watch.conditions().get("Paused", "").startswith("True"), 60, "nobody says that it is paused")
        watch.until(lambda: watch.metric() == 0, 120, "Prometheus is not back")
        watch.hold(2, 45)
        releases.install(cluster, NAME, values(maxReplicas=2))
        watch.until(lambda: watch.count == 1, 120, "after the pause the second engine stays")


def test_a_silent_signal_takes_no_engine_away_and_another_may_add(cluster: Cluster, release: None) -> None:
    signals = {"requests": {"target": TARGET}, "silent": {"query": "sum(nobody_exports_this)", "target": 1}}
    releases.install(cluster, NAME, values(signals=signals, maxReplicas=2))
    with watched(cluster, f"{NAME}-kserve") as watch:
        with load(cluster, NAME, threads=CLIENTS, **LONG):
            watch.until(lambda: watch.count == 2, 120, "the other signal does not count")
        watch.until(lambda: watch.metric() == 0, 120, "the load stays in Prometheus")
        watch.hold(2, 45)
        releases.install(cluster, NAME, values(maxReplicas=2))
        watch.until(lambda: watch.count == 1, 120, "without the silent signal the second engine stays")


# Sends a signal to the processes that compute, and not to the one that answers for metrics and health.
SIGNAL = """
import os, pathlib, signal, sys
for found in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if found.read_bytes().startswith(b"VLLM::"):
        os.kill(int(found.parent.name), signal.Signals[sys.argv[1]])
"""


@contextmanager
def stalled(cluster: Cluster) -> Iterator[None]:
    """All engines take requests and compute nothing."""
    pods = [pod["metadata"]["name"] for pod in releases.pods(cluster, releases.workload(NAME))]

    def send(signal: str) -> None:
        for pod in pods:
            cluster.kubectl("-n", demo.NAMESPACE, "exec", pod, "-c", "main", "--", "python3", "-c", SIGNAL, signal)

    send("SIGSTOP")
    try:
        yield
    finally:
        send("SIGCONT")


@pytest.mark.full
def test_requests_that_stall_take_no_engine_away(cluster: Cluster, release: None) -> None:
    """No token, so no latency in the last two minutes: that is no answer while requests are there."""
    releases.install(cluster, NAME, values(signals={"interTokenLatency": {"target": 0.001}}, maxReplicas=2))
    with watched(cluster, f"{NAME}-kserve") as watch:
        with load(cluster, NAME, threads=4, **LONG):
            watch.until(lambda: watch.count == watch.ready == 2, 200, "slow tokens bring no second engine")
            with stalled(cluster):
                watch.until(lambda: watch.metric() is None, 180, "Prometheus still knows a latency")
                watch.hold(2, 60)
                assert watch.conditions()["Ready"].startswith("False")
        watch.until(lambda: watch.count == 1, 300, "with nothing to do the second engine stays")


@pytest.mark.full
def test_what_some_engines_answer_counts(cluster: Cluster, release: None) -> None:
    """An engine that Prometheus does not ask counts as idle: the hazard that docs/autoscaling.md tells of."""
    (pod,) = releases.ready(cluster, releases.workload(NAME), 1)
    releases.install(cluster, NAME, values(maxReplicas=2))
    with watched(cluster, f"{NAME}-kserve") as watch, load(cluster, NAME, address=pod["status"]["podIP"], threads=4, **LONG):
        watch.until(lambda: watch.count == watch.ready == 2, 200, "no second engine")
        watch.hold(2, 45)
        cluster.kubectl("-n", demo.NAMESPACE, "annotate", "pod", pod["metadata"]["name"], "prometheus.io/scrape-")
        watch.until(lambda: watch.metric() == 0, 60, "Prometheus still asks the engine that computes")
        watch.until(lambda: watch.count == 1, 120, "both engines stay")


def test_a_second_scaled_object_is_refused(cluster: Cluster, release: None) -> None:
    with pytest.raises(Exception, match=r"is already managed by the (hpa|ScaledObject)"):
        cluster.apply(
            [
                {
                    "apiVersion": "keda.sh/v1alpha1",
                    "kind": "ScaledObject",
                    "metadata": {"name": "second", "namespace": demo.NAMESPACE},
                    "spec": {
                        "scaleTargetRef": {"name": f"{NAME}-kserve"},
                        "triggers": [{"type": "cron", "metadata": schedule(0, 1)}],
                    },
                }
            ]
        )


def test_a_schedule_from_nothing_and_back(cluster: Cluster) -> None:
    """Zero engines, one that answers while the schedule lasts, zero again."""
    name = "night"
    times = schedule(0, 2)
    office = {"start": times["start"], "end": times["end"], "replicas": 1}
    wanted = values(minReplicas=0, cooldownPeriod=5, signals={"office": office})
    with releases.installed(cluster, name, wanted), watched(cluster, f"{name}-kserve") as watch:
        watch.until(lambda: bool(watch.rows) and watch.count == 0 and watch.ready == 0, 60, "engines are left")
        watch.until(lambda: watch.count == 1, 150, "the schedule starts no engine")
        releases.assert_answers(cluster, name)
        watch.until(lambda: watch.count == 0, 180, "the schedule's end stops no engine")


# What an endpoint picker exports of requests that it holds: nothing before the first one. `/hold/N` sets how many.
PICKER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    held = None

    def do_GET(self):
        if self.path.startswith("/hold/"):
            Handler.held = int(self.path.removeprefix("/hold/"))
        lines = ['inference_pool_ready_pods{name="pool"} 0']
        if Handler.held is not None:
            lines.append('inference_extension_flow_control_queue_size{priority="0"} %d' % Handler.held)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("".join(line + "\\n" for line in lines).encode())

http.server.ThreadingHTTPServer(("", 9090), Handler).serve_forever()
"""


def test_held_requests_start_an_engine_and_those_that_it_computes_keep_it(cluster: Cluster) -> None:
    """Zero engines, one for what a stand-in for the picker holds, and none when nobody asks any more.

    The cluster has no gateway: the service runs without one, and KEDA gets the ScaledObject of one that has it.
    """
    name, picker = "held", "held-kserve-router-scheduler-6b7c8d9f5-m2m4n"
    quick = {"minReplicas": 0, "maxReplicas": 1, "cooldownPeriod": 15}
    closed = values(**quick, signals={"office": {"start": "0 0 29 2 *", "end": "1 0 29 2 *", "replicas": 1}})
    held = values(**quick, signals={"heldRequests": {}, "requests": {}})
    held = overlay(held, {"global": {"llm": {"router": {"enabled": True, "flowControl": {"enabled": True}}}}})
    scaling = render("llm-stack", "demo", values=held, name=name, namespace=demo.NAMESPACE).one("ScaledObject")

    def hold(number: int) -> None:
        cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{demo.NAMESPACE}/pods/{picker}:9090/proxy/hold/{number}")

    with (
        releases.installed(cluster, name, closed),
        releases.script(cluster, picker, PICKER, {}, metrics=9090),
        watched(cluster, f"{name}-kserve") as watch,
    ):
        cluster.apply([thaw(scaling)])
        watch.until(lambda: watch.metric() == 0, 60, "Prometheus does not know the picker")
        watch.until(lambda: watch.count == watch.ready == 0, 90, "engines are left")
        hold(1)
        watch.until(lambda: watch.count == 1, 60, "the held request starts no engine")
        releases.ready(cluster, releases.workload(name), 1)
        with load(cluster, name, threads=1, **LONG) as asking:
            hold(0)
            watch.hold(1, 60)
            assert watch.metric() == 0
        assert asking.errors() == []
        watch.until(lambda: watch.count == 0, 180, "with nothing to do the engine stays")


def test_decode_scales_without_prefill(cluster: Cluster) -> None:
    """Each side by its own requests: those that decode computes alone bring decode an engine, and prefill none."""
    wanted = overlay(SPLIT_VALUES, values(maxReplicas=2))
    wanted = overlay(
        wanted, {"global": {"llm": {"prefill": {"autoscaling": {"maxReplicas": 2, "signals": {"requests": {"target": TARGET}}}}}}}
    )
    with (
        releases.installed(cluster, SPLIT, wanted),
        watched(cluster, f"{SPLIT}-kserve") as decode,
        watched(cluster, f"{SPLIT}-kserve-prefill") as prefill,
    ):
        (pod,) = releases.ready(cluster, f"app.kubernetes.io/name={SPLIT},llm-d.ai/role=decode", 1)
        releases.ready(cluster, f"app.kubernetes.io/name={SPLIT},llm-d.ai/role=prefill", 1)
        decode.until(lambda: decode.metric() == prefill.metric() == 0, 60, "Prometheus does not know both")
        # The service's Service leads to prefill pods as well.
        with load(cluster, SPLIT, address=pod["status"]["podIP"], threads=CLIENTS, **LONG):
            decode.until(lambda: decode.count == 2, 90, "decode gets no second engine")
            prefill.hold(1, 20)
            assert prefill.metric() == 0
