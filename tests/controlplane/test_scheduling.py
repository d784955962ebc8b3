"""Every deploy file goes onto the right nodes: the real scheduler, fake nodes with what each accelerator's software puts on them.

And thirty releases at once, as a guard of what one more model costs the controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack import documents, kserve, preflight, scale
from hack.kube import Object, conditions, holds, until
from tests.controlplane.conftest import GATEWAY
from tests.harness import Scenario, nodes, render, thaw
from tests.harness.controlplane import ControlPlane, install_lws, namespace
from tests.harness.scenarios import SCENARIOS

NAMESPACE = "deploys"
DEPLOYS = [scenario for scenario in SCENARIOS if scenario.name.startswith("deploy-")]
NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"
# Accelerator to device resource and node labels, as NVIDIA's GPU feature discovery and AMD's node labeller write them: written
# here a second time on purpose, because the catalogue's own selector would match whatever it says. Two nodes of eight each.
MACHINES: dict[str, tuple[str, dict[str, str]]] = {
    "nvidia-l40s": (NVIDIA, {"nvidia.com/gpu.product": "NVIDIA-L40S"}),
    "nvidia-h100-80gb": (NVIDIA, {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}),
    "nvidia-h200": (NVIDIA, {"nvidia.com/gpu.product": "NVIDIA-H200"}),
    "amd-mi300x": (AMD, {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}),
}
SERVICE = kserve.CRDS[0]
RELEASES = 30
PICKER = "llminferenceservice-router-scheduler"


def machine(accelerator: str, number: int) -> nodes.Node:
    device, labels = MACHINES[accelerator]
    taint = {"key": device, "value": "present", "effect": "NoSchedule"}
    return nodes.Node(f"{accelerator}-{number}", labels, (taint,), {device: 8})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: with the controller manager in it, other tests' releases would come to life."""
    with scale.fleet(tmp_path_factory.mktemp("fleet"), RELEASES) as plane:
        nodes.add(plane, [nodes.Node("plain"), *(machine(name, number) for name in MACHINES for number in (1, 2))])
        namespace(plane, NAMESPACE)
        plane.cluster.apply([GATEWAY])
        install_lws(plane)
        yield plane


def settings(scenario: Scenario) -> Any:
    return documents.load(scenario.file.read_text())["global"]["llm"]


def objects(scenario: Scenario, name: str) -> list[Object]:
    policy = {"llm-inference-service": {"networkPolicy": {"enabled": True, "from": {"all": {"namespaceSelector": {}}}}}}
    found = [thaw(obj) for obj in render("llm-stack", scenario.file, name=name, namespace=NAMESPACE, values=policy).objects]
    return [obj for obj in found if "helm.sh/hook" not in obj["metadata"].get("annotations", {})]


def create(plane: ControlPlane, release: list[Object]) -> None:
    nodes.bind(plane, release)
    plane.cluster.apply(release)


def engines(plane: ControlPlane, name: str) -> list[Object]:
    """All pods of all engines. KServe gives the workers of a group neither the role nor `kserve.io/component`."""
    own = f"app.kubernetes.io/name={name},app.kubernetes.io/part-of=llminferenceservice"
    return plane.cluster.items("pods", "-n", NAMESPACE, "-l", f"{own},app.kubernetes.io/component!={PICKER}")


def selects(selector: Object, pod: Object) -> bool:
    """A label selector, as far as our charts write them."""
    labels = pod["metadata"]["labels"]
    expressions = selector.get("matchExpressions", [])
    assert {expression["operator"] for expression in expressions} <= {"In"}
    named = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return named and all(labels.get(expression["key"]) in expression["values"] for expression in expressions)


def role(pod: Object) -> str:
    return "prefill" if pod["metadata"]["labels"]["app.kubernetes.io/component"].endswith("-prefill") else "main"


def devices(pod: Object, device: str) -> int:
    (main,) = (container for container in pod["spec"]["containers"] if container["name"] == "main")
    return int(main["resources"]["requests"][device])


def lacks(plane: ControlPlane, release: list[Object]) -> list[str]:
    """What preflight says beside the controller, which is a process here, and KEDA, which is not here."""
    problems = preflight.check(plane.cluster, release, NAMESPACE).problems
    return [message for message in problems if "controller" not in message and not message.startswith("KEDA: ")]


