"""What `make diff` says is what an upgrade then does: each prediction is followed by the real upgrade and the real controller."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import deps, diff
from hack.kube import Object, conditions, until
from hack.paths import CHARTS, VALUES
from hack.shell import CommandFailed
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import render, thaw
from tests.harness.components import overlay
from tests.harness.controlplane import ControlPlane

SERVICE = "llminferenceservice"
ENGINE = {"containers": [{"name": "main"}]}
ROUTER: dict[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}


def rendered(name: str, values: Mapping[str, Any] | None = None, file: str = "deploy-basic") -> list[Object]:
    return [
        thaw(obj) for obj in render("llm-stack", file, name=name, namespace=NAMESPACE, values=overlay(BASE, values or {})).objects
    ]


# A claim without a class may be given one as long as it is not bound; one that has a class keeps it.
BASE: Mapping[str, Any] = {"global": {"llm": {"cache": {"storageClassName": "slow"}}}}


def helm(
    plane: ControlPlane, tmp_path: Path, verb: str, name: str, values: Mapping[str, Any] | None, *flags: str, **how: str
) -> None:
    deps.build()
    extra = tmp_path / "extra.json"
    extra.write_text(json.dumps(overlay(BASE, values or {})))
    files = ("--values", VALUES / "deploy-basic.yaml", "--values", extra)
    plane.cluster.helm(verb, name, CHARTS / "llm-stack", "-n", NAMESPACE, *files, *flags, **how)


def template(plane: ControlPlane, name: str) -> Any:
    return merged.wait_deployment(plane, NAMESPACE, name)["spec"]["template"]


def settled(plane: ControlPlane, name: str, before: Any, restart: bool) -> None:
    """Until engines restart, or were given the time to do so and did not."""
    if restart:
        until(lambda: template(plane, name) != before, 30, f"no engine of {name} restarts")
    else:
        time.sleep(3)
        assert template(plane, name) == before


# The two ways in which a release is applied: Helm 4's default, and a patch, as of Helm 3 and of a release that came from it.
WAYS = ("helm", "helm3")


@pytest.fixture(scope="module", params=WAYS)
def release(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """A release, made in each of helm's ways; diff must foretell what Helm 4 makes of it."""
    name = f"diff-{request.param}"
    helm(plane, tmp_path_factory.mktemp("release"), "install", name, {}, program=request.param)
    template(plane, name)
    yield name
    plane.cluster.helm("uninstall", name, "-n", NAMESPACE)


NOTE = {"llm-inference-service": {"annotations": {"example.com/owner": "search"}}}
SCRAPE = {"llm-inference-service": {"annotations": {"prometheus.io/scrape": "true"}}}
SHORTER = {"global": {"llm": {"engine": {"args": {"max-model-len": 2048}}}}}
NOTED = {"llm-inference-service": {"podAnnotations": {"example.com/note": "1"}}}
LATER = "; KServe takes it from the pods at their next restart only"
# Values laid over the release's own; the line that must be told; whether engines restart; what is told when the change is taken
# back, and whether engines restart then.
CHANGES = {
    "metadata": (NOTE, 'metadata.annotations.example.com/owner: (none) -> "search"', False, "", False),
    "copied-metadata": (SCRAPE, 'metadata.annotations.prometheus.io/scrape: (none) -> "true"', True, LATER, False),
    "pod-annotation": (NOTED, 'spec.annotations.example.com/note: (none) -> "1"', True, LATER, False),
    "argument": (SHORTER, 'spec.template.containers[main].args[2]: (none) -> "--max-model-len 2048"', True, "", True),
}


def test_nothing_changes(plane: ControlPlane, release: str) -> None:
    report = diff.compare(plane.cluster, rendered(release), release, NAMESPACE)
    assert report.text() == "nothing changes\nengines: go on without a restart"
    assert report.status == diff.UNCHANGED


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told_and_does_what_was_told(plane: ControlPlane, release: str, tmp_path: Path, change: str) -> None:
    values, line, restart, back, restart_back = CHANGES[change]
    path, _, value = line.partition(": (none) -> ")
    for wanted, told, new in ((values, line, restart), ({}, f"{path}: {value} -> (none){back}", restart_back)):
        report = diff.compare(plane.cluster, rendered(release, wanted), release, NAMESPACE)
        assert f"LLMInferenceService/{release} {told}" in report.changes
        assert report.status == diff.CHANGED
        assert report.engines.startswith("engines: RESTART" if new else "engines: go on")
        before = template(plane, release)
        helm(plane, tmp_path, "upgrade", release, wanted)
        settled(plane, release, before, new)
        assert diff.compare(plane.cluster, rendered(release, wanted), release, NAMESPACE).status == diff.UNCHANGED


