"""Releases, nodes and objects for tests of preflight, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hack import kserve, preflight
from hack.kube import Cluster, Object
from tests.harness import nodes
from tests.harness.controlplane import ControlPlane

NAMESPACE = "preflight"  # other tests' services would be others of one name
NO_PODS = (
    f"controller: no pod of {kserve.CONTROLLER} is available, so the service cannot be created; "
    "see kubectl -n kserve describe pods"
)
LABEL = "example.com/accelerator"
DEVICE = "example.com/gpu"
LOWER = "add nodes, or lower global.llm.replicas or global.llm.parallel"


def service(name: str = "demo", *, gpus: int = 0, selector: str = "", tolerate: bool = False, **spec: Any) -> Object:
    """A service as the charts render it, cut to what preflight reads."""
    model = {"uri": "hf://some/model", "name": name}
    template = {"template": pod(gpus, selector, tolerate)}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/instance": "release"}}
    kind = {"apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService"}
    return {**kind, "metadata": metadata, "spec": {"model": model, "replicas": 1, **template, **spec}}


def pod(gpus: int = 0, selector: str = "", tolerate: bool = False, memory: str = "1Gi") -> Object:
    requests = {"cpu": "1", "memory": memory, **({DEVICE: str(gpus)} if gpus else {})}
    return {
        "containers": [{"name": "main", "resources": {"requests": requests}}],
        **({"nodeSelector": {LABEL: selector}} if selector else {}),
        **({"tolerations": [{"key": DEVICE, "operator": "Exists", "effect": "NoSchedule"}]} if tolerate else {}),
    }


def claim(name: str, *, modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: Any) -> Object:
    wanted = {"accessModes": list(modes), "resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": wanted}


def storage_class(name: str, provisioner: str = "example.com/shared", *, default: bool = False) -> Object:
    annotations = {preflight.DEFAULT_CLASS: "true"} if default else {}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    return {**kind, "metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner}


@contextmanager
def there(cluster: Cluster, *objects: Object) -> Iterator[None]:
    """Objects for the length of a block."""
    cluster.apply(objects)
    try:
        yield
    finally:
        for obj in objects:
            scope = ("-n", obj["metadata"]["namespace"]) if "namespace" in obj["metadata"] else ()
            # Nothing here takes away the finalizers that the API server sets on claims and volumes.
            patch = '{"metadata": {"finalizers": null}}'
            target = (_resource(obj), obj["metadata"]["name"], *scope)
            cluster.kubectl("delete", *target, "--wait=false")
            cluster.kubectl("patch", *target, "--type=merge", "-p", patch, check=False)


def _resource(obj: Object) -> str:
    group, _, version = obj["apiVersion"].rpartition("/")
    return f"{obj['kind']}.{version}.{group}"


@contextmanager
def machines(plane: ControlPlane, *made: nodes.Node) -> Iterator[None]:
    nodes.create(plane, list(made))
    try:
        yield
    finally:
        plane.cluster.kubectl("delete", "node", *(node.name for node in made))


def gpu_node(name: str, devices: int, *, label: str = "h100", memory: str = "64Gi", taint: bool = False) -> nodes.Node:
    taints = ({"key": DEVICE, "value": "present", "effect": "NoSchedule"},) if taint else ()
    return nodes.Node(name, {LABEL: label}, taints, {DEVICE: devices}, memory=memory)


def problems(plane: ControlPlane, *release: Object) -> list[str]:
    """What preflight finds beside the controller, which runs as a process here."""
    found = preflight.check(plane.cluster, list(release), NAMESPACE)
    assert found.warnings == []
    assert found.problems[0] == NO_PODS
    return found.problems[1:]


def warnings(plane: ControlPlane, *release: Object) -> list[str]:
    found = preflight.check(plane.cluster, list(release), NAMESPACE)
    assert found.problems == [NO_PODS]
    return found.warnings
