"""The dashboards: what Grafana would choke on or show nothing for, as far as can be told without Grafana."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack import cached, gobuild
from hack.shell import run
from tests.consumer.exported import queries, scenario_faults
from tests.consumer.test_alerts import RELEASES
from tests.consumer.test_metrics import ROWS
from tests.harness import EXAMPLES, SCENARIOS, Manifests, Scenario, render
from tests.harness.components import OBSERVING_CHART, overlay
from tests.unit.models import UMBRELLA, llm

PICKED = [scenario for scenario in (*SCENARIOS, *EXAMPLES) if scenario.name != "platform"]
GRAFANA = Path(__file__).parent / "grafana"
# A query of one's own asks what it likes.
OWN = re.compile(r"\b(vllm|llm_stack|keda|kube|inference|process|http)[_:][a-z0-9_:]+")


def dashboards(manifests: Manifests) -> dict[str, Any]:
    """File name to dashboard, of all that the sidecar would find."""
    found = {}
    for obj in manifests.all("ConfigMap"):
        if obj["metadata"]["labels"].get("grafana_dashboard") == "1":
            found |= {name: json.loads(text) for name, text in obj["data"].items()}
    return found


def observed(scenario: Scenario) -> Manifests:
    return render(UMBRELLA, scenario.file, values={OBSERVING_CHART: {"enabled": True}}, namespace=scenario.namespace)


def expressions(dashboard: Any) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def metrics(expression: str) -> set[str]:
    return {found[0] for found in re.finditer(OWN, re.sub(r'"[^"]*"', '""', expression))}


def known() -> set[str]:
    """Names of all rows, as they are exported."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    names = {f"{row['name']}{suffix}" for row in ROWS.values() for suffix in suffixes.get(row["kind"], ("",))}
    return names | {row["former"] for row in ROWS.values() if "former" in row}


def faults(dashboard: Any) -> list[str]:
    """What is wrong with a dashboard."""
    found = []
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    if len(set(identifiers)) != len(identifiers):
        found.append("two panels with one id")
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    if len(set(places)) != len(places):
        found.append("two panels in one place")
    for panel in dashboard["panels"]:
        if {target["datasource"]["uid"] for target in (panel, *panel["targets"])} != {"${datasource}"}:
            found.append(f"{panel['title']}: another datasource")
        references = [target["refId"] for target in panel["targets"]]
        legends = [target["legendFormat"] for target in panel["targets"]]
        if len(set(references)) != len(references) or len(set(legends)) != len(legends):
            found.append(f"{panel['title']}: two queries with one name")
    found += [f"{expression}: unknown {name}" for expression in expressions(dashboard) for name in metrics(expression) - known()]
    return found


@pytest.mark.parametrize("name", RELEASES)
def test_dashboards_are_whole(name: str) -> None:
    for dashboard in dashboards(render(UMBRELLA, values=RELEASES[name])).values():
        assert faults(dashboard) == []
        assert len(dashboard["uid"]) <= 40  # Grafana takes no more
        assert [variable["type"] for variable in dashboard["templating"]["list"]] == ["datasource"]


def test_there_are_those_that_there_is_something_to_see_on() -> None:
    assert list(dashboards(render(UMBRELLA, values=RELEASES["sides"]))) == [
        f"llm.demo.{kind}.json" for kind in ("autoscaling", "disaggregation", "engine", "service")
    ]
    alone = render(UMBRELLA, values={**llm(), OBSERVING_CHART: {"enabled": True}})
    assert list(dashboards(alone)) == ["llm.demo.engine.json", "llm.demo.service.json"]


def test_two_releases_have_two() -> None:
    values = RELEASES["sides"]
    all_of = [
        dashboards(render(UMBRELLA, values=values, name=name, namespace=space))
        for name, space in (("demo", "a"), ("demo", "b"), ("c", "a"))
    ]
    files = [file for found in all_of for file in found]
    assert len(set(files)) == len(files)
    identifiers = [dashboard["uid"] for found in all_of for dashboard in found.values()]
    assert len(set(identifiers)) == len(identifiers)