CLAIM: dict[str, Any] = {"size": "1Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"}
TOLD = (
    'spec.accessModes[0]: "ReadWriteOnce" -> "ReadWriteMany"; keep the value; or fill a claim of the other mode and set '
    "global.llm.cache.existingClaim",
    'spec.resources.requests.storage: "90Gi" -> "1Gi"; a claim only grows, when it is bound and its storage class has '
    "allowVolumeExpansion; set global.llm.cache.size to what it is, or global.llm.cache.existingClaim to another claim",
    'spec.storageClassName: "slow" -> "fast"; keep the value; or fill a claim of the other class and set '
    "global.llm.cache.existingClaim",
)


def test_immutable_fields_of_the_claim_are_named(plane: ControlPlane, release: str, tmp_path: Path) -> None:
    values = {"global": {"llm": {"cache": CLAIM}}}
    size = next(obj for obj in rendered(release) if obj["kind"] == diff.CLAIM)["spec"]["resources"]["requests"]["storage"]
    report = diff.compare(plane.cluster, rendered(release, values), release, NAMESPACE)
    assert report.refused == [f"PersistentVolumeClaim/{release}-models {line.replace('90Gi', size)}" for line in TOLD]
    assert report.status == diff.REFUSED
    assert report.engines == "engines: the upgrade fails as it is; without what is refused they go on without a restart"
    with pytest.raises(CommandFailed) as refused:
        helm(plane, tmp_path, "upgrade", release, values)
    assert "spec: Forbidden: spec is immutable after creation" in refused.value.output
    plane.cluster.helm("rollback", release, "-n", NAMESPACE)


def test_a_bound_claim_grows_and_never_shrinks(plane: ControlPlane) -> None:
    """With a class that allows it; UPGRADING.md: a rollback over a growth is a shrink."""
    metadata = {"name": "grows", "namespace": NAMESPACE}
    expanding = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "expanding"},
        "provisioner": "example.com/shared",
        "allowVolumeExpansion": True,
    }

    def claim(size: str) -> Object:
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "expanding", "resources": {"requests": {"storage": size}}}
        return {"apiVersion": "v1", "kind": diff.CLAIM, "metadata": metadata, "spec": spec}

    plane.cluster.apply([expanding, claim("2Gi")], manager=diff.MANAGER)
    status = '{"status": {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"]}}'
    plane.cluster.kubectl("patch", "pvc", "grows", "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", status)
    more, less = (diff.compare(plane.cluster, [claim(size)], "grows", NAMESPACE) for size in ("3Gi", "1Gi"))
    told = "PersistentVolumeClaim/grows spec.resources.requests.storage"
    assert more.refused == []
    assert f'{told}: "2Gi" -> "3Gi"' in more.changes
    (line,) = less.refused
    assert line.startswith(f'{told}: "2Gi" -> "1Gi"; a claim only grows')
    plane.cluster.apply([claim("3Gi")], manager=diff.MANAGER)
    with pytest.raises(CommandFailed, match="can not be less than"):
        plane.cluster.apply([claim("1Gi")], manager=diff.MANAGER)
    plane.cluster.kubectl("delete", "pvc/grows", "-n", NAMESPACE, "--wait=false")
    plane.cluster.kubectl("delete", "storageclass", "expanding")


def test_replicas(plane: ControlPlane, tmp_path: Path) -> None:
    """More of several restart nobody; the second brings the spread over nodes into the pod template."""

    def several(count: int) -> Mapping[str, Any]:
        return {"global": {"llm": {"replicas": count, "cache": {"enabled": False}}}}

    name = "diff-replicas"
    helm(plane, tmp_path, "install", name, several(2))
    before = template(plane, name)
    one, three = (diff.compare(plane.cluster, rendered(name, several(count)), name, NAMESPACE) for count in (1, 3))
    assert one.engines == "engines: RESTART, because of spec.template.topologySpreadConstraints"
    assert f"LLMInferenceService/{name} spec.replicas: 2 -> 3" in three.changes
    assert three.engines == "engines: go on without a restart"
    helm(plane, tmp_path, "upgrade", name, several(3))
    until(lambda: merged.wait_deployment(plane, NAMESPACE, name)["spec"]["replicas"] == 3, 30, "no third pod is wanted")
    assert template(plane, name) == before
    plane.cluster.helm("uninstall", name, "-n", NAMESPACE)


