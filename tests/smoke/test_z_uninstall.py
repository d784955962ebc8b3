"""Uninstalling the platform plane: never hangs, and the documented order leaves nothing. Last: it takes the cluster apart."""

from __future__ import annotations

import time

import pytest

from hack import demo, kserve, platform
from hack.kube import Cluster, until
from hack.paths import CHARTS, VALUES

PRESETS = "llminferenceserviceconfigs"


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_plain_uninstall_of_the_controller_does_not_hang(cluster: Cluster, program: str) -> None:
    """Even with a model running. The presets stay, the engine keeps serving, and a new install finds them."""
    began = time.monotonic()
    cluster.helm("uninstall", platform.RELEASE, "-n", kserve.NAMESPACE, "--wait", "--timeout", "60s", program=program)
    assert time.monotonic() - began < 45
    assert len(cluster.items(PRESETS, "-n", kserve.NAMESPACE)) == 10
    deployment = cluster.get("deployment", f"{demo.RELEASE}-kserve", "-n", demo.NAMESPACE)
    assert deployment is not None
    assert deployment["status"]["availableReplicas"] == 1
    platform.install(cluster, lambda _: None)
    demo.wait_serving(cluster, demo.NAMESPACE, demo.RELEASE, lambda _: None)


def test_the_documented_order_leaves_nothing(cluster: Cluster) -> None:
    cluster.helm("uninstall", demo.RELEASE, "-n", demo.NAMESPACE)
    until(lambda: cluster.get("llminferenceservice", demo.RELEASE, "-n", demo.NAMESPACE) is None, 60, "the service is left")
    platform.uninstall(cluster, lambda _: None)
    kinds = "crd,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,namespaces"
    left = cluster.kubectl("get", kinds, "-o", "name").split()
    assert not [name for name in left if "kserve" in name or "llmisvc" in name or "llminference" in name]


def test_install_after_uninstall(cluster: Cluster) -> None:
    """From an empty cluster again, so that the next run starts from a demo that serves."""
    platform.install(cluster, lambda _: None)
    platform.release(cluster, demo.RELEASE, demo.NAMESPACE, VALUES / "demo.yaml")
    demo.wait_serving(cluster, demo.NAMESPACE, demo.RELEASE, lambda _: None)
    assert (CHARTS / "llm-stack").is_dir()
