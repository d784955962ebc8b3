"""What only the cluster knows, asked before an install: resource definitions, a controller that serves, claims that exist,
storage that gives what is asked, nodes with room, a gateway, and served names that nobody else has.

A *problem* keeps the release from serving. A *warning* may: an autoscaler may add the node, one name for two may be meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from kubernetes.utils import quantity

from hack import deps, documents, gobuild, kserve, lws, preflight_scaling
from hack.kube import Cluster, Object
from hack.paths import CHARTS
from hack.preflight_scaling import services
from hack.shell import Arg, CommandFailed, out

SERVICES = kserve.CRDS[0]
GATEWAYS = "gateways.gateway.networking.k8s.io"
ROUTES = "httproutes.gateway.networking.k8s.io"
POOLS = "inferencepools.inference.networking.k8s.io"
OLD_POOLS = "inferencepools.inference.networking.x-k8s.io"
RESTART = (
    f"then kubectl -n {kserve.NAMESPACE} rollout restart deployment {kserve.CONTROLLER}, which looks for it at its start only"
)
CONFIGURATION = "inferenceservice-config"
LOCAL_MODEL = "LocalModelNamespaceCache"
LOCAL_MODEL_URI = "internal.serving.kserve.io/localmodel-sourceuri"  # an annotation of a service that uses one
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# Provisioners that never give a volume to two nodes, with the page that says so. Of others the cluster cannot tell.
SINGLE_NODE = {
    "rancher.io/local-path": "github.com/rancher/local-path-provisioner v0.0.30, provisioner.go",
    "ebs.csi.aws.com": "kubernetes-csi.github.io/docs/drivers.html: Read/Write Single Pod",
}
# What shows that somebody adds nodes on demand: the cluster autoscaler's status, Karpenter's resource definition.
AUTOSCALERS = {
    "the cluster autoscaler": ("configmap", "cluster-autoscaler-status", "-n", "kube-system"),
    "Karpenter": ("crd", "nodepools.karpenter.sh"),
}


@dataclass
class Findings:
    """One message for each thing that is found, each with its cause and what to set; both empty when all is well."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked(Cluster):
    """A cluster that is asked each thing once, so that a check is of one moment and takes as few calls as it can."""

    answers: dict[tuple[Arg, ...], Object | None] = field(default_factory=dict)

    def get(self, *arguments: Arg) -> Object | None:
        if arguments not in self.answers:
            self.answers[arguments] = super().get(*arguments)
        return self.answers[arguments]


@dataclass(frozen=True)
class Pods:
    """Pods of one form that a service asks for; `requests` is of one pod, by resource."""

    title: str
    count: int
    spec: Object
    requests: Mapping[str, Decimal]


def objects(values: Path, name: str, namespace: str) -> list[Object]:
    """What a release of the umbrella would create; CommandFailed with helm's message for values that are refused."""
    deps.build()
    text = out(gobuild.program("helm"), "template", name, CHARTS / "llm-stack", "-n", namespace, "--values", values)
    return [obj for obj in documents.load_all(text) if obj]


def check(cluster: Cluster, release: list[Object], namespace: str) -> Findings:
    """Everything that keeps a rendered release from serving in this cluster, or may.

    What the kubeconfig's user may not read is a warning, so that a tenant without rights on nodes can install.
    """
    found, cluster = Findings(), Asked(cluster.kubeconfig)
    if any(obj["kind"] == "LLMInferenceService" for obj in release):
        for title, part in CHECKS.items():
            try:
                part(cluster, release, namespace, found)
            except CommandFailed as error:
                if "forbidden" not in error.output.lower():
                    raise
                found.warnings.append(f"{title}: not checked; {error.output.strip().splitlines()[-1]}")
    return found


# --- definitions and controller ---------------------------------------------------------------------------------------


