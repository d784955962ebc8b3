"""Preflight's part on autoscaling: KEDA, other owners of the count, and a Prometheus that is asked as KEDA will."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack import diff, documents, keda, preflight
from hack.kube import Cluster, Object, holds, until
from hack.paths import VALUES
from tests.controlplane.preflights import (
    DEVICE,
    LOWER,
    NAMESPACE,
    gpu_node,
    machines,
    pod,
    problems,
    service,
    there,
    warnings,
)
from tests.harness.controlplane import ControlPlane, own_address, running

# --- autoscaling ------------------------------------------------------------------------------------------------------

ADDRESS = "http://prometheus.preflight:9090"


def scaled(name: str = "demo-kserve", target: str = "demo-kserve", address: str = ADDRESS, most: int = 1) -> Object:
    """A ScaledObject as the charts render it, cut to what preflight reads."""
    metadata = {"serverAddress": address, "query": "up", "threshold": "1"}
    trigger = {"type": "prometheus", "name": "requests", "metadata": metadata}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicaCount": 1,
            "maxReplicaCount": most,
            "triggers": [trigger],
        },
    }


@pytest.fixture
def keda_ready(ready: ControlPlane) -> Iterator[ControlPlane]:
    """KEDA's API as available: a local one, which this API server would serve itself, is so at once."""
    api = {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100}
    kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
    with there(ready.cluster, {**kind, "metadata": {"name": keda.API}, "spec": api}):
        until(lambda: holds(ready.cluster.get("apiservice", keda.API), "Available"), 10, "a local APIService is not available")
        yield ready


def test_without_keda_nothing_would_scale(ready: ControlPlane) -> None:
    assert problems(ready, service(), scaled(address="http://prometheus.example.com")) == [
        f"KEDA: {keda.API} is not available (nobody serves it), so that nothing would scale; see its pods"
    ]


def test_without_kedas_definitions(tmp_path: Path) -> None:
    with running(tmp_path) as empty:
        found = preflight.check(empty.cluster, [service(), scaled()], NAMESPACE)
    assert [problem for problem in found.problems if "keda" in problem] == [
        "resource definition scaledobjects.keda.sh: is not in the cluster and global.llm.autoscaling needs it; install KEDA 2.20"
    ]


OTHER = "{} {}: scales {} already, and of two one undoes what the other does; delete it"
ELSEWHERE = "https://prometheus.example.com"
SERVICE = {"selector": {"app": "prometheus"}, "ports": [{"port": 9090}]}


def autoscaler(name: str, target: str = "demo-kserve", *owners: Object) -> Object:
    spec = {"scaleTargetRef": scaled(target=target)["spec"]["scaleTargetRef"], "maxReplicas": 2}
    metadata = {"name": name, "namespace": NAMESPACE, "ownerReferences": list(owners)}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def owner(kind: str, api_version: str = "keda.sh/v1alpha1") -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": "demo", "uid": "1"}


def marked(obj: Object, **more: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **more}}


def test_another_scaled_object_of_the_same_engines(keda_ready: ControlPlane) -> None:
    wanted = service(), scaled(address=ELSEWHERE)
    with there(keda_ready.cluster, scaled("own"), scaled("other", "other-kserve"), scaled()):
        assert problems(keda_ready, *wanted) == [OTHER.format("ScaledObject", "own", "demo-kserve")]
    assert problems(keda_ready, *wanted) == []
    operators = marked(scaled("own"), ownerReferences=[owner("Team", "example.com/v1")])
    with there(keda_ready.cluster, operators):
        assert problems(keda_ready, *wanted) == [OTHER.format("ScaledObject", "own", "demo-kserve")]


def test_a_horizontal_pod_autoscaler_of_the_same_engines(keda_ready: ControlPlane) -> None:
    """One that a ScaledObject has is told as that; one may be named as our ScaledObject is."""
    wanted = service(), scaled(address=ELSEWHERE)
    kedas = autoscaler("keda-hpa-demo-kserve", "demo-kserve", owner("ScaledObject"))
    with there(keda_ready.cluster, autoscaler("demo-kserve"), autoscaler("other", "other-kserve"), kedas):
        assert problems(keda_ready, *wanted) == [OTHER.format("HorizontalPodAutoscaler", "demo-kserve", "demo-kserve")]


