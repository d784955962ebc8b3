"""The cluster's name server: closed towards the outside, and what it was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from hack.kube import Cluster

INSIDE = ".cluster.local."
_SYSTEM = ("-n", "kube-system")


@contextmanager
def closed(cluster: Cluster) -> Iterator[None]:
    """Names of the cluster alone are answered, and every question is logged."""
    before = (cluster.get("configmap", "coredns", *_SYSTEM) or {})["data"]["Corefile"]
    inside, cuts = re.subn(r"\n\s*forward [^\n{]*(\{[^}]*\})?", "", before)
    assert cuts == 1, before
    _serve(cluster, inside.replace("errors\n", "errors\n    log\n", 1))
    try:
        yield
    finally:
        _serve(cluster, before)


def asked(cluster: Cluster) -> set[str]:
    """Names whose address was asked for since `closed` began, as they were asked: full, with a dot at the end."""
    log = cluster.kubectl(*_SYSTEM, "logs", "-l", "k8s-app=kube-dns", "--tail=-1", "--prefix=false")
    return set(re.findall(r'"(?:A|AAAA) IN (\S+) ', log))


def _serve(cluster: Cluster, corefile: str) -> None:
    patch = json.dumps({"data": {"Corefile": corefile}})
    cluster.kubectl(*_SYSTEM, "patch", "configmap", "coredns", "--type=merge", "-p", patch)
    cluster.kubectl(*_SYSTEM, "rollout", "restart", "deployment/coredns")
    cluster.kubectl(*_SYSTEM, "rollout", "status", "deployment/coredns", "--timeout=120s")
