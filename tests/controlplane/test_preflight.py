"""Preflight at a real API server: each thing that is missing gives its one message, and what is there gives none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from hack import documents, kserve, lws, preflight
from hack.kube import Cluster, Object
from hack.paths import VALUES
from hack.shell import CommandFailed
from tests.controlplane.conftest import GATEWAY as DEFAULT_GATEWAY
from tests.controlplane.preflights import (
    DEVICE,
    LABEL,
    LOWER,
    NAMESPACE,
    claim,
    gpu_node,
    machines,
    pod,
    problems,
    service,
    storage_class,
    there,
    warnings,
)
from tests.harness import nodes, render, thaw
from tests.harness.components import MORE
from tests.harness.controlplane import ControlPlane, namespace, running

# --- what a cluster needs ---------------------------------------------------------------------------------------------

NO_NODES = (
    "nodes: none of 0 takes the {} (the cluster has none); label or add nodes, or set global.llm.overrides.nodeSelector "
    "and global.llm.overrides.tolerations"
)


def test_an_empty_cluster_misses_everything(tmp_path: Path) -> None:
    release = preflight.objects(VALUES / "demo.yaml", "demo", NAMESPACE)
    split = service(router={"route": {}, "scheduler": {}}, prefill={"template": pod(), "worker": pod()})
    with running(tmp_path) as empty:
        demo, modes = (preflight.check(empty.cluster, objects, NAMESPACE) for objects in (release, [split]))
    definitions = [
        f"resource definition {name}: is not in the cluster; run make crds, then install values/platform.yaml"
        for name in kserve.CRDS
    ]
    controller = "controller: there is no Deployment llmisvc-controller-manager in kserve; install values/platform.yaml"
    assert demo == preflight.Findings(
        [
            *definitions,
            controller,
            "claim demo-models: does not exist in namespace preflight; create it, or set global.llm.cache.existingClaim "
            "(or the model's pvc:// uri) to one that does",
            NO_NODES.format("engine"),
        ]
    )
    lacking = "resource definition {}: is not in the cluster and {}, " + preflight.RESTART
    assert modes.problems == [
        *definitions,
        *(
            lacking.format(name, why)
            for name, why in (
                (lws.CRD, "an engine over several nodes is a group of it; install LeaderWorkerSet 0.8"),
                (preflight.GATEWAYS, "the service has a route; install the Gateway API"),
                (preflight.ROUTES, "the service has a route; install the Gateway API"),
                (
                    preflight.POOLS,
                    "the endpoint picker picks from a pool; install the Gateway API Inference Extension 1.5",
                ),
                (
                    preflight.OLD_POOLS,
                    "the decode side knows its prefill pods by it; apply KServe's "
                    "config/llmisvc/gateway-inference-extension.yaml",
                ),
            )
        ),
        controller,
        NO_NODES.format("decode engine"),
        NO_NODES.format("prefill engine, leader"),
    ]


def test_a_ready_cluster_misses_nothing_but_the_pod(ready: ControlPlane) -> None:
    release = preflight.objects(VALUES / "demo.yaml", "demo", NAMESPACE)
    with there(ready.cluster, claim("demo-models")):
        assert problems(ready, *release) == []


def test_what_other_projects_define_is_there(ready: ControlPlane) -> None:
    split = service(router={"scheduler": {}}, prefill={"template": pod(), "worker": pod()})
    assert problems(ready, split) == []


def test_a_tenant_is_told_what_was_not_looked_at(plane: ControlPlane) -> None:
    tenant = Cluster(plane.kubeconfig("tenant", impersonate="system:serviceaccount:preflight:default"))
    found = preflight.check(tenant, [service()], NAMESPACE)
    assert found.problems == []
    assert [warning.split(";")[0] for warning in found.warnings] == [
        f"{title}: not checked"
        for title in ("resource definitions", "controller", "services with caches on nodes", "served names", "nodes")
    ]


# --- names and routes -------------------------------------------------------------------------------------------------

ROUTER = {"route": {}, "gateway": {"refs": [{"name": "mine"}]}}
GATEWAY = {**DEFAULT_GATEWAY, "metadata": {"name": "mine", "namespace": NAMESPACE}}
TAKEN = "served name {}: LLMInferenceService first in namespace preflight has it too"
TODO = "set another servedName (global.llm.models), remove the other service, or install into another namespace"


def named(name: str, served: str, *adapters: str, **spec: Any) -> Object:
    lora = {"lora": {"adapters": [{"name": adapter, "uri": "hf://some/adapter"} for adapter in adapters]}} if adapters else {}
    return service(name, **{**spec, "model": {"uri": "hf://some/model", "name": served, **lora}})


def test_two_routed_services_of_one_name(ready: ControlPlane) -> None:
    with there(ready.cluster, GATEWAY, named("first", "qwen", "french", router=ROUTER)):
        routed = problems(ready, named("second", "qwen", router=ROUTER))
        adapter = problems(ready, named("second", "french", router=ROUTER))
        assert problems(ready, named("second", "llama", router=ROUTER)) == []
        assert problems(ready, named("first", "qwen", router=ROUTER)) == []  # its own upgrade
    told = "and the gateway leads its requests to one of the two only"
    assert routed == [f"{TAKEN.format('qwen')}, {told}; {TODO}"]
    assert adapter == [f"{TAKEN.format('french')}, {told}; {TODO}"]


def test_two_services_of_one_name_without_routes_are_a_warning(ready: ControlPlane) -> None:
    with there(ready.cluster, named("first", "qwen")):
        assert warnings(ready, named("second", "qwen")) == [
            f"{TAKEN.format('qwen')}; without a route for both only their addresses differ, else {TODO}"
        ]


def test_members_of_a_routing_group_share_a_name(ready: ControlPlane) -> None:
    def member(name: str, group: str) -> Object:
        return named(name, "qwen", router={**ROUTER, "route": {"group": group, "weight": 1}})

    with there(ready.cluster, GATEWAY, member("first", "canary")):
        assert problems(ready, member("second", "canary")) == []
        assert len(problems(ready, member("second", "other"))) == 1


def test_a_gateway_that_does_not_exist(ready: ControlPlane) -> None:
    named_gateway, default = service(router=ROUTER), service(router={"route": {}, "gateway": {}})
    assert problems(ready, named_gateway) == [
        "gateway preflight/mine: does not exist, so the service gets no route; spec.router.gateway.refs names it: create it"
    ]
    assert problems(ready, default) == []
    with there(ready.cluster, GATEWAY):
        assert problems(ready, named_gateway) == []
    ready.cluster.kubectl("delete", preflight.GATEWAYS, DEFAULT_GATEWAY["metadata"]["name"], "-n", kserve.NAMESPACE)
    try:
        assert problems(ready, default) == [
            "gateway kserve/kserve-ingress-gateway: does not exist, so the service gets no route; ConfigMap "
            "kserve/inferenceservice-config names it (kserve-controller.configuration.gateway): create it"
        ]
    finally:
        ready.cluster.apply([DEFAULT_GATEWAY])


# --- storage ----------------------------------------------------------------------------------------------------------


def test_a_claim_of_the_release_itself_is_not_missing(ready: ControlPlane, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(documents.dump({"global": {"llm": {"model": "qwen2-5-7b-instruct", "accelerator": "nvidia-l40s"}}}))
    release = preflight.objects(values, "fresh", NAMESPACE)
    assert not [message for message in problems(ready, *release) if message.startswith("claim")]


def test_without_a_default_class(ready: ControlPlane) -> None:
    ready.cluster.kubectl("annotate", "storageclass", "standard", f"{preflight.DEFAULT_CLASS}-")
    assert problems(ready, service(), claim("new")) == [
        "claim new: there is no default storage class (the cluster has standard); set global.llm.cache.storageClassName to one "
        "that does"
    ]
    assert problems(ready, service(), claim("new", storageClassName="standard")) == []
    with there(ready.cluster, claim("new")):
        assert problems(ready, service(), claim("new")) == []  # it stayed from an earlier release


def test_a_class_that_does_not_exist(ready: ControlPlane) -> None:
    wanted = claim("new", storageClassName="fast")
    assert problems(ready, service(), wanted) == [
        "claim new: storage class fast does not exist (the cluster has standard); set global.llm.cache.storageClassName to one "
        "that does"
    ]
    volume = nodes.volume(wanted)
    with there(ready.cluster, volume):
        status = '{"status": {"phase": "Available"}}'
        ready.cluster.kubectl("patch", "pv", volume["metadata"]["name"], "--subresource=status", "--type=merge", "-p", status)
        assert problems(ready, service(), wanted) == []  # made by hand


def test_a_shared_claim_of_a_class_for_one_node(ready: ControlPlane) -> None:
    def shared(name: str) -> list[str]:
        return problems(ready, service(), claim("new", modes=("ReadWriteMany",), storageClassName=name))

    with there(ready.cluster, storage_class("local", "rancher.io/local-path")):
        assert shared("local") == [
            "claim new: asks for ReadWriteMany, which rancher.io/local-path of storage class local does not give (the cluster "
            "has local, standard); set global.llm.cache.storageClassName to one of a shared file system, or "
            "global.llm.cache.existingClaim"
        ]
        assert shared("standard") == []
        assert problems(ready, service(), claim("new", storageClassName="local")) == []


def test_one_claim_for_several_pods(ready: ControlPlane) -> None:
    def mounting(replicas: int) -> Object:
        return service(replicas=replicas, model={"uri": "pvc://weights/model", "name": "demo"})

    with there(ready.cluster, claim("weights")):
        assert warnings(ready, mounting(3)) == [
            "claim weights: is ReadWriteOnce and 3 engine pods mount it, so that all of them must fit on one node; set "
            "global.llm.cache.existingClaim to a ReadWriteMany or ReadOnlyMany claim"
        ]
        assert warnings(ready, mounting(1)) == []
    with there(ready.cluster, claim("weights", modes=("ReadWriteOncePod",))):
        assert warnings(ready, mounting(3)) == [
            "claim weights: is ReadWriteOncePod and 3 engine pods mount it, so that one of them starts only; set "
            "global.llm.cache.existingClaim to a ReadWriteMany or ReadOnlyMany claim"
        ]
    with there(ready.cluster, claim("weights", modes=("ReadOnlyMany",))):
        assert warnings(ready, mounting(3)) == []


def test_a_claim_keeps_its_access_mode(ready: ControlPlane) -> None:
    """More engines derive another, fewer the one before; the API server refuses both in the middle of an upgrade."""
    one, many = (
        claim("weights", storageClassName="standard"),
        claim("weights", modes=("ReadWriteMany",), storageClassName="standard"),
    )
    told = "claim weights: is {} and is to be {}, and a claim's access mode never changes; {}"
    with there(ready.cluster, one):
        assert problems(ready, service(), one) == []
        assert problems(ready, service(), many) == [
            told.format("ReadWriteOnce", "ReadWriteMany", "fill a ReadWriteMany claim and set global.llm.cache.existingClaim")
        ]
        with pytest.raises(CommandFailed, match="spec is immutable"):
            ready.cluster.apply([many], dry_run=True)
    with there(ready.cluster, many):
        assert problems(ready, service(), many) == []
        assert problems(ready, service(), one) == [
            told.format("ReadWriteMany", "ReadWriteOnce", "set global.llm.cache.accessMode: ReadWriteMany")
        ]


def test_a_claim_that_is_to_grow(ready: ControlPlane) -> None:
    """The API server itself refuses what is told here, in the middle of an upgrade."""

    def sized(size: str, **spec: Any) -> Object:
        wanted = claim("sized", **spec)
        wanted["spec"]["resources"] = {"requests": {"storage": size}}
        return wanted

    fixed = (
        "claim sized: has 10Gi and is to have 20Gi, and storage class {} does not expand volumes; set global.llm.cache.size: 10Gi"
    )
    with there(ready.cluster, sized("10Gi", storageClassName="standard")):
        (told,) = problems(ready, service(), sized("20Gi"))
        assert told.startswith(fixed.format("standard"))
        assert problems(ready, service(), sized("10Gi")) == []
        assert problems(ready, service(), sized("5Gi")) == [
            "claim sized: has 10Gi and is to have 5Gi, and a claim never shrinks; set global.llm.cache.size: 10Gi"
        ]
    growing = storage_class("growing")
    growing["allowVolumeExpansion"] = True
    with there(ready.cluster, growing), there(ready.cluster, sized("10Gi", storageClassName="growing")):
        assert problems(ready, service(), sized("20Gi")) == []


def test_a_secret_that_is_missing(ready: ControlPlane, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    env = {"HF_TOKEN": {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}}
    llm = {"model": "qwen2-5-7b-instruct", "accelerator": "cpu", "cache": {"env": env}}
    values.write_text(documents.dump({"global": {"llm": llm}}))

    def told() -> list[str]:
        found = preflight.check(ready.cluster, preflight.objects(values, "fresh", NAMESPACE), NAMESPACE).problems
        return [message for message in found if message.startswith("secret")]

    assert told() == [
        f"secret hub: does not exist in namespace {NAMESPACE}, and a container takes its environment from it; "
        f"kubectl -n {NAMESPACE} create secret generic hub --from-literal=token=…"
    ]
    metadata = {"name": "hub", "namespace": NAMESPACE}
    with there(ready.cluster, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"other": "x"}}):
        assert told() == [
            f"secret hub: has no key token in namespace {NAMESPACE}, and a container takes its environment from it; "
            f"""kubectl -n {NAMESPACE} patch secret hub -p '{{"stringData": {{"token": "…"}}}}'"""
        ]
    with there(ready.cluster, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "x"}}):
        assert told() == []


# --- nodes ------------------------------------------------------------------------------------------------------------

ADD = "label or add nodes, or set global.llm.overrides.nodeSelector and global.llm.overrides.tolerations"


def test_no_node_takes_the_engine(ready: ControlPlane) -> None:
    wanted = service(gpus=8, selector="h100")
    with machines(ready, gpu_node("a100", 8, label="a100"), gpu_node("tainted", 8, taint=True), gpu_node("cordoned", 8)):
        ready.cluster.kubectl("cordon", "cordoned")
        assert problems(ready, wanted) == [
            f"nodes: none of 4 takes the engine (1 because it is cordoned, 2 because label {LABEL}=h100 is missing, "
            f"1 because taint {DEVICE}=present:NoSchedule is not tolerated); {ADD}"
        ]
        assert problems(ready, service(gpus=8, selector="h100", tolerate=True)) == []


def test_too_few_devices(ready: ControlPlane) -> None:
    with machines(ready, gpu_node("four", 4), gpu_node("eight", 8)):
        assert problems(ready, service(gpus=8, selector="h100", replicas=2)) == [
            f"nodes: 1 of 2 pods of the engine find room: each asks for 8 {DEVICE}, and the nodes that it may run on have "
            f"eight: 8, four: 4; {LOWER}"
        ]
        assert problems(ready, service(gpus=8, selector="h100")) == []
        assert problems(ready, service(gpus=4, selector="h100", replicas=3)) == []


def test_too_little_memory(ready: ControlPlane) -> None:
    with machines(ready, gpu_node("small", 8, memory="32Gi")):
        wanted = service(selector="h100")
        wanted["spec"]["template"] = pod(8, "h100", memory="187828Mi")
        assert problems(ready, wanted) == [
            "nodes: 0 of 1 pods of the engine find room: each asks for 187828Mi memory, and the nodes that it may run on have "
            f"small: 32768Mi; {LOWER}"
        ]


def test_both_sides_share_the_nodes(ready: ControlPlane) -> None:
    def split(prefill: int) -> Object:
        return service(gpus=4, selector="h100", prefill={"replicas": prefill, "template": pod(2, "h100")})

    with machines(ready, gpu_node("eight", 8)):
        assert problems(ready, split(2)) == []
        assert problems(ready, split(3)) == [
            f"nodes: 2 of 3 pods of the prefill engine find room: each asks for 2 {DEVICE}, and the nodes that it may run on "
            f"have eight: 4; {LOWER}"
        ]


def test_an_engine_over_several_nodes(ready: ControlPlane) -> None:
    wanted = service(gpus=8, selector="h100", worker=pod(8, "h100"), parallelism={"data": 16, "dataLocal": 8})
    with machines(ready, gpu_node("one", 8)):
        assert problems(ready, wanted) == [
            f"nodes: 0 of 1 pods of the engine, worker find room: each asks for 8 {DEVICE}, and the nodes that it may run on "
            f"have one: 0; {LOWER}"
        ]
        with machines(ready, gpu_node("two", 8)):
            assert problems(ready, wanted) == []


def test_where_nodes_are_added_on_demand_it_is_a_warning(ready: ControlPlane) -> None:
    metadata = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
    with there(ready.cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}):
        assert warnings(ready, service(gpus=8, selector="h100")) == [
            f"nodes: none of 1 takes the engine (1 because label {LABEL}=h100 is missing); {ADD}; "
            "the cluster autoscaler may add nodes"
        ]


def test_another_namespace_is_another_world(ready: ControlPlane) -> None:
    namespace(ready, "elsewhere")
    with there(ready.cluster, named("first", "qwen")):
        assert preflight.check(ready.cluster, [named("second", "qwen")], "elsewhere").warnings == []


# --- caches on nodes --------------------------------------------------------------------------------------------------

NO_FILLER = (
    "local model controller: no pod of kserve-localmodel-controller-manager in kserve is available, so that nothing makes the "
    "volumes of global.llm.cache.nodeGroups; install KServe's chart kserve-localmodel-resources"
)
DISABLED = (
    "ConfigMap kserve/inferenceservice-config: localModel is not enabled, so that every pod would download the model; set "
    "kserve-controller.configuration.localModel.enabled: true in the platform's release, or global.llm.cache.nodeGroups: []"
)
NO_GROUP = (
    "node group {}: there is no such LocalModelNodeGroup (the cluster has {}); set "
    "kserve-controller.configuration.localModel.nodeGroups in the platform's release, or global.llm.cache.nodeGroups to one that "
    "is there"
)


def node_local(*groups: str, uri: str = "hf://some/model") -> Object:
    spec = {"sourceModelUri": uri, "modelSize": "1Gi", "nodeGroups": list(groups)}
    metadata = {"name": "demo-models-0", "namespace": NAMESPACE}
    return {"apiVersion": "serving.kserve.io/v1alpha1", "kind": preflight.LOCAL_MODEL, "metadata": metadata, "spec": spec}


def test_what_a_cache_on_nodes_needs(ready: ControlPlane) -> None:
    group = thaw(render("kserve-controller", values=MORE, namespace=kserve.NAMESPACE).one("LocalModelNodeGroup"))
    group["metadata"]["name"] = "there"
    assert problems(ready, service(), node_local("here")) == [DISABLED, NO_FILLER, NO_GROUP.format("here", "none")]
    with there(ready.cluster, group):
        assert problems(ready, service(), node_local("here", "there")) == [DISABLED, NO_FILLER, NO_GROUP.format("here", "there")]
        with enabled(ready):
            assert problems(ready, service(), node_local("there")) == [NO_FILLER]
            with there(ready.cluster, filler()):
                status = {"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}}
                target = ("deployment", kserve.LOCAL_MODEL_CONTROLLER, "-n", kserve.NAMESPACE)
                ready.cluster.kubectl("patch", *target, "--subresource=status", "--type=merge", "-p", json.dumps(status))
                assert problems(ready, service(), node_local("there")) == []
    assert problems(ready, service()) == []


def test_two_caches_of_one_model_on_the_same_nodes(ready: ControlPlane) -> None:
    """KServe's webhook lists them in no order."""
    told = (
        "cache first: is of the same model and nodes as demo-models-0, and KServe would take the one or the other at each change "
        "of the service; set global.llm.cache.enabled: false, which uses the one that is there, or delete that"
    )
    first = node_local("a", "b")
    first["metadata"]["name"] = "first"
    with there(ready.cluster, first):
        for wanted, problem in (
            (node_local("b", "a"), True),
            (node_local("b", uri="hf://some/model/"), True),
            (node_local("c", "a"), False),
            (node_local("b", uri="hf://some/model:v1"), False),
        ):
            assert (told in problems(ready, service(), wanted)) is problem
    assert told not in problems(ready, service(), node_local("b"))


