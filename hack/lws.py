"""LeaderWorkerSet, which multi-node services need: upstream's own install, read from its pinned module."""

from __future__ import annotations

import base64

from hack import documents, gobuild, versions
from hack.kube import Object, kustomize

NAMESPACE = "lws-system"
CRD = "leaderworkersets.leaderworkerset.x-k8s.io"
CONTROLLER = "lws-controller-manager"
CERTIFICATE_SECRET = "lws-webhook-server-cert"
WEBHOOK_HOSTS = (f"lws-webhook-service.{NAMESPACE}.svc",)


def objects(ca: str) -> list[Object]:
    """What `kubectl apply -k config/default` installs, but for its Secret: the serving certificate is ours, signed by `ca` (PEM).

    Besides: one small replica without leader election. On few cores a lease is lost, and with it the controller, whenever
    engines start.
    """
    made = kustomize(gobuild.module_dir("lws") / "config" / "default")
    found = [obj for obj in made if (obj["kind"], obj["metadata"]["name"]) != ("Secret", CERTIFICATE_SECRET)]
    bundle = base64.b64encode(ca.encode()).decode()
    for obj in found:
        match obj["kind"]:
            case "CustomResourceDefinition":
                obj["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = bundle
            case "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration":
                for webhook in obj["webhooks"]:
                    webhook["clientConfig"]["caBundle"] = bundle
            case "ConfigMap":
                _configure(obj)
            case "Deployment":
                _shrink(obj)
    return found


def _configure(config_map: Object) -> None:
    ((file, text),) = config_map["data"].items()
    configuration = documents.load(text)
    configuration["internalCertManagement"]["enable"] = False
    configuration["leaderElection"]["leaderElect"] = False
    config_map["data"][file] = documents.dump(configuration)


def _shrink(deployment: Object) -> None:
    deployment["spec"]["replicas"] = 1
    (manager,) = deployment["spec"]["template"]["spec"]["containers"]
    manager["image"] = versions.images()["lws"].ref
    manager["resources"] = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    manager["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
