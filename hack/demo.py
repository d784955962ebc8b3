"""`make demo` and its siblings: from nothing to a streamed answer, and back."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hack import cluster as kind
from hack import downloads, kserve, model, platform
from hack.console import StepFailed, Timeline, say
from hack.kube import Cluster, Object, conditions, holds, until
from hack.lab import daemon
from hack.paths import VALUES
from hack.shell import CommandFailed

RELEASE = "demo"
NAMESPACE = "demo"
QUESTION, ANSWER = "What jumps over the lazy dog?", "The quick brown fox."
PORT = 8000
START_SECONDS = 600


def demo(also: Sequence[str] = ()) -> None:
    """`make demo`: cluster, platform, model, release, one question. `also`: further images that the cluster is to have."""
    timeline = Timeline()
    cluster = kind.up(timeline, also)
    with timeline.step("platform: KServe's controller and presets") as step:
        _explained(cluster, kserve.NAMESPACE, lambda: platform.install(cluster, step.note))
    with timeline.step(f"model: fill claim {model.CLAIM}") as step:
        cluster.apply([platform.namespace(NAMESPACE)])
        _explained(cluster, NAMESPACE, lambda: model.fill(cluster, NAMESPACE, step.note))
    with timeline.step(f"helm install {RELEASE} charts/llm-stack -f values/demo.yaml") as step:
        if not platform.release(cluster, RELEASE, NAMESPACE, VALUES / "demo.yaml"):
            say("    unchanged")
    with timeline.step("engine: wait until it serves") as step:
        wait_serving(cluster, NAMESPACE, RELEASE, step.note)
    with timeline.step(f"ask: {QUESTION}"):
        text = converse(cluster, NAMESPACE, RELEASE, QUESTION)
        if text != ANSWER:
            raise StepFailed(f"the model answered {text!r} and was trained to answer {ANSWER!r}", "make logs")
    say("\nWhere the time went")
    say(timeline.table())
    peak = kind.memory_peak_gib()
    if peak is not None:
        say(f"\nmemory of the whole cluster at its peak, page cache included: {peak:.1f} GiB")
    say("\nNext: make chat · make status · make logs · make destroy")


def wait_serving(cluster: Cluster, namespace: str, name: str, note: platform.Note, timeout: float = START_SECONDS) -> None:
    """Until an engine is available and its API lists the model.

    The service's Ready condition is no proof either way (it flips while scaling and is true at zero replicas): the workload and
    the API are asked. StepFailed tells the events, conditions and last log lines of what is at fault.
    """

    before = _restarts(cluster, namespace, name)  # an earlier run's failures: this run has its own chance

    def available() -> bool:
        deployment = cluster.get("deployment", f"{name}-kserve", "-n", namespace)
        note(_state(cluster, namespace, name))
        _fail_early(cluster, namespace, name, before)
        status = (deployment or {}).get("status", {})
        return (
            bool(status.get("availableReplicas"))
            and status.get("observedGeneration") == (deployment or {})["metadata"]["generation"]
        )

    try:
        until(available, timeout, f"no engine of {name} became available", every=1)
        until(lambda: bool(_models(cluster, namespace, name)), 60, f"the API of {name} lists no model", every=1)
    except TimeoutError as error:
        raise StepFailed(f"{error}\n{diagnosis(cluster, namespace)}", _look(namespace)) from error


def _engine_pods(cluster: Cluster, namespace: str, name: str) -> list[Object]:
    pods = cluster.items("pods", "-n", namespace, "-l", f"app.kubernetes.io/name={name},kserve.io/component=workload")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def _state(cluster: Cluster, namespace: str, name: str) -> str:
    states = []
    for pod in _engine_pods(cluster, namespace, name):
        containers = pod["status"].get("containerStatuses", [])
        waiting = [s["state"]["waiting"]["reason"] for s in containers if "waiting" in s["state"]]
        restarts = sum(s["restartCount"] for s in containers)
        states.append(f"{pod['metadata']['name']} {', '.join(waiting) or pod['status']['phase']}, {restarts} restarts")
    return "; ".join(states) or "no pod yet"


def _restarts(cluster: Cluster, namespace: str, name: str) -> dict[str, int]:
    """Restarts of each engine pod so far, by pod name."""
    pods = _engine_pods(cluster, namespace, name)
    return {p["metadata"]["name"]: sum(s["restartCount"] for s in p["status"].get("containerStatuses", [])) for p in pods}


def _fail_early(cluster: Cluster, namespace: str, name: str, before: dict[str, int]) -> None:
    combined = conditions(cluster.get("llminferenceservice", name, "-n", namespace)).get("PresetsCombined", {})
    if combined.get("status") == "False":
        raise StepFailed(f"KServe cannot combine its presets: {combined.get('message')}", _look(namespace))
    for pod in _engine_pods(cluster, namespace, name):
        for status in pod["status"].get("containerStatuses", []):
            reason = status["state"].get("waiting", {}).get("reason", "")
            if reason in ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "ImagePullBackOff") or (
                reason == "CrashLoopBackOff" and status["restartCount"] >= before.get(pod["metadata"]["name"], 0) + 2
            ):
                raise StepFailed(f"{pod['metadata']['name']}: {reason}\n{diagnosis(cluster, namespace)}", _look(namespace))


def diagnosis(cluster: Cluster, namespace: str) -> str:
    """Conditions, the last events and the last log lines of pods that are not ready."""
    lines = []
    for service in cluster.items("llminferenceservices", "-n", namespace) if cluster.get("crd", kserve.CRDS[1]) else []:
        for condition in conditions(service).values():
            if condition["status"] != "True":
                lines.append(
                    f"condition {condition['type']}={condition['status']}: {condition.get('message', condition.get('reason'))}"
                )
    for event in cluster.items("events", "-n", namespace, "--field-selector", "type=Warning", "--sort-by=.lastTimestamp")[-5:]:
        lines.append(
            f"event {event['involvedObject']['kind']}/{event['involvedObject']['name']}: {event['reason']}: {event['message']}"
        )
    for pod in cluster.items("pods", "-n", namespace):
        if not holds(pod, "Ready") and pod["status"]["phase"] != "Succeeded":
            lines.append(f"pod {pod['metadata']['name']} ({pod['status']['phase']}):\n{_last_words(cluster, namespace, pod)}")
    return "\n".join(lines)


def _last_words(cluster: Cluster, namespace: str, pod: Object) -> str:
    """The end of a pod's log; of the run before, where a container was restarted."""
    restarted = any(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
    flags = ["--previous"] if restarted else []
    log = cluster.kubectl("-n", namespace, "logs", pod["metadata"]["name"], *flags, "--tail=200", check=False)
    lines = log.rstrip().splitlines()
    errors = [line for line in lines if "Error" in line and line not in lines[-12:]]
    return "\n".join([*errors[-5:], *lines[-12:]])


def _look(namespace: str) -> str:
    return f"kubectl --kubeconfig {kind.kubeconfig()} -n {namespace} describe pods"


def _explained(cluster: Cluster, namespace: str, act: Any) -> None:
    """Run `act`; what goes wrong in it is told with the namespace's diagnosis."""
    try:
        act()
    except (CommandFailed, TimeoutError) as error:
        raise StepFailed(f"{error}\n{diagnosis(cluster, namespace)}", _look(namespace)) from error


def request(port: int, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    """One request to the forwarded API; StepFailed with the API's own words on an error status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    sent = {"Content-Type": "application/json", **(headers or {})}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, sent)
    answer = connection.getresponse()
    if answer.status != 200:
        raise StepFailed(f"{path}: HTTP {answer.status}: {answer.read(500).decode(errors='replace')}", "make logs")
    return answer


def _models(cluster: Cluster, namespace: str, name: str) -> list[str]:
    try:
        with cluster.port_forward(namespace, f"service/{name}-kserve-workload-svc", PORT) as port:
            return [entry["id"] for entry in json.load(request(port, "/v1/models"))["data"]]
    except (OSError, CommandFailed, http.client.HTTPException):
        return []


def stream(port: int, question: str) -> Iterator[str]:
    """The pieces of a chat answer as they come."""
    served = json.load(request(port, "/v1/models"))["data"][0]["id"]
    body = {
        "model": served,
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "temperature": 0,
        "max_tokens": 64,
    }
    for line in request(port, "/v1/chat/completions", body):
        data = line.decode().strip().removeprefix("data: ")
        if data and data != "[DONE]":
            for choice in json.loads(data)["choices"]:
                yield choice["delta"].get("content") or ""


def converse(cluster: Cluster, namespace: str, name: str, question: str) -> str:
    """Ask, print the answer as it streams, return it."""
    with cluster.port_forward(namespace, f"service/{name}-kserve-workload-svc", PORT) as port:
        sys.stdout.write("    ")
        pieces = []
        for piece in stream(port, question):
            sys.stdout.write(piece)
            sys.stdout.flush()
            pieces.append(piece)
    print()
    return "".join(pieces)


def _running() -> Cluster:
    if not kind.exists():
        raise StepFailed(f"there is no cluster {kind.NAME}; run make demo")
    return kind.cluster()


def status() -> None:
    """`make status`: what runs."""
    cluster = _running()
    say(cluster.kubectl("get", "pods", "-n", kserve.NAMESPACE, "-o", "wide"))
    say(cluster.kubectl("get", "llminferenceservices,pods,pvc,jobs", "-n", NAMESPACE))
    say(downloads.report(cluster))
    say(diagnosis(cluster, NAMESPACE) or "nothing to report")


def chat() -> None:
    """`make chat`: questions from the terminal, answers as they stream. An empty line ends it."""
    cluster = _running()
    while True:
        try:
            question = input("you: ").strip()
        except EOFError:
            return
        if not question:
            return
        converse(cluster, NAMESPACE, RELEASE, question)


def logs() -> None:
    """`make logs`: the last lines of the controller and of the engine."""
    cluster = _running()
    say(cluster.kubectl("-n", kserve.NAMESPACE, "logs", f"deployment/{kserve.CONTROLLER}", "--tail=30", check=False))
    say(cluster.kubectl("-n", NAMESPACE, "logs", f"deployment/{RELEASE}-kserve", "--tail=50", check=False))


def destroy() -> None:
    """`make destroy`: the cluster with all that is in it, whatever state that is in, and the container daemon if it was ours.

    The cache stays.
    """
    timeline = Timeline()
    with timeline.step(f"kind cluster {kind.NAME}"):
        kind.delete()
    with timeline.step("container daemon, if we started it"):
        daemon.stop()
    say(timeline.table())