def test_what_kserve_is_to_scale_is_scaled_by_nobody_else(keda_ready: ControlPlane) -> None:
    """KServe 0.21 makes the ScaledObject itself, of each side; its own carry an owner."""
    foreign = scaled("own", target="demo-kserve-prefill")
    with there(keda_ready.cluster, foreign):
        assert problems(keda_ready, by_kserve()) == [OTHER.format("ScaledObject", "own", "demo-kserve-prefill")]
    kserves = marked(foreign, ownerReferences=[owner("LLMInferenceService", "serving.kserve.io/v1alpha2")])
    with there(keda_ready.cluster, kserves):
        assert problems(keda_ready, by_kserve()) == []


def test_what_the_upgrade_itself_removes_is_no_other(keda_ready: ControlPlane) -> None:
    """From KServe 0.20's form to 0.21's: helm deletes the release's own ScaledObject, as its annotations say."""

    def told(name: str, where: str, **annotations: str) -> list[str]:
        with there(keda_ready.cluster, marked(scaled(), annotations={**diff.owner(name, where), **annotations})):
            return problems(keda_ready, by_kserve())

    other = [OTHER.format("ScaledObject", "demo-kserve", "demo-kserve")]
    assert told("release", NAMESPACE) == []
    assert told("another", NAMESPACE) == other
    assert told("release", "elsewhere") == other
    assert told("release", NAMESPACE, **{diff.KEEP: "keep"}) == other


def test_the_upgrade_to_kserves_own_field_as_rendered(keda_ready: ControlPlane, tmp_path: Path) -> None:
    def release(kserve_version: str) -> list[Object]:
        values = documents.load((VALUES / "deploy-autoscaling.yaml").read_text())
        values["global"]["llm"]["kserveVersion"] = kserve_version
        (tmp_path / "values.yaml").write_text(documents.dump(values))
        return preflight.objects(tmp_path / "values.yaml", "scaled", NAMESPACE)

    (ours,) = [obj for obj in release("0.20") if obj["kind"] == "ScaledObject"]
    with there(keda_ready.cluster, marked(ours, annotations=diff.owner("scaled", NAMESPACE))):
        found = preflight.check(keda_ready.cluster, release("0.21"), NAMESPACE).problems
    assert [message for message in found if "scales" in message] == []


def by_kserve() -> Object:
    side = {"scaling": {"maxReplicas": 2, "keda": {"triggers": [{"type": "cron", "metadata": {}}]}}}
    return service(**side, prefill={**side, "template": pod()})


def test_anothers_api_of_external_metrics(ready: ControlPlane) -> None:
    def told(where: str) -> list[str]:
        api = {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": where, "name": "metrics"},
        }
        kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
        with there(ready.cluster, {**kind, "metadata": {"name": keda.API}, "spec": api}):
            return preflight.check(ready.cluster, [service(), scaled(address=ELSEWHERE)], NAMESPACE).warnings

    assert told("datadog") == [
        f"KEDA: {keda.API} is served by datadog/metrics, which does not know KEDA's metrics; give the API to KEDA, a cluster has "
        "one"
    ]
    assert told("openshift-keda") == []


def test_a_secret_that_keda_is_to_ask_with_is_there(keda_ready: ControlPlane) -> None:
    authentication = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": "demo-prometheus", "namespace": NAMESPACE},
        "spec": {"secretTargetRef": [{"parameter": key, "name": "login", "key": key} for key in ("username", "password")]},
    }
    release = (service(), scaled(address=ELSEWHERE), authentication)
    assert problems(keda_ready, *release) == [
        f"secret login: does not exist in namespace {NAMESPACE}, and KEDA asks Prometheus with it; "
        f"kubectl -n {NAMESPACE} create secret generic login --from-literal=password=… --from-literal=username=…"
    ]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": NAMESPACE}}
    with there(keda_ready.cluster, {**secret, "stringData": {"username": "x", "other": "x"}}):
        assert problems(keda_ready, *release) == [
            f"secret login: has no key password in namespace {NAMESPACE}, and KEDA asks Prometheus with it; "
            f"""kubectl -n {NAMESPACE} patch secret login -p '{{"stringData": {{"password": "…"}}}}'"""
        ]
    with there(keda_ready.cluster, {**secret, "stringData": {"username": "x", "password": "x"}}):
        assert problems(keda_ready, *release) == []


