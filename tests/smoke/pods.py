"""Pods of a release: waited for, told apart by their labels."""

from __future__ import annotations

from hack import demo
from hack.kube import Cluster, Object, until


def pods(cluster: Cluster, namespace: str, labels: str) -> list[Object]:
    """Pods that stay, by name."""
    found = cluster.items("pods", "-n", namespace, "-l", labels)
    return sorted((pod for pod in found if "deletionTimestamp" not in pod["metadata"]), key=lambda pod: pod["metadata"]["name"])


def ready(cluster: Cluster, namespace: str, labels: str, count: int, timeout: float = 300) -> list[Object]:
    """Wait until `count` pods are there and all are Ready; TimeoutError tells what is at fault."""

    def happened() -> bool:
        found = pods(cluster, namespace, labels)
        return len(found) == count and all(is_ready(pod) for pod in found)

    try:
        until(happened, timeout, f"not {count} ready pods of {labels}", every=1)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{demo.diagnosis(cluster, namespace)}") from error
    return pods(cluster, namespace, labels)


def is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
