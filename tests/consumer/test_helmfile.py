"""`make platform`: helmfile reads the file, with all parts and without each."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hack import deps, documents, gobuild, helmfile, keda, kserve, preflight, versions
from hack.console import StepFailed
from hack.paths import CHARTS, VALUES
from hack.shell import run

# Part to the releases of it.
RELEASES = {
    "CERT_MANAGER": {"cert-manager"},
    "GATEWAY": {"eg", "aieg-crd", "aieg"},
    "LWS": {"lws"},
    "KEDA": {"keda"},
    "PROMETHEUS": {"prometheus"},
}
OWN = "kserve-controller"


# Stands in for helm where that would ask a registry or a cluster: pulled charts are empty, and installs are written down.
HELM = """#!{python}
import json, os, pathlib, sys

words = sys.argv[1:]
if "pull" in words:
    chart = next(word for word in words if word.startswith("oci://")).rpartition("/")[2]
    folder = pathlib.Path(words[words.index("--destination") + 1]) / chart
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\\nname: {{chart}}\\nversion: 0.0.0\\n")
elif "upgrade" in words:
    files = [pathlib.Path(words[at + 1]).read_text() for at, word in enumerate(words) if word == "--values"]
    with open("{log}", "a") as log:
        log.write(json.dumps(dict(words=words, values=files, folder=os.getcwd())) + "\\n")
elif words[0] not in ("repo", "list"):
    os.execv("{helm}", ["helm", *words])
"""


@dataclass(frozen=True)
class Install:
    """What helm was asked to install."""

    name: str
    chart: str
    version: str
    namespace: str
    values: dict[str, Any]
    words: list[str]
    folder: str

    @classmethod
    def read(cls, line: str) -> Install:
        asked = json.loads(line)
        words = asked["words"]
        at = words.index("--install")
        options = {key: words[words.index(key) + 1] if key in words else "" for key in ("--version", "--namespace")}
        values: dict[str, Any] = {}
        for text in asked["values"]:
            values |= documents.load(text) or {}
        return cls(words[at + 1], words[at + 2], options["--version"], options["--namespace"], values, words, asked["folder"])


@pytest.fixture
def sync(tmp_path: Path) -> Callable[..., list[Install]]:
    """`helmfile sync` without some parts: what helm was asked for, in order."""
    if not gobuild.is_built("helmfile"):
        pytest.skip("helmfile is not built, which takes many minutes: make platform and make smoke-full do it")
    helm, log = tmp_path / "helm", tmp_path / "log"

    def run_it(*off: str) -> list[Install]:
        log.write_text("")
        helm.write_text(HELM.format(python=sys.executable, log=log, helm=gobuild.program("helm")))
        helm.chmod(0o755)
        wanted = helmfile.parts([f"{name}=false" for name in off])
        environment = {"HELMFILE_CACHE_HOME": str(tmp_path / "charts"), "KUBECONFIG": str(tmp_path / "none")}
        run(*helmfile.command("sync", wanted), "--helm-binary", helm, env=environment)
        return [Install.read(line) for line in log.read_text().splitlines()]

    return run_it


Sync = Callable[..., list[Install]]


def test_it_installs_the_pinned_charts_and_waits_for_them(sync: Sync) -> None:
    found = {install.name: install for install in sync()}
    assert set(found) == {OWN}.union(*RELEASES.values())
    charts = versions.document()["charts"]
    pinned = {(entry["chart"].rpartition("/")[2], str(entry["version"])) for entry in charts.values()}
    assert {(install.chart.rpartition("/")[2], install.version) for name, install in found.items() if name != OWN} == pinned
    assert all("--wait" in install.words and "--create-namespace" in install.words for install in found.values())
    assert found[OWN].namespace == kserve.NAMESPACE
    assert found["keda"].namespace == keda.NAMESPACE
    assert (Path(found[OWN].folder) / found[OWN].chart).resolve() == CHARTS / "llm-stack"
    assert found[OWN].values == documents.load((VALUES / "platform.yaml").read_text())


def test_versions_agree_with_the_local_cluster_and_with_kserve() -> None:
    charts, modules, images = versions.document()["charts"], versions.go_modules(), versions.images()
    assert str(charts["keda"]["version"]) == images["keda"].tag
    assert f"v{charts['lws']['version']}" == modules["lws"].version
    tested = dict(
        re.findall(r"^(\w+)_VERSION=(\S+)$", (gobuild.module_dir("kserve") / "kserve-deps.env").read_text(), re.MULTILINE)
    )
    assert charts["envoy-gateway"]["version"].rpartition(".")[0] == tested["ENVOY_GATEWAY"].rpartition(".")[0]
    for chart in ("envoy-ai-gateway", "envoy-ai-gateway-crds"):
        assert charts[chart]["version"] == tested["ENVOY_AI_GATEWAY"]


@pytest.mark.parametrize("part", helmfile.PARTS)
def test_a_part_that_the_cluster_has_is_left_out(sync: Sync, part: str) -> None:
    """And what is left does not wait for it."""
    left = {OWN}.union(*(names for name, names in RELEASES.items() if name != part))
    assert {install.name for install in sync(part)} == left


def test_our_controller_comes_last_for_it_looks_at_its_start(sync: Sync) -> None:
    order = [install.name for install in sync()]
    assert order[-1] == OWN
    for first, second in (("prometheus", "keda"), ("eg", "aieg"), ("aieg-crd", "aieg")):
        assert order.index(first) < order.index(second)
    assert [install.name for install in sync(*helmfile.PARTS)] == [OWN]


def test_keda_tells_prometheus_where_it_is_measured_if_there_is_one(sync: Sync) -> None:
    for off, monitored in (((), True), (("PROMETHEUS",), False)):
        (found,) = [install for install in sync(*off) if install.name == "keda"]
        assert found.values == {"prometheus": {"operator": {"enabled": True, "podMonitor": {"enabled": monitored}}}}


def test_our_controller_is_rendered_from_the_umbrella() -> None:
    deps.build()
    text = run(*helmfile.command("template", helmfile.parts([])), "--selector", f"name={OWN}", "--skip-needs").stdout
    found = [obj for obj in documents.load_all(text) if obj]
    assert kserve.CONTROLLER in {obj["metadata"]["name"] for obj in found if obj["kind"] == "Deployment"}
    assert {obj["metadata"]["namespace"] for obj in found if obj["kind"] == "Certificate"} == {kserve.NAMESPACE}


def test_resource_definitions_that_no_chart_has() -> None:
    names = {crd["metadata"]["name"] for crd in kserve.inference_crds()}
    assert {preflight.POOLS, preflight.OLD_POOLS} <= names
    assert {crd["kind"] for crd in kserve.inference_crds()} == {"CustomResourceDefinition"}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("ISTIO=false", "ISTIO=false: there is no such part; choose from CERT_MANAGER, GATEWAY, LWS, KEDA, PROMETHEUS"),
        ("KEDA=no", "KEDA: 'no' is neither true nor false; false leaves it out, for a cluster that has it already"),
    ],
)
def test_what_cannot_be_meant(argument: str, message: str) -> None:
    with pytest.raises(StepFailed, match=re.escape(message)):
        helmfile.parts([argument])
    assert helmfile.parts(["KEDA=false"])["KEDA"] is False
    assert all(helmfile.parts([]).values())
