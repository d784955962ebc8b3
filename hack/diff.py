"""What an upgrade would change in the cluster: every field, whether engines restart, and what will be refused.

The API server and its webhooks decide: each object is sent to them in a dry run, in the way in which the release is applied
(Helm 4 keeps the way of the install: server-side apply, or a patch of what changed since the last manifest). The tables here only
say what to do about a refusal, and know the changes that KServe admits and then cannot carry out. A restart is foretold by the
service's own fields: a field that is new and says what KServe's preset says already is called one, and is none.

Exit status of `hack/run diff`: 0 nothing changes, 1 something changes, 2 a change will be refused, 3 it could not be told.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hack import documents
from hack.kube import Cluster, Object
from hack.shell import CommandFailed

UNCHANGED, CHANGED, REFUSED, UNKNOWN = 0, 1, 2, 3
MANAGER = "helm"  # Helm 4's field manager
KEEP = "helm.sh/resource-policy"
SERVICE = "LLMInferenceService"
CLAIM = "PersistentVolumeClaim"
SERVER_FIELDS = ("creationTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields", "resourceVersion", "uid")
# By which field the items of a list are known, as in Kubernetes' own merge keys.
KEYS = ("name", "mountPath", "key", "topologyKey", "containerPort")
ABSENT = object()

RECREATE = "helm uninstall, then install: engines are away meanwhile, a created claim stays; or install under a new release name"
# Immutable fields: kind, path, what to do. The first row that fits a change of a refused object is told.
IMMUTABLE = (
    (CLAIM, "spec.storageClassName", "keep the value; or fill a claim of the other class and set global.llm.cache.existingClaim"),
    (CLAIM, "spec.accessModes", "keep the value; or fill a claim of the other mode and set global.llm.cache.existingClaim"),
    (CLAIM, "spec.volumeName", "keep the value; or set global.llm.cache.existingClaim to a claim of the other volume"),
    (
        CLAIM,
        "spec.resources.requests.storage",
        "a claim only grows, when it is bound and its storage class has allowVolumeExpansion; set global.llm.cache.size to what "
        "it is, or global.llm.cache.existingClaim to another claim",
    ),
    (SERVICE, "spec.parallelism", f"KServe: data / dataLocal, the number of nodes, is immutable; {RECREATE}"),
    (SERVICE, "spec.prefill.parallelism", f"KServe: data / dataLocal, the number of nodes, is immutable; {RECREATE}"),
    ("", "spec.selector", "a selector is immutable; kubectl delete the object, then upgrade"),
)
# Paths of a service that reach no engine pod; everything else of its spec is in the pod template.
SCALES = ("spec.replicas", "spec.scaling", "spec.prefill.replicas", "spec.prefill.scaling")
ROUTES = ("spec.router", "spec.rolloutStrategy", "spec.prefill.rolloutStrategy")
# Metadata of a service that KServe copies to its pods (propagateDeploymentMetadata in v0.20.0).
COPIED_LABELS = ("kueue.x-k8s.io", "internal.serving.kserve.io/localmodel")
COPIED_ANNOTATIONS = ("prometheus.io", "k8s.v1.cni.cncf.io", *COPIED_LABELS)
# Annotations of pods: KServe compares them so that one that is gone is no difference.
POD_ANNOTATIONS = ("metadata.annotations", "spec.annotations", "spec.prefill.annotations")
LEAF_BY_LEAF = (*POD_ANNOTATIONS, "metadata.labels", "spec.labels", "spec.prefill.labels")


@dataclass
class Report:
    """Lines for a person. `restarts` are the paths because of which engine pods are replaced."""

    changes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    engines: str = ""

    @property
    def status(self) -> int:
        return REFUSED if self.refused else CHANGED if self.changes else UNCHANGED

    def text(self) -> str:
        lines = [*self.changes, *(f"REFUSED {line}" for line in self.refused)]
        return "\n".join([*(lines or ["nothing changes"]), self.engines])


@dataclass(frozen=True)
class Release:
    """What helm knows of a release; `manifest` is empty when there is none."""

    name: str
    namespace: str
    manifest: Mapping[str, Object]
    server_side: bool
    status: str


def compare(cluster: Cluster, rendered: list[Object], name: str, namespace: str) -> Report:
    """What `helm upgrade --install` of these objects would change."""
    release = _release(cluster, name, namespace)
    report = Report()
    if release.status.startswith("pending"):
        report.refused.append(
            f"release {name}: is {release.status}: another helm runs or was interrupted; helm rollback {name} -n {namespace}"
        )
    wanted = {_key(obj): _as_sent(obj, release) for obj in rendered if "helm.sh/hook" not in _annotations(obj)}
    live = _live(cluster, wanted, namespace)
    for key, obj in wanted.items():
        if key not in live:
            report.changes.append(f"{key}: is created")
        elif release.manifest and key not in release.manifest and not owned(live[key], release.name, release.namespace):
            report.refused.append(
                f"{key}: exists and belongs to no release or to another; delete it, rename, or upgrade with --take-ownership"
            )
        else:
            _changed(cluster, key, obj, live[key], release, report)
    _gone(release, wanted, report)
    report.engines = _engines(release, wanted, live, report)
    return report


# --- the release and the cluster --------------------------------------------------------------------------------------


def _release(cluster: Cluster, name: str, namespace: str) -> Release:
    try:
        metadata = json.loads(cluster.helm("get", "metadata", name, "-n", namespace, "-o", "json"))
    except CommandFailed as error:
        if "release: not found" not in error.output:
            raise
        return Release(name, namespace, {}, server_side=True, status="absent")
    stored = documents.load_all(cluster.helm("get", "manifest", name, "-n", namespace))
    manifest = {_key(obj): obj for obj in stored if obj}
    return Release(name, namespace, manifest, metadata.get("applyMethod") == "ssa", metadata["status"])


def _live(cluster: Cluster, wanted: Mapping[str, Object], namespace: str) -> dict[str, Object]:
    found = cluster.kubectl("get", "-f", "-", "-n", namespace, "--ignore-not-found", "-o", "json", stdin=_list(wanted.values()))
    there: Object = json.loads(found) if found.strip() else {"kind": "List", "items": []}
    items: list[Object] = there["items"] if there["kind"] == "List" else [there]
    return {_key(obj): obj for obj in items}


def _list(objects: Any) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def _key(obj: Object) -> str:
    return f"{obj['kind']}/{obj['metadata']['name']}"


def _annotations(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def _as_sent(obj: Object, release: Release) -> Object:
    """An object with the marks that helm adds to it."""
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    annotations = {**_annotations(obj), **owner(release.name, release.namespace)}
    return {**obj, "metadata": {**metadata, "annotations": annotations, "labels": labels}}


def owner(name: str, namespace: str) -> dict[str, str]:
    """The annotations by which helm knows the objects of a release."""
    return {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}


def owned(obj: Object, name: str, namespace: str) -> bool:
    """Whether helm says of an object of the cluster that it is the release's."""
    return owner(name, namespace).items() <= _annotations(obj).items()


