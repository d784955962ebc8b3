"""Releases beside each other: another namespace, upgrade, uninstall; and chart-testing's own install."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hack import demo, deps, documents, gobuild, model, platform
from hack.kube import Cluster, until
from hack.paths import CHARTS, ROOT, VALUES
from hack.shell import run
from tests.smoke.engine import Engine

Way = tuple[str, tuple[str, ...]]


def _pods(cluster: Cluster, namespace: str, name: str) -> list[str]:
    """Engine pods of a release with their restarts; equal lists mean that nothing was restarted."""
    return sorted(
        f"{pod['metadata']['uid']} {sum(s['restartCount'] for s in pod['status'].get('containerStatuses', []))}"
        for pod in cluster.items("pods", "-n", namespace, "-l", f"app.kubernetes.io/name={name},kserve.io/component=workload")
    )


def test_a_second_release_with_its_own_claim(cluster: Cluster, tmp_path: Path, way: Way) -> None:
    """Another namespace, a claim of its own, upgrade of metadata only, uninstall that keeps the weights."""
    program, flags = way
    name = namespace = "second"
    deps.build()
    cluster.apply([platform.namespace(namespace)])
    values = documents.load((VALUES / "demo.yaml").read_text())
    llm = values["global"]["llm"]
    llm["models"]["smoke"]["uri"] = f"pvc://{name}-models/models/smoke"
    file = tmp_path / "values.yaml"
    file.write_text(documents.dump(values))
    demo_before = _pods(cluster, demo.NAMESPACE, demo.RELEASE)

    # A claim that is filled by hand, and named by the model.
    claim = f"{name}-models"
    model.fill(cluster, namespace, lambda _: None, claim, "models/smoke")
    arguments = (name, CHARTS / "llm-stack", "-n", namespace, "-f", file)
    try:
        cluster.helm("install", *arguments, *flags, program=program)
        demo.wait_serving(cluster, namespace, name, lambda _: None)
        with Engine.connect(cluster, namespace, name) as engine:
            assert engine.complete("Serving large")["choices"][0]["text"] == " language models on Kubernetes with vLLM."

        before = _pods(cluster, namespace, name)
        cluster.helm(
            "upgrade",
            *arguments,
            "--set",
            "llm-inference-service.annotations.example\\.com/owner=search",
            *flags,
            program=program,
        )
        until(lambda: _annotated(cluster, namespace, name), 20, "the annotation did not arrive")
        assert _pods(cluster, namespace, name) == before
        assert _pods(cluster, demo.NAMESPACE, demo.RELEASE) == demo_before
    finally:
        cluster.helm("uninstall", name, "-n", namespace, program=program)
    until(lambda: not _pods(cluster, namespace, name), 90, "engine pods are left after the uninstall")
    left = cluster.kubectl(
        "get", "all,configmaps,secrets,serviceaccounts,pvc,llminferenceservices", "-n", namespace, "-o", "name"
    )
    ours = [line for line in left.split() if name in line and "fill-" not in line]
    assert ours == [f"persistentvolumeclaim/{claim}"]
    cluster.kubectl("delete", "namespace", namespace, "--timeout=120s")


def _annotated(cluster: Cluster, namespace: str, name: str) -> bool:
    service = cluster.get("llminferenceservice", name, "-n", namespace)
    return bool(service and "example.com/owner" in service["metadata"].get("annotations", {}))


def test_chart_testing_installs_the_umbrella(cluster: Cluster) -> None:
    """A third release beside the demo's, in the same namespace and on the same claim, installed, tested and removed by ct."""
    before = _pods(cluster, demo.NAMESPACE, demo.RELEASE)
    done = run(
        gobuild.program("ct"),
        *("install", "--config", "ct.yaml", "--charts", "charts/llm-stack", "--namespace", demo.NAMESPACE),
        cwd=ROOT,
        env={"KUBECONFIG": str(cluster.kubeconfig)},
    )
    assert "All charts installed successfully" in done.stdout + done.stderr
    assert _pods(cluster, demo.NAMESPACE, demo.RELEASE) == before


def test_the_demo_again_changes_nothing(cluster: Cluster) -> None:
    before = _pods(cluster, demo.NAMESPACE, demo.RELEASE)
    revision = json.loads(cluster.helm("list", "-n", demo.NAMESPACE, "-o", "json"))
    demo.demo()
    assert _pods(cluster, demo.NAMESPACE, demo.RELEASE) == before
    assert json.loads(cluster.helm("list", "-n", demo.NAMESPACE, "-o", "json")) == revision


@pytest.mark.parametrize("key", ["global.llm.kserveVersion=0.15", "global.llm.model=nothing"])
def test_refused_values_leave_nothing(cluster: Cluster, key: str) -> None:
    arguments = ("refused", CHARTS / "llm-stack", "-n", demo.NAMESPACE, "-f", VALUES / "demo.yaml", "--set-string", key)
    cluster.helm("install", *arguments, check=False)
    assert "refused" not in cluster.helm("list", "-n", demo.NAMESPACE, "-q")
