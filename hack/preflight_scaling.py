"""Preflight's part on autoscaling: how many engines there may be, who else sets their number, and whether Prometheus answers."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from hack import diff, keda
from hack.kube import Cluster, Object, conditions, holds
from hack.shell import CommandFailed

INSTANCE = "app.kubernetes.io/instance"  # the label of all our objects that names their release
# Who makes a ScaledObject or a HorizontalPodAutoscaler of something that says itself who scales.
MAKERS = {"LLMInferenceService", "ScaledObject"}
PROMETHEUS = "global.llm.autoscaling.prometheus"
STAYS = "so that the number of engines would not change"
ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Scaled:
    """A side of a service that KEDA scales: by a ScaledObject of ours, or by one that KServe makes. `path` is of its values."""

    side: Object
    path: str
    least: int
    most: int
    triggers: list[Object]


def services(release: list[Object], *, most: bool = False) -> list[Object]:
    """The services, with the number of engines that autoscaling begins with, or with the most that it may ask for."""
    found = [deepcopy(obj) for obj in release if obj["kind"] == "LLMInferenceService"]
    for scaled in (scaled for service in found for scaled in _scaled(service, release).values()):
        scaled.side["replicas"] = scaled.most if most else scaled.least
    return found


def _scaled(service: Object, release: list[Object]) -> dict[str, Scaled]:
    """What is scaled of a service, by the name of the Deployment or LeaderWorkerSet that KServe makes of it."""
    ours = {obj["spec"]["scaleTargetRef"]["name"]: obj["spec"] for obj in release if obj["kind"] == "ScaledObject"}
    found = {}
    for suffix, path, side in (
        ("", "global.llm.autoscaling", service["spec"]),
        ("-prefill", "global.llm.prefill.autoscaling", service["spec"].get("prefill")),
    ):
        if not side:
            continue
        child = f"{service['metadata'].get('name')}-kserve{'-mn' if 'worker' in side else ''}{suffix}"
        own, theirs = ours.get(child), side.get("scaling")
        if own:
            found[child] = Scaled(side, path, own.get("minReplicaCount", 0), own["maxReplicaCount"], own["triggers"])
        elif theirs:
            by_keda = theirs.get("keda") or {}
            least = by_keda.get("idleReplicaCount", theirs.get("minReplicas", 1))
            found[child] = Scaled(side, path, least, theirs["maxReplicas"], by_keda.get("triggers", []))
    return found


def _all(release: list[Object]) -> dict[str, Scaled]:
    return {child: scaled for service in services(release) for child, scaled in _scaled(service, release).items()}


def problems(cluster: Cluster, release: list[Object], namespace: str) -> Iterator[str]:
    """What keeps KEDA from scaling: it is not there, or somebody else scales already."""
    targets = {child for child, scaled in _all(release).items() if scaled.triggers}
    if not targets:
        return
    if cluster.get("crd", keda.CRDS[0]) is None:
        yield f"resource definition {keda.CRDS[0]}: is not in the cluster and global.llm.autoscaling needs it; install KEDA 2.20"
        return
    api = cluster.get("apiservice", keda.API)
    if not holds(api, "Available"):
        why = conditions(api).get("Available", {}).get("message", "nobody serves it")
        yield f"KEDA: {keda.API} is not available ({why}), so that nothing would scale; see its pods"
    rendered = {(obj["kind"], obj["metadata"]["name"]) for obj in release}
    name = services(release)[0]["metadata"].get("labels", {}).get(INSTANCE, "")
    for kind, title in ((keda.CRDS[0], "ScaledObject"), ("horizontalpodautoscalers", "HorizontalPodAutoscaler")):
        for other in cluster.items(kind, "-n", namespace):
            made = MAKERS & {owner["kind"] for owner in other["metadata"].get("ownerReferences", [])}
            leaves = diff.owned(other, name, namespace) and not diff.kept(other)
            target = other["spec"]["scaleTargetRef"]["name"]
            if target in targets and not made and not leaves and (title, other["metadata"]["name"]) not in rendered:
                yield (
                    f"{title} {other['metadata']['name']}: scales {target} already, and of two one undoes what the other does; "
                    "delete it"
                )


def warnings(cluster: Cluster, release: list[Object]) -> Iterator[str]:
    """Why the signals would have no answer, as far as the cluster can be asked."""
    asked: dict[tuple[str, str, bool], dict[str, str]] = {}
    triggers = [(side.path, trigger) for side in _all(release).values() for trigger in side.triggers]
    for path, trigger in triggers:
        given = trigger["metadata"]
        if trigger["type"] == "prometheus":
            whom = (given["serverAddress"], given.get("customHeaders", ""), "authModes" in given)
            asked.setdefault(whom, {}).setdefault(given["query"], f"{path}.signals.{trigger['name']}")
    if triggers:
        yield from _anothers_api(cluster)
    for (address, headers, locked), queries in sorted(asked.items()):
        yield from _unanswered(cluster, address, headers, locked, queries)


def _anothers_api(cluster: Cluster) -> Iterator[str]:
    """A cluster has one API of external metrics, and KEDA's HorizontalPodAutoscalers read it."""
    by = ((cluster.get("apiservice", keda.API) or {}).get("spec") or {}).get("service")
    if by and "keda" not in f"{by['namespace']}/{by['name']}":
        yield (
            f"KEDA: {keda.API} is served by {by['namespace']}/{by['name']}, which does not know KEDA's metrics; give the API to "
            "KEDA, a cluster has one"
        )


