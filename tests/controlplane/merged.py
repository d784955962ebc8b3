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
KINDS = "deployments,services,secrets,serviceaccounts,roles,rolebindings"
SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
Object = dict[str, Any]


def create(plane: ControlPlane, objects: list[Object], namespace: str, name: str) -> Object:
    """Create a release's objects and wait for the engine's Deployment; returns it as the API server has it."""
    plane.cluster.apply(objects)
    return wait_deployment(plane, namespace, name)


def wait_deployment(plane: ControlPlane, namespace: str, name: str, timeout: float = 30) -> Object:
    """The engine's Deployment once KServe has made it; the service's conditions and the controller's log if it does not."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = plane.cluster.get("deployment", f"{name}-kserve", "-n", namespace)
        if found:
            return found
        time.sleep(0.2)
    service = plane.cluster.get("llminferenceservice", name, "-n", namespace) or {}
    raise AssertionError(f"no Deployment: {service.get('status')}\n{plane.log('llmisvc-controller')[-2000:]}")


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
    for container in obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
        container["command"] = [
            word if "\n" not in word else f"<preset script, sha256 {hashlib.sha256(word.encode()).hexdigest()[:16]}>"
            for word in container.get("command", [])
        ]
    return obj


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