@pytest.mark.parametrize("scenario", DEPLOYS, ids=str)
def test_a_deploy_file_goes_onto_its_nodes(fleet: ControlPlane, scenario: Scenario) -> None:
    llm, release = settings(scenario), objects(scenario, scenario.name)
    spec = next(obj for obj in release if obj["kind"] == "LLMInferenceService")["spec"]
    device, wanted_labels = MACHINES[llm["accelerator"]]
    sides = {"main": llm} if "prefill" not in spec else {"main": llm, "prefill": llm["prefill"]}
    nodes_of = {role: side.get("parallel", {}).get("nodes", 1) for role, side in sides.items()}
    wanted = {role: side.get("replicas", 1) * nodes_of[role] for role, side in sides.items()}
    assert lacks(fleet, release) == []
    create(fleet, release)
    try:
        until(
            lambda: sum(holds(pod, "Ready") for pod in engines(fleet, scenario.name)) == sum(wanted.values()),
            60,
            f"{scenario.name}: not every engine is ready",
        )
        pods = engines(fleet, scenario.name)
        roles = [role(pod) for pod in pods]
        assert {side: roles.count(side) for side in roles} == wanted
        for pod, side in zip(pods, roles, strict=True):
            labels = (fleet.cluster.get("node", pod["spec"]["nodeName"]) or {})["metadata"]["labels"]
            assert labels.items() >= wanted_labels.items()
            layout = sides[side].get("parallel", {})
            asked = devices(pod, device)
            if "tensor" in layout:
                assert asked * nodes_of[side] == layout["tensor"] * layout.get("data", 1)
            assert 1 <= asked <= 8
        (policy,) = (obj["spec"]["podSelector"] for obj in release if obj["kind"] == "NetworkPolicy")
        assert [pod["metadata"]["name"] for pod in pods if not selects(policy, pod)] == []
        budgets = [obj["spec"]["selector"] for obj in release if obj["kind"] == "PodDisruptionBudget"]
        several = [pod for pod, side in zip(pods, roles, strict=True) if sides[side].get("replicas", 1) > 1]
        assert [pod["metadata"]["name"] for pod in several if sum(selects(budget, pod) for budget in budgets) != 1] == []
        # What one engine is made of stands on as many nodes.
        assert len({pod["spec"]["nodeName"] for pod in pods}) >= max(nodes_of.values())
    finally:
        remove(fleet, scenario.name)


def remove(plane: ControlPlane, name: str) -> None:
    """Take a release away with its pods, so that the next finds the nodes empty."""
    plane.cluster.kubectl("delete", SERVICE, name, "-n", NAMESPACE, "--timeout=60s")
    until(lambda: not engines(plane, name), 60, f"pods of {name} outlive their service")


@pytest.fixture
def seventy(fleet: ControlPlane) -> Iterator[tuple[ControlPlane, list[Object]]]:
    """deploy-70b, which needs a whole node of eight, with both such nodes cordoned."""
    full = [f"nvidia-h100-80gb-{number}" for number in (1, 2)]
    fleet.cluster.kubectl("cordon", *full)
    release = objects(next(scenario for scenario in DEPLOYS if scenario.name == "deploy-70b"), "seventy")
    yield fleet, release
    fleet.cluster.kubectl("uncordon", *full)
    until(
        lambda: sum(holds(pod, "Ready") for pod in engines(fleet, "seventy")) == 1,
        60,
        "a node that comes back does not take the pod",
    )
    remove(fleet, "seventy")


def wait_unplaced(plane: ControlPlane, why: str) -> None:
    """Until the scheduler says of the only pod that it cannot place it, and why."""

    def messages() -> list[str]:
        return [conditions(pod).get("PodScheduled", {}).get("message", "") for pod in engines(plane, "seventy")]

    until(lambda: any(why in message for message in messages()), 60, f"the scheduler does not say {why!r}")


def test_preflight_and_scheduler_agree_on_too_few_devices(seventy: tuple[ControlPlane, list[Object]]) -> None:
    plane, release = seventy
    half = machine("nvidia-h100-80gb", 3)
    nodes.add(plane, [nodes.Node(half.name, half.labels, half.taints, {NVIDIA: 4})])
    try:
        (message,) = lacks(plane, release)
        assert message.startswith(f"nodes: 0 of 1 pods of the engine find room: each asks for 8 {NVIDIA}, and the nodes")
        assert "nvidia-h100-80gb-3: 4;" in message
        create(plane, release)
        wait_unplaced(plane, f"1 Insufficient {NVIDIA}")
    finally:
        plane.cluster.kubectl("delete", "node", half.name)


