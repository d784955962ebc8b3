"""What only the cluster knows, asked before an install: resource definitions, a controller that serves, claims that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hack import deps, gobuild, kserve
from hack.kube import Cluster, Object
from hack.paths import CHARTS
from hack.shell import out


def objects(values: Path, name: str, namespace: str) -> list[Object]:
    """What a release of the umbrella would create; CommandFailed with helm's message for values that are refused."""
    deps.build()
    text = out(gobuild.program("helm"), "template", name, CHARTS / "llm-stack", "-n", namespace, "--values", values)
    return [obj for obj in yaml.safe_load_all(text) if obj]


def problems(cluster: Cluster, release: list[Object], namespace: str) -> list[str]:
    """Everything that would keep the release from serving, one message each; empty when the cluster is ready for it."""
    services = [obj for obj in release if obj["kind"] == "LLMInferenceService"]
    if not services:
        return []
    found = []
    for name in kserve.CRDS:
        crd = cluster.get("crd", name)
        served = [version["name"] for version in (crd or {}).get("spec", {}).get("versions", []) if version["served"]]
        wanted = services[0]["apiVersion"].split("/")[1]
        if crd is None:
            found.append(f"resource definition {name}: is not in the cluster; run make crds, then install values/platform.yaml")
        elif wanted not in served:
            found.append(f"resource definition {name}: serves {', '.join(served)} and not {wanted}; install KServe 0.19 or newer")
    controller = cluster.get("deployment", kserve.CONTROLLER, "-n", kserve.NAMESPACE)
    if controller is None:
        found.append(
            f"controller: there is no Deployment {kserve.CONTROLLER} in {kserve.NAMESPACE}; install values/platform.yaml"
        )
    elif not controller.get("status", {}).get("availableReplicas"):
        found.append(
            f"controller: no pod of {kserve.CONTROLLER} is available, so the service cannot be created; "
            f"see kubectl -n {kserve.NAMESPACE} describe pods"
        )
    made = {obj["metadata"]["name"] for obj in release if obj["kind"] == "PersistentVolumeClaim"}
    for service in services:
        claim = _claim(service)
        if claim and claim not in made and cluster.get("pvc", claim, "-n", namespace) is None:
            found.append(
                f"claim {claim}: does not exist in namespace {namespace}; create it, or set global.llm.cache.existingClaim "
                "(or the model's pvc:// uri) to one that does"
            )
    return found


def _claim(service: Any) -> str:
    uri: str = service["spec"]["model"]["uri"]
    return uri.removeprefix("pvc://").split("/")[0] if uri.startswith("pvc://") else ""