def _definitions(cluster: Cluster, release: list[Object], _namespace: str, found: Findings) -> None:
    wanted = services(release)[0]["apiVersion"].split("/")[1]
    for name in kserve.CRDS:
        crd = cluster.get("crd", name)
        served = [version["name"] for version in (crd or {}).get("spec", {}).get("versions", []) if version["served"]]
        if crd is None:
            found.problems.append(
                f"resource definition {name}: is not in the cluster; run make crds, then install values/platform.yaml"
            )
        elif wanted not in served:
            found.problems.append(
                f"resource definition {name}: serves {', '.join(served)} and not {wanted}; install KServe 0.19 or newer"
            )
    for name, why in _needed(release):
        if cluster.get("crd", name) is None:
            found.problems.append(f"resource definition {name}: is not in the cluster and {why}, {RESTART}")


def _needed(release: list[Object]) -> Iterator[tuple[str, str]]:
    """Resource definitions of other projects that a service of the release needs, with the reason and where they come from."""
    specs = [service["spec"] for service in services(release)]
    routers = [spec.get("router") or {} for spec in specs]
    if any("worker" in part for spec in specs for part in (spec, spec.get("prefill") or {})):
        yield lws.CRD, "an engine over several nodes is a group of it; install LeaderWorkerSet 0.8"
    if any("route" in router or "gateway" in router for router in routers):
        for name in (GATEWAYS, ROUTES):
            yield name, "the service has a route; install the Gateway API"
    if any("scheduler" in router for router in routers):
        yield POOLS, "the endpoint picker picks from a pool; install the Gateway API Inference Extension 1.5"
    if any("scheduler" in (spec.get("router") or {}) and "prefill" in spec for spec in specs):
        yield (
            OLD_POOLS,
            "the decode side knows its prefill pods by it; apply KServe's config/llmisvc/gateway-inference-extension.yaml",
        )