def _unanswered(cluster: Cluster, address: str, headers: str, locked: bool, queries: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a Prometheus that is a Service of the cluster; of others the cluster cannot tell.

    One that wants credentials (`locked`) is asked by KEDA alone: the API server takes an Authorization header for one of its
    own and passes none on.
    """
    url = urllib.parse.urlsplit(address)
    name, _, rest = (url.hostname or "").partition(".")
    namespace, _, domain = rest.partition(".")
    if not namespace or domain not in ("", "svc", "svc.cluster.local"):
        return
    service = cluster.get("service", name, "-n", namespace)
    if service is None:
        yield f"{PROMETHEUS}.serverAddress: {address} names no Service of the cluster, {STAYS}"
        return
    # The API server leads to pods only: not to a name outside, nor to endpoints that somebody made by hand.
    if locked or url.scheme != "http" or not service["spec"].get("selector"):
        return
    path = f"/api/v1/namespaces/{namespace}/services/{name}:{url.port or 80}/proxy{url.path.rstrip('/')}/api/v1/query"
    tenant = headers.partition("=")[2]
    with cluster.proxy(path) as port:
        status, answer = _ask(port, path, "count(up)", headers)
        why = _why(status, answer)
        if status in (401, 403) and tenant:
            yield (
                f"{PROMETHEUS}.tenant: {address} refuses tenant {tenant} ({why}), {STAYS}; set one that it lets read, or "
                "authModes and secret if it wants credentials"
            )
        elif status in (401, 403):
            yield (
                f"{PROMETHEUS}.authModes: {address} refuses who brings neither credentials nor a tenant ({why}), {STAYS}; set "
                "authModes and secret, or tenant"
            )
        elif 400 <= status < 500:
            yield f"{PROMETHEUS}.serverAddress: {address} refuses a query ({why}), {STAYS}; set what comes before /api/v1/query"
        elif answer.get("status") != "success":
            yield f"{PROMETHEUS}.serverAddress: {address} does not answer a query, {STAYS}"
        else:
            if not answer["data"]["result"] and tenant:
                yield (
                    f"{PROMETHEUS}.tenant: {address} has no series (up) of tenant {tenant}; nothing would scale; set the tenant "
                    "that the engines' series are written to"
                )
            elif not answer["data"]["result"]:
                yield f"{PROMETHEUS}.serverAddress: {address} has no series (up); nothing would scale"
            for query, signal in queries.items():
                yield from _unusable(signal, address, *_ask(port, path, query, headers))


def _unusable(signal: str, address: str, status: int, answer: Object) -> Iterator[str]:
    """Why KEDA takes no number from the answer to a signal's query. An empty one says nothing before the engines run."""
    data = answer.get("data") or {}
    kind, results = data.get("resultType"), data.get("result") or []
    if 400 <= status < 500:
        yield f"{signal}: {address} refuses its query ({_why(status, answer)}), {STAYS}; set one that it takes"
    elif data and (kind != "vector" or len(results) > 1):
        found = f"{len(results)} series" if kind == "vector" else f"a {kind}"
        yield f"{signal}: {address} answers its query with {found} and KEDA takes one series only, {STAYS}; set one with sum(…)"


def _why(status: int, answer: Object) -> str:
    return f"{status}: {answer['error']}" if answer.get("error") else str(status)


def _ask(port: int, path: str, query: str, headers: str) -> tuple[int, Object]:
    """Status and document of Prometheus' answer, `error` in it where it refuses; 0 and nothing where none came.

    CommandFailed when the API server refuses to ask.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        given = dict(pair.split("=", 1) for pair in headers.split(",") if pair)
        connection.request("GET", f"{path}?{urllib.parse.urlencode({'query': query})}", headers=given)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        connection.close()
    document = _document(text)
    if document.get("kind") == "Status":  # the API server's own
        if answer.status == 403:
            raise CommandFailed(("kubectl", "get", "--raw", path), 1, document["message"])
        return 0, {}
    return answer.status, document


def _document(text: str) -> Object:
    """An answer that may be none of Prometheus': then, but for a page, its text is the `error`."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    document: Object = found if isinstance(found, dict) else {"error": "" if text.lstrip().startswith("<") else text}
    return {**document, "error": " ".join(str(document.get("error", "")).split())[:200]}
