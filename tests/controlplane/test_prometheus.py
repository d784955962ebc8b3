"""The real Prometheus, with the configuration and the role that the cluster gets, against the real API server."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hack import documents, gobuild, prometheus
from hack.kube import Object, until
from tests.harness.controlplane import ControlPlane, free_port, namespace

NAMESPACE = "watched"
LABELS = {
    "app.kubernetes.io/name": "demo",
    "app.kubernetes.io/component": "llminferenceservice-workload",
    "llm-d.ai/role": "both",
    "kserve.io/component": "workload",
    "pod-template-hash": "1",
}


class Pages(http.server.BaseHTTPRequestHandler):
    """One metric, named after the page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f'page{{path="{self.path}",namespace="its own"}} 1\n'.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[int]:
    """A port where metrics are."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def pod(plane: ControlPlane, name: str, annotations: dict[str, str], ports: list[int], phase: str = "Running") -> None:
    """A pod that runs on this machine, as far as the API server knows."""
    containers = [
        {"name": f"other-{number}", "image": "any", "ports": [{"containerPort": port}]} for number, port in enumerate(ports[1:])
    ]
    metadata = {"name": name, "namespace": NAMESPACE, "labels": LABELS, "annotations": annotations}
    main = {"name": "main", "image": "any", "ports": [{"containerPort": ports[0]}]}
    plane.cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [*containers, main]}}])
    status = {"status": {"phase": phase, "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
    patch = ("patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    plane.cluster.kubectl(*patch)


class Prometheus:
    """A running one."""

    def __init__(self, port: int, rules: Path) -> None:
        self.port, self.rules = port, rules

    def get(self, path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def series(self, expression: str) -> list[dict[str, str]]:
        return [result["metric"] for result in self.get("api/v1/query", query=expression)["result"]]


@pytest.fixture(scope="module")
def running(plane: ControlPlane, page: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has found the pods. What its pod mounts is in folders here, and its service account is acted as."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "rules").mkdir()
    namespace(plane, prometheus.NAMESPACE)
    namespace(plane, NAMESPACE)
    objects = prometheus.objects()
    plane.cluster.apply(objects)
    asked = {"prometheus.io/scrape": "true", "prometheus.io/port": str(page)}
    pod(plane, "plain", asked, [page, 9999])
    pod(plane, "elsewhere", {**asked, "prometheus.io/path": "/own", "prometheus.io/scheme": "http"}, [page])
    pod(plane, "unasked", {}, [page])
    pod(plane, "refused", {**asked, "prometheus.io/scrape": "false"}, [page])
    pod(plane, "ended", asked, [page], "Succeeded")
    pod(plane, "undeclared", asked, [9999])

    text = next(obj for obj in objects if obj["kind"] == "ConfigMap")["data"]["prometheus.yml"]
    account = f"system:serviceaccount:{prometheus.NAMESPACE}:{prometheus.NAME}"
    configuration = documents.load(text.replace("/etc/prometheus", str(folder)))
    (job,) = configuration["scrape_configs"]
    job["kubernetes_sd_configs"][0]["kubeconfig_file"] = str(plane.kubeconfig("prometheus", impersonate=account))
    (folder / "prometheus.yml").write_text(documents.dump(configuration))
    container = next(obj for obj in objects if obj["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    arguments = [
        arg.replace("/etc/prometheus", str(folder)).replace("=/prometheus", f"={folder}/data") for arg in container["args"]
    ]
    plane.spawn("prometheus", gobuild.program("prometheus"), *arguments, f"--web.listen-address=127.0.0.1:{port}")
    found = Prometheus(port, folder / "rules")

    def scraped() -> bool:
        with suppress(OSError):
            return {series.get("pod") for series in found.series("page")} >= {"plain", "elsewhere"}
        return False

    until(scraped, 60, "Prometheus has not scraped the pods")
    yield found
    plane.end("prometheus")


def test_series_are_labelled_as_a_pod_monitor_labels_them(running: Prometheus, page: int) -> None:
    """A label of the pod's own that the target has too becomes exported_…, as KEDA's `namespace` does."""
    (series,) = running.series('page{pod="plain"}')
    assert series == {
        "__name__": "page",
        "job": "pods",
        "instance": f"127.0.0.1:{page}",
        "namespace": NAMESPACE,
        "pod": "plain",
        "container": "main",
        "app_kubernetes_io_name": "demo",
        "app_kubernetes_io_component": "llminferenceservice-workload",
        "llm_d_ai_role": "both",
        "kserve_io_component": "workload",
        "path": "/metrics",
        "exported_namespace": "its own",
    }


def test_a_pod_names_its_page(running: Prometheus) -> None:
    (series,) = running.series('page{pod="elsewhere"}')
    assert series["path"] == "/own"


def test_only_pods_that_ask_are_scraped_once_each(running: Prometheus) -> None:
    targets: list[Object] = running.get("api/v1/targets", state="active")["activeTargets"]
    assert sorted(target["labels"]["pod"] for target in targets) == ["elsewhere", "plain"]
    assert {target["health"] for target in targets} == {"up"}


def test_rules_are_read_while_it_runs_and_show_that_they_are(running: Prometheus) -> None:
    rule = {"record": "answer", "expr": "vector(42)"}
    for number in (1, 2):
        files = {"own.yaml": documents.dump({"groups": [{"name": f"own-{number}", "rules": [rule]}]})}
        config_map, marker = prometheus.rules(files)
        for name, text in config_map["data"].items():
            (running.rules / name).write_text(text)
        wanted = {f"own-{number}", marker}
        until(
            lambda wanted=wanted: {group["name"] for group in running.get("api/v1/rules")["groups"]} == wanted,
            30,
            "Prometheus has not read the rules",
        )
    until(lambda: running.series("answer"), 20, "Prometheus does not follow the rule")
