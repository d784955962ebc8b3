"""The platform plane that the demo's path needs: resource definitions, serving certificate, our controller chart with presets."""

from __future__ import annotations

import base64
import datetime
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509

from hack import cached, deps, keda, kserve, lws, prometheus
from hack.certificates import Authority
from hack.console import StepFailed
from hack.kube import Cluster, Object, holds, until
from hack.paths import CHARTS, VALUES
from hack.shell import CommandFailed

RELEASE = "kserve-controller"
RENEW_BEFORE = datetime.timedelta(days=30)
Note = Callable[[str], None]


def namespace(name: str) -> Object:
    """A namespace in which only restricted pods may run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def crds(cluster: Cluster, ca: str) -> None:
    """KServe's resource definitions, server-side: they are too large for a release and for client-side apply.

    They are the only writer of the conversion webhook's CA. What the cluster has already is not sent again (5 MB, 15 s).
    """
    definitions = kserve.crds(ca)
    content = cached.key(definitions)
    for definition in definitions:
        definition["metadata"]["annotations"][cached.CONTENT] = content
    there = [cluster.get("crd", name) or {} for name in kserve.CRDS]
    if any(crd.get("metadata", {}).get("annotations", {}).get(cached.CONTENT) != content for crd in there):
        cluster.apply(definitions)
    cluster.wait_served(kserve.CRDS)


def certificate(cluster: Cluster, namespace_name: str, name: str, hosts: tuple[str, ...]) -> str:
    """The CA (PEM) of a webhook's serving certificate in Secret `name`, which is made anew when it is missing or about to end.

    The private key goes straight into the Secret; the CA's key is thrown away.
    """
    secret = cluster.get("secret", name, "-n", namespace_name)
    if secret and {"ca.crt", "tls.crt"} <= set(secret["data"]):
        serving = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
        if serving.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > RENEW_BEFORE:
            return base64.b64decode(secret["data"]["ca.crt"]).decode()
    authority = Authority("llm-stack")
    signed = authority.sign(hosts[0], dns=hosts)
    data = {"ca.crt": authority.pem, "tls.crt": signed.certificate, "tls.key": signed.key}
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": name, "namespace": namespace_name},
                "stringData": data,
            }
        ]
    )
    return authority.pem


def existing_certificate_values(ca: str) -> Object:
    """Values that lead the controller chart to our certificate instead of cert-manager's."""
    certificates = {"certManager": {"enabled": False}, "existingSecret": {"name": kserve.CERTIFICATE_SECRET, "caBundle": ca}}
    return {"kserve-controller": {"certificates": certificates}}


def install(cluster: Cluster, note: Note) -> None:
    """Everything of the platform plane that the demo needs, serving."""
    cluster.apply([namespace(kserve.NAMESPACE)])
    ca = certificate(cluster, kserve.NAMESPACE, kserve.CERTIFICATE_SECRET, kserve.webhook_hosts())
    note("resource definitions")
    crds(cluster, ca)
    note("controller and presets")
    release(cluster, RELEASE, kserve.NAMESPACE, VALUES / "platform.yaml", existing_certificate_values(ca))
    wait_serving(cluster)


def wait_serving(cluster: Cluster) -> None:
    """Until the API server reaches the controller's webhook: a rollout ends a moment before its Service leads to the new pod."""
    cluster.kubectl("-n", kserve.NAMESPACE, "rollout", "status", f"deployment/{kserve.CONTROLLER}", "--timeout=180s")
    probe = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "probe", "namespace": kserve.NAMESPACE},
        "spec": {"model": {"uri": "pvc://probe/probe"}},
    }
    until(lambda: _admitted(cluster, probe), 60, "the controller's webhook does not answer")


