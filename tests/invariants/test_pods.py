"""Every pod is restricted by Kubernetes' own standard, and no list of a pod says one thing twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hack import documents
from hack.paths import CHARTS
from tests.harness import EXAMPLES, SCENARIOS, Manifests, Scenario, pod_specs
from tests.harness.components import POD_SECURITY_EXEMPTIONS, overlay, release
from tests.harness.manifests import Object

# Of each list of a container or a pod, the keys that must differ from entry to entry.
MAP_LISTS = {
    "env": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "containers": ("name",),
    "initContainers": ("name",),
    "imagePullSecrets": ("name",),
}
ALLOWED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PRESETS = CHARTS / "kserve-controller" / "files" / "presets"


def containers(spec: Object) -> Iterator[Object]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field, ())


def restricted(spec: Object, container: Object) -> list[str]:
    """What Pod Security's `restricted` finds wrong with a container of a pod."""
    pod, own = spec.get("securityContext", {}), container.get("securityContext", {})
    either = {**pod, **own}
    wrong = []
    if either.get("runAsNonRoot") is not True:
        wrong.append("runAsNonRoot")
    if either.get("runAsUser") == 0:
        wrong.append("runAsUser")
    if either.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        wrong.append("seccompProfile")
    if own.get("allowPrivilegeEscalation") is not False:
        wrong.append("allowPrivilegeEscalation")
    if own.get("privileged"):
        wrong.append("privileged")
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        wrong.append("capabilities")
    wrong += [f"hostPort {port['hostPort']}" for port in container.get("ports", ()) if port.get("hostPort")]
    return wrong


def shared_with_the_node(spec: Object) -> list[str]:
    wrong = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    for volume in spec.get("volumes", ()):
        wrong += [f"volume {volume['name']}: {kind}" for kind in volume if kind not in {"name", *ALLOWED_VOLUMES}]
    return wrong


def object_of(owner: str) -> str:
    """`Kind/name` of an owner that may name a part as well."""
    return "/".join(owner.split("/")[:2])


def components(manifests: Manifests) -> dict[str, str]:
    return {
        f"{obj['kind']}/{obj['metadata']['name']}": obj["metadata"]["labels"]["app.kubernetes.io/component"]
        for obj in manifests.objects
    }


def test_every_pod_is_restricted(scenario: Scenario) -> None:
    manifests = release(scenario)
    component = components(manifests)
    found = dict(pod_specs(manifests.objects))
    assert found, scenario.name
    for owner, spec in found.items():
        assert shared_with_the_node(spec) == [], owner
        for container in containers(spec):
            exemption = f"{owner.split('/')[0]}/{component[object_of(owner)]}/{container['name']}"
            if exemption not in POD_SECURITY_EXEMPTIONS:
                assert restricted(spec, container) == [], f"{owner}, container {container['name']}"


def test_no_exemption_is_left_over() -> None:
    needed = set()
    for scenario in (*SCENARIOS, *EXAMPLES):
        manifests = release(scenario)
        component = components(manifests)
        for owner, spec in pod_specs(manifests.objects):
            for container in containers(spec):
                if restricted(spec, container):
                    needed.add(f"{owner.split('/')[0]}/{component[object_of(owner)]}/{container['name']}")
    assert needed == set(POD_SECURITY_EXEMPTIONS)


def presets(service: Object) -> Iterator[tuple[Object, Object]]:
    """The pods that a service asks for, each with the preset's pod that KServe lays it over."""

    def preset(name: str) -> Object:
        loaded: Object = documents.load((PRESETS / f"kserve-config-llm-{name}.yaml").read_text())["spec"]
        return loaded

    prefill = service.get("prefill")
    for side, role in ((service, "decode-" if prefill else ""), (prefill, "prefill-")):
        if side:
            spec = preset(f"{role}{'worker-data-parallel' if 'worker' in side else 'template'}")
            below = spec["prefill"] if side is prefill else spec
            for part in {"template", "worker"} & set(side):
                yield below[part], side[part]
    if "router" in service:
        yield preset("scheduler")["router"]["scheduler"]["template"], service["router"]["scheduler"]["template"]


