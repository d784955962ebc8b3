"""N releases at once in a control plane with fake nodes: what one service costs KServe's controller and the API server.

Everything but the nodes is real: helm renders each release, the API server and KServe's webhooks admit it, the controller merges
it, the scheduler places its pod; kwok says that the pod is ready.
"""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hack import deps, kserve
from hack.console import Timeline, say
from hack.kube import Object, conditions
from hack.paths import VALUES
from tests.harness import nodes, render, thaw
from tests.harness.controlplane import ControlPlane, install_kserve, namespace, running

FILE = VALUES / "deploy-basic.yaml"
NAMESPACE = "fleet"
DEVICES_PER_NODE = 8
BATCH = 50  # releases a call of kubectl: its document stays below a few MB
PATIENCE = 10.0  # seconds a service, before the measurement gives up
MEASURED = ("llmisvc-controller", "kube-apiserver", "etcd")


@dataclass(frozen=True)
class Measured:
    """`seconds` are of whole phases; `made` and `ready` of each service from its creation to its Deployment and to ready pods, as
    the API server's clock of whole seconds tells them. `memory` is resident MiB of a process, before and after."""

    count: int
    render: float
    admit: float
    ready_all: float
    change: float
    made: tuple[float, ...]
    ready: tuple[float, ...]
    memory: dict[str, tuple[float, float]]

    def text(self) -> str:
        rows = [
            ("render, helm template", f"{self.render:.1f} s", f"{self.render / self.count * 1000:.0f} ms a release"),
            ("admit, kubectl apply", f"{self.admit:.1f} s", f"{self.admit / self.count * 1000:.0f} ms a release"),
            ("until every pod is ready", f"{self.ready_all:.1f} s", f"{self.ready_all / self.count * 1000:.0f} ms a service"),
            ("creation to Deployment", f"median {_at(self.made, 0.5):.0f} s", f"longest {max(self.made):.0f} s"),
            ("creation to ready pods", f"median {_at(self.ready, 0.5):.0f} s", f"longest {max(self.ready):.0f} s"),
            ("one later change of one service", f"{self.change:.1f} s", "until the controller has seen it"),
            *(
                (f"memory of {name}", f"{after:.0f} MiB", f"{(after - before) * 1024 / self.count:.0f} KiB a service")
                for name, (before, after) in self.memory.items()
            ),
        ]
        return "\n".join([f"{self.count} services", *(f"  {what:<32} {whole:>12}   {each}" for what, whole, each in rows)])


def scale(count: int) -> None:
    """Measure `count` releases in a control plane of their own, and print it."""
    timeline = Timeline()
    with tempfile.TemporaryDirectory() as folder, timeline.step("control plane") as step, fleet(Path(folder), count) as plane:
        step.note(f"{count} releases")
        measured = measure(plane, count)
    say(measured.text())


@contextmanager
def fleet(folder: Path, count: int) -> Iterator[ControlPlane]:
    """A control plane with KServe's controller and fake nodes for `count` engines."""
    deps.build()
    with running(folder) as plane:
        certificates = {"certManager": {"enabled": False}, "existingSecret": {"name": "webhook", "caBundle": plane.authority.pem}}
        values = {"kserve-controller": {"certificates": certificates}}
        install_kserve(plane, render("llm-stack", "platform", values=values, namespace=kserve.NAMESPACE).objects)
        nodes.start(plane)
        nodes.storage(plane)
        add_nodes(plane, count)
        yield plane


