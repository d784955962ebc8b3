"""The demo's model: a claim, and a Job in the engine image that makes the model on it. No hub has it."""

from __future__ import annotations

from hack import cached, paths, versions
from hack.console import StepFailed
from hack.kube import READ_ONLY, Cluster, Object, holds, until
from hack.platform import Note

CLAIM = "demo-models"
MODEL = "smoke"
SCRIPT = paths.ROOT / "hack" / "lab" / "make_model.py"


def manifests(namespace: str, claim: str = CLAIM, path: str = MODEL, *, create_claim: bool = True) -> list[Object]:
    """The claim, the script and the Job. The Job's name carries the script's hash: a changed script is a new Job."""
    name = f"fill-{claim}-{cached.key(SCRIPT, path)[:8]}"
    metadata = {"name": name, "namespace": namespace}
    volume_claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    script = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {SCRIPT.name: SCRIPT.read_text()}}
    container = {
        "name": "fill",
        "image": versions.images()["engine-cpu"].ref,
        "command": ["python3", f"/script/{SCRIPT.name}", f"/models/{path}"],
        "env": [{"name": "HOME", "value": "/tmp"}, {"name": "OMP_NUM_THREADS", "value": "1"}],
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "securityContext": READ_ONLY,
        "volumeMounts": [
            {"name": "models", "mountPath": "/models"},
            {"name": "script", "mountPath": "/script"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": claim}},
            {"name": "script", "configMap": {"name": name}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"backoffLimit": 2, "activeDeadlineSeconds": 600, "template": {"spec": pod}},
    }
    return [*([volume_claim] if create_claim else []), script, job]


def fill(
    cluster: Cluster, namespace: str, note: Note, claim: str = CLAIM, path: str = MODEL, *, create_claim: bool = True
) -> None:
    """Fill the claim and wait; StepFailed with the Job's last words. A filled claim is left alone."""
    objects = manifests(namespace, claim, path, create_claim=create_claim)
    name = objects[-1]["metadata"]["name"]
    cluster.apply(objects)

    def finished() -> bool:
        job = cluster.get("job", name, "-n", namespace) or {}
        status = job.get("status", {})
        note(f"job {name}: {'running' if status.get('active') else 'waiting'}")
        if holds(job, "Failed"):
            words = cluster.kubectl("-n", namespace, "logs", f"job/{name}", "--tail=5", check=False)
            raise StepFailed(f"job {name} failed: {words.strip()}", f"kubectl -n {namespace} describe job {name}")
        return bool(status.get("succeeded"))

    until(finished, 620, f"job {name} did not finish", every=1)
