"""Child objects that KServe's controller makes of a service, in a form that can be reviewed and compared."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import yaml

from hack.paths import ROOT
from tests.harness import render, thaw
from tests.harness.controlplane import ControlPlane
from tests.harness.scenarios import EXAMPLES, SCENARIOS

GOLDENS = ROOT / "tests" / "golden" / "merged"
REVIEWED_EXAMPLES = ("gpu-created-claim", "hub-with-token")  # of the examples, those that KServe merges differently
FILES = {
    scenario.name: scenario.file
    for scenario in (*SCENARIOS, *EXAMPLES)
    if scenario.name in REVIEWED_EXAMPLES or (scenario in SCENARIOS and scenario.name != "platform")
}
NAMES = list(FILES)
KINDS = (
    "deployments,leaderworkersets,services,secrets,serviceaccounts,roles,rolebindings,"
    "httproutes,inferencepools.inference.networking.k8s.io"
)
SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
Object = dict[str, Any]


def create(plane: ControlPlane, objects: list[Object], namespace: str, name: str) -> Object:
    """Create a release's objects and wait for the engine's Deployment or LeaderWorkerSet; returns it as the API server has it."""
    plane.cluster.apply(objects)
    service = next(obj for obj in objects if obj["kind"] == "LLMInferenceService")
    return wait_workloads(plane, service, namespace, name)[0]


def wait_deployment(plane: ControlPlane, namespace: str, name: str) -> Object:
    """The Deployment of an engine on one node."""
    return wait_workloads(plane, {"spec": {"template": {}}}, namespace, name)[0]


def children_of(service: Object, name: str) -> list[tuple[str, str]]:
    """Kind and name of what KServe makes of a service: the engine first, then prefill, the Service, endpoint picker and route."""
    found = []
    for side, suffix in ((service["spec"], ""), (service["spec"].get("prefill"), "-prefill")):
        if side is not None:
            group = "worker" in side
            found.append(("leaderworkerset" if group else "deployment", f"{name}-kserve{'-mn' if group else ''}{suffix}"))
    found.append(("service", f"{name}-kserve-workload-svc"))
    if "router" in service["spec"]:
        found += [("deployment", f"{name}-kserve-router-scheduler"), ("httproute", f"{name}-kserve-route")]
    return found


def wait_workloads(plane: ControlPlane, service: Object, namespace: str, name: str, timeout: float = 30) -> list[Object]:
    """What `children_of` names once KServe has made it; the service's conditions and the controller's log if it does not."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = [plane.cluster.get(kind, child, "-n", namespace) for kind, child in children_of(service, name)]
        if all(found):
            return [obj for obj in found if obj]
        time.sleep(0.2)
    status = (plane.cluster.get("llminferenceservice", name, "-n", namespace) or {}).get("status")
    raise AssertionError(f"no {children_of(service, name)}: {status}\n{plane.log('llmisvc-controller')[-2000:]}")


def children(plane: ControlPlane, scenario: str, namespace: str) -> dict[str, str]:
    """File name to YAML of each child object of a values file's service."""
    name = f"golden-{scenario}"[:38].rstrip("-")
    objects = [thaw(obj) for obj in render("llm-stack", FILES[scenario], name=name, namespace=namespace).objects]
    create(plane, objects, namespace, name)
    found = {}
    for obj in plane.cluster.items(KINDS, "-n", namespace):
        owners = [ref["name"] for ref in obj["metadata"].get("ownerReferences", []) if ref["kind"] == "LLMInferenceService"]
        if name in owners:
            found[f"{obj['kind'].lower()}-{obj['metadata']['name']}.yaml"] = yaml.safe_dump(_reviewable(obj), width=130)
    return found


def _reviewable(obj: Object) -> Object:
    """Without what differs from run to run, without secrets, and with a hash for the preset's script (upstream's text)."""
    obj.pop("status", None)
    for field in SERVER_FIELDS:
        obj["metadata"].pop(field, None)
    for owner in obj["metadata"]["ownerReferences"]:
        owner.pop("uid")
    obj["metadata"].pop("annotations", None) if obj["kind"] == "Secret" else None
    if obj["kind"] == "Secret":
        obj["data"] = dict.fromkeys(obj["data"], "<redacted>")
    if obj["kind"] == "Service":
        for field in ("clusterIP", "clusterIPs"):
            obj["spec"].pop(field, None)
    for template in pod_templates(obj):
        for container in template["spec"]["containers"]:
            container["command"] = [
                word if "\n" not in word else f"<preset script, sha256 {hashlib.sha256(word.encode()).hexdigest()[:16]}>"
                for word in container.get("command", [])
            ]
    return obj


def pod_templates(obj: Object) -> list[Object]:
    """The pod templates of a Deployment or of a LeaderWorkerSet (leader, worker); none of another object."""
    spec = obj.get("spec", {})
    group = spec.get("leaderWorkerTemplate", {})
    return [found for found in (spec.get("template"), group.get("leaderTemplate"), group.get("workerTemplate")) if found]


def compare(folder: Path, found: dict[str, str]) -> None:
    """Golden files equal `found`; with $LLM_STACK_REWRITE_GOLDENS they are written (make golden)."""
    if os.environ.get("LLM_STACK_REWRITE_GOLDENS"):
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.yaml"):
            stale.unlink()
        for file, text in found.items():
            (folder / file).write_text(text)
    stored = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    assert stored == found, "KServe merges differently from what was reviewed; if that is meant: make golden"