def _local_models(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    """What a cache on nodes needs besides KServe's controller of services: without it every pod would download, or wait."""
    wanted = sorted({group for obj in release if obj["kind"] == LOCAL_MODEL for group in obj["spec"]["nodeGroups"]})
    if not wanted:
        return
    lacking = [name for name in kserve.LOCAL_MODEL_CRDS if cluster.get("crd", name) is None]
    found.problems.extend(
        f"resource definition {name}: is not in the cluster and global.llm.cache.nodeGroups needs it; apply KServe's "
        "config/crd/full/localmodel"
        for name in lacking
    )
    configuration = (cluster.get("configmap", CONFIGURATION, "-n", kserve.NAMESPACE) or {}).get("data", {})
    if not json.loads(configuration.get("localModel", "{}")).get("enabled"):
        found.problems.append(
            f"ConfigMap {kserve.NAMESPACE}/{CONFIGURATION}: localModel is not enabled, so that every pod would download the "
            "model; set kserve-controller.configuration.localModel.enabled: true in the platform's release, or "
            "global.llm.cache.nodeGroups: []"
        )
    if (
        not (cluster.get("deployment", kserve.LOCAL_MODEL_CONTROLLER, "-n", kserve.NAMESPACE) or {})
        .get("status", {})
        .get("availableReplicas")
    ):
        found.problems.append(
            f"local model controller: no pod of {kserve.LOCAL_MODEL_CONTROLLER} in {kserve.NAMESPACE} is available, so that "
            "nothing makes the volumes of global.llm.cache.nodeGroups; install KServe's chart kserve-localmodel-resources"
        )
    if kserve.LOCAL_MODEL_CRDS[1] not in lacking:
        found.problems.extend(_twins(cluster, release, namespace))
    if kserve.LOCAL_MODEL_CRDS[2] in lacking:
        return
    there = sorted(group["metadata"]["name"] for group in cluster.items(kserve.LOCAL_MODEL_CRDS[2]))
    found.problems.extend(
        f"node group {name}: there is no such LocalModelNodeGroup (the cluster has {', '.join(there) or 'none'}); set "
        "kserve-controller.configuration.localModel.nodeGroups in the platform's release, or global.llm.cache.nodeGroups to one "
        "that is there"
        for name in wanted
        if name not in there
    )


def _twins(cluster: Cluster, release: list[Object], namespace: str) -> Iterator[str]:
    """Of two caches that a service matches KServe's webhook takes one or the other, at each change of the service anew."""
    for cache in (obj for obj in release if obj["kind"] == LOCAL_MODEL):
        name, uri, group = cache["metadata"]["name"], cache["spec"]["sourceModelUri"], cache["spec"]["nodeGroups"][0]
        for other in cluster.items(LOCAL_MODEL, "-n", namespace):
            source = other["spec"]["sourceModelUri"].rstrip("/")
            same = uri.rstrip("/") == source or uri.startswith(f"{source}/")
            if same and group in other["spec"]["nodeGroups"] and other["metadata"]["name"] != name:
                yield (
                    f"cache {other['metadata']['name']}: is of the same model and nodes as {name}, and KServe would take the one "
                    "or the other at each change of the service; set global.llm.cache.enabled: false, which uses the one that is "
                    "there, or delete that"
                )


def _moved(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    """KServe writes the name of a service's cache into the selectors of its Deployments, which nobody can change."""
    uris = [obj["spec"]["sourceModelUri"] for obj in release if obj["kind"] == LOCAL_MODEL]
    if cluster.get("crd", SERVICES) is None:
        return
    for service in services(release):
        name = service["metadata"]["name"]
        there = cluster.get(SERVICES, name, "-n", namespace)
        if there is None:
            continue
        has = there["metadata"].get("annotations", {}).get(LOCAL_MODEL_URI, "")
        stays = has if there["spec"]["model"]["uri"] == service["spec"]["model"]["uri"] else ""
        wants = uris[0] if uris else stays
        if has != wants:
            before, after = (f"has a cache of {uri} on nodes" if uri else "has no cache on nodes" for uri in (has, wants))
            deployments = " ".join(
                f"{name}-kserve{side}" for side in ("", "-prefill") if not side or "prefill" in service["spec"]
            )
            found.warnings.append(
                f"service {name}: {before} and then {after}, which becomes part of the selectors of its Deployments, and KServe "
                f"fails to change those; after the upgrade kubectl -n {namespace} delete deployment {deployments}, which KServe "
                "makes anew, or install under another name"
            )


def _controller(cluster: Cluster, _release: list[Object], _namespace: str, found: Findings) -> None:
    controller = cluster.get("deployment", kserve.CONTROLLER, "-n", kserve.NAMESPACE)
    if controller is None:
        found.problems.append(
            f"controller: there is no Deployment {kserve.CONTROLLER} in {kserve.NAMESPACE}; install values/platform.yaml"
        )
    elif not controller.get("status", {}).get("availableReplicas"):
        found.problems.append(
            f"controller: no pod of {kserve.CONTROLLER} is available, so the service cannot be created; "
            f"see kubectl -n {kserve.NAMESPACE} describe pods"
        )


# --- names and routes -------------------------------------------------------------------------------------------------


def _names(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    """Two services of one served name: KServe's own warning is the event ModelNameCollision, after the fact."""
    if cluster.get("crd", SERVICES) is None:
        return
    others = cluster.items(SERVICES, "-n", namespace)
    for service in services(release):
        for other in others:
            if other["metadata"]["name"] == service["metadata"]["name"] or _one_group(service, other):
                continue
            for name in sorted(_served(service) & _served(other)):
                text = f"served name {name}: LLMInferenceService {other['metadata']['name']} in namespace {namespace} has it too"
                todo = "set another servedName (global.llm.models), remove the other service, or install into another namespace"
                if _routed(service) and _routed(other):
                    found.problems.append(f"{text}, and the gateway leads its requests to one of the two only; {todo}")
                else:
                    found.warnings.append(f"{text}; without a route for both only their addresses differ, else {todo}")


def _served(service: Object) -> set[str]:
    """Names that the service's model and adapters answer to."""
    model = service["spec"].get("model") or {}
    adapters = (model.get("lora") or {}).get("adapters") or []
    return {model.get("name") or service["metadata"]["name"], *(adapter["name"] for adapter in adapters)}


def _routed(service: Object) -> bool:
    return "route" in (service["spec"].get("router") or {})


def _one_group(one: Object, other: Object) -> bool:
    """Whether both are members of one routing group, which share a name on purpose."""
    groups = [((obj["spec"].get("router") or {}).get("route") or {}).get("group") for obj in (one, other)]
    return groups[0] is not None and groups[0] == groups[1]


def _gateway(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    routers = [service["spec"].get("router") or {} for service in services(release)]
    routers = [router for router in routers if "route" in router or "gateway" in router]
    if not routers or cluster.get("crd", GATEWAYS) is None:
        return
    for router in routers:
        named = [
            (ref.get("namespace") or namespace, ref["name"], "spec.router.gateway.refs names it")
            for ref in (router.get("gateway") or {}).get("refs") or []
        ]
        for where, name, why in named or _default_gateway(cluster):
            if cluster.get(GATEWAYS, name, "-n", where) is None:
                found.problems.append(f"gateway {where}/{name}: does not exist, so the service gets no route; {why}: create it")


def _default_gateway(cluster: Cluster) -> list[tuple[str, str, str]]:
    """The gateway of a service that names none; empty without the controller's ConfigMap."""
    configuration = cluster.get("configmap", CONFIGURATION, "-n", kserve.NAMESPACE)
    if configuration is None:
        return []
    where, _, name = json.loads(configuration["data"]["ingress"])["kserveIngressGateway"].partition("/")
    return [(where, name, f"ConfigMap {kserve.NAMESPACE}/{CONFIGURATION} names it (kserve-controller.configuration.gateway)")]


# --- storage ----------------------------------------------------------------------------------------------------------


def _storage(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    claims = {obj["metadata"]["name"]: obj for obj in release if obj["kind"] == "PersistentVolumeClaim"}
    for service in services(release, most=True):
        name = _claim(service)
        if not name or name in claims:
            continue
        there = cluster.get("pvc", name, "-n", namespace)
        mounts = sum(pods.count for pods in pods_of(service))
        if there is None:
            found.problems.append(
                f"claim {name}: does not exist in namespace {namespace}; create it, or set global.llm.cache.existingClaim "
                "(or the model's pvc:// uri) to one that does"
            )
        elif mounts > 1 and not any(mode.endswith("Many") for mode in there["spec"]["accessModes"]):
            modes = there["spec"]["accessModes"]
            fate = "one of them starts only" if modes == ["ReadWriteOncePod"] else "all of them must fit on one node"
            found.warnings.append(
                f"claim {name}: is {', '.join(modes)} and {mounts} engine pods mount it, so that {fate}; set "
                "global.llm.cache.existingClaim to a ReadWriteMany or ReadOnlyMany claim"
            )
    for name, claim in claims.items():
        there = cluster.get("pvc", name, "-n", namespace)
        found.problems.extend(_unprovided(cluster, name, claim) if there is None else _changed(cluster, name, there, claim))


def _changed(cluster: Cluster, name: str, there: Object, claim: Object) -> Iterator[str]:
    """What keeps a claim that exists from becoming what it is to be: more engines may ask for another access mode."""
    modes, wanted_modes = (" and ".join(obj["spec"]["accessModes"]) for obj in (there, claim))
    if modes != wanted_modes:
        todo = (
            f"fill a {wanted_modes} claim and set global.llm.cache.existingClaim"
            if wanted_modes.endswith("Many")
            else f"set global.llm.cache.accessMode: {modes}"
        )
        yield f"claim {name}: is {modes} and is to be {wanted_modes}, and a claim's access mode never changes; {todo}"
    has, wanted = (_number(obj["spec"]["resources"]["requests"]["storage"]) for obj in (there, claim))
    size = claim["spec"]["resources"]["requests"]["storage"]
    given = there["spec"]["resources"]["requests"]["storage"]
    if wanted < has:
        yield f"claim {name}: has {given} and is to have {size}, and a claim never shrinks; set global.llm.cache.size: {given}"
    elif wanted > has:
        wanted_class = there["spec"].get("storageClassName") or ""
        storage_class = cluster.get("storageclass", wanted_class) if wanted_class else None
        if not (storage_class or {}).get("allowVolumeExpansion"):
            yield (
                f"claim {name}: has {given} and is to have {size}, and storage class {wanted_class or '(none)'} does not expand "
                f"volumes; set global.llm.cache.size: {given} where the model fits, or move to a new claim by "
                "global.llm.cache.existingClaim"
            )


def _secrets(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    """Secrets that containers take their environment from, and KEDA its access to Prometheus. A pod without one waits in
    CreateContainerConfigError, a ScaledObject does nothing."""
    specs = [spec for service in services(release) for pods in pods_of(service) for spec in [pods.spec]]
    specs += [obj["spec"]["template"]["spec"] for obj in release if obj["kind"] == "Job"]
    wanted = {
        (reference["name"], reference["key"])
        for spec in specs
        for container in (*spec.get("initContainers", []), *spec.get("containers", []))
        for entry in container.get("env", [])
        for reference in [entry.get("valueFrom", {}).get("secretKeyRef")]
        if reference and not reference.get("optional")
    }
    asked = {
        (reference["name"], reference["key"])
        for obj in release
        if obj["kind"] == "TriggerAuthentication"
        for reference in obj["spec"].get("secretTargetRef", [])
    }
    for references, why in ((wanted, "a container takes its environment from it"), (asked, "KEDA asks Prometheus with it")):
        for name in sorted({name for name, _ in references}):
            there = cluster.get("secret", name, "-n", namespace)
            has = (there or {}).get("data") or {}
            keys = sorted(key for secret, key in references if secret == name and key not in has)
            if keys:
                lack = "does not exist" if there is None else f"has no key {', '.join(keys)}"
                given = " ".join(f"--from-literal={key}=…" for key in keys)
                patch = json.dumps({"stringData": dict.fromkeys(keys, "…")}, ensure_ascii=False)
                what = f"create secret generic {name} {given}" if there is None else f"patch secret {name} -p '{patch}'"
                found.problems.append(f"secret {name}: {lack} in namespace {namespace}, and {why}; kubectl -n {namespace} {what}")


def _unprovided(cluster: Cluster, name: str, claim: Object) -> Iterator[str]:
    """What keeps a new claim from being bound. A class without an object may still have volumes made by hand."""
    classes = {obj["metadata"]["name"]: obj for obj in cluster.items("storageclass")}
    wanted = claim["spec"].get("storageClassName")
    if wanted is None:
        defaults = [key for key, obj in classes.items() if obj["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"]
        wanted = min(defaults, default="")
    there = f"the cluster has {', '.join(sorted(classes)) or 'none'}"
    if wanted not in classes:
        volumes = [pv for pv in cluster.items("pv") if pv["spec"].get("storageClassName", "") == wanted]
        if not any(pv.get("status", {}).get("phase") == "Available" for pv in volumes):
            lack = f"storage class {wanted} does not exist" if wanted else "there is no default storage class"
            yield f"claim {name}: {lack} ({there}); set global.llm.cache.storageClassName to one that does"
        return
    provisioner = classes[wanted]["provisioner"]
    if "ReadWriteMany" in claim["spec"]["accessModes"] and provisioner in SINGLE_NODE:
        yield (
            f"claim {name}: asks for ReadWriteMany, which {provisioner} of storage class {wanted} does not give ({there}); "
            "set global.llm.cache.storageClassName to one of a shared file system, or global.llm.cache.existingClaim"
        )


def _claim(service: Object) -> str:
    uri: str = service["spec"]["model"]["uri"]
    return uri.removeprefix("pvc://").split("/")[0] if uri.startswith("pvc://") else ""


# --- nodes ------------------------------------------------------------------------------------------------------------


def pods_of(service: Object) -> Iterator[Pods]:
    """The engine pods of a service: one form for each side, and leader and workers apart where an engine spans nodes."""
    spec = service["spec"]
    prefill = spec.get("prefill")
    for title, part in (("decode engine" if prefill else "engine", spec), ("prefill engine", prefill)):
        if not part:
            continue
        replicas = part.get("replicas", 1)
        template, worker = part.get("template"), part.get("worker")
        if worker is None:
            yield _pods(title, replicas, template or {})
            continue
        parallelism = part.get("parallelism") or {}
        nodes = max(parallelism.get("data", 1) // max(parallelism.get("dataLocal", 1), 1), parallelism.get("pipeline", 1))
        if template:
            yield _pods(f"{title}, leader", replicas, template)
            yield _pods(f"{title}, worker", replicas * (nodes - 1), worker)
        else:
            yield _pods(title, replicas * nodes, worker)


def _pods(title: str, count: int, spec: Object) -> Pods:
    requests: dict[str, Decimal] = {}
    sidecars = [container for container in spec.get("initContainers", []) if container.get("restartPolicy") == "Always"]
    for container in (*spec.get("containers", []), *sidecars):
        resources = container.get("resources") or {}
        for resource, amount in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            requests[resource] = requests.get(resource, Decimal(0)) + _number(amount)
    return Pods(title, count, spec, requests)


def _nodes(cluster: Cluster, release: list[Object], _namespace: str, found: Findings) -> None:
    """Room by what the nodes can allocate in all: pods that run already are not counted, because an upgrade replaces its own.

    Node affinity is not looked at: the charts render none.
    """
    nodes = cluster.items("nodes")
    messages = _unplaced(nodes, services(release))
    most = [] if messages else _unplaced(nodes, services(release, most=True))
    more = [f"{message}; global.llm.autoscaling may ask for so many" for message in most]
    short = messages or more
    helper = next((title for title, where in AUTOSCALERS.items() if cluster.get(*where)), None) if short else None
    if helper:
        found.warnings.extend(f"{message}; {helper} may add nodes" for message in short)
    else:
        found.problems.extend(messages)
        found.warnings.extend(more)


def _unplaced(nodes: list[Object], wanted: list[Object]) -> list[str]:
    """A message for each form of pod of the services `wanted` that has no room."""
    left = {
        node["metadata"]["name"]: {key: _number(amount) for key, amount in node["status"].get("allocatable", {}).items()}
        for node in nodes
    }
    messages = []
    forms = [pods for service in wanted for pods in pods_of(service) if pods.count]
    # The largest first, as each is put onto the first node with room: what fits so fits.
    for pods in sorted(forms, key=lambda pods: max(_devices(pods).values(), default=Decimal(0)), reverse=True):
        matching = [node for node in nodes if not _unfit(node, pods.spec)]
        if not matching:
            messages.append(_no_node(nodes, pods))
            continue
        names = [node["metadata"]["name"] for node in matching]
        before = {name: dict(left[name]) for name in names}
        placed = sum(_place(pods.requests, names, left) for _ in range(pods.count))
        if placed < pods.count:
            messages.append(_no_room(pods, placed, before))
    return messages


def _place(requests: Mapping[str, Decimal], names: list[str], left: dict[str, dict[str, Decimal]]) -> bool:
    for name in names:
        if all(left[name].get(resource, Decimal(0)) >= amount for resource, amount in requests.items()):
            for resource, amount in requests.items():
                left[name][resource] = left[name].get(resource, Decimal(0)) - amount
            return True
    return False


def _devices(pods: Pods) -> dict[str, Decimal]:
    """Requests of device plugins: their resources carry a domain."""
    return {resource: amount for resource, amount in pods.requests.items() if "/" in resource}


def _unfit(node: Object, spec: Object) -> str:
    """Why no pod of this form is ever put onto a node, empty when it may be."""
    labels = node["metadata"].get("labels", {})
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return f"label {key}={value} is missing"
    if node["spec"].get("unschedulable"):
        return "it is cordoned"
    for taint in node["spec"].get("taints", []):
        hard = taint["effect"] != "PreferNoSchedule"
        if hard and not any(_tolerates(toleration, taint) for toleration in spec.get("tolerations") or []):
            return f"taint {taint['key']}={taint.get('value', '')}:{taint['effect']} is not tolerated"
    return ""


def _tolerates(toleration: Object, taint: Object) -> bool:
    exists = toleration.get("operator", "Equal") == "Exists"
    return (
        toleration.get("effect") in (None, "", taint["effect"])
        and ((exists and not toleration.get("key")) or toleration.get("key") == taint["key"])
        and (exists or toleration.get("value", "") == taint.get("value", ""))
    )


def _no_node(nodes: list[Object], pods: Pods) -> str:
    reasons: dict[str, int] = {}
    for node in nodes:
        reason = _unfit(node, pods.spec)
        reasons[reason] = reasons.get(reason, 0) + 1
    why = ", ".join(f"{count} because {reason}" for reason, count in sorted(reasons.items())) or "the cluster has none"
    return (
        f"nodes: none of {len(nodes)} takes the {pods.title} ({why}); label or add nodes, "
        "or set global.llm.overrides.nodeSelector and global.llm.overrides.tolerations"
    )


def _no_room(pods: Pods, placed: int, before: Mapping[str, Mapping[str, Decimal]]) -> str:
    """The message names the resource that is short, a device before memory and cpu."""

    def room(resource: str) -> int:
        return sum(int(free.get(resource, Decimal(0)) // pods.requests[resource]) for free in before.values())

    asked = [resource for resource, amount in pods.requests.items() if amount]
    short = min(asked, key=lambda resource: (room(resource), resource not in _devices(pods), resource))
    free = ", ".join(f"{name}: {_amount(short, node.get(short, Decimal(0)))}" for name, node in sorted(before.items())[:8])
    more = f" and {len(before) - 8} more" if len(before) > 8 else ""
    return (
        f"nodes: {placed} of {pods.count} pods of the {pods.title} find room: each asks for "
        f"{_amount(short, pods.requests[short])} {short}, and the nodes that it may run on have {free}{more}; "
        "add nodes, or lower global.llm.replicas or global.llm.parallel"
    )


def _scaling(cluster: Cluster, release: list[Object], namespace: str, found: Findings) -> None:
    found.problems.extend(preflight_scaling.problems(cluster, release, namespace))
    found.warnings.extend(preflight_scaling.warnings(cluster, release))


def _number(amount: str | int | float) -> Decimal:
    number: Decimal = quantity.parse_quantity(amount)  # type: ignore[no-untyped-call]
    return number


def _amount(resource: str, amount: Decimal) -> str:
    return f"{amount / 2**20:.0f}Mi" if resource in ("memory", "ephemeral-storage") else f"{amount.normalize():f}"


Check = Callable[[Cluster, list[Object], str, Findings], None]
CHECKS: dict[str, Check] = {
    "resource definitions": _definitions,
    "controller": _controller,
    "caches on nodes": _local_models,
    "services with caches on nodes": _moved,
    "claims and storage": _storage,
    "secrets": _secrets,
    "served names": _names,
    "gateway": _gateway,
    "nodes": _nodes,
    "autoscaling": _scaling,
}
