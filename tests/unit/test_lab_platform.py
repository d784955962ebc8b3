"""What is installed once, and when KServe's controller is started anew: against a cluster that remembers what it was told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest

from hack import kserve, platform
from hack.console import StepFailed
from hack.shell import CommandFailed

Object = dict[str, Any]
NAMESPACE, NAME = "parts", "part"


@dataclass
class Remembering:
    """Stands in for hack.kube.Cluster."""

    stored: dict[tuple[str, str], Object] = field(default_factory=dict)
    sent: list[list[str]] = field(default_factory=list)
    commands: list[tuple[Any, ...]] = field(default_factory=list)
    breaks_at: str = ""
    answers: dict[str, str] = field(default_factory=dict)

    def apply(self, objects: Iterable[Object]) -> None:
        self.sent.append([])
        for obj in deepcopy(list(objects)):
            name = obj["metadata"]["name"]
            if obj["kind"] == self.breaks_at:
                raise CommandFailed(["kubectl", "apply"], 1, "interrupted")
            self.sent[-1].append(f"{obj['kind']}/{name}")
            self.stored[obj["kind"].lower(), name] = obj

    def get(self, kind: str, name: str, *_: str) -> Object | None:
        return self.stored.get((kind, name))

    def items(self, kind: str, *_: str) -> list[Object]:
        return [obj for (found, _), obj in self.stored.items() if found == kind]

    def kubectl(self, *arguments: Any, stdin: str | None = None, check: bool = True) -> str:
        self.commands.append(arguments)
        asked = " ".join(map(str, arguments))
        for part, answer in self.answers.items():
            if part in asked:
                if answer.startswith("Error"):
                    raise CommandFailed(["kubectl"], 1, answer)
                return answer
        return ""


def wanted(image: str = "a") -> list[Object]:
    spec = {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return [
        {"kind": "Deployment", "metadata": dict(metadata), "spec": spec},
        {"kind": "Service", "metadata": dict(metadata)},
        {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": NAME}},
    ]


def apply(cluster: Remembering, image: str = "a") -> list[str]:
    said: list[str] = []
    platform._apply_once(cluster, wanted(image), NAMESPACE, NAME, said.append, "the part")
    return said


# --- installed once ---------------------------------------------------------------------------------------------------


def test_what_stands_is_not_sent_again_and_what_changed_is() -> None:
    cluster = Remembering()
    assert apply(cluster) == ["the part"]
    assert cluster.sent == [["Service/part", "ValidatingWebhookConfiguration/part"], ["Deployment/part"]]
    assert apply(cluster) == []
    assert len(cluster.sent) == 2
    assert apply(cluster, image="b") == ["the part"]
    assert len(cluster.sent) == 4
    assert [command[-2] for command in cluster.commands] == ["deployment/part"] * 3, "it waits for the pods each time"


@pytest.mark.parametrize("kind", ["Service", "ValidatingWebhookConfiguration", "Deployment"])
def test_what_was_interrupted_is_applied_again(kind: str) -> None:
    cluster = Remembering(breaks_at=kind)
    with pytest.raises(CommandFailed, match="interrupted"):
        apply(cluster)
    cluster.breaks_at = ""
    assert apply(cluster) == ["the part"]
    assert {name for _, name in cluster.stored} == {NAME}
    assert len(cluster.stored) == 3


# --- KServe's controller ----------------------------------------------------------------------------------------------

KIND = "things.example.com"


def controller(started: str, *, ending: bool = False) -> Object:
    metadata = {"name": started, **({"deletionTimestamp": started} if ending else {})}
    return {"metadata": metadata, "status": {"startTime": started}}


@pytest.mark.parametrize(
    ("pods", "restarted"),
    [
        ([controller("2026-01-01T00:00:00Z")], True),
        ([controller("2026-01-03T00:00:00Z")], False),
        ([controller("2026-01-01T00:00:00Z", ending=True), controller("2026-01-03T00:00:00Z")], False),
        ([], False),
    ],
    ids=["older", "younger", "the older one is ending", "no controller"],
)
def test_a_controller_older_than_the_kind_is_started_anew(pods: list[Object], restarted: bool) -> None:
    cluster = Remembering(answers={"create --dry-run=server": "llminferenceservice/probe"})
    cluster.stored["crd", KIND] = {"metadata": {"creationTimestamp": "2026-01-02T00:00:00Z"}}
    cluster.stored |= {("pods", pod["metadata"]["name"]): pod for pod in pods}
    platform.known_to_kserve(cluster, KIND, lambda _: None)
    restart = ("-n", kserve.NAMESPACE, "rollout", "restart", f"deployment/{kserve.CONTROLLER}")
    assert (restart in cluster.commands) is restarted


# --- a webhook that lets pass what it cannot be asked about -----------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ('Error from server: admission webhook "one" denied the request: no', True),
        ('Error from server: admission webhook "other" denied the request: no', False),
        ("Error from server: connection refused", False),
        ("things/probe", False),
    ],
)
def test_only_a_refusal_shows_that_it_answers(answer: str, refused: bool) -> None:
    assert platform.refused_by(Remembering(answers={"create": answer}), {}, "one") is refused


# --- rules of Prometheus ----------------------------------------------------------------------------------------------


def test_rules_are_loaded_when_prometheus_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Remembering()
    _, group = platform.prometheus.rules({"own.yaml": "groups: []"})
    cluster.answers["api/v1/rules"] = json.dumps({"data": {"groups": [{"name": group}]}})
    platform.load_rules(cluster, {"own.yaml": "groups: []"})
    assert cluster.sent == [["ConfigMap/prometheus-rules"]]

    def at_once(happened: Any, timeout: float, otherwise: str) -> None:
        if not happened():
            raise TimeoutError(otherwise)

    monkeypatch.setattr(platform, "until", at_once)
    cluster.answers["logs"] = "could not parse expression\n"
    with pytest.raises(StepFailed, match="Prometheus does not follow the rules\ncould not parse expression"):
        platform.load_rules(cluster, {"own.yaml": "groups: [}"})