def install_lws(cluster: Cluster, note: Note) -> None:
    """LeaderWorkerSet for multi-node services, serving, and known to KServe's controller."""
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": lws.NAMESPACE}}])
    wanted = lws.objects(certificate(cluster, lws.NAMESPACE, lws.CERTIFICATE_SECRET, lws.WEBHOOK_HOSTS))
    _apply_once(
        cluster, wanted, lws.NAMESPACE, lws.CONTROLLER, note, "LeaderWorkerSet's resource definition, webhooks, controller"
    )
    cluster.wait_served([lws.CRD])
    pod = {"containers": [{"name": "probe", "image": "probe"}]}
    probe = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "probe", "namespace": lws.NAMESPACE},
        "spec": {"leaderWorkerTemplate": {"size": 1, "workerTemplate": {"spec": pod}}},
    }
    until(lambda: _admitted(cluster, probe), 60, "LeaderWorkerSet's webhook does not answer")
    known_to_kserve(cluster, lws.CRD, note)


def install_keda(cluster: Cluster, note: Note) -> None:
    """KEDA for services that scale, serving metrics and admission, and known to KServe's controller."""
    cluster.apply([namespace(keda.NAMESPACE)])
    wanted = keda.objects(certificate(cluster, keda.NAMESPACE, keda.CERTIFICATE_SECRET, keda.HOSTS))
    _apply_once(cluster, wanted, keda.NAMESPACE, keda.OPERATOR, note, "KEDA's resource definitions, webhooks, operator")
    cluster.wait_served(keda.CRDS)
    wait_scaling(cluster)
    known_to_kserve(cluster, keda.CRDS[0], note)


def wait_scaling(cluster: Cluster) -> None:
    """Until the API server reaches KEDA's metrics and its webhook. The metrics it looks at every half a minute or so."""
    until(lambda: holds(cluster.get("apiservice", keda.API), "Available"), 120, f"{keda.API} is not available")
    until(lambda: refused_by(cluster, keda.REFUSED, keda.WEBHOOK), 60, "KEDA's webhook does not answer")


def install_prometheus(cluster: Cluster, note: Note) -> None:
    """Prometheus, answering; it scrapes pods with annotations (hack/prometheus.py)."""
    cluster.apply([namespace(prometheus.NAMESPACE)])
    _apply_once(cluster, prometheus.objects(), prometheus.NAMESPACE, prometheus.NAME, note, "Prometheus")
    until(lambda: "Ready" in prometheus.ask(cluster, "-/ready", check=False), 60, "Prometheus does not answer")


def load_rules(cluster: Cluster, files: Mapping[str, str]) -> None:
    """Have Prometheus follow these rule files (name ending in .yaml to text) and no others, at once.

    StepFailed with its log when it does not take them.
    """
    rules, group = prometheus.rules(files)
    cluster.apply([rules])
    # The kubelet looks at volumes every minute or so, and at once when the pod changes.
    pods = ("pods", "-n", prometheus.NAMESPACE, "-l", prometheus.SELECTOR)
    cluster.kubectl("annotate", *pods, "--overwrite", f"{cached.CONTENT}={group}")

    def followed() -> bool:
        groups = json.loads(prometheus.ask(cluster, "api/v1/rules"))["data"]["groups"]
        return group in {found["name"] for found in groups}

    try:
        until(followed, 60, "Prometheus does not follow the rules")
    except TimeoutError as error:
        log = cluster.kubectl("-n", prometheus.NAMESPACE, "logs", f"deployment/{prometheus.NAME}", "--tail=5")
        raise StepFailed(f"{error}\n{log.rstrip()}") from error