def add_nodes(plane: ControlPlane, count: int) -> None:
    """Nodes with as many devices as `count` engines take."""
    engine = render("llm-stack", FILE, namespace=NAMESPACE).one("LLMInferenceService")["spec"]["template"]
    labels = dict(engine["nodeSelector"])
    (device,) = (name for name in engine["containers"][0]["resources"]["limits"] if "/" in name)
    needed = -(-count // DEVICES_PER_NODE)
    nodes.add(plane, [nodes.Node(f"fleet-{i}", labels, devices={device: DEVICES_PER_NODE}) for i in range(needed)])


def measure(plane: ControlPlane, count: int) -> Measured:
    """Create `count` releases, their volumes before and uncounted, and wait until all pods are ready.

    TimeoutError names how far it came.
    """
    namespace(plane, NAMESPACE)
    before = {name: _resident(plane, name) for name in MEASURED}
    began = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        releases = list(pool.map(_release, range(count)))
    rendered = time.monotonic()
    nodes.bind(plane, [obj for release in releases for obj in release])
    bound = time.monotonic()
    for start in range(0, count, BATCH):
        plane.cluster.apply([obj for release in releases[start : start + BATCH] for obj in release])
    admitted = time.monotonic()
    _wait_ready(plane, count, admitted + PATIENCE * count)
    ready = time.monotonic()
    created = {obj["metadata"]["name"]: _time(obj["metadata"]["creationTimestamp"]) for obj in _services(plane)}
    deployments = plane.cluster.items("deployments", "-n", NAMESPACE)
    made = {_owner(obj): _time(obj["metadata"]["creationTimestamp"]) for obj in deployments}
    available = {_owner(obj): _available(obj) for obj in deployments}
    return Measured(
        count,
        rendered - began,
        admitted - bound,
        ready - bound,
        _change(plane),
        tuple(sorted((made[name] - created[name]).total_seconds() for name in created)),
        tuple(sorted((available[name] - created[name]).total_seconds() for name in created)),
        {name: (before[name], _resident(plane, name)) for name in MEASURED},
    )


def _release(index: int) -> list[Object]:
    """The objects of one release."""
    found = [thaw(obj) for obj in render("llm-stack", FILE, name=f"fleet-{index}", namespace=NAMESPACE).objects]
    return [obj for obj in found if "helm.sh/hook" not in obj["metadata"].get("annotations", {})]


def _wait_ready(plane: ControlPlane, count: int, until: float) -> None:
    ready = 0
    while ready < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{ready} of {count} services have ready pods; see the controller's log in {plane.folder}")
        time.sleep(1)
        text = plane.cluster.kubectl(
            *("get", "deployments", "-n", NAMESPACE, "-o", "jsonpath={range .items[*]}{.status.readyReplicas}{'\\n'}{end}")
        )
        ready = text.split().count("1")


def _change(plane: ControlPlane) -> float:
    """Seconds until the controller has looked at a change of one service, with all the others there."""
    service = _services(plane)[0]
    name = service["metadata"]["name"]
    patch = '{"spec": {"annotations": {"example.com/changed": "yes"}}}'
    began = time.monotonic()
    plane.cluster.kubectl("patch", kserve.CRDS[0], name, "-n", NAMESPACE, "--type=merge", "-p", patch)
    while True:
        there = plane.cluster.get("deployment", f"{name}-kserve", "-n", NAMESPACE) or {}
        if there["spec"]["template"]["metadata"].get("annotations", {}).get("example.com/changed") == "yes":
            return time.monotonic() - began
        if time.monotonic() - began > 600:
            raise TimeoutError(f"the change of {name} did not reach its Deployment")
        time.sleep(0.2)


def _services(plane: ControlPlane) -> list[Object]:
    return plane.cluster.items(kserve.CRDS[0], "-n", NAMESPACE)


def _owner(obj: Object) -> str:
    name: str = obj["metadata"]["ownerReferences"][0]["name"]
    return name


def _available(deployment: Object) -> datetime.datetime:
    return _time(conditions(deployment)["Available"]["lastTransitionTime"])


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _at(values: tuple[float, ...], part: float) -> float:
    return values[int(part * (len(values) - 1))]


def _resident(plane: ControlPlane, name: str) -> float:
    """Resident memory of a process in MiB."""
    status = Path(f"/proc/{plane.processes[name].pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