def test_a_selector_is_immutable(plane: ControlPlane) -> None:
    """As of the controller's own Deployment."""

    def deployment(label: str) -> Object:
        labels = {"app": "selected", "part": label}
        spec = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [IMAGE]}},
        }
        kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
        return {**kind, "metadata": {"name": "selected", "namespace": NAMESPACE}, "spec": spec}

    plane.cluster.apply([deployment("a")], manager=diff.MANAGER)
    report = diff.compare(plane.cluster, [deployment("b")], "selected", NAMESPACE)
    assert report.refused == [
        'Deployment/selected spec.selector.matchLabels.part: "a" -> "b"; a selector is immutable; kubectl delete the object, '
        "then upgrade"
    ]
    plane.cluster.kubectl("delete", "deployment", "selected", "-n", NAMESPACE)


IMAGE = {"name": "main", "image": "example.com/image:1"}


def test_another_name_is_a_new_service(plane: ControlPlane, release: str) -> None:
    report = diff.compare(plane.cluster, rendered(release, {"global": {"llm": {"name": "other"}}}), release, NAMESPACE)
    assert "LLMInferenceService/other: is created" in report.changes
    assert f"LLMInferenceService/{release}: is deleted" in report.changes
    assert (
        f"PersistentVolumeClaim/{release}-models: leaves the release and stays; set global.llm.cache.existingClaim to it to go "
        "on using it" in report.changes
    )
    assert report.engines == (
        f"engines: LLMInferenceService/{release} is deleted with its pods and addresses and LLMInferenceService/other starts "
        "from nothing; set global.llm.name to the old name to keep them"
    )


def test_the_step_from_kserve_0_19_is_shown(plane: ControlPlane, tmp_path: Path) -> None:
    """UPGRADING.md: the tensor parallel size moves from an argument to a field, once, and the engine gets it once in both."""
    name, four = "diff-kserve", {"parallel": {"tensor": 4}}
    old, new = ({"global": {"llm": {"kserveVersion": version, **four}}} for version in ("0.19", "0.20"))
    helm(plane, tmp_path, "install", name, old)
    words = " ".join(template(plane, name)["spec"]["containers"][0]["args"])
    assert words.count("--tensor-parallel-size 4") == 1
    report = diff.compare(plane.cluster, rendered(name, new), name, NAMESPACE)
    told = f"LLMInferenceService/{name} spec."
    assert [line for line in report.changes if line.startswith(told)] == [
        f'{told}parallelism: (none) -> {{"tensor": 4}}',
        f'{told}template.containers[main].args[2]: "--tensor-parallel-size 4" -> (none)',
    ]
    assert report.engines.startswith("engines: RESTART")
    plane.cluster.helm("uninstall", name, "-n", NAMESPACE)


def test_a_first_install_is_all_new(plane: ControlPlane) -> None:
    report = diff.compare(plane.cluster, rendered("diff-new"), "diff-new", NAMESPACE)
    assert "LLMInferenceService/diff-new: is created" in report.changes
    assert report.status == diff.CHANGED
    assert report.engines == "engines: start"


def test_a_field_that_somebody_else_wrote_conflicts(plane: ControlPlane, tmp_path: Path) -> None:
    """Only with server-side apply: a patch takes the field back."""
    name = "diff-edited"
    helm(plane, tmp_path, "install", name, {})
    patch = '{"spec": {"replicas": 3}}'
    plane.cluster.kubectl("patch", SERVICE, name, "-n", NAMESPACE, "--type=merge", "-p", patch, "--field-manager=somebody")
    report = diff.compare(plane.cluster, rendered(name), name, NAMESPACE)
    (line,) = report.refused
    assert 'conflict with "somebody"' in line
    assert ".spec.replicas" in line
    assert line.endswith("put their values into yours, or helm upgrade --force-conflicts")
    with pytest.raises(CommandFailed, match="conflict"):
        helm(plane, tmp_path, "upgrade", name, {})
    plane.cluster.helm("uninstall", name, "-n", NAMESPACE)


