"""Releases whose weights come from the hub's stand-in (tests/harness/hub.py) in a pod, over the claim that the demo filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hack import demo, downloads, model, versions
from hack.kube import RESTRICTED, Cluster, Object, conditions, holds, until
from tests.harness import hub as stand_in
from tests.smoke import releases

NAME = "cached"
CLAIM = f"{NAME}-models"
HUB, PORT, TOKEN = "hub", 8080, "hf_of_the_test"
URI = "hf://smoke/tiny"
ENDPOINT = f"http://{HUB}.{demo.NAMESPACE}:{PORT}"
BY_SECRET = {"valueFrom": {"secretKeyRef": {"name": HUB, "key": "token"}}}


def values(*, token: bool = True, uri: str = URI, **cache: Any) -> dict[str, Any]:
    """The demo's model from the hub."""
    env = {"HF_ENDPOINT": ENDPOINT, **({"HF_TOKEN": BY_SECRET} if token else {})}
    llm = {
        "model": "tiny",
        "models": {"tiny": {"uri": uri, "servedName": "smoke", "parameters": 387000}},
        "offline": True,
        "cache": {"enabled": True, "env": env, **cache},
        "overrides": {"resources": releases.ENGINE},
    }
    return {"global": {"llm": llm}, "model-cache": {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}}}


def start_hub(cluster: Cluster, rate: int = 0) -> None:
    """The hub anew; `rate`: bytes in a second that it sends at most, 0 for no limit."""
    cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", HUB, "--ignore-not-found")
    cluster.apply(_hub(rate))
    releases.ready(cluster, f"app={HUB}", 1, 60)


def _hub(rate: int) -> list[Object]:
    """A pod with the script over the demo's claim, and its Service."""
    metadata = {"name": HUB, "namespace": demo.NAMESPACE, "labels": {"app": HUB}}
    data = {"hub.py": Path(stand_in.__file__).read_text()}
    script = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    ports = {"selector": {"app": HUB}, "ports": [{"port": PORT}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports}
    container = {
        "name": HUB,
        "image": versions.images()["storage-initializer"].ref,
        "command": ["python3", "/script/hub.py", str(PORT), "/hub"],
        "env": [
            {"name": "HUB_TOKEN", "value": TOKEN},
            {"name": "HUB_RATE", "value": str(rate)},
            {"name": "HUB_HOST", "value": f"{HUB}.{demo.NAMESPACE}.svc"},  # another name: as the hub's store is
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [
            {"name": "script", "mountPath": "/script"},
            {"name": "model", "mountPath": "/hub/smoke/tiny", "subPath": model.MODEL, "readOnly": True},
        ],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": releases.NOT_ROOT,
        "containers": [container],
        "volumes": [
            {"name": "script", "configMap": {"name": HUB}},
            {"name": "model", "persistentVolumeClaim": {"claimName": model.CLAIM}},
        ],
    }
    return [script, service, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]


def jobs(name: str = NAME) -> str:
    """Labels of a release's download Jobs and their pods."""
    return f"app.kubernetes.io/name={name},{downloads.LABEL}"


def job(cluster: Cluster, name: str = NAME) -> Object:
    """The release's download Job."""
    (found,) = cluster.items("jobs", "-n", demo.NAMESPACE, "-l", jobs(name))
    return found


def condition(cluster: Cluster, kind: str, name: str = NAME) -> Object:
    """A condition of the Job, once it is true."""

    try:
        until(lambda: holds(job(cluster, name), kind), 180, f"the download did not become {kind}", every=1)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{downloads.report(cluster)}") from error
    return conditions(job(cluster, name))[kind]


def gate(cluster: Cluster) -> str:
    """What the gate of the engine's pod says."""
    (pod,) = releases.pods(cluster, releases.workload(NAME))
    return cluster.kubectl("-n", demo.NAMESPACE, "logs", pod["metadata"]["name"], "-c", "model-cache-gate", check=False)


def paths(cluster: Cluster) -> list[str]:
    """What the release's Job puts onto the volume."""
    (container,) = job(cluster)["spec"]["template"]["spec"]["containers"]
    (spec,) = [json.loads(entry["value"]) for entry in container["env"] if entry["name"] == "CACHE_SPEC"]
    return [item["path"] for item in spec["items"]]


def on_the_volume(cluster: Cluster, script: str) -> str:
    """Run Python in a pod that may write to the release's claim; what it prints."""
    container = {
        "name": "own",
        "image": versions.images()["storage-initializer"].ref,
        "command": ["python3", "-c", script],
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "weights", "mountPath": "/volume"}],
    }
    metadata = {"name": "own", "namespace": demo.NAMESPACE}
    spec = {
        "restartPolicy": "Never",
        "securityContext": releases.NOT_ROOT,
        "containers": [container],
        "volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": CLAIM}}],
    }
    cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}])
    try:
        cluster.kubectl("-n", demo.NAMESPACE, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/own", "--timeout=60s")
        return cluster.kubectl("-n", demo.NAMESPACE, "logs", "own").strip()
    finally:
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", "own", "--grace-period=0", "--force")