def test_the_presets_make_the_pods_restricted(scenario: Scenario, model: bool) -> None:
    """The exemptions' reason: each container as KServe merges it, our pod with its preset's container of the same name."""
    if not model:
        return
    service = release(scenario).one("LLMInferenceService")["spec"]
    for below, ours in presets(service):
        theirs = {container["name"]: container for container in containers(below)}
        for container in containers(ours):
            merged = overlay(theirs.get(container["name"], {}), container)
            assert restricted(ours, merged) == [], f"{container['name']} over {below}"


def test_no_list_says_one_thing_twice(scenario: Scenario) -> None:
    for owner, spec in pod_specs(release(scenario).objects):
        for holder in (spec, *containers(spec)):
            for field, keys in MAP_LISTS.items():
                entries = [tuple(entry.get(key) for key in keys) for entry in holder.get(field, ())]
                assert len(entries) == len(set(entries)), f"{owner} {holder.get('name', '')}.{field}: {entries}"


def test_every_mount_has_its_volume(scenario: Scenario) -> None:
    for owner, spec in pod_specs(release(scenario).objects):
        volumes = {volume["name"] for volume in spec.get("volumes", ())} - {"dshm"}  # merged into the preset's, which mounts it
        mounted = {mount["name"] for container in containers(spec) for mount in container.get("volumeMounts", ())}
        assert mounted == volumes, owner


def test_images_have_a_version(scenario: Scenario) -> None:
    manifests = release(scenario)
    for owner, spec in pod_specs(manifests.objects):
        for container in containers(spec):
            image = container.get("image")
            if image is None:
                own = container["name"] in ("storage-initializer", "llm-d-routing-sidecar") or owner.endswith(
                    "/router.scheduler.template"
                )
                assert own, f"{owner}: only KServe's own containers take KServe's images"
                continue
            _, _, last = image.rpartition("/")
            assert "@sha256:" in last or ":" in last, f"{owner}: {image}"
    assert ":latest" not in manifests.text


def test_no_pod_gets_an_api_token_but_the_controller_and_the_download(scenario: Scenario) -> None:
    """The download makes events of its Job, which it looks up, and its role lets it do nothing else."""
    manifests = release(scenario)
    for owner, spec in pod_specs(manifests.objects):
        if not owner.endswith("/router.scheduler.template"):  # KServe's own, which watches pods
            known = owner == "Deployment/llmisvc-controller-manager" or owner.startswith("Job/")
            assert spec["automountServiceAccountToken"] is known, owner
    for role in manifests.all("Role"):
        assert role["rules"] == (
            {"apiGroups": ("",), "resources": ("events",), "verbs": ("create",)},
            {"apiGroups": ("batch",), "resources": ("jobs",), "verbs": ("get",)},
        )


SPEC: dict[str, Any] = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}
OWN: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize(
    ("spec", "own", "wrong"),
    [
        (SPEC, OWN, []),
        ({}, OWN, ["runAsNonRoot", "seccompProfile"]),
        (SPEC, {**OWN, "runAsNonRoot": False}, ["runAsNonRoot"]),
        (SPEC, {**OWN, "runAsUser": 0}, ["runAsUser"]),
        (SPEC, {**OWN, "privileged": True}, ["privileged"]),
        (SPEC, {**OWN, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, ["capabilities"]),
        (SPEC, {"capabilities": {"drop": ["ALL"]}}, ["allowPrivilegeEscalation"]),
    ],
)
def test_the_check_sees_what_is_not_restricted(spec: dict[str, Any], own: dict[str, Any], wrong: list[str]) -> None:
    assert restricted(spec, {"securityContext": own}) == wrong
