"""What preflight reads out of rendered objects, and how it counts: without a cluster."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hack import preflight

TAINT = {"key": "gpu", "value": "present", "effect": "NoSchedule"}
TOLERATIONS = {
    "exists": ({"key": "gpu", "operator": "Exists"}, True),
    "exists-with-effect": ({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
    "another-effect": ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    "equal-by-default": ({"key": "gpu", "value": "present"}, True),
    "another-value": ({"key": "gpu", "operator": "Equal", "value": "absent"}, False),
    "another-key": ({"key": "cpu", "operator": "Exists"}, False),
    "everything": ({"operator": "Exists"}, True),
    "no-key-and-equal": ({"value": "present"}, False),
}


@pytest.mark.parametrize("case", TOLERATIONS)
def test_tolerations(case: str) -> None:
    toleration, tolerated = TOLERATIONS[case]
    node = {"metadata": {"labels": {}}, "spec": {"taints": [TAINT]}}
    assert preflight._unfit(node, {"tolerations": [toleration]}) == (
        "" if tolerated else "taint gpu=present:NoSchedule is not tolerated"
    )


def test_a_soft_taint_keeps_nobody_away() -> None:
    node = {"metadata": {}, "spec": {"taints": [{"key": "gpu", "effect": "PreferNoSchedule"}]}}
    assert preflight._unfit(node, {}) == ""


ENGINE, WORKER = {"containers": [{"name": "main"}]}, {"containers": [{"name": "main"}]}
SIXTEEN = {"data": 16, "dataLocal": 8}
PODS: dict[str, tuple[dict[str, Any], list[tuple[str, int]]]] = {
    "single": ({"replicas": 3, "template": ENGINE}, [("engine", 3)]),
    "neither": ({"template": ENGINE}, [("engine", 1)]),
    "stopped": ({"replicas": 0, "template": ENGINE}, [("engine", 0)]),
    "disaggregated": (
        {"replicas": 1, "template": ENGINE, "prefill": {"replicas": 2, "template": ENGINE}},
        [("decode engine", 1), ("prefill engine", 2)],
    ),
    "multi-node": (
        {"replicas": 2, "template": ENGINE, "worker": WORKER, "parallelism": SIXTEEN},
        [("engine, leader", 2), ("engine, worker", 2)],
    ),
    "workers-only": ({"replicas": 2, "worker": WORKER, "parallelism": SIXTEEN}, [("engine", 4)]),
    "disaggregated-multi-node": (
        {"template": ENGINE, "prefill": {"template": ENGINE, "worker": WORKER, "parallelism": {"data": 32, "dataLocal": 8}}},
        [("decode engine", 1), ("prefill engine, leader", 1), ("prefill engine, worker", 3)],
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_pods_of_a_service(case: str) -> None:
    spec, told = PODS[case]
    assert [(pods.title, pods.count) for pods in preflight.pods_of({"spec": spec})] == told


KSERVES = {"minReplicas": 2, "maxReplicas": 4}


@pytest.mark.parametrize(
    ("spec", "targets", "least", "most"),
    [
        ({"replicas": 3}, [], [3], [3]),
        ({"scaling": KSERVES}, [], [2], [4]),
        ({"scaling": {**KSERVES, "minReplicas": 1, "keda": {"idleReplicaCount": 0}}}, [], [0], [4]),
        ({}, ["demo-kserve"], [0], [5]),
        ({"worker": WORKER, "parallelism": SIXTEEN}, ["demo-kserve-mn"], [0, 0], [5, 5]),
        ({}, ["demo-2-kserve", "my-demo-kserve"], [1], [1]),
        ({"prefill": {"template": ENGINE, "replicas": 2}}, ["demo-kserve"], [0, 2], [5, 2]),
        ({"replicas": 2, "prefill": {"template": ENGINE}}, ["demo-kserve-prefill"], [2, 0], [2, 5]),
        ({"prefill": {"template": ENGINE, "scaling": KSERVES}, "scaling": KSERVES}, [], [2, 2], [4, 4]),
    ],
)
def test_engines_that_autoscaling_begins_with_and_may_ask_for(
    spec: dict[str, Any], targets: list[str], least: list[int], most: list[int]
) -> None:
    service = {"kind": "LLMInferenceService", "metadata": {"name": "demo"}, "spec": {"template": ENGINE, **spec}}
    counts = {"minReplicaCount": 0, "maxReplicaCount": 5, "triggers": []}
    scaled = [{"kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": name}, **counts}} for name in targets]
    for wanted, counts in ((False, least), (True, most)):
        (found,) = preflight.services([service, *scaled], most=wanted)
        assert [pods.count for pods in preflight.pods_of(found)] == counts


def test_requests_of_a_pod() -> None:
    """What the scheduler counts: requests, or limits where there is no request, of all that runs together."""
    main = {"name": "main", "resources": {"limits": {"cpu": "2", "nvidia.com/gpu": "4"}, "requests": {"cpu": "500m"}}}
    sidecar = {"name": "sidecar", "resources": {"requests": {"cpu": 1, "memory": "1Gi"}}}
    download = {"name": "download", "resources": {"requests": {"cpu": "8"}}}
    router = {"name": "router", "restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}}
    template = {"initContainers": [download, router], "containers": [main, sidecar, {"name": "bare"}]}
    (pods,) = preflight.pods_of({"spec": {"template": template}})
    assert pods.requests == {"cpu": Decimal("1.75"), "nvidia.com/gpu": Decimal(4), "memory": Decimal(2**30)}


def test_names_of_a_service() -> None:
    lora = {"adapters": [{"name": "french", "uri": "hf://a/b"}]}
    assert preflight._served({"metadata": {"name": "svc"}, "spec": {"model": {"uri": "hf://a/b"}}}) == {"svc"}
    assert preflight._served({"metadata": {"name": "svc"}, "spec": {"model": {"name": "qwen", "lora": lora}}}) == {
        "qwen",
        "french",
    }