def kept(obj: Object) -> bool:
    """Whether an object stays when it leaves its release."""
    return _annotations(obj).get(KEEP) == "keep"


def _dry_run(cluster: Cluster, obj: Object, release: Release) -> Object:
    """The object as the API server would store it; CommandFailed with its words when it refuses."""
    document = json.dumps(obj)
    common = (f"--field-manager={MANAGER}", "--dry-run=server", "-o", "json", "-f", "-")
    if release.server_side:
        text = cluster.kubectl("apply", "--server-side", *common, stdin=document)
    else:
        before = _as_sent(release.manifest.get(_key(obj), obj), release)
        patch = json.dumps(merge_patch(before, obj))
        text = cluster.kubectl("patch", "--type=merge", "-p", patch, *common, stdin=document)
    result: Object = json.loads(text)
    return result


def merge_patch(before: Any, after: Any) -> Any:
    """The JSON merge patch (RFC 7386) that leads from one object to another."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    patch = {key: None for key in before if key not in after}
    return patch | {
        key: merge_patch(before.get(key), value) for key, value in after.items() if key not in before or before[key] != value
    }


# --- one object -------------------------------------------------------------------------------------------------------


def _changed(cluster: Cluster, key: str, obj: Object, live: Object, release: Release, report: Report) -> None:
    try:
        after = _dry_run(cluster, obj, release)
    except CommandFailed as error:
        report.refused.extend(_refusal(key, obj, live, release, error.output))
        return
    for path, old, new in differences(_comparable(live), _comparable(after)):
        line = f"{key} {path}: {_value(old)} -> {_value(new)}"
        if obj["kind"] != SERVICE:
            report.changes.append(line)
        elif deployments := stuck(path, live):
            report.refused.append(
                f"{line}; the API server admits it, but it changes the immutable selector of {' and '.join(deployments)}, so "
                "that KServe fails and the engines stay as they are; upgrade, then "
                f"kubectl -n {release.namespace} delete deployment {' '.join(deployments)}: made anew, engines are away meanwhile"
            )
        elif restarts(path):
            lasting = new is ABSENT and _under(path, *POD_ANNOTATIONS)
            report.changes.append(f"{line}; KServe takes it from the pods at their next restart only" if lasting else line)
            report.restarts.extend([] if lasting else [path])
        else:
            report.changes.append(line)


def _refusal(key: str, obj: Object, live: Object, release: Release, words: str) -> Iterator[str]:
    """The fields that are immutable, by name; else what the API server says."""
    kind = obj["kind"]
    told = " ".join(words.split())
    if re.search(r"conflicts? with ", told):
        yield (f"{key}: {told}; somebody else wrote these fields: put their values into yours, or helm upgrade --force-conflicts")
        return
    known = []
    before = release.manifest.get(key)
    stored = _as_sent(before, release) if before else _part(live, obj)
    for path, old, new in differences(_comparable(stored), _comparable(obj)):
        row = next((row for row in IMMUTABLE if row[0] in ("", kind) and _under(path, row[1])), None)
        if row:
            known.append(f"{key} {path}: {_value(old)} -> {_value(new)}; {row[2]}")
    yield from known or [f"{key}: {told}"]


def _part(whole: Any, like: Any) -> Any:
    """Of an object in the cluster, the maps' keys that a rendered one has: defaults of the API server are no change."""
    if isinstance(whole, dict) and isinstance(like, dict):
        return {key: _part(value, like[key]) for key, value in whole.items() if key in like}
    return whole