def test_a_prometheus_that_is_not_there_or_does_not_answer(keda_ready: ControlPlane) -> None:
    path = "global.llm.autoscaling.prometheus.serverAddress"
    assert warnings(keda_ready, service(), scaled()) == [
        f"{path}: {ADDRESS} names no Service of the cluster, so that the number of engines would not change"
    ]
    metadata = {"name": "prometheus", "namespace": NAMESPACE}
    kind = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    locked = scaled()
    locked["spec"]["triggers"][0]["metadata"]["authModes"] = "bearer"
    assert warnings(keda_ready, service(), locked) == warnings(keda_ready, service(), scaled())
    for outside in ({"type": "ExternalName", "externalName": "prometheus.example.com"}, {"ports": SERVICE["ports"]}):
        with there(keda_ready.cluster, {**kind, "spec": outside}):
            assert problems(keda_ready, service(), scaled()) == []
    with there(keda_ready.cluster, {**kind, "spec": SERVICE}):
        assert warnings(keda_ready, service(), scaled()) == [
            f"{path}: {ADDRESS} does not answer a query, so that the number of engines would not change"
        ]
        assert problems(keda_ready, service(), scaled(address="https://prometheus.preflight.svc:9090")) == []
        assert problems(keda_ready, service(), locked) == []


