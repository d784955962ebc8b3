"""KEDA, which scales services by the metrics of their engines: upstream's own install, read from its pinned module."""

from __future__ import annotations

import base64

from hack import documents, gobuild, versions
from hack.kube import Object, kustomize

NAMESPACE = "keda"
CRDS = ("scaledobjects.keda.sh", "triggerauthentications.keda.sh", "clustertriggerauthentications.keda.sh")
OPERATOR = "keda-operator"
API = "v1beta1.external.metrics.k8s.io"
WEBHOOK = "vscaledobject.kb.io"
CERTIFICATE_SECRET = "kedaorg-certs"
# One certificate for all: the metrics API server dials the operator by its long name, the API server the others by their short.
HOSTS = (
    f"{OPERATOR}.{NAMESPACE}.svc.cluster.local",
    f"keda-metrics-apiserver.{NAMESPACE}.svc",
    f"keda-admission-webhooks.{NAMESPACE}.svc",
)
# Deployment to image.
DEPLOYMENTS = {OPERATOR: "keda", "keda-metrics-apiserver": "keda-metrics-apiserver", "keda-admission": "keda-admission-webhooks"}

# What only the webhook refuses (cron triggers have nothing to keep), by which one sees that it answers: what it cannot be asked
# about passes (failurePolicy Ignore), and what the resource definition refuses never comes to it.
REFUSED: Object = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "probe", "namespace": NAMESPACE},
    "spec": {
        "scaleTargetRef": {"name": "probe"},
        "triggers": [{"type": "cron", "metadata": {"timezone": "UTC"}, "useCachedMetrics": True}],
    },
}


def crds() -> list[Object]:
    """KEDA's resource definitions of what the charts render."""
    folder = gobuild.module_dir("keda") / "config" / "crd" / "bases"
    return [documents.load((folder / f"keda.sh_{name.partition('.')[0]}.yaml").read_text()) for name in CRDS]


def objects(ca: str) -> list[Object]:
    """What `kubectl apply -k config/default` installs, but for its namespace, with a serving certificate that `ca` (PEM) signed.

    Upstream's operator would make and rotate certificates itself. Besides: no leader election, for the reason that hack/lws.py
    gives, and small pods, of which the operator's tells Prometheus where its metrics are.
    """
    found = [obj for obj in kustomize(gobuild.module_dir("keda") / "config" / "default") if obj["kind"] != "Namespace"]
    bundle = base64.b64encode(ca.encode()).decode()
    for obj in found:
        match obj["kind"]:
            case "APIService":
                obj["spec"]["caBundle"] = bundle
            case "ValidatingWebhookConfiguration":
                for webhook in obj["webhooks"]:
                    webhook["clientConfig"]["caBundle"] = bundle
            case "Deployment":
                _shrink(obj)
    return found


def _shrink(deployment: Object) -> None:
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    name = deployment["metadata"]["name"]
    container["image"] = versions.images()[DEPLOYMENTS[name]].ref
    container["imagePullPolicy"] = "IfNotPresent"  # upstream's Always asks a registry for what the node has
    container["resources"] = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    if name == OPERATOR:
        changed = {"--leader-elect": None, "--enable-cert-rotation=true": "--enable-cert-rotation=false"}
        container["args"] = [arg for given in container["args"] if (arg := changed.get(given, given))]
        template["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