def _comparable(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in SERVER_FIELDS}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def stuck(path: str, service: Object) -> list[str]:
    """Deployments whose immutable selector a change at this path changes: KServe v0.20.0 writes all labels of the pods into it,
    and updates nothing afterwards (workload_single_node.go). Engines over several nodes have no Deployment."""
    spec, name = service["spec"], service["metadata"]["name"]
    copied = any(path.startswith(f"metadata.labels.{prefix}") for prefix in COPIED_LABELS)
    found = []
    if "worker" not in spec and (copied or path == "spec.prefill" or _under(path, "spec.labels")):
        found.append(f"{name}-kserve")
    if "worker" not in spec.get("prefill", {"worker": None}) and (copied or _under(path, "spec.prefill.labels")):
        found.append(f"{name}-kserve-prefill")
    return found


def restarts(path: str) -> bool:
    """Whether a change at this path of a service is in the pod template that KServe makes of it."""
    if path.startswith("metadata."):
        places = {"metadata.annotations.": COPIED_ANNOTATIONS, "metadata.labels.": COPIED_LABELS}
        return any(path.startswith(f"{place}{prefix}") for place, prefixes in places.items() for prefix in prefixes)
    return not _under(path, *SCALES, *ROUTES)


def _under(path: str, *prefixes: str) -> bool:
    return any(path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")) for prefix in prefixes)


def _gone(release: Release, wanted: Mapping[str, Object], report: Report) -> None:
    for key, obj in release.manifest.items():
        if key not in wanted and "helm.sh/hook" not in _annotations(obj):
            report.changes.append(
                f"{key}: leaves the release and stays; set global.llm.cache.existingClaim to it to go on using it"
                if kept(obj) and obj["kind"] == CLAIM
                else f"{key}: {'leaves the release and stays' if kept(obj) else 'is deleted'}"
            )


def _engines(release: Release, wanted: Mapping[str, Object], live: Mapping[str, Object], report: Report) -> str:
    """One line on the engine pods."""
    old = {key for key in release.manifest if key.startswith(f"{SERVICE}/")}
    new = {key for key in wanted if key.startswith(f"{SERVICE}/")}
    paths = list(dict.fromkeys(report.restarts))
    if old - new:
        fate = f"{', '.join(sorted(old - new))} is deleted with its pods and addresses"
        if new - old:
            fate += f" and {', '.join(sorted(new - old))} starts from nothing; set global.llm.name to the old name to keep them"
    elif new - set(live):
        fate = "start"
    elif paths:
        fate = f"RESTART, because of {', '.join(paths[:3])}" + (f" and {len(paths) - 3} more" if paths[3:] else "")
    else:
        fate = "go on without a restart"
    return f"engines: {'the upgrade fails as it is; without what is refused they ' if report.refused else ''}{fate}"


# --- differences ------------------------------------------------------------------------------------------------------


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, old, new) of every leaf that differs; ABSENT where a side has nothing. Items of a list are known by their key field,
    else by what stands around them; texts of several lines differ by line."""
    if path in LEAF_BY_LEAF:
        old, new = ({} if side is ABSENT else side for side in (old, new))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            step = f"{path}.{key}" if path else key
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), step)
    elif isinstance(old, list) and isinstance(new, list):
        name = next((key for key in KEYS if _keyed(old, key) and _keyed(new, key)), None)
        if name:
            olds, news = ({item[name]: item for item in items} for items in (old, new))
            for key in dict.fromkeys([*olds, *news]):
                yield from differences(olds.get(key, ABSENT), news.get(key, ABSENT), f"{path}[{key}]")
        else:
            yield from _stretches(old, new, path)
    elif isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        yield from _stretches(old.splitlines(), new.splitlines(), path)
    elif old != new:
        yield path, old, new


def _keyed(items: list[Any], key: str) -> bool:
    """Whether every item has its own value of a key. An empty list has no say."""
    return all(isinstance(item, Mapping) and key in item for item in items) and len({item[key] for item in items}) == len(items)


def _stretches(old: list[Any], new: list[Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    before, after = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    for what, start, end, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "replace" and end - start == last - first:
            yield from ((f"{path}[{start + i}]", old[start + i], new[first + i]) for i in range(end - start))
        elif what != "equal":
            yield f"{path}[{start}]", _joined(old[start:end]), _joined(new[first:last])


def _joined(items: list[Any]) -> Any:
    if not items:
        return ABSENT
    return " ".join(item.strip() for item in items) if all(isinstance(item, str) for item in items) else items


def _value(value: Any) -> str:
    text = "(none)" if value is ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:297]}..."
