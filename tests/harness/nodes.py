"""Fake nodes for a control plane: the real controller manager and scheduler, and kwok, which says that pods run.

What is real is who goes where: labels, taints, allocatable resources, volume binding. No container starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hack import documents, gobuild
from hack.kube import Object, holds, until
from tests.harness.controlplane import ControlPlane, free_port

# Of the controller manager, what a release needs: pods of Deployments, accounts of namespaces, volumes of claims, clean-up.
CONTROLLERS = (
    "deployment-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "replicaset-controller",
    "serviceaccount-controller",
    "statefulset-controller",
)
STAGES = ("node/fast/node-initialize.yaml", "pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml")
STORAGE_CLASS = "by-hand"


@dataclass(frozen=True)
class Node:
    """A fake node. Devices are set by their resource; cpu, memory and pods as of a machine that carries eight GPUs."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    devices: Mapping[str, int] = field(default_factory=dict)
    cpu: str = "192"
    memory: str = "2Ti"

    def manifest(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": {"kubernetes.io/hostname": self.name, **self.labels}},
            "spec": {"taints": [dict(taint) for taint in self.taints]},
        }

    def status(self) -> Object:
        amounts = {"cpu": self.cpu, "memory": self.memory, "pods": "250", **{key: str(n) for key, n in self.devices.items()}}
        return {"status": {"allocatable": amounts, "capacity": amounts}}


def start(plane: ControlPlane) -> None:
    """The controller manager, the scheduler and kwok, as processes of the control plane."""
    admin = plane.cluster.kubeconfig
    plane.spawn(
        "kube-controller-manager",
        gobuild.program("kube-controller-manager"),
        *("--kubeconfig", admin, "--leader-elect=false", f"--controllers={','.join(CONTROLLERS)}"),
        *("--secure-port", str(free_port()), "--bind-address", "127.0.0.1", "--cert-dir", plane.folder / "kcm"),
        *("--kube-api-qps=200", "--kube-api-burst=400", "--concurrent-deployment-syncs=20"),
    )
    plane.spawn(
        "kube-scheduler",
        gobuild.program("kube-scheduler"),
        *("--kubeconfig", admin, "--leader-elect=false", "--kube-api-qps=200", "--kube-api-burst=400"),
        *("--secure-port", str(free_port()), "--bind-address", "127.0.0.1", "--cert-dir", plane.folder / "scheduler"),
    )
    stages = gobuild.module_dir("kwok") / "kustomize" / "stage"
    # Options that a file leaves out are zero, not kwok's defaults.
    options = {"manageAllNodes": True, "cidr": "10.0.0.0/8", "nodePlayStageParallelism": 4, "podPlayStageParallelism": 16}
    configuration = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": options,
    }
    config = plane.folder / "kwok.yaml"
    config.write_text("\n---\n".join([documents.dump(configuration), *((stages / name).read_text() for name in STAGES)]))
    plane.spawn(
        "kwok",
        gobuild.program("kwok"),
        *("--kubeconfig", admin, "--config", config, "--server-address", f"127.0.0.1:{free_port()}", "--node-ip", "127.0.0.1"),
    )


def create(plane: ControlPlane, nodes: list[Node]) -> None:
    """Nodes with what they can allocate. Without kwok nobody says that they are ready."""
    plane.cluster.apply([node.manifest() for node in nodes])
    for node in nodes:
        status = documents.dump(node.status())
        plane.cluster.kubectl("patch", "node", node.name, "--subresource=status", "--type=merge", "-p", status)
        # The API server adds a taint to a new node, and the controller that would take it away does not run here.
        taints = documents.dump({"spec": {"taints": node.manifest()["spec"]["taints"]}})
        plane.cluster.kubectl("patch", "node", node.name, "--type=merge", "-p", taints)


def add(plane: ControlPlane, nodes: list[Node]) -> None:
    """Nodes that are ready."""
    create(plane, nodes)
    until(lambda: all(_ready(plane, node.name) for node in nodes), 30, f"kwok did not make the nodes ready:\n{plane.log('kwok')}")


def _ready(plane: ControlPlane, name: str) -> bool:
    return holds(plane.cluster.get("node", name), "Ready")


def storage(plane: ControlPlane) -> None:
    """A default storage class whose volumes are made by `volume`."""
    plane.cluster.apply(
        [
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": STORAGE_CLASS,
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "Immediate",
            }
        ]
    )


def bind(plane: ControlPlane, objects: Iterable[Object]) -> None:
    """The claims among `objects`, each bound to a volume made for it, before anything that mounts them is there.

    A pod made before its claim is bound can stay pending for the scheduler's five minutes: it learns of the claim twice, and
    between the two it may ask for the pod once more, find the claim unbound, and hear no more of it (seen with 1.34).
    """
    claims = [obj for obj in objects if obj["kind"] == "PersistentVolumeClaim"]
    plane.cluster.apply([volume(claim) for claim in claims])  # first: an unbound claim is looked at every 15 s only
    plane.cluster.apply(claims)
    wanted = {(claim["metadata"]["namespace"], claim["metadata"]["name"]) for claim in claims}
    until(lambda: wanted <= _bound(plane), 60, "claims are not bound", every=0.2)


def _bound(plane: ControlPlane) -> set[tuple[str, str]]:
    """Namespace and name of each bound claim."""
    found = plane.cluster.items("persistentvolumeclaims", "--all-namespaces")
    return {(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in found if obj["status"]["phase"] == "Bound"}


def volume(claim: Object) -> Object:
    """A volume that fits a claim of the default class."""
    spec = claim["spec"]
    where = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{where['namespace']}-{where['name']}"},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "storageClassName": spec.get("storageClassName", STORAGE_CLASS),
            "hostPath": {"path": "/models"},
            "claimRef": {"namespace": where["namespace"], "name": where["name"]},
        },
    }