def test_an_object_of_somebody_else_is_not_taken(plane: ControlPlane, tmp_path: Path) -> None:
    name = "diff-foreign"
    helm(plane, tmp_path, "install", name, {"llm-inference-service": {"serviceAccount": {"create": False, "name": "default"}}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}
    plane.cluster.apply([account])
    report = diff.compare(plane.cluster, rendered(name), name, NAMESPACE)
    assert report.refused == [
        f"ServiceAccount/{name}: exists and belongs to no release or to another; delete it, rename, or upgrade with "
        "--take-ownership"
    ]
    with pytest.raises(CommandFailed, match="exists and cannot be imported into the current release"):
        helm(plane, tmp_path, "upgrade", name, {})
    plane.cluster.helm("uninstall", name, "-n", NAMESPACE)


# --- modes that the charts need not render for this: what KServe does with the service is the same ---------------------


def service(name: str, **spec: Any) -> Object:
    model = {"uri": "pvc://weights/model", "name": name}
    metadata = {"name": name, "namespace": NAMESPACE}
    kind = {"apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService"}
    return {**kind, "metadata": metadata, "spec": {"model": model, "replicas": 1, "template": ENGINE, **spec}}


def compared(plane: ControlPlane, before: Object, after: Object) -> diff.Report:
    plane.cluster.apply([before], manager=diff.MANAGER)
    until(lambda: _condition(before["metadata"]["name"], plane), 30, "the controller did not look at the service")
    return diff.compare(plane.cluster, [after], before["metadata"]["name"], NAMESPACE)


def _condition(name: str, plane: ControlPlane, kind: str = "WorkloadsReady") -> Object | None:
    return conditions(plane.cluster.get(SERVICE, name, "-n", NAMESPACE)).get(kind)


WORKER = {"worker": ENGINE}
SIZES = {
    "more-nodes": (
        {"parallelism": {"data": 2, "dataLocal": 1}, **WORKER},
        {"parallelism": {"data": 4, "dataLocal": 1}, **WORKER},
    ),
    "one-to-many": ({}, {"parallelism": {"data": 2, "dataLocal": 1}, **WORKER}),
    "prefill": (
        {"prefill": {"template": ENGINE, "parallelism": {"data": 2, "dataLocal": 1}, **WORKER}},
        {"prefill": {"template": ENGINE, "parallelism": {"data": 4, "dataLocal": 1}, **WORKER}},
    ),
}


@pytest.mark.parametrize("case", SIZES)
def test_the_number_of_nodes_is_immutable(plane: ControlPlane, case: str) -> None:
    before, after = (service(f"size-{case}", **spec) for spec in SIZES[case])
    report = compared(plane, before, after)
    (line,) = report.refused
    assert line.startswith(f"LLMInferenceService/size-{case} spec.{'prefill.' if case == 'prefill' else ''}parallelism")
    assert line.endswith(f"; KServe: data / dataLocal, the number of nodes, is immutable; {diff.RECREATE}")
    with pytest.raises(CommandFailed, match="total parallelism size is immutable"):
        plane.cluster.apply([after], manager=diff.MANAGER)
    plane.cluster.kubectl("delete", SERVICE, f"size-{case}", "-n", NAMESPACE, "--timeout=40s")


def test_more_ranks_on_as_many_nodes_are_a_restart(plane: ControlPlane) -> None:
    sizes = ({"data": 2, "dataLocal": 1}, {"data": 4, "dataLocal": 2})
    before, after = (service("size-same", parallelism=size, **WORKER) for size in sizes)
    report = compared(plane, before, after)
    assert report.refused == []
    assert report.engines.startswith("engines: RESTART, because of spec.parallelism.data,")
    plane.cluster.apply([after], manager=diff.MANAGER)
    plane.cluster.kubectl("delete", SERVICE, "size-same", "-n", NAMESPACE, "--timeout=40s")


SPLIT = {"router": ROUTER, "prefill": {"template": ENGINE}}
# What the API server does not know: before, after, the change as it is told, and the Deployments that must be made anew.
STUCK: dict[str, tuple[dict[str, Any], dict[str, Any], str, list[str]]] = {
    "prefill-added": ({"router": ROUTER}, SPLIT, 'spec.prefill: (none) -> {"template": ', ["kserve"]),
    "prefill-removed": (SPLIT, {"router": ROUTER}, 'spec.prefill: {"template": ', ["kserve"]),
    "label-added": ({}, {"labels": {"example.com/team": "a"}}, 'spec.labels.example.com/team: (none) -> "a"', ["kserve"]),
    "label-changed": (
        {"labels": {"example.com/team": "a"}},
        {"labels": {"example.com/team": "b"}},
        'spec.labels.example.com/team: "a" -> "b"',
        ["kserve"],
    ),
    "prefill-label": (
        SPLIT,
        {**SPLIT, "prefill": {"template": ENGINE, "labels": {"example.com/team": "a"}}},
        'spec.prefill.labels.example.com/team: (none) -> "a"',
        ["kserve-prefill"],
    ),
}


@pytest.mark.parametrize("case", STUCK)
def test_what_is_admitted_and_stuck(plane: ControlPlane, case: str) -> None:
    """The rule that the API server does not know, and the way out that the message names."""
    before, after, told, suffixes = STUCK[case]
    name = f"stuck-{case}"
    deployments = [f"{name}-{suffix}" for suffix in suffixes]
    report = compared(plane, service(name, **before), service(name, **after))
    (line,) = report.refused
    assert line.startswith(f"LLMInferenceService/{name} {told}")
    assert line.endswith(
        f"; the API server admits it, but it changes the immutable selector of {' and '.join(deployments)}, so that KServe fails "
        f"and the engines stay as they are; upgrade, then kubectl -n {NAMESPACE} delete deployment {' '.join(deployments)}: made "
        "anew, engines are away meanwhile"
    )
    old = selector(plane, deployments[0])
    plane.cluster.apply([service(name, **after)], manager=diff.MANAGER)
    until(
        lambda: "spec.selector: Invalid value" in (_condition(name, plane) or {}).get("message", ""),
        30,
        "KServe took the change: the rule is out of date",
    )
    assert selector(plane, deployments[0]) == old
    plane.cluster.kubectl("delete", "deployment", *deployments, "-n", NAMESPACE)
    until(lambda: selector(plane, deployments[0]) not in (None, old), 60, f"{deployments[0]} is not made anew")
    until(lambda: "Invalid value" not in (_condition(name, plane) or {}).get("message", ""), 60, f"{name} is stuck all the same")
    plane.cluster.kubectl("delete", SERVICE, name, "-n", NAMESPACE, "--timeout=40s")


def selector(plane: ControlPlane, deployment: str) -> Any:
    there = plane.cluster.get("deployment", deployment, "-n", NAMESPACE)
    return there and there["spec"]["selector"]


def test_a_label_of_engines_over_several_nodes_is_a_restart(plane: ControlPlane) -> None:
    """A LeaderWorkerSet has no selector."""
    nodes = {"parallelism": {"data": 2, "dataLocal": 1}, **WORKER}
    before, after = service("label-nodes", **nodes), service("label-nodes", labels={"example.com/team": "a"}, **nodes)
    report = compared(plane, before, after)
    assert report.refused == []
    assert report.engines == "engines: RESTART, because of spec.labels.example.com/team"
    plane.cluster.apply([after], manager=diff.MANAGER)

    def labelled() -> bool:
        group = plane.cluster.get("leaderworkerset", "label-nodes-kserve-mn", "-n", NAMESPACE) or {}
        labels = group["spec"]["leaderWorkerTemplate"]["workerTemplate"]["metadata"]["labels"]
        return bool(labels.get("example.com/team") == "a")

    until(labelled, 30, "the label did not reach the workers")
    plane.cluster.kubectl("delete", SERVICE, "label-nodes", "-n", NAMESPACE, "--timeout=40s")


def test_a_route_touches_no_engine(plane: ControlPlane) -> None:
    before, after = service("routed-later"), service("routed-later", router=ROUTER)
    report = compared(plane, before, after)
    assert report.refused == []
    assert report.engines == "engines: go on without a restart"
    old = template(plane, "routed-later")
    plane.cluster.apply([after], manager=diff.MANAGER)
    until(lambda: _condition("routed-later", plane, "RouterReady"), 30, "the controller did not look at the route")
    settled(plane, "routed-later", old, restart=False)
    plane.cluster.kubectl("delete", SERVICE, "routed-later", "-n", NAMESPACE, "--timeout=40s")