def promtool_refuses(found: list[str], folder: Path) -> str:
    """What promtool says of PromQL, with the interval that Grafana would put in."""
    rules = [{"record": f"panel:{index}", "expr": text.replace("$__rate_interval", "5m")} for index, text in enumerate(found)]
    (folder / "rules.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = run(gobuild.program("promtool"), "check", "rules", folder / "rules.yaml", check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("scenario", PICKED, ids=str)
def test_every_query_parses_and_asks_for_what_the_engine_exports(scenario: Scenario, tmp_path: Path) -> None:
    """What is exported: of rules and scaling too."""
    found = [expression for dashboard in dashboards(observed(scenario)).values() for expression in expressions(dashboard)]
    assert len(found) > 20
    assert promtool_refuses(found, tmp_path) == ""
    assert set(found) < set(queries(observed(scenario)))
    assert scenario_faults(observed(scenario)) == []


@pytest.fixture(scope="module")
def types() -> Path:
    """Grafana's own types of dashboards, and the compiler that compares with them."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed, and Grafana publishes its types there")

    def install(folder: Path) -> None:
        shutil.copytree(GRAFANA, folder)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder)

    return cached.artifact("npm", "grafana", cached.key(GRAFANA), install)


def grafana_refuses(found: Iterable[Any], types: Path, folder: Path) -> str:
    """What is no field of Grafana's, lacks one, or has another value than Grafana knows."""
    lines = [f'import type {{ Checked }} from "{types}/dashboard";']
    lines += [f"export const dashboard{index}: Checked = {json.dumps(dashboard)};" for index, dashboard in enumerate(found)]
    (folder / "dashboards.ts").write_text("\n".join(lines))
    options = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext")
    done = run(types / "node_modules" / ".bin" / "tsc", *options, folder / "dashboards.ts", check=False)
    return done.stdout


def test_grafana_has_these_fields(types: Path, tmp_path: Path) -> None:
    every = [dashboard for name in RELEASES for dashboard in dashboards(render(UMBRELLA, values=RELEASES[name])).values()]
    every += [dashboard for scenario in PICKED for dashboard in dashboards(observed(scenario)).values()]
    assert grafana_refuses(every, types, tmp_path) == ""


def test_what_grafana_does_not_know_is_seen(types: Path, tmp_path: Path) -> None:
    right = json.dumps(next(iter(dashboards(render(UMBRELLA, values=RELEASES["sides"])).values())))
    wrong = {
        ('"gridPos"', '"gridpos"'): "'\"gridpos\"' does not exist",
        ('"h": 8', '"h": "8"'): "Type 'string' is not assignable to type 'number'",
        ('"displayMode": "list"', '"displayMode": "lst"'): "Did you mean '\"list\"'?",
        ('"unit"', '"units"'): "'\"units\"' does not exist",
        ('"type": "datasource"', '"type": "data"'): "is not assignable to type 'VariableType'",
    }
    assert all(was in right for was, _ in wrong)
    found = grafana_refuses([json.loads(right.replace(*change)) for change in wrong], types, tmp_path)
    for told in wrong.values():
        assert told in found


def test_the_checks_see_what_is_wrong(tmp_path: Path) -> None:
    dashboard = next(iter(dashboards(render(UMBRELLA, values=RELEASES["sides"])).values()))
    panel = dashboard["panels"][1]
    panel["id"] = 1
    panel["targets"][0]["expr"] = "sum(vllm:gpu_cache_usage)"
    panel["targets"][1]["legendFormat"] = panel["targets"][0]["legendFormat"]
    assert faults(dashboard) == [
        "two panels with one id",
        f"{panel['title']}: two queries with one name",
        "sum(vllm:gpu_cache_usage): unknown vllm:gpu_cache_usage",
    ]
    assert promtool_refuses(["sum(rate(x[$__interval]))"], tmp_path)


def test_each_signal_is_shown_as_the_autoscaler_asks_for_it() -> None:
    signals = {
        "requests": {"target": 7},
        "interTokenLatency": {"target": 0.05},
        "office": {"start": "0 8 * * *", "end": "0 9 * * *", "replicas": 2},
    }
    values = overlay(RELEASES["sides"], llm(autoscaling={"signals": signals}))
    manifests = render(UMBRELLA, values=values)
    (dashboard,) = [found for name, found in dashboards(manifests).items() if name.endswith(".autoscaling.json")]
    triggers = manifests.one("ScaledObject", "demo-kserve")["spec"]["triggers"]
    panels = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in dashboard["panels"]}
    for trigger in triggers:
        title = f"demo-kserve: {trigger['name']}"
        if trigger["type"] == "cron":
            assert title not in panels
        else:
            assert trigger["metadata"]["query"] in panels[title][0]
            assert panels[title][1] == f"vector({trigger['metadata']['threshold']})"
    assert panels["Engines of demo-kserve"][1:] == ["vector(1)", "vector(2)"]
