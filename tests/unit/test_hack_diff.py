"""The parts of `make diff` and `make preflight` that ask no cluster: field differences, patches, what restarts, statuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import hack.__main__
from hack import diff
from hack.console import StepFailed
from hack.diff import ABSENT, Report, differences, merge_patch, restarts, stuck

DIFFERENCES = {
    "equal": ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, []),
    "scalar": ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
    "added": ({"a": 1}, {"a": 1, "b": {"c": 1}}, [("b", ABSENT, {"c": 1})]),
    "removed": ({"a": 1, "b": None}, {"a": 1}, [("b", None, ABSENT)]),
    "named": (
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]},
        [
            ("env[A]", {"name": "A", "value": "1"}, ABSENT),
            ("env[B].value", "2", "3"),
            ("env[C]", ABSENT, {"name": "C", "value": "4"}),
        ],
    ),
    "same-name-twice": (
        {"tolerations": [{"key": "a", "effect": "X"}, {"key": "a", "effect": "Y"}]},
        {"tolerations": [{"key": "a", "effect": "X"}]},
        [("tolerations[1]", [{"key": "a", "effect": "Y"}], ABSENT)],
    ),
    "arguments": (
        {"args": ["--a", "1", "--b", "--c", "2"]},
        {"args": ["--a", "3", "--b", "--d", "x y"]},
        [("args[1]", "1", "3"), ("args[3]", "--c", "--d"), ("args[4]", "2", "x y")],
    ),
    "inserted": ({"args": ["--a", "--z"]}, {"args": ["--a", "--m", "1", "--z"]}, [("args[1]", ABSENT, "--m 1")]),
    "lines": ({"plan": "a\nb\nc"}, {"plan": "a\nB\nc"}, [("plan[1]", "b", "B")]),
    "metadata-leaf-by-leaf": (
        {"metadata": {}},
        {"metadata": {"annotations": {"a/b": "1", "c/d": "2"}}},
        [("metadata.annotations.a/b", ABSENT, "1"), ("metadata.annotations.c/d", ABSENT, "2")],
    ),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_differences(case: str) -> None:
    old, new, told = DIFFERENCES[case]
    assert list(differences(old, new)) == told


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_merge_patch(before: Any, after: Any, patch: Any) -> None:
    assert merge_patch(before, after) == patch
    assert merged(before, patch) == after


def merged(target: Any, patch: Any) -> Any:
    """A merge patch applied, as RFC 7386 has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        result[key] = merged(result.get(key), value)
        if value is None:
            del result[key]
    return result


RESTARTS = {
    "spec.template.containers[main].args[0]": True,
    "spec.model.uri": True,
    "spec.parallelism": True,
    "spec.prefill.template": True,
    "spec.annotations": True,
    "spec.replicas": False,
    "spec.replicasets": True,  # no prefix of a word
    "spec.scaling.minReplicas": False,
    "spec.prefill.replicas": False,
    "spec.router": False,
    "spec.router.scheduler.template.containers[main].image": False,
    "spec.rolloutStrategy.maxSurge": False,
    "metadata.labels.helm.sh/chart": False,
    "metadata.annotations.example.com/prometheus.io": False,
    "metadata.annotations.prometheus.io/scrape": True,
    "metadata.labels.kueue.x-k8s.io/queue-name": True,
}


@pytest.mark.parametrize("path", RESTARTS)
def test_what_restarts_engines(path: str) -> None:
    assert restarts(path) == RESTARTS[path]


ALONE: dict[str, Any] = {}
SPLIT: dict[str, Any] = {"prefill": {}}
NODES: dict[str, Any] = {"worker": {}, "prefill": {"worker": {}}}
STUCK = {
    "spec.prefill": {"alone": ["a-kserve"], "split": ["a-kserve"], "nodes": []},
    "spec.labels.team": {"alone": ["a-kserve"], "split": ["a-kserve"], "nodes": []},
    "spec.prefill.labels.team": {"alone": [], "split": ["a-kserve-prefill"], "nodes": []},
    "metadata.labels.kueue.x-k8s.io/queue-name": {"alone": ["a-kserve"], "split": ["a-kserve", "a-kserve-prefill"], "nodes": []},
    "metadata.labels.helm.sh/chart": {"alone": [], "split": [], "nodes": []},
    "spec.annotations.team": {"alone": [], "split": [], "nodes": []},
    "spec.prefill.template": {"alone": [], "split": [], "nodes": []},
}


@pytest.mark.parametrize("path", STUCK)
def test_what_changes_an_immutable_selector(path: str) -> None:
    specs = {"alone": ALONE, "split": SPLIT, "nodes": NODES}
    assert {name: stuck(path, {"metadata": {"name": "a"}, "spec": spec}) for name, spec in specs.items()} == STUCK[path]


@pytest.mark.parametrize(
    ("report", "status"),
    [(Report(), 0), (Report(changes=["a"]), 1), (Report(refused=["b"]), 2), (Report(changes=["a"], refused=["b"]), 2)],
)
def test_the_status_of_the_command(report: Report, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.touch()
    monkeypatch.setattr("hack.__main__._current_cluster", lambda: None)
    monkeypatch.setattr("hack.preflight.objects", lambda *_arguments: [])
    monkeypatch.setattr(diff, "compare", lambda *_arguments: report)
    monkeypatch.setattr(sys, "argv", ["hack", "diff", str(values), "name", "namespace"])
    assert hack.__main__.main() == status


@pytest.mark.parametrize(("command", "status"), [("diff", 3), ("plan", 1)])
def test_the_status_of_a_failure(
    command: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script must not take an unreachable cluster for a change."""
    monkeypatch.setattr(sys, "argv", ["hack", command, "absent.yaml", "name", "namespace"])
    assert hack.__main__.main() == status
    assert capsys.readouterr().err == "\nFAILED: FILE: there is no file absent.yaml; set a values file\n"


def test_the_text_of_a_report() -> None:
    report = Report(["A/a x: 1 -> 2"], ["A/a y: 1 -> 2; keep it"], engines="engines: start")
    assert report.text() == "A/a x: 1 -> 2\nREFUSED A/a y: 1 -> 2; keep it\nengines: start"


@pytest.mark.parametrize("words", [[], ["0"], ["many"], ["1", "2"]])
def test_a_wrong_number_of_releases(words: list[str]) -> None:
    with pytest.raises(StepFailed, match=r"is no number of releases; make scale N=30"):
        hack.__main__.COMMANDS["scale"](words)
