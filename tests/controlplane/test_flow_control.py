"""Requests that the endpoint picker holds, through what really does it: KServe's controller configures a picker, Envoy asks it.

The picker is the program of the module that KServe is built with (Gateway API Inference Extension): a process with the command of
the merged pod and the rights that KServe gives it. KServe's image is llm-d's, which adds plugins. An engine is a pod object whose
address is on loopback, and a stand-in that answers there.

$LLM_STACK_PICKER is another picker's program, which is given the configuration as it is. With llm-d's 0.9.0, as in KServe 0.20's
image, all of this passed once: made by `go build ./cmd/epp` in a clone of github.com/llm-d/llm-d-router, a module that Go's proxy
does not have.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hack import documents, gobuild
from hack.kube import Object, until
from hack.shell import run
from tests.consumer.test_versions import unordered
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import gateway, render, thaw
from tests.harness.components import overlay
from tests.harness.controlplane import ControlPlane, free_port, is_open
from tests.unit.models import defined, llm

FLOW = {"enabled": True, "flowControl": {"enabled": True}}
PICKER = os.environ.get("LLM_STACK_PICKER", "")
# Plugins of llm-d's picker in KServe's default configuration, which the module's own does not know.
OF_LLM_D = () if PICKER else ("no-hit-lru-scorer",)
MODEL = "qwen2.5-7b-instruct"
QUEUE = "inference_extension_flow_control_queue_size"
Samples = dict[str, list[tuple[dict[str, str], float]]]


def release(name: str, router: Any, **keys: Any) -> list[Object]:
    """Objects of a small model behind the endpoint picker."""
    values = llm(router=router, cache={"enabled": False}, **keys)
    return [thaw(obj) for obj in render("llm-stack", values=values, name=name, namespace=NAMESPACE).objects]


def service_of(objects: list[Object]) -> Object:
    (found,) = [obj for obj in objects if obj["kind"] == "LLMInferenceService"]
    return found


def container_of(plane: ControlPlane, objects: list[Object], name: str) -> Object:
    """The endpoint picker's container as KServe's controller makes it of a release."""
    plane.cluster.apply(objects)
    made = merged.wait_workloads(plane, service_of(objects), NAMESPACE, name)
    (scheduler,) = [obj for obj in made if obj["metadata"]["name"] == f"{name}-kserve-router-scheduler"]
    return main(scheduler)


def main(deployment: Object) -> Object:
    (found,) = [one for one in deployment["spec"]["template"]["spec"]["containers"] if one["name"] == "main"]
    return dict(found)


def configuration(container: Object) -> Any:
    """What the picker is told, as it stands in its pod."""
    return documents.load(container["args"][container["args"].index("--config-text") + 1])


# --- what KServe makes of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [False, True], ids=["", "prefill apart"])
def test_kserve_hands_it_to_the_picker_and_else_it_is_kserves_own(plane: ControlPlane, split: bool) -> None:
    prefill = {"prefill": {"enabled": split}}
    name = f"flow-{'split' if split else 'one'}"
    objects = release(name, FLOW, **prefill)
    found = configuration(container_of(plane, objects, name))
    assert found == service_of(objects)["spec"]["router"]["scheduler"]["config"]["inline"]
    assert (found.pop("featureGates"), found.pop("flowControl")) == (["flowControl"], {"defaultRequestTTL": "0s"})
    own = configuration(container_of(plane, release(f"{name}-off", {"enabled": True}, **prefill), f"{name}-off"))
    assert unordered(found) == unordered(own)


def test_turned_off_kserve_keeps_it_until_the_deployment_is_made_anew(plane: ControlPlane) -> None:
    """It takes the configuration of the Deployment that runs for an older one of its own (preserveSchedulerConfig)."""
    name, deployment = "flow-off", "flow-off-kserve-router-scheduler"
    container_of(plane, release(name, FLOW), name)
    off = release(name, {"enabled": True})
    template = service_of(off)["spec"]["router"]["scheduler"]["template"]
    template["containers"][0]["resources"]["requests"]["cpu"] = "333m"
    plane.cluster.apply(off)

    def now() -> Object:
        found = plane.cluster.get("deployment", deployment, "-n", NAMESPACE)
        return main(found) if found else {}

    until(lambda: now().get("resources", {}).get("requests", {}).get("cpu") == "333m", 30, "KServe does not follow")
    assert configuration(now())["featureGates"] == ["flowControl"]
    plane.cluster.kubectl("-n", NAMESPACE, "delete", "deployment", deployment)
    until(lambda: now() and "featureGates" not in configuration(now()), 30, "KServe makes none of its own")


# --- what the picker does with it -------------------------------------------------------------------------------------


@dataclass
class Picker:
    """A running endpoint picker."""

    grpc: int
    metrics: int

    def scrape(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as reply:
            text: str = reply.read().decode()
            return text

    def samples(self) -> Samples:
        found: Samples = defaultdict(list)
        for name, labels, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", self.scrape(), flags=re.M):
            found[name].append((dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)))
        return found

    def held(self) -> float:
        return sum(value for _, value in self.samples()[QUEUE])


def command(container: Object, told: Any, *more: str) -> list[str]:
    """Of the merged pod, with another configuration."""
    arguments = [*container["command"], *container["args"]]
    arguments[arguments.index("--config-text") + 1] = documents.dump(told)
    return [PICKER or str(gobuild.program("epp")), *arguments[1:], *more]


def known(told: Any) -> Any:
    """A configuration without llm-d's own plugins."""
    profiles = [
        {**profile, "plugins": [ref for ref in profile["plugins"] if ref["pluginRef"] not in OF_LLM_D]}
        for profile in told["schedulingProfiles"]
    ]
    plugins = [plugin for plugin in told["plugins"] if plugin["type"] not in OF_LLM_D]
    return {**told, "plugins": plugins, "schedulingProfiles": profiles}