def filler() -> Object:
    """KServe's local model controller, cut to what preflight reads."""
    labels = {"app": "filler"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "manager", "image": "manager"}]}}
    metadata = {"name": kserve.LOCAL_MODEL_CONTROLLER, "namespace": kserve.NAMESPACE}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


@contextmanager
def enabled(plane: ControlPlane) -> Iterator[None]:
    target = ("configmap", preflight.CONFIGURATION, "-n", kserve.NAMESPACE, "--type=merge", "-p")
    plane.cluster.kubectl("patch", *target, json.dumps({"data": {"localModel": json.dumps({"enabled": True})}}))
    try:
        yield
    finally:
        plane.cluster.kubectl("patch", *target, json.dumps({"data": {"localModel": None}}))


def test_definitions_of_caches_on_nodes(tmp_path: Path) -> None:
    with running(tmp_path) as empty:
        told = preflight.check(empty.cluster, [service(), node_local("here")], NAMESPACE).problems
    assert [problem for problem in told if "localmodel" in problem and problem.startswith("resource definition")] == [
        f"resource definition {name}: is not in the cluster and global.llm.cache.nodeGroups needs it; apply KServe's "
        "config/crd/full/localmodel"
        for name in kserve.LOCAL_MODEL_CRDS
    ]
    assert not any(problem.startswith("node group") for problem in told)