class Tenants(http.server.BaseHTTPRequestHandler):
    """A Prometheus of several tenants under /several, as Mimir answers and its gateway, and one of a single tenant under /."""

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        series = {"metric": {}, "value": [1, "1"]}
        tenant = self.headers.get("X-Scope-OrgID", "") if url.path.startswith("/several/") else "llm"
        match url.path.removeprefix("/several"), tenant, urllib.parse.parse_qs(url.query)["query"][0]:
            case "/api/v1/query", "", _:
                self.answer(401, "no org id\n")
            case "/api/v1/query", "closed", _:
                self.answer(403, "<html><body>Forbidden</body></html>")
            case "/api/v1/query", "llm", "sum(":
                self.answer(
                    400, json.dumps({"status": "error", "errorType": "bad_data", "error": "1:5: parse error:\n unclosed"})
                )
            case "/api/v1/query", "llm", "1":
                self.answer(200, kind="scalar", result=[1, "1"])
            case "/api/v1/query", "llm", "up":
                self.answer(200, result=[series, series])
            case ("/api/v1/query", "llm", "absent") | ("/api/v1/query", "empty", _):
                self.answer(200, result=[])
            case "/api/v1/query", "llm", _:
                self.answer(200, result=[series])
            case _:
                self.answer(404, "404 page not found\n")

    def answer(self, status: int, text: str = "", kind: str = "vector", result: Any = None) -> None:
        self.send_response(status)
        self.end_headers()
        document = {"status": "success", "data": {"resultType": kind, "result": result}}
        self.wfile.write((text or json.dumps(document)).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def tenants(keda_ready: ControlPlane) -> Iterator[ControlPlane]:
    """A Service that leads to Tenants."""
    host = own_address()
    if not host:
        pytest.skip("this machine has no address beside loopback")
    metadata = {"name": "prometheus", "namespace": NAMESPACE}
    with http.server.ThreadingHTTPServer((host, 0), Tenants) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kind = {"apiVersion": "v1", "metadata": metadata}
        runs = {**kind, "kind": "Pod", "spec": {"containers": [{"name": "prometheus", "image": "any"}]}}
        address = {"ip": host, "targetRef": {"kind": "Pod", **metadata}}
        leads = {"subsets": [{"addresses": [address], "ports": [{"port": server.server_port}]}]}
        # The Service last: with it the API server deletes its Endpoints.
        with there(
            keda_ready.cluster, runs, {**kind, "kind": "Endpoints", **leads}, {**kind, "kind": "Service", "spec": SERVICE}
        ):
            status = {"status": {"phase": "Running", "podIP": host, "podIPs": [{"ip": host}]}}
            patch = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
            keda_ready.cluster.kubectl("patch", "pod", "prometheus", "-n", NAMESPACE, *patch)
            yield keda_ready
        server.shutdown()


def told_of(plane: ControlPlane, address: str, tenant: str = "", query: str = "sum(up)") -> list[str]:
    asking = scaled(address=address)
    given = asking["spec"]["triggers"][0]["metadata"]
    given.update({"query": query, **({"customHeaders": f"X-Scope-OrgID={tenant}"} if tenant else {})})
    return warnings(plane, service(), asking)


def test_a_tenant_whom_prometheus_refuses_or_does_not_know(tenants: ControlPlane) -> None:
    """As KEDA asks: under the address' own path, with the header."""
    several, values = f"{ADDRESS}/several", "global.llm.autoscaling.prometheus"
    stays = "so that the number of engines would not change"
    assert told_of(tenants, several, "llm") == told_of(tenants, ADDRESS) == told_of(tenants, ADDRESS, query="absent") == []
    assert told_of(tenants, several, "closed") == [
        f"{values}.tenant: {several} refuses tenant closed (403), {stays}; set one that it lets read, or authModes and secret if "
        "it wants credentials"
    ]
    assert told_of(tenants, several, "empty") == [
        f"{values}.tenant: {several} has no series (up) of tenant empty; nothing would scale; set the tenant that the engines' "
        "series are written to"
    ]
    assert told_of(tenants, several) == [
        f"{values}.authModes: {several} refuses who brings neither credentials nor a tenant (401: no org id), {stays}; set "
        "authModes and secret, or tenant"
    ]
    assert told_of(tenants, f"{ADDRESS}/none", "llm") == [
        f"{values}.serverAddress: {ADDRESS}/none refuses a query (404: 404 page not found), {stays}; set what comes before "
        "/api/v1/query"
    ]


def test_a_query_that_gives_keda_no_number(tenants: ControlPlane) -> None:
    signal, stays = "global.llm.autoscaling.signals.requests", "so that the number of engines would not change"
    assert told_of(tenants, ADDRESS, query="sum(") == [
        f"{signal}: {ADDRESS} refuses its query (400: 1:5: parse error: unclosed), {stays}; set one that it takes"
    ]
    for query, found in (("up", "2 series"), ("1", "a scalar")):
        assert told_of(tenants, ADDRESS, query=query) == [
            f"{signal}: {ADDRESS} answers its query with {found} and KEDA takes one series only, {stays}; set one with sum(…)"
        ]
    prefill = scaled("demo-kserve-prefill", "demo-kserve-prefill")
    prefill["spec"]["triggers"][0]["metadata"]["query"] = "sum("
    (found,) = warnings(tenants, service(prefill={"template": pod(), "replicas": 1}), prefill)
    assert found.startswith("global.llm.prefill.autoscaling.signals.requests: ")


def test_who_may_not_ask_through_the_api_server(tenants: ControlPlane) -> None:
    """Its refusal is none of Prometheus'."""
    name, group = "without-proxy", "rbac.authorization.k8s.io"
    kind = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    resources = ["customresourcedefinitions", "apiservices", "scaledobjects", "horizontalpodautoscalers", "services"]
    rule = {"apiGroups": ["*"], "resources": resources, "verbs": ["get", "list"]}
    role = {**kind, "kind": "ClusterRole", "rules": [rule]}
    subjects = [{"apiGroup": group, "kind": "User", "name": name}]
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    binding = {**kind, "kind": "ClusterRoleBinding", "subjects": subjects, "roleRef": reference}
    with there(tenants.cluster, role, binding):
        user = Cluster(tenants.kubeconfig(name, impersonate=name))
        until(lambda: user.kubectl("auth", "can-i", "list", "scaledobjects.keda.sh", check=False).strip() == "yes", 10, "no role")
        told = preflight.check(user, [service(), scaled()], NAMESPACE).warnings[-1]
    assert told.startswith('autoscaling: not checked; services "prometheus:9090" is forbidden')


def test_more_engines_than_the_nodes_have_room_for_are_a_warning(keda_ready: ControlPlane) -> None:
    with machines(keda_ready, gpu_node("eight", 8)):
        wanted = service(gpus=4, selector="h100")
        assert problems(keda_ready, wanted, scaled(address=ELSEWHERE, most=2)) == []
        told = (
            f"nodes: 2 of 3 pods of the engine find room: each asks for 4 {DEVICE}, and the nodes that it may run on have "
            f"eight: 8; {LOWER}; global.llm.autoscaling may ask for so many"
        )
        assert warnings(keda_ready, wanted, scaled(address=ELSEWHERE, most=3)) == [told]
        metadata = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
        with there(keda_ready.cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}):
            assert warnings(keda_ready, wanted, scaled(address=ELSEWHERE, most=3)) == [
                f"{told}; the cluster autoscaler may add nodes"
            ]
