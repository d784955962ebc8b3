"""A real control plane without nodes: etcd, kube-apiserver and KServe's controller as child processes on loopback.

No kubelet runs, so pods stay pending; what is real is admission (schema, CEL, webhooks), the controller's merge of presets and
service, and its role: it runs as our chart's service account. Ports are free ones of the kernel, each process has its own
session, and `stop` ends those sessions by their PIDs.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack import documents, gobuild, keda, kserve, lws, platform
from hack.certificates import Authority, key_pair
from hack.kube import Cluster, Object, until
from tests.harness.manifests import thaw

SERVICE_ACCOUNT = f"system:serviceaccount:{kserve.NAMESPACE}:{kserve.CONTROLLER}"


# Kinds of the Prometheus Operator that our charts render, by their definitions' names.
MONITORING = {"PodMonitor": "podmonitors", "PrometheusRule": "prometheusrules"}


def monitoring_crd(kind: str) -> Object:
    """The Prometheus Operator's definition of a kind."""
    folder = gobuild.module_dir("prometheus-operator") / "example" / "prometheus-operator-crd"
    loaded: Object = documents.load((folder / f"monitoring.coreos.com_{MONITORING[kind]}.yaml").read_text())
    return loaded


@dataclass
class ControlPlane:
    """A running API server and what runs against it. `cluster` is the administrator's view."""

    folder: Path
    cluster: Cluster
    authority: Authority
    server: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spawn(self, name: str, *command: str | Path, env: Mapping[str, str] | None = None) -> None:
        """Start a process in a session of its own, its output in `<folder>/<name>.log`."""
        log = (self.folder / f"{name}.log").open("ab")
        words = [str(word) for word in command]
        self.processes[name] = subprocess.Popen(
            words, stdout=log, stderr=log, env={**os.environ, **(env or {})}, start_new_session=True
        )

    def log(self, name: str) -> str:
        """What a process printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def end(self, name: str) -> None:
        """End one process and its children."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """End every process, the last started first."""
        for name in reversed(list(self.processes)):
            self.end(name)

    def kubeconfig(self, name: str, *, impersonate: str = "") -> Path:
        """A kubeconfig of the administrator, or of whom it may act as."""
        admin = self.authority.sign("admin", group="system:masters")
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [
                {"name": name, "cluster": {"server": self.server, "certificate-authority-data": _b64(self.authority.pem)}}
            ],
            "users": [
                {
                    "name": name,
                    "user": {
                        "client-certificate-data": _b64(admin.certificate),
                        "client-key-data": _b64(admin.key),
                        **({"as": impersonate} if impersonate else {}),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(documents.dump(data))
        return path


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def own_address() -> str:
    """This machine's address, empty when it has loopback only, to which the API server leads no request for a Service."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # asks for the route and sends nothing
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return address


@contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, ready; all that was spawned is ended with the block."""
    authority = Authority("llm-stack-tests")
    api, client, peer = free_port(), free_port(), free_port()
    server = f"https://127.0.0.1:{api}"
    plane = ControlPlane(folder, Cluster(folder / "admin.kubeconfig"), authority, server)
    plane.kubeconfig("admin")
    serving = authority.sign("kube-apiserver", dns=("localhost", "kubernetes.default.svc"), ips=("127.0.0.1", "10.96.0.1"))
    private, public = key_pair()
    files = {"ca.crt": authority.pem, "api.crt": serving.certificate, "api.key": serving.key, "sa.key": private, "sa.pub": public}
    for name, text in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    try:
        etcd, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        plane.spawn(
            "etcd",
            gobuild.program("etcd"),
            *("--data-dir", folder / "etcd", "--unsafe-no-fsync"),
            *("--listen-client-urls", etcd, "--advertise-client-urls", etcd),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"),
        )
        plane.spawn(
            "kube-apiserver",
            gobuild.program("kube-apiserver"),
            *(
                "--etcd-servers",
                etcd,
                "--bind-address",
                "127.0.0.1",
                "--advertise-address",
                "127.0.0.1",
                "--secure-port",
                str(api),
            ),
            *("--tls-cert-file", folder / "api.crt", "--tls-private-key-file", folder / "api.key"),
            *("--client-ca-file", folder / "ca.crt", "--authorization-mode", "RBAC"),
            *("--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", folder / "sa.pub"),
            *("--service-account-signing-key-file", folder / "sa.key", "--service-cluster-ip-range", "10.96.0.0/16"),
            *("--endpoint-reconciler-type", "none", "--allow-privileged"),
        )
        until(lambda: _ready(plane), 60, "kube-apiserver is not ready", every=0.2)
        yield plane
    finally:
        plane.stop()


def install_kserve(plane: ControlPlane, chart_objects: tuple[Any, ...]) -> None:
    """KServe's resource definitions and everything that our controller chart renders, then its controller, serving.

    The Deployment's pod cannot run here: the same binary is started as a process, with the pod's own arguments, as the chart's
    service account. Webhooks are led to it by URL; their rules and selectors stay as rendered.
    """
    port, probe = free_port(), free_port()
    url = f"https://127.0.0.1:{port}"
    cluster = plane.cluster
    definitions = [
        *kserve.crds(plane.authority.pem, url),
        *kserve.local_model_crds(),
        *kserve.optional_crds(),
        *keda.crds(),
        *map(monitoring_crd, MONITORING),
    ]
    cluster.apply(definitions)
    cluster.wait_served(crd["metadata"]["name"] for crd in definitions)
    objects = [_reachable(thaw(obj), url, plane.authority.pem) for obj in chart_objects]
    namespace(plane, kserve.NAMESPACE)
    optional = [obj for obj in objects if obj["apiVersion"].split("/")[0] not in ("cert-manager.io", "monitoring.coreos.com")]
    cluster.apply(optional)

    temporary = plane.folder / "controller-tmp"
    _certificates(temporary / "k8s-webhook-server" / "serving-certs", plane)
    deployment = next(obj for obj in objects if obj["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    kept = [
        a
        for a in container.get("args", [])
        if not a.startswith(("--metrics-addr", "--metrics-secure", "--webhook-port", "--health"))
    ]
    plane.spawn(
        "llmisvc-controller",
        gobuild.program("llmisvc-controller"),
        *kept,
        *("--metrics-addr=0", f"--webhook-port={port}", f"--health-probe-addr=127.0.0.1:{probe}"),
        env={
            "KUBECONFIG": str(plane.kubeconfig("controller", impersonate=SERVICE_ACCOUNT)),
            "POD_NAMESPACE": kserve.NAMESPACE,
            "TMPDIR": str(temporary),
        },
    )
    until(
        lambda: is_open(port) and _serves(f"http://127.0.0.1:{probe}/readyz"), 60, "KServe's controller does not serve", every=0.2
    )


def install_lws(plane: ControlPlane) -> None:
    """LeaderWorkerSet's controller with its webhooks, as `hack.lws` installs them, as a process."""
    port, probe = free_port(), free_port()
    url, ca = f"https://127.0.0.1:{port}", plane.authority.pem
    objects = [_reachable(obj, url, ca) for obj in lws.objects(ca) if obj["kind"] != "Deployment"]
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            obj["spec"]["conversion"]["webhook"]["clientConfig"] = {"url": f"{url}/convert", "caBundle": _b64(ca)}
    namespace(plane, lws.NAMESPACE)
    plane.cluster.apply(objects)

    certificates = _certificates(plane.folder / "lws", plane)
    (config_map,) = (obj for obj in objects if obj["kind"] == "ConfigMap")
    (text,) = config_map["data"].values()
    configuration = documents.load(text) | {
        "webhook": {"port": port, "certDir": str(certificates)},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{probe}"},
        "metrics": {"bindAddress": "0"},
    }
    (certificates / "config.yaml").write_text(documents.dump(configuration))
    plane.spawn(
        "lws-controller",
        gobuild.program("lws-controller"),
        f"--config={certificates / 'config.yaml'}",
        env={"KUBECONFIG": str(plane.cluster.kubeconfig)},
    )
    until(
        lambda: is_open(port) and _serves(f"http://127.0.0.1:{probe}/readyz"), 60, "LeaderWorkerSet's controller does not serve"
    )


def install_keda(plane: ControlPlane) -> None:
    """KEDA's resource definitions and its admission webhooks as a process, acting as its service account; nothing scales."""
    port, probe = free_port(), free_port()
    url, ca = f"https://127.0.0.1:{port}", plane.authority.pem
    namespace(plane, keda.NAMESPACE)
    # Not the API of measures: without its server every list of the API server's kinds is incomplete.
    objects = [_reachable(obj, url, ca) for obj in keda.objects(ca) if obj["kind"] not in ("APIService", "Deployment")]
    plane.cluster.apply(objects)
    plane.cluster.wait_served(keda.CRDS)
    certificates = _certificates(plane.folder / "keda", plane)
    account = f"system:serviceaccount:{keda.NAMESPACE}:{keda.OPERATOR}"
    plane.spawn(
        "keda-admission-webhooks",
        gobuild.program("keda-admission-webhooks"),
        *(f"--port={port}", f"--cert-dir={certificates}"),
        *(f"--health-probe-bind-address=127.0.0.1:{probe}", "--metrics-bind-address=0"),
        env={
            "KUBECONFIG": str(plane.kubeconfig("keda", impersonate=account)),
            "POD_NAMESPACE": keda.NAMESPACE,
            "WATCH_NAMESPACE": "",
        },
    )
    until(lambda: platform.refused_by(plane.cluster, keda.REFUSED, keda.WEBHOOK), 60, "KEDA's webhook does not answer")


def namespace(plane: ControlPlane, name: str) -> None:
    """A namespace with its default service account, which a controller that does not run here would make."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    plane.cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, account])


def _certificates(folder: Path, plane: ControlPlane) -> Path:
    """The new `folder` with a serving certificate for webhooks on loopback, as controllers look for it."""
    folder.mkdir(parents=True)
    serving = plane.authority.sign("webhook", dns=("localhost",), ips=("127.0.0.1",))
    (folder / "tls.crt").write_text(serving.certificate)
    (folder / "tls.key").write_text(serving.key)
    return folder


def _reachable(obj: Object, url: str, ca: str) -> Object:
    for webhook in obj.get("webhooks", []):
        webhook["clientConfig"] = {"url": url + webhook["clientConfig"]["service"]["path"], "caBundle": _b64(ca)}
    return obj


def _ready(plane: ControlPlane) -> bool:
    for name, process in plane.processes.items():
        assert process.poll() is None, f"{name} ended with {process.returncode}:\n{plane.log(name)[-2000:]}"
    return plane.cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok"


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
