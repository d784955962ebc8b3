"""The alert rules, by promtool: each fires on what it is for, is quiet beside it, and sees no other release's series."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack import documents, gobuild
from hack.paths import ROOT
from hack.shell import run
from tests.harness import EXAMPLES, SCENARIOS, Scenario, render
from tests.harness.components import overlay
from tests.harness.manifests import Manifests, thaw
from tests.unit.models import UMBRELLA, llm

RULES = "PrometheusRule"
# All scalars as texts: to YAML a constant of promtool's, 1x20, may be a number.
CASES: list[dict[str, Any]] = yaml.load(Path(__file__).with_name("alerts.yaml").read_text(), Loader=yaml.BaseLoader)
PROMETHEUS = {"serverAddress": "http://prometheus:9090"}
OBSERVED = {
    "llm-observability": {
        "enabled": True,
        "endpointPicker": {"enabled": True},
        "kubeStateMetrics": {"enabled": True},
        "rules": {"thresholds": {"waitingRequests": 10}},
    }
}
SIDES = llm(
    autoscaling={"enabled": True, "maxReplicas": 2, "prometheus": PROMETHEUS},
    prefill={"enabled": True, "autoscaling": {"maxReplicas": 2}},
    router={"enabled": True},
)
OFFICE = {"office": {"start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "replicas": 1}}
ZERO = llm(autoscaling={"enabled": True, "minReplicas": 0, "maxReplicas": 2, "signals": OFFICE}, router={"enabled": True})
GROUPS = overlay(ZERO, llm(parallel={"data": 2, "nodes": 2}))
ALONE = llm(autoscaling={"enabled": True, "maxReplicas": 2, "prometheus": PROMETHEUS})
RELEASES = {name: overlay(values, OBSERVED) for name, values in {"sides": SIDES, "zero": ZERO, "groups": GROUPS}.items()}
RELEASES["alone"] = overlay(ALONE, {"llm-observability": {"enabled": True}})
RELEASES["later"] = overlay(RELEASES["alone"], llm(kserveVersion="0.21"))
PODS = {
    "DECODE": "demo-kserve-5d8f7c9b4d-x2x5z",
    "DECODE2": "demo-kserve-5d8f7c9b4d-b4b6d",
    "PREFILL": "demo-kserve-prefill-7c9d6f5b8-k7k8l",
    "LEADER": "demo-kserve-mn-0",
    "WORKER": "demo-kserve-mn-0-1",
    "PICKER": "demo-kserve-router-scheduler-6b7c8d9f5-m2m4n",
}
NAMESPACE = 'namespace="llm"'


@cache
def groups(name: str) -> list[Any]:
    found: list[Any] = thaw(render(UMBRELLA, values=RELEASES[name]).one(RULES)["spec"]["groups"])
    return found


def rules(name: str = "sides") -> list[Any]:
    return [rule for group in groups(name) for rule in group["rules"]]


def alerts(name: str = "sides") -> list[Any]:
    return [rule for rule in rules(name) if "alert" in rule]


def input_series(series: Mapping[str, str], pods: Mapping[str, str] = PODS, namespace: str = NAMESPACE) -> list[dict[str, str]]:
    """As promtool takes it, with labels in place of the stand-ins."""

    def labels(text: str) -> str:
        for word, pod in sorted(pods.items(), reverse=True):
            text = re.sub(rf"\b{word}\b", f'{namespace},pod="{pod}"', text)
        return re.sub(r"\bNAMESPACE\b", namespace, text)

    return [{"series": labels(name), "values": values} for name, values in series.items()]


def expected(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What promtool compares: labels and annotations of each alert that is to be active."""
    found = []
    for fires in case.get("fires", ()):
        (rule,) = [
            rule
            for rule in alerts(case.get("release", "sides"))
            if (rule["alert"], rule["labels"]["role"], rule["labels"]["severity"])
            == (case["alert"], fires["role"], fires["severity"])
        ]
        instance = {"pod": PODS[fires["pod"]]} if "pod" in fires else dict(fires.get("labels", {}))
        texts = {
            "{{ $labels.pod }}": instance.get("pod", ""),
            "{{ $value | humanize }}": fires.get("value"),
            "{{ $value | humanizePercentage }}": fires.get("share"),
        }
        annotations = {}
        for name, text in rule["annotations"].items():
            for template, value in texts.items():
                text = text.replace(template, value or "")
            annotations[name] = text
        labels = {name: value for name, value in rule["labels"].items() if name != "severity"}
        found.append({"exp_labels": {**instance, **labels, "severity": fires["severity"]}, "exp_annotations": annotations})
    return found