@contextmanager
def picking(plane: ControlPlane, name: str, told: Any, container: Object, process: str = "") -> Iterator[Picker]:
    """The picker of a service, as a process with the rights that KServe gives its pod."""
    process = f"epp-{process or name}"
    picker = Picker(free_port(), free_port())
    account = f"system:serviceaccount:{NAMESPACE}:{name}-epp-sa"
    plane.spawn(
        process,
        *command(
            container,
            told,
            *(f"--grpc-port={picker.grpc}", f"--grpc-health-port={free_port()}", f"--metrics-port={picker.metrics}"),
            *("--metrics-endpoint-auth=false", "--refresh-prometheus-metrics-interval=200ms"),
        ),
        env={"KUBECONFIG": str(plane.kubeconfig(process, impersonate=account))},
    )
    try:
        # Known once it has seen its pool.
        until(lambda: is_open(picker.metrics) and picker.samples()["inference_pool_ready_pods"], 60, f"see {process}.log")
        until(lambda: is_open(picker.grpc), 30, "the endpoint picker does not serve")
        yield picker
    finally:
        plane.end(process)


@contextmanager
def gatewayed(plane: ControlPlane, picker: Picker, **options: str) -> Iterator[int]:
    """The port of an Envoy before a picker."""
    port = free_port()
    plane.spawn(f"envoy-{port}", gateway.program(), *gateway.arguments(port, picker.grpc, **options))
    try:
        until(lambda: is_open(port), 30, "Envoy does not serve", every=0.1)
        yield port
    finally:
        plane.end(f"envoy-{port}")


def ask(port: int, timeout: float = 60, **body: Any) -> tuple[int, str, float]:
    """The answer to a request: status, text, seconds."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions",
        data=json.dumps({"model": MODEL, "prompt": "a", **body}).encode(),
        headers={"Content-Type": "application/json"},
    )
    start = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read().decode(), time.monotonic() - start
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), time.monotonic() - start


@contextmanager
def asking(port: int, **options: Any) -> Iterator[Future[tuple[int, str, float]]]:
    """A request on its way."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(ask, port, **options)