def _apply_once(cluster: Cluster, wanted: list[Object], namespace_name: str, name: str, note: Note, what: str) -> None:
    """Apply `wanted` unless the cluster has just that, and wait for its pods.

    The content's key is kept with the Deployment `name`, which goes last: what was interrupted is applied again.
    """
    content = cached.key(wanted)
    there = cluster.get("deployment", name, "-n", namespace_name) or {"metadata": {}}
    if there["metadata"].get("annotations", {}).get(cached.CONTENT) != content:
        note(what)
        last = next(obj for obj in wanted if (obj["kind"], obj["metadata"]["name"]) == ("Deployment", name))
        cluster.apply(obj for obj in wanted if obj is not last)
        last["metadata"].setdefault("annotations", {})[cached.CONTENT] = content
        cluster.apply([last])
    for obj in wanted:
        if obj["kind"] == "Deployment":
            deployment = f"deployment/{obj['metadata']['name']}"
            cluster.kubectl("-n", namespace_name, "rollout", "status", deployment, "--timeout=180s")


def known_to_kserve(cluster: Cluster, crd: str, note: Note) -> None:
    """KServe's controller looks for kinds of others at its start only: one that is older than the kind is started anew."""
    since = (cluster.get("crd", crd) or {})["metadata"]["creationTimestamp"]
    pods = [pod for pod in cluster.items("pods", "-n", kserve.NAMESPACE) if "deletionTimestamp" not in pod["metadata"]]
    if any(pod["status"].get("startTime", since) <= since for pod in pods):
        note("KServe's controller, which is to see the new kind")
        cluster.kubectl("-n", kserve.NAMESPACE, "rollout", "restart", f"deployment/{kserve.CONTROLLER}")
        wait_serving(cluster)


def release(
    cluster: Cluster, name: str, namespace_name: str, values: Path, extra: Object | None = None, *, again: bool = False
) -> bool:
    """Install or upgrade a release of the umbrella; False when it stands already with the same content.

    The content is the chart, its dependencies and the values; its key is kept in the release's description. What fails is rolled
    back. helm waits for hooks only: the service's Ready flips while it serves. `again`: whether a part of it was deleted since.
    """
    deps.build()
    extra = extra or {}
    content = f"content {cached.key(deps.content('llm-stack'), values, extra)}"
    status = cluster.helm("status", name, "-n", namespace_name, "-o", "json", check=False)
    if (
        not again
        and status
        and json.loads(status)["info"]["status"] == "deployed"
        and json.loads(status)["info"]["description"] == content
    ):
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".json") as handle:
        json.dump(extra, handle)
        handle.flush()
        flags: list[str | Path] = ["--values", values, "--values", Path(handle.name), "--description", content]
        flags += ["--rollback-on-failure", "--wait=hookOnly"]
        cluster.helm("upgrade", "--install", name, CHARTS / "llm-stack", "-n", namespace_name, *flags)
    return True


def _admitted(cluster: Cluster, probe: Object) -> bool:
    """Whether the API server, which asks the webhooks, would take an object."""
    return "probe" in cluster.kubectl("create", "--dry-run=server", "-f", "-", "-o", "name", stdin=json.dumps(probe), check=False)


def refused_by(cluster: Cluster, probe: Object, webhook: str) -> bool:
    """Whether `webhook` would refuse an object."""
    try:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(probe))
    except CommandFailed as error:
        return f'admission webhook "{webhook}" denied' in error.output
    return False


def uninstall(cluster: Cluster, note: Note) -> None:
    """Remove the plane in the order that KServe's finalizers need: services, presets, controller, resource definitions."""
    if not cluster.get("crd", kserve.CRDS[0]):
        return
    note("services")
    cluster.kubectl("delete", "llminferenceservices", "--all", "--all-namespaces", "--timeout=120s")
    note("presets")
    cluster.kubectl("delete", "llminferenceserviceconfigs", "--all", "--all-namespaces", "--timeout=120s")
    note("controller")
    cluster.helm("uninstall", RELEASE, "-n", kserve.NAMESPACE, "--ignore-not-found", "--wait")
    note("resource definitions")
    cluster.kubectl("delete", "crd", *kserve.CRDS, "--ignore-not-found", "--timeout=120s")
    cluster.kubectl("delete", "namespace", kserve.NAMESPACE, "--ignore-not-found", "--timeout=120s")
