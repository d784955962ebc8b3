"""Preflight at a real API server: each thing that is missing gives its one message."""

from __future__ import annotations

from pathlib import Path

import yaml

from hack import kserve, preflight
from hack.paths import VALUES
from tests.controlplane.conftest import NAMESPACE
from tests.harness.controlplane import ControlPlane, running


def test_an_empty_cluster_misses_everything(tmp_path: Path) -> None:
    release = preflight.objects(VALUES / "demo.yaml", "demo", NAMESPACE)
    with running(tmp_path) as empty:
        found = preflight.problems(empty.cluster, release, NAMESPACE)
    assert found == [
        *(
            f"resource definition {name}: is not in the cluster; run make crds, then install values/platform.yaml"
            for name in kserve.CRDS
        ),
        "controller: there is no Deployment llmisvc-controller-manager in kserve; install values/platform.yaml",
        "claim demo-models: does not exist in namespace llm; create it, or set global.llm.cache.existingClaim "
        "(or the model's pvc:// uri) to one that does",
    ]


def test_a_controller_without_pods_and_a_claim_that_is_there(plane: ControlPlane) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "demo-models", "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    plane.cluster.apply([claim])
    release = preflight.objects(VALUES / "demo.yaml", "demo", NAMESPACE)
    assert preflight.problems(plane.cluster, release, NAMESPACE) == [
        "controller: no pod of llmisvc-controller-manager is available, so the service cannot be created; "
        "see kubectl -n kserve describe pods"
    ]


def test_a_claim_of_the_release_itself_is_not_missing(plane: ControlPlane, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"global": {"llm": {"model": "qwen2-5-7b-instruct", "accelerator": "nvidia-l40s"}}}))
    release = preflight.objects(values, "fresh", NAMESPACE)
    assert not [message for message in preflight.problems(plane.cluster, release, NAMESPACE) if message.startswith("claim")]
