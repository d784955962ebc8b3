"""The demo's cluster for tests: `make smoke` brings it up (hack.demo) and leads pytest-helm-charts to it by --kubeconfig."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client, config
from pytest_helm_charts.clusters import Cluster as HelmChartsCluster

from hack import demo
from hack.kube import Cluster
from tests.smoke.engine import Engine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="the long matrix as well: every Helm, every kind of apply, repeated faults"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marker `full`: minutes of crash loops and the like, for `make smoke-full` only."""
    if not config.getoption("--full"):
        long = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`way`: how a release is applied. One in CI, all of them with --full."""
    if "way" in metafunc.fixturenames:
        ways = {"helm4-server-side": ("helm", ("--server-side=true",))}
        if metafunc.config.getoption("--full"):
            ways |= {"helm3": ("helm3", ()), "helm4-client-side": ("helm", ("--server-side=false",))}
        metafunc.parametrize("way", list(ways.values()), ids=list(ways))


@pytest.fixture(scope="module")
def cluster(kube_cluster: HelmChartsCluster) -> Cluster:
    """Our kubectl for the cluster that pytest-helm-charts connected to."""
    assert kube_cluster.kube_config_path
    return Cluster(Path(kube_cluster.kube_config_path))


@pytest.fixture(scope="module")
def core(kube_cluster: HelmChartsCluster) -> client.CoreV1Api:
    """The kubernetes client's core API."""
    config.load_kube_config(kube_cluster.kube_config_path)
    return client.CoreV1Api()


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    """The demo's engine, serving, through a forwarded port."""
    demo.wait_serving(cluster, demo.NAMESPACE, demo.RELEASE, lambda _: None)
    with Engine.connect(cluster, demo.NAMESPACE, demo.RELEASE) as connected:
        yield connected
