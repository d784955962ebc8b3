"""Releases beside the demo's, in its namespace and on its claim: installed, waited for, removed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hack import demo, versions
from hack.kube import RESTRICTED, Cluster, Object, holds, until
from hack.paths import CHARTS, VALUES
from tests.harness import values_file
from tests.harness.components import overlay
from tests.smoke.engine import Engine

# Of two cores an engine leaves something for the cluster, and so do two that start at once.
ENGINE = {"requests": {"cpu": "50m", "memory": "1600Mi"}, "limits": {"cpu": "1500m", "memory": "2Gi"}}
ONE_OF_TWO = overlay(ENGINE, {"limits": {"cpu": "900m"}})
# What restricted Pod Security wants of a pod.
NOT_ROOT = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
# values/demo.yaml: kv-cache-memory-bytes
CACHE_BYTES = 64 * 1024**2


@contextmanager
def installed(cluster: Cluster, name: str, values: dict[str, Any]) -> Iterator[None]:
    """A release with the demo's values and `values` over them, uninstalled with the block if nobody did it before."""
    install(cluster, name, values)
    try:
        yield
    finally:
        cluster.helm("uninstall", name, "-n", demo.NAMESPACE, "--ignore-not-found")


@contextmanager
def serving(cluster: Cluster, name: str, values: dict[str, Any]) -> Iterator[Engine]:
    """The same with one engine, once it serves."""
    with installed(cluster, name, values):
        ready(cluster, workload(name), 1)
        with Engine.connect(cluster, demo.NAMESPACE, name) as engine:
            yield engine


def install(cluster: Cluster, name: str, values: dict[str, Any]) -> None:
    """Install or upgrade; nothing is waited for."""
    with values_file(values) as file:
        arguments = (name, CHARTS / "llm-stack", "-n", demo.NAMESPACE, "-f", VALUES / "demo.yaml", "-f", file)
        cluster.helm("upgrade", "--install", *arguments)


def reconcile(cluster: Cluster, name: str, times: int) -> None:
    """Have KServe's controller look at the service so many times, a second apart."""
    for number in range(times):
        service = ("llminferenceservice", name, "-n", demo.NAMESPACE)
        cluster.kubectl("annotate", *service, "--overwrite", f"example.com/again={number}")
        time.sleep(1)


def assert_answers(cluster: Cluster, name: str, timeout: float = 300) -> None:
    """One engine of the release becomes ready and says what the demo's model was trained on."""
    ready(cluster, workload(name), 1, timeout)
    with Engine.connect(cluster, demo.NAMESPACE, name) as engine:
        assert engine.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."


@contextmanager
def script(cluster: Cluster, name: str, text: str, env: Mapping[str, str], *, metrics: int = 0) -> Iterator[None]:
    """A pod that runs a Python script, for as long as the block lasts; Prometheus asks its port `metrics`, where that is set."""
    asked = {"prometheus.io/scrape": "true", "prometheus.io/port": str(metrics), "prometheus.io/path": "/metrics"}
    container = {
        "name": "main",
        "image": versions.images()["storage-initializer"].ref,
        "command": ["python3", "-c", text],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"containerPort": metrics}] if metrics else [],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": RESTRICTED,
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": NOT_ROOT,
        "containers": [container],
    }
    metadata = {"name": name, "namespace": demo.NAMESPACE, "labels": {"app": name}, "annotations": asked if metrics else {}}
    cluster.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}])
    try:
        ready(cluster, f"app={name}", 1, 60)
        yield
    finally:
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "pod", name, "--grace-period=0", "--force", "--ignore-not-found")


def workload(name: str) -> str:
    """Labels of a release's engine pods."""
    return f"app.kubernetes.io/name={name},kserve.io/component=workload"


def pods(cluster: Cluster, labels: str) -> list[Object]:
    """Pods that stay, by name."""
    found = cluster.items("pods", "-n", demo.NAMESPACE, "-l", labels)
    return sorted((pod for pod in found if "deletionTimestamp" not in pod["metadata"]), key=lambda pod: pod["metadata"]["name"])


def ready(cluster: Cluster, labels: str, count: int, timeout: float = 300) -> list[Object]:
    """Wait until `count` pods are there and all are Ready; TimeoutError tells what is at fault."""

    def happened() -> bool:
        found = pods(cluster, labels)
        return len(found) == count and all(holds(pod, "Ready") for pod in found)

    try:
        until(happened, timeout, f"not {count} ready pods of {labels}", every=1)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{demo.diagnosis(cluster, demo.NAMESPACE)}") from error
    return pods(cluster, labels)


def wait_gone(cluster: Cluster, labels: str, before: Iterable[Object], timeout: float = 300) -> None:
    """Until none of the pods `before` is left but in its own shutdown."""
    uids = {pod["metadata"]["uid"] for pod in before}
    until(
        lambda: not uids & {pod["metadata"]["uid"] for pod in pods(cluster, labels)},
        timeout,
        f"old pods of {labels} stay",
        every=1,
    )