@dataclass
class Engine:
    """What answers at an engine's address, and what it was asked."""

    address: str
    asked: list[Any] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        engine = self

        class Pages(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gauges = ("num_requests_waiting", "num_requests_running", "kv_cache_usage_perc")
                self.answer("".join(f"# TYPE vllm:{name} gauge\nvllm:{name} 0\n" for name in gauges))

            def do_POST(self) -> None:
                # The picker may have changed the body, so that Envoy says no length of it.
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                engine.asked.append(json.loads(body))
                self.answer('{"choices": [{"text": "b"}]}')

            def answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        with http.server.ThreadingHTTPServer((self.address, 8000), Pages) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()


@contextmanager
def started(plane: ControlPlane, name: str, role: str = "both") -> Iterator[Engine]:
    """An engine of a service: a pod that its pool selects, ready, and what answers at its address."""
    pool = plane.cluster.get("inferencepools.inference.networking.k8s.io", f"{name}-inference-pool", "-n", NAMESPACE)
    assert pool
    assert [port["number"] for port in pool["spec"]["targetPorts"]] == [8000]
    engine = Engine(f"127.{free_port() % 200 + 20}.{free_port() % 256}.7")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-engine",
            "namespace": NAMESPACE,
            "labels": {**pool["spec"]["selector"]["matchLabels"], "llm-d.ai/role": role},
        },
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }
    ready = {
        "phase": "Running",
        "podIP": engine.address,
        "podIPs": [{"ip": engine.address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    with engine.running():
        plane.cluster.apply([pod])
        plane.cluster.kubectl(
            *("-n", NAMESPACE, "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": ready})),
        )
        try:
            yield engine
        finally:
            plane.cluster.kubectl("-n", NAMESPACE, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")


@pytest.fixture(scope="module")
def holding(plane: ControlPlane) -> Iterator[tuple[str, Picker]]:
    """A service whose picker holds requests, by its name."""
    name = "flow"
    container = container_of(plane, release(name, FLOW), name)
    with picking(plane, name, known(configuration(container)), container) as picker:
        yield name, picker


def test_a_request_waits_for_the_first_engine(plane: ControlPlane, holding: tuple[str, Picker]) -> None:
    name, picker = holding
    with gatewayed(plane, picker) as port, asking(port) as answer:
        until(lambda: picker.held() == 1, 10, "the request is not held", every=0.1)
        time.sleep(3)
        assert (picker.held(), answer.done()) == (1, False)
        with started(plane, name) as engine:
            assert answer.result(timeout=20)[:2] == (200, '{"choices": [{"text": "b"}]}')
        assert [request["model"] for request in engine.asked] == [MODEL]
        until(lambda: picker.held() == 0, 10, "the answered request is still counted", every=0.1)


@pytest.mark.parametrize("requests", [0, 1, 2])
def test_the_signal_counts_what_is_held(plane: ControlPlane, holding: tuple[str, Picker], requests: int, tmp_path: Path) -> None:
    """By the query that KEDA gets, on what the picker exports, labelled as a Prometheus does that scrapes pods."""
    name, picker = holding
    scaling = {"enabled": True, "minReplicas": 0, "maxReplicas": 2, "prometheus": {"serverAddress": "http://p:9090"}}
    values = llm(router=FLOW, autoscaling={**scaling, "signals": {"heldRequests": {}, "requests": {}}})
    (scaled,) = render("llm-stack", values=values, name=name, namespace=NAMESPACE).all("ScaledObject")
    (query,) = [one["metadata"]["query"] for one in scaled["spec"]["triggers"] if one["name"] == "heldRequests"]
    with gatewayed(plane, picker) as port, ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask, port, timeout=8) for _ in range(requests)]
        until(lambda: picker.held() == requests, 7, "the requests are not held", every=0.1)
        exported = picker.samples()
        for answer in answers:
            assert isinstance(answer.exception(), TimeoutError)
    series = []
    for pod, factor in (
        (f"{name}-kserve-router-scheduler-7c9d8f6b5-x2vzq", 1),
        ("other-kserve-router-scheduler-7c9d8f6b5-x2vzq", 9),
    ):
        for metric in (QUEUE, "inference_pool_ready_pods"):
            for labels, value in exported[metric]:
                assert not {"namespace", "pod"} & set(labels)  # a scrape would rename them
                text = ",".join(f'{key}="{word}"' for key, word in {**labels, "namespace": NAMESPACE, "pod": pod}.items())
                series.append({"series": f"{metric}{{{text}}}", "values": str(value * factor)})
    assert series
    expected = {"expr": query, "eval_time": "0m", "exp_samples": [{"labels": "{}", "value": requests}]}
    file = tmp_path / "test.yaml"
    file.write_text(documents.dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [expected]}]}))
    done = run(gobuild.program("promtool"), "test", "rules", file, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_client_that_leaves_is_not_counted(plane: ControlPlane, holding: tuple[str, Picker]) -> None:
    _, picker = holding
    with gatewayed(plane, picker) as port, asking(port, timeout=6) as answer:
        until(lambda: picker.held() == 1, 5, "the request is not held", every=0.1)
        assert isinstance(answer.exception(), TimeoutError)
        until(lambda: picker.held() == 0, 5, "a request without a client is still held", every=0.1)


def test_the_gateways_wait_for_an_idle_stream_counts_and_that_for_the_picker_does_not(
    plane: ControlPlane, holding: tuple[str, Picker]
) -> None:
    """Envoy has none for messages whose bodies go both ways at once, which is the mode that the picker needs."""
    _, picker = holding
    with gatewayed(plane, picker, message_timeout="1s") as port, asking(port, timeout=5) as answer:
        assert isinstance(answer.exception(), TimeoutError)
    with gatewayed(plane, picker, stream_idle_timeout="2s") as port:
        status, _, seconds = ask(port)
        assert status == 504
        assert 2 <= seconds < 20
        until(lambda: picker.held() == 0, 5, "a request that the gateway gave up is still held", every=0.1)


@pytest.mark.parametrize("row", [row for row, said in defined("llm-common.metrics").items() if said["of"] == "picker"])
def test_metrics_are_those_that_it_exports(used: str, row: str) -> None:
    said = defined("llm-common.metrics")[row]
    assert f"# TYPE {said['name']} {said['kind']}\n" in used


@pytest.fixture(scope="module")
def used(plane: ControlPlane, holding: tuple[str, Picker]) -> str:
    """What a picker exports that has sent a request on, and refused one."""
    name, picker = holding
    with gatewayed(plane, picker) as port, started(plane, name):
        assert ask(port)[0] == 200
        assert ask(port, model=1)[0] == 400
        until(lambda: picker.samples()["inference_pool_average_queue_size"], 10, "no engine is known", every=0.1)
        return picker.scrape()


def test_after_its_limit_a_request_is_refused(plane: ControlPlane, holding: tuple[str, Picker]) -> None:
    name = "flow-limit"
    container = container_of(plane, release(name, overlay(FLOW, {"flowControl": {"defaultRequestTTL": 2}})), name)
    with picking(plane, name, known(configuration(container)), container) as picker, gatewayed(plane, picker) as port:
        status, text, seconds = ask(port)
        assert (status, "timed out in queue" in text) == (503, True)
        assert 2 <= seconds < 20


def test_without_it_a_request_is_refused_at_once(plane: ControlPlane) -> None:
    """Why nothing starts from zero by KServe's own configuration."""
    name = "flow-none"
    container = container_of(plane, release(name, {"enabled": True}), name)
    with picking(plane, name, known(configuration(container)), container) as picker, gatewayed(plane, picker) as port:
        status, text, seconds = ask(port)
        assert (status, "failed to find endpoint candidates" in text) == (503, True)
        assert seconds < 10
        assert QUEUE not in picker.samples()


def test_the_picker_looks_at_what_it_is_told(plane: ControlPlane, holding: tuple[str, Picker]) -> None:
    """So that one that starts has understood it."""
    name, _ = holding
    deployment = plane.cluster.get("deployment", f"{name}-kserve-router-scheduler", "-n", NAMESPACE)
    assert deployment
    container = main(deployment)
    told = known(configuration(container))
    for wrong, said in (
        ({**told, "featureGates": ["flowControll"]}, "feature gate"),
        ({**told, "flowControl": {"defaultRequestTtl": "1s"}}, "unknown field"),
        ({**told, "plugins": [*told["plugins"], {"type": "own"}]}, "plugin type 'own' is not registered"),
    ):
        done = run(
            *command(container, wrong, f"--metrics-port={free_port()}", f"--grpc-health-port={free_port()}"),
            check=False,
            timeout=60,
            env={"KUBECONFIG": str(plane.cluster.kubeconfig)},
        )
        assert done.returncode != 0
        assert said in done.stdout + done.stderr


@pytest.mark.skipif(not PICKER, reason="the module's own picker knows no plugins for prefill apart: $LLM_STACK_PICKER")
@pytest.mark.parametrize(
    ("first", "answered"), [("decode", (200, '"text": "b"')), ("prefill", (429, "failed to find available decode workers"))]
)
def test_of_two_sides_the_first_engine_gets_the_request(plane: ControlPlane, first: str, answered: tuple[int, str]) -> None:
    """Why neither side starts from zero by what is held."""
    name = f"flow-{first}"
    container = container_of(plane, release(name, FLOW, prefill={"enabled": True}), name)
    with (
        picking(plane, name, configuration(container), container) as picker,
        gatewayed(plane, picker) as port,
        asking(port) as answer,
    ):
        until(lambda: picker.held() == 1, 10, "the request is not held", every=0.1)
        with started(plane, name, first):
            status, text, _ = answer.result(timeout=20)
    assert (status, answered[1] in text) == (answered[0], True)
