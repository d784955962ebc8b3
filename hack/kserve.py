"""What the platform plane needs from KServe's pinned module besides our chart: the custom resource definitions."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from hack import documents, gobuild

NAMESPACE = "kserve"  # hard-coded by KServe in its conversion webhook and presets
WEBHOOK_SERVICE = "llmisvc-webhook-server-service"
CERTIFICATE_SECRET = "llmisvc-webhook-server-cert"
CERTIFICATE = "llmisvc-serving-cert"  # cert-manager's, rendered by our chart
CONTROLLER = "llmisvc-controller-manager"
LOCAL_MODEL_CONTROLLER = "kserve-localmodel-controller-manager"  # KServe's own, which no chart here installs
CRDS = ("llminferenceservices.serving.kserve.io", "llminferenceserviceconfigs.serving.kserve.io")
# Of caches on nodes. KServe's webhook lists the first two, its local model controller reads the third and writes the last.
LOCAL_MODEL_CRDS = tuple(f"localmodel{kind}.serving.kserve.io" for kind in ("caches", "namespacecaches", "nodegroups", "nodes"))
# Kinds of other projects that the controller uses where they are installed; it looks for them at its start only.
OPTIONAL_CRDS = (
    "gateway-inference-extension.yaml",
    "gateway-inference-extension-v1alpha2pool.yaml",
    "gatewayapi_gateway.yaml",
    "gatewayapi_gatewayclasses.yaml",
    "gatewayapi_httproute.yaml",
    "leaderworkerset.x-k8s.io_leaderworkersets.yaml",
)

Object = dict[str, Any]


def webhook_hosts() -> tuple[str, ...]:
    """Names that the webhook's serving certificate must carry."""
    return (f"{WEBHOOK_SERVICE}.{NAMESPACE}.svc", f"{WEBHOOK_SERVICE}.{NAMESPACE}.svc.cluster.local")


def crds(ca: str = "", url: str = "") -> list[Object]:
    """KServe's resource definitions with their conversion webhook trusted by `ca` (PEM); without one cert-manager injects it.

    The webhook is our chart's Service, or `url` for a controller that runs outside the cluster (tests).
    """
    where: Object = (
        {"url": f"{url}/convert"}
        if url
        else {"service": {"name": WEBHOOK_SERVICE, "namespace": NAMESPACE, "path": "/convert", "port": 443}}
    )
    client = {**where, "caBundle": base64.b64encode(ca.encode()).decode()} if ca else where
    found = []
    folder = gobuild.module_dir("kserve") / "config" / "crd" / "full" / "llmisvc"
    for crd in _definitions(*sorted(folder.glob("serving.kserve.io_*.yaml"))):
        if not ca:
            crd["metadata"].setdefault("annotations", {})["cert-manager.io/inject-ca-from"] = f"{NAMESPACE}/{CERTIFICATE}"
        crd["spec"]["conversion"] = {
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]},
        }
        found.append(crd)
    assert {crd["metadata"]["name"] for crd in found} == set(CRDS)
    return found


def local_model_crds() -> list[Object]:
    """KServe's resource definitions of caches on nodes."""
    folder = gobuild.module_dir("kserve") / "config" / "crd" / "full" / "localmodel"
    found = _definitions(*(folder / f"serving.kserve.io_{name.partition('.')[0]}.yaml" for name in LOCAL_MODEL_CRDS))
    assert [crd["metadata"]["name"] for crd in found] == list(LOCAL_MODEL_CRDS)
    return found


def inference_crds() -> list[Object]:
    """Resource definitions of inference pools and of what else the endpoint picker reads: no chart has them."""
    return _definitions(gobuild.module_dir("kserve") / "config" / "llmisvc" / "gateway-inference-extension.yaml")


def optional_crds() -> list[Object]:
    """Resource definitions of other projects, as KServe's own tests install them, without conversion webhooks."""
    folder = gobuild.module_dir("kserve") / "test" / "crds"
    found = _definitions(*(folder / name for name in OPTIONAL_CRDS))
    for crd in found:
        crd["spec"].pop("conversion", None)
    return found


def _definitions(*files: Path) -> list[Object]:
    """The resource definitions of these files, as one applies them."""
    found = [obj for file in files for obj in documents.load_all(file.read_text()) if obj]
    definitions = [obj for obj in found if obj["kind"] == "CustomResourceDefinition"]
    for crd in definitions:
        crd.pop("status", None)
    return definitions