def budget(rule_alerts: list[Any]) -> int:
    """The startup budget in seconds, which the rule of an unreachable engine waits for."""
    (wait,) = {rule["for"] for rule in rule_alerts if rule["alert"] == "LLMEngineUnreachable"}
    return int(wait.removesuffix("s"))


def promtool(folder: Path, name: str, tests: list[dict[str, Any]], own: list[Any] | None = None) -> None:
    """`promtool test rules` of a release's rules, or of `own`: for each test of those that it asks about."""
    files = []
    for number, test in enumerate(tests):
        asked = {question["alertname"] for question in test["alert_rule_test"]}
        (folder / f"rules-{number}.yaml").write_text(json.dumps({"groups": part(own or groups(name), asked)}))
        files.append(folder / f"test-{number}.yaml")
        one = {"rule_files": [f"rules-{number}.yaml"], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
        files[-1].write_text(json.dumps(one))
    done = run(gobuild.program("promtool"), "test", "rules", *files, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def part(whole: list[Any], names: set[str]) -> list[Any]:
    """Groups with these alerts and what is recorded for them: all of them, minute by minute for hours, take ten seconds."""
    expressions = [rule["expr"] for group in whole for rule in group["rules"] if rule.get("alert") in names]
    return [
        {
            **group,
            "rules": [
                rule
                for rule in group["rules"]
                if rule.get("alert") in names or any(f"{rule.get('record', '-')}{{" in text for text in expressions)
            ],
        }
        for group in whole
    ]


def identified(case: Mapping[str, Any]) -> str:
    return f"{case['alert']}: {case['case']}"


@pytest.mark.parametrize("case", CASES, ids=identified)
def test_an_alert(case: dict[str, Any], tmp_path: Path) -> None:
    at = case["at"]
    if at == "BUDGET9":  # just before the kubelet loses patience
        minutes = budget(alerts()) * 9 // 600
        at = str(minutes)
        case = {**case, "fires": [{**fires, "value": humanized(minutes * 60)} for fires in case["fires"]]}
    asked = {"eval_time": f"{at}m", "alertname": case["alert"], "exp_alerts": expected(case)}
    test = {"input_series": input_series(case["series"]), "alert_rule_test": [asked]}
    promtool(tmp_path, case.get("release", "sides"), [test])


def humanized(seconds: int) -> str:
    return f"{seconds / 1000:.4g}k" if seconds >= 1000 else str(seconds)


def names() -> set[tuple[str, str]]:
    return {(rule["alert"], rule["labels"]["severity"]) for rule in alerts()}


def test_every_alert_is_seen_firing_and_quiet() -> None:
    fires = {(case["alert"], fires["severity"]) for case in CASES for fires in case.get("fires", ())}
    assert fires == names()
    assert {case["alert"] for case in CASES if not case.get("fires")} == {name for name, _ in names()}


def silence(case_alerts: set[str], minutes: str) -> list[dict[str, Any]]:
    """What is asked where there is nothing of ours: no engine of either side, and nothing else."""
    nothing = {"alert": "LLMNoCapacity", "fires": [{"role": role, "severity": "critical"} for role in ("decode", "prefill")]}
    return [
        {"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": expected(nothing) if name == "LLMNoCapacity" else []}
        for name in sorted(case_alerts)
    ]


def test_no_data_is_no_capacity_and_nothing_else(tmp_path: Path) -> None:
    everything = {name for name, _ in names()}
    promtool(
        tmp_path, "sides", [{"input_series": [], "alert_rule_test": silence(everything, minutes)} for minutes in ("30", "400")]
    )


# Names that a selector by prefix or by suffix would take for ours, and our own in another namespace.
FOREIGN = {
    "another release": ("demo", "other", NAMESPACE),
    "a longer name": ("demo", "demo-2", NAMESPACE),
    "a name that ends in ours": ("demo", "my-demo", NAMESPACE),
    "a name like a side's": ("demo-kserve-", "demo-kserve-b-kserve-", NAMESPACE),
    "another namespace": ("demo", "demo", 'namespace="llm-2"'),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_series_of_others_are_not_seen(foreign: str, tmp_path: Path) -> None:
    """All that makes ours fire, from pods and objects of another release: as if there were no data."""
    ours, theirs, namespace = FOREIGN[foreign]
    tests = []
    for case in CASES:
        if case.get("fires") and case.get("release", "sides") == "sides":
            pods = {word: pod.replace(ours, theirs) for word, pod in PODS.items()}
            series = {
                name.replace(ours, theirs) if '="demo-' in name else name: values for name, values in case["series"].items()
            }
            series = {
                name.replace('exported_namespace="llm"', "exported_" + namespace): values for name, values in series.items()
            }
            asked = silence({case["alert"]}, "11" if case["at"] == "BUDGET9" else case["at"])
            if ours != "demo" and not any(word in str(series) for word in PODS):
                continue  # what is no pod has no such name
            tests.append({"input_series": input_series(series, pods, namespace), "alert_rule_test": asked})
    assert len(tests) > 15
    promtool(tmp_path, "sides", tests)


def test_a_broken_expression_is_red(tmp_path: Path) -> None:
    """The harness would see it: the threshold of one alert turned round."""
    case = next(case for case in CASES if case["alert"] == "LLMKVCacheFull")
    broken = json.loads(json.dumps(groups("sides")).replace("> 0.95", "< 0.95"))
    asked = {"eval_time": f"{case['at']}m", "alertname": case["alert"], "exp_alerts": expected(case)}
    with pytest.raises(AssertionError, match="LLMKVCacheFull"):
        promtool(tmp_path, "sides", [{"input_series": input_series(case["series"]), "alert_rule_test": [asked]}], broken)


def checked(manifests: Manifests, folder: Path) -> None:
    (folder / "rules.yaml").write_text(json.dumps({"groups": thaw(manifests.one(RULES)["spec"]["groups"])}))
    done = run(gobuild.program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", folder / "rules.yaml", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", [scenario for scenario in (*SCENARIOS, *EXAMPLES) if scenario.name != "platform"], ids=str)
def test_promtool_takes_the_rules_of_every_values_file(scenario: Scenario, tmp_path: Path) -> None:
    own = overlay(documents.load(scenario.file.read_text()), {"llm-observability": {"enabled": True, "rules": {"format": RULES}}})
    checked(render(UMBRELLA, values=own), tmp_path)


@pytest.mark.parametrize("name", RELEASES)
def test_promtool_takes_the_rules_with_everything_switched_on(name: str, tmp_path: Path) -> None:
    checked(render(UMBRELLA, values=RELEASES[name]), tmp_path)


def test_a_config_map_holds_the_same_rules() -> None:
    values = overlay(RELEASES["sides"], {"llm-observability": {"rules": {"format": "ConfigMap"}}})
    found = render(UMBRELLA, values=values)
    assert found.all(RULES) == []
    config_map = found.one("ConfigMap", "demo-rules")
    assert config_map["metadata"]["labels"]["llm-stack.io/rules"] == "true"
    assert {name: documents.load(text) for name, text in config_map["data"].items()} == {
        "llm.demo.rules.yaml": {"groups": groups("sides")}
    }


# --- what each alert means --------------------------------------------------------------------------------------------

RUNBOOK = (ROOT / "docs" / "alerts.md").read_text()


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    sections = re.findall(r"^## (LLM\w+)$", RUNBOOK, flags=re.M)
    assert sorted(sections) == sorted({name for name, _ in names()})
    for section in re.split(r"^## ", RUNBOOK, flags=re.M)[1:]:
        assert re.findall(r"^\*\*(.*?)\*\*", section, flags=re.M) == ["Means.", "Look at.", "Do."], section.splitlines()[0]


def test_alerts_link_to_their_sections() -> None:
    for rule in alerts():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/alerts.md#{rule['alert'].lower()}")


def test_every_alert_can_be_left_out() -> None:
    schema = json.loads((ROOT / "schemas" / "llm-observability.json").read_text())
    known = schema["properties"]["rules"]["properties"]["disabled"]["items"]["enum"]
    assert sorted(known) == sorted({name for name, _ in names()})
