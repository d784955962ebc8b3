"""Caches on nodes, before their services: KServe looks for one when a service is created, and Helm creates it after that."""

from __future__ import annotations

from collections.abc import Iterable

from hack.kube import Cluster, Object
from hack.preflight import LOCAL_MODEL


def create(cluster: Cluster, release: Iterable[Object], name: str, namespace: str) -> list[str]:
    """Create the caches of a rendered release that are not there, owned by Helm, which takes them over; their names."""
    missing = [
        obj
        for obj in release
        if obj["kind"] == LOCAL_MODEL and cluster.get(LOCAL_MODEL, obj["metadata"]["name"], "-n", namespace) is None
    ]
    for obj in missing:
        owner = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
        obj["metadata"].setdefault("annotations", {}).update(owner)
    if missing:
        cluster.apply(missing, manager="helm")
    return [obj["metadata"]["name"] for obj in missing]
