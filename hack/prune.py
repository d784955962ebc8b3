"""`make cache-prune`: remove from a claim what no release of its namespace uses, by a pod beside those that use it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

from hack import downloads
from hack.console import StepFailed, say
from hack.kube import Cluster, Object, until

POD = "model-cache-prune"


def prune(cluster: Cluster, namespace: str, claim: str, *, remove: bool, age: int = 3600) -> None:
    """Say what is unused on a claim, or remove it. What a Job found or made within `age` seconds stays.

    StepFailed where no release of the namespace downloads to the claim.
    """
    jobs = [
        job
        for job in cluster.items("jobs", "-n", namespace, "-l", downloads.LABEL)
        if claim in _claims(job["spec"]["template"]["spec"])
    ]
    if not jobs:
        raise StepFailed(f"CLAIM: no release in namespace {namespace} downloads to claim {claim}; set CLAIM and NAMESPACE")
    pod = _pod(jobs[-1], namespace, sorted({*_used(cluster, namespace, claim), *_wanted(jobs)}), remove, age)
    nodes = [other["spec"]["nodeName"] for other in _users(cluster, namespace, claim) if "nodeName" in other["spec"]]
    if nodes:  # a volume of one node is there
        pod["spec"]["nodeName"] = nodes[0]
    cluster.kubectl("-n", namespace, "delete", "pod", POD, "--ignore-not-found")
    cluster.apply([pod])
    try:
        until(lambda: _phase(cluster, namespace) in ("Succeeded", "Failed"), 600, f"pod {POD} did not end", every=1)
        said = cluster.kubectl("-n", namespace, "logs", POD).rstrip()
        if _phase(cluster, namespace) == "Failed":
            raise StepFailed(f"pod {POD} failed: {said}")
        say(said)
    finally:
        cluster.kubectl("-n", namespace, "delete", "pod", POD, "--wait=false")


def _phase(cluster: Cluster, namespace: str) -> str:
    return str((cluster.get("pod", POD, "-n", namespace) or {}).get("status", {}).get("phase", ""))


def _claims(spec: Object) -> set[str]:
    """Names of the claims that a pod mounts."""
    return {
        volume["persistentVolumeClaim"]["claimName"] for volume in spec.get("volumes", []) if "persistentVolumeClaim" in volume
    }


def _users(cluster: Cluster, namespace: str, claim: str) -> list[Object]:
    """Pods that mount a claim and have not ended, running ones first."""
    pods = [pod for pod in cluster.items("pods", "-n", namespace) if claim in _claims(pod["spec"])]
    alive = [
        pod for pod in pods if pod["status"].get("phase") in ("Running", "Pending") and "deletionTimestamp" not in pod["metadata"]
    ]
    return sorted(alive, key=lambda pod: str(pod["status"]["phase"]), reverse=True)


def _templates(service: Object) -> Iterator[Object]:
    for side in (service["spec"], service["spec"].get("prefill", {})):
        yield from (side[part] for part in ("template", "worker") if part in side)


def _used(cluster: Cluster, namespace: str, claim: str) -> Iterator[str]:
    """Folders that engines use or wait for, by the gates of all services and of pods that an upgrade has not yet replaced."""
    specs = [spec for service in cluster.items("llminferenceservices", "-n", namespace) for spec in _templates(service)]
    specs += [pod["spec"] for pod in _users(cluster, namespace, claim)]
    for spec in specs:
        for gate in spec.get("initContainers", []) if claim in _claims(spec) else []:
            for entry in gate.get("env", []):
                if entry["name"] in ("GATE_PATHS", "GATE_FOLDERS"):
                    yield from json.loads(entry["value"])


def _wanted(jobs: list[Object]) -> Iterator[str]:
    """Folders that Jobs fill."""
    for job in jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        (spec,) = [json.loads(entry["value"]) for entry in container["env"] if entry["name"] == "CACHE_SPEC"]
        yield from (item["path"] for item in spec["items"])
        yield from spec["folders"]


def _pod(job: Object, namespace: str, keep: list[str], remove: bool, age: int) -> Object:
    """A pod like the download's, with another command: same user, volume, place and image."""
    spec = copy.deepcopy(job["spec"]["template"]["spec"])
    spec.pop("affinity", None)
    spec["automountServiceAccountToken"] = False
    (container,) = spec["containers"]
    container["command"] = ["python3", "/model-cache/prune.py"]
    env = {
        "CACHE_ROOT": "/volume",
        "CACHE_KEEP": json.dumps(keep),
        "CACHE_AGE": str(age),
        "CACHE_REMOVE": "yes" if remove else "",
    }
    container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": namespace}, "spec": spec}
