"""Goldens: what a release renders, as a person would review it in a diff. `make golden` writes them, tests/golden compares.

One folder a scenario, one file an object, sorted keys. Left out or replaced is what other places show already: the chart's
version, the charts' scripts and hashes of them, and the specs of KServe's presets, which are upstream's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hack import deps, paths
from hack.console import say
from tests.harness import EXAMPLES, SCENARIOS, render, thaw

GOLDENS = paths.ROOT / "tests" / "golden"
# Folders beside the scenarios that are not ours: values to render, and what KServe's controller makes of a service.
OTHERS = ("values", "merged")
SCRIPTS = {path.read_text().strip(): f"<{path.relative_to(paths.CHARTS)}>" for path in paths.CHARTS.glob("*/files/*.py")}
HASHES = (r"(-download-)[0-9a-f]{8}$", r"^()[0-9a-f]{16}$")  # of a Job's spec, of its scripts
PRESET = "LLMInferenceServiceConfig"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def files() -> dict[Path, str]:
    """Every golden file with the content that it should have."""
    wanted = {}
    for scenario in (*SCENARIOS, *EXAMPLES):
        presets = []
        for obj in render("llm-stack", scenario.file, namespace=scenario.namespace).objects:
            reviewable = _reviewable(thaw(obj))
            name = reviewable["metadata"]["name"]
            if obj["kind"] == PRESET:
                presets.append(reviewable["metadata"])
            else:
                wanted[GOLDENS / scenario.name / f"{obj['kind'].lower()}-{name}.yaml"] = _dump(reviewable)
        if presets:
            wanted[GOLDENS / scenario.name / f"{PRESET.lower()}-metadata.yaml"] = _dump(presets)
    return wanted


def stored() -> dict[Path, str]:
    """Every golden file as it is."""
    folders = [path for path in GOLDENS.iterdir() if path.is_dir() and path.name not in (*OTHERS, "__pycache__")]
    return {path: path.read_text() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


def rewrite(_arguments: list[str]) -> None:
    """Make the golden files what `files` says; prints what changed."""
    deps.build()
    before, wanted = stored(), files()
    for path in before.keys() - wanted.keys():
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    changed = sorted(path for path in before.keys() | wanted.keys() if before.get(path) != wanted.get(path))
    say("\n".join(str(path.relative_to(paths.ROOT)) for path in changed) or "goldens are current")


def _dump(document: Any) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=True, width=10000, allow_unicode=True)


def _reviewable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _version(item) if key == "helm.sh/chart" else _reviewable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_reviewable(item) for item in value]
    if isinstance(value, str):
        for pattern in HASHES:
            value = re.sub(pattern, r"\1HASH", value)
        return SCRIPTS.get(value.strip(), value)
    return value


def _version(label: str) -> str:
    return re.sub(r"-[0-9]+\.[0-9]+\.[0-9]+[^ ]*$", "-VERSION", label)