def test_a_service_can_neither_get_nor_change_a_cache_on_nodes(ready: ControlPlane) -> None:
    """The controller's failure is seen in tests/controlplane/test_node_local.py."""
    todo = (
        "which becomes part of the selectors of its Deployments, and KServe fails to change those; after the upgrade kubectl -n "
        "preflight delete deployment demo-kserve, which KServe makes anew, or install under another name"
    )

    def told(has: str, wants: list[Object], uri: str = "hf://some/model") -> list[str]:
        found = preflight.Findings()
        annotations = {preflight.LOCAL_MODEL_URI: has} if has else {}
        model = service()
        model["metadata"]["annotations"] = annotations
        cluster = cast("Cluster", Stored({kserve.CRDS[0]: {}, "demo": model}))
        preflight._moved(cluster, [service(model={"uri": uri, "name": "demo"}), *wants], NAMESPACE, found)
        return found.warnings

    uri, other = "hf://some/model", "hf://some/other"
    assert told("", []) == told(uri, [node_local("a")]) == told(uri, []) == []
    assert told("", [node_local("a")]) == [f"service demo: has no cache on nodes and then has a cache of {uri} on nodes, {todo}"]
    assert told(uri, [node_local("a", uri=other)], other) == [
        f"service demo: has a cache of {uri} on nodes and then has a cache of {other} on nodes, {todo}"
    ]
    assert told(uri, [], "pvc://claim/model") == [
        f"service demo: has a cache of {uri} on nodes and then has no cache on nodes, {todo}"
    ]
    assert problems(ready, service()) == []


class Stored:
    """A cluster of a few objects: what the webhook sets, the API server lets nobody else set."""

    def __init__(self, objects: dict[str, Object]) -> None:
        self.objects = objects

    def get(self, _kind: str, name: str, *_where: str) -> Object | None:
        return self.objects.get(name)
