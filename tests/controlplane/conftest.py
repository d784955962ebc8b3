"""The control plane, once per session: etcd, kube-apiserver, KServe's resource definitions, our chart, KServe's controller."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack import deps, kserve
from tests.controlplane import preflights
from tests.harness import nodes, render
from tests.harness.controlplane import ControlPlane, install_kserve, namespace, running

NAMESPACE = "llm"
# Routes refer to it; KServe refuses to make them without.
GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "kserve-ingress-gateway", "namespace": kserve.NAMESPACE},
    "spec": {"gatewayClassName": "any", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    deps.build()
    certificates = {"certManager": {"enabled": False}, "existingSecret": {"name": "webhook", "caBundle": ""}}
    with running(tmp_path_factory.mktemp("controlplane")) as plane:
        certificates["existingSecret"]["caBundle"] = plane.authority.pem
        chart = render(
            "llm-stack", "platform", values={"kserve-controller": {"certificates": certificates}}, namespace=kserve.NAMESPACE
        )
        install_kserve(plane, chart.objects)
        namespace(plane, NAMESPACE)
        plane.cluster.apply([GATEWAY])
        yield plane


@pytest.fixture
def ready(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with a node for everybody and a default class; only the controller's pod is missing."""
    namespace(plane, preflights.NAMESPACE)
    with (
        preflights.machines(plane, nodes.Node("plain")),
        preflights.there(plane.cluster, preflights.storage_class("standard", default=True)),
    ):
        yield plane
