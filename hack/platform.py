"""The platform plane that the demo's path needs: resource definitions, serving certificate, our controller chart with presets."""

from __future__ import annotations

import base64
import datetime
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from hack import cached, deps, kserve
from hack.certificates import Authority
from hack.kube import Cluster, Object, until
from hack.paths import CHARTS, VALUES

RELEASE = "kserve-controller"
CONTENT = "llm-stack.io/content"
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
        definition["metadata"]["annotations"][CONTENT] = content
    there = [cluster.get("crd", name) or {} for name in kserve.CRDS]
    if any(crd.get("metadata", {}).get("annotations", {}).get(CONTENT) != content for crd in there):
        cluster.apply(definitions)
    cluster.wait_established(kserve.CRDS)


def certificate(cluster: Cluster) -> str:
    """The CA (PEM) of the webhook's serving certificate, which is made anew when it is missing or about to end.

    The private key goes straight into the Secret; the CA's key is thrown away.
    """
    secret = cluster.get("secret", kserve.CERTIFICATE_SECRET, "-n", kserve.NAMESPACE)
    if secret and {"ca.crt", "tls.crt"} <= set(secret["data"]):
        serving = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
        if serving.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > RENEW_BEFORE:
            return base64.b64decode(secret["data"]["ca.crt"]).decode()
    authority = Authority("llm-stack")
    hosts = kserve.webhook_hosts()
    signed = authority.sign(hosts[0], dns=hosts)
    data = {"ca.crt": authority.pem, "tls.crt": signed.certificate, "tls.key": signed.key}
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": kserve.CERTIFICATE_SECRET, "namespace": kserve.NAMESPACE},
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
    ca = certificate(cluster)
    note("resource definitions")
    crds(cluster, ca)
    note("controller and presets")
    release(cluster, RELEASE, kserve.NAMESPACE, VALUES / "platform.yaml", existing_certificate_values(ca))
    wait_serving(cluster)


def wait_serving(cluster: Cluster) -> None:
    """Until the API server reaches the controller's webhook: a rollout ends a moment before its Service leads to the new pod."""
    cluster.kubectl("-n", kserve.NAMESPACE, "rollout", "status", f"deployment/{kserve.CONTROLLER}", "--timeout=180s")
    until(lambda: _webhook_answers(cluster), 60, "the controller's webhook does not answer")


def release(cluster: Cluster, name: str, namespace_name: str, values: Path, extra: Object | None = None) -> bool:
    """Install or upgrade a release of the umbrella; False when it stands already with the same content.

    The content is the chart, its dependencies and the values; its key is kept in the release's description. What fails is rolled
    back. helm waits for hooks only: the service's Ready flips while it serves.
    """
    deps.build()
    extra = extra or {}
    content = f"content {cached.key(deps.content('llm-stack'), values, extra)}"
    status = cluster.helm("status", name, "-n", namespace_name, "-o", "json", check=False)
    if status and json.loads(status)["info"]["status"] == "deployed" and json.loads(status)["info"]["description"] == content:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".json") as handle:
        json.dump(extra, handle)
        handle.flush()
        flags: list[str | Path] = ["--values", values, "--values", Path(handle.name), "--description", content]
        flags += ["--rollback-on-failure", "--wait=hookOnly"]
        cluster.helm("upgrade", "--install", name, CHARTS / "llm-stack", "-n", namespace_name, *flags)
    return True


def _webhook_answers(cluster: Cluster) -> bool:
    probe = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "probe", "namespace": kserve.NAMESPACE},
        "spec": {"model": {"uri": "pvc://probe/probe"}},
    }
    return "probe" in cluster.kubectl("create", "--dry-run=server", "-f", "-", "-o", "name", stdin=json.dumps(probe), check=False)


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