def test_preflight_and_scheduler_agree_on_a_taint(seventy: tuple[ControlPlane, list[Object]]) -> None:
    plane, release = seventy
    reserved = machine("nvidia-h100-80gb", 4)
    taint = {"key": "team", "value": "search", "effect": "NoSchedule"}
    nodes.add(plane, [nodes.Node(reserved.name, reserved.labels, (*reserved.taints, taint), {NVIDIA: 8})])
    try:
        (message,) = lacks(plane, release)
        assert "1 because taint team=search:NoSchedule is not tolerated" in message
        assert "2 because it is cordoned" in message
        create(plane, release)
        wait_unplaced(plane, "untolerated taint")
    finally:
        plane.cluster.kubectl("delete", "node", reserved.name)


def test_a_pod_without_a_node_has_its_certificate_made_again_and_again(seventy: tuple[ControlPlane, list[Object]]) -> None:
    """docs/day-2.md tells of it. When KServe mends it, this fails, and the row there can go."""
    plane, release = seventy
    create(plane, release)
    wait_unplaced(plane, "unschedulable")
    seen: set[str] = set()

    def made_again() -> bool:
        secret = plane.cluster.get("secret", "seventy-kserve-self-signed-certs", "-n", NAMESPACE)
        seen.add((secret or {"data": {}})["data"].get("tls.crt", ""))
        return len(seen) > 3

    until(made_again, 60, "the certificate stays while a pod has no address")


def test_a_restart_needs_room_and_stop_makes_it(seventy: tuple[ControlPlane, list[Object]]) -> None:
    """UPGRADING.md: with one node, the new pod waits for the devices of the old one, which serves on."""
    plane, release = seventy
    plane.cluster.kubectl("uncordon", "nvidia-h100-80gb-1")
    create(plane, release)
    until(lambda: sum(holds(pod, "Ready") for pod in engines(plane, "seventy")) == 1, 60, "the first pod is not ready")
    plane.cluster.kubectl(
        "patch", SERVICE, "seventy", "-n", NAMESPACE, "--type=merge", "-p", '{"spec": {"annotations": {"new": "yes"}}}'
    )
    until(lambda: len(engines(plane, "seventy")) == 2, 60, "the change starts no new pod")
    old, new = sorted(engines(plane, "seventy"), key=lambda pod: "new" in pod["metadata"].get("annotations", {}))
    assert holds(old, "Ready")
    until(
        lambda: "Insufficient" in conditions(find(plane, new)).get("PodScheduled", {}).get("message", ""),
        30,
        "the new pod is placed",
    )
    assert holds(find(plane, old), "Ready")
    plane.cluster.kubectl("annotate", SERVICE, "seventy", "-n", NAMESPACE, "serving.kserve.io/stop=true")
    until(lambda: not engines(plane, "seventy"), 60, "stop leaves pods")
    plane.cluster.kubectl("annotate", SERVICE, "seventy", "-n", NAMESPACE, "serving.kserve.io/stop-")
    until(
        lambda: (
            ["new" in pod["metadata"].get("annotations", {}) and holds(pod, "Ready") for pod in engines(plane, "seventy")]
            == [True]
        ),
        60,
        "no start",
    )


def find(plane: ControlPlane, pod: Object) -> Object:
    """A pod as it is now."""
    there = plane.cluster.get("pod", pod["metadata"]["name"], "-n", NAMESPACE)
    assert there, f"pod {pod['metadata']['name']} is gone"
    return there


def test_thirty_releases_at_once(fleet: ControlPlane) -> None:
    """Bounds of a regression, far from what a quiet machine shows: a controller that reconciles in a circle, or leaks."""
    measured = scale.measure(fleet, RELEASES)
    assert len(measured.ready) == RELEASES
    assert measured.ready_all < 8 * RELEASES
    before, after = measured.memory["llmisvc-controller"]
    assert (after - before) / RELEASES < 8  # MiB a service
    assert "is forbidden" not in fleet.log("llmisvc-controller")
    print(measured.text())
