"""Values for unit tests of the model plane: what is not under test, short."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hack import documents
from hack.paths import CHARTS
from tests.harness import Manifests, render
from tests.harness.components import MODEL_CHART, overlay

UMBRELLA = "llm-stack"


def defined(name: str) -> Any:
    """A template of the library chart that holds YAML only."""
    for path in sorted((CHARTS / "llm-common" / "templates").glob("*.tpl")):
        found = re.search(rf'\{{\{{- define "{re.escape(name)}" -\}}\}}\n(.*?)\{{\{{- end', path.read_text(), flags=re.S)
        if found:
            return documents.load(found[1])
    raise AssertionError(f"no template {name}")


def catalogue(kind: str) -> dict[str, Any]:
    """The rows of a catalogue table: models or accelerators."""
    rows: dict[str, Any] = defined(f"llm-common.catalogue.{kind}")
    return rows


QWEN = "qwen2-5-7b-instruct"
QWEN_URI = "hf://Qwen/Qwen2.5-7B-Instruct"


def llm(**keys: Any) -> dict[str, Any]:
    """Values of a small GPU model, with keys of `global.llm` laid over them."""
    return {"global": {"llm": overlay({"model": QWEN, "accelerator": "nvidia-l40s"}, keys)}}


def chart(values: Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    """Values with keys of the chart llm-inference-service."""
    return {**values, MODEL_CHART: keys}


def own(size: int | None = None, **keys: Any) -> dict[str, Any]:
    """Values of a model of one's own whose weights have `size` bytes."""
    return llm(model="own", models={"own": {"uri": "hf://org/own", "weightBytes": size or 1000}}, **keys)


def model(values: Mapping[str, Any], *, chart: str = UMBRELLA, **options: Any) -> Manifests:
    """A release of the model plane."""
    return render(chart, values=values, **options)


def alone(values: Mapping[str, Any], **options: Any) -> Manifests:
    """The same by the chart of the service alone, where it can: it says and refuses the same in half the umbrella's time."""
    if "chart" in options or not set(values) <= {"global", MODEL_CHART} or "enabled" in values.get(MODEL_CHART, {}):
        return model(values, **options)
    return model({"global": values.get("global", {}), **values.get(MODEL_CHART, {})}, chart=MODEL_CHART, **options)


def service(values: Mapping[str, Any], **options: Any) -> Any:
    """The spec of the LLMInferenceService."""
    return alone(values, **options).one("LLMInferenceService")["spec"]


def engine(values: Mapping[str, Any], **options: Any) -> Any:
    """The engine's container."""
    (container,) = service(values, **options)["template"]["containers"]
    return container


def environment(values: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The engine's environment: name to its text, or to where it comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in engine(values, **options)["env"]}


# What a cache of the weights puts into every engine's pod (tests/unit/test_model_cache.py).
GATE, SCRIPTS, WEIGHTS = "model-cache-gate", "model-cache-scripts", "kserve-pvc-source"


def beside_the_cache(items: Iterable[Any]) -> list[Any]:
    """Init containers, volumes or mounts of an engine's pod without the three of its cache."""
    return [item for item in items if item["name"] not in (GATE, SCRIPTS, WEIGHTS)]


def cached(folder: str, name: str, uri: str) -> str:
    """Where a thing is kept on the claim of a cache."""
    return f"{folder}/{name}/{hashlib.sha256(uri.encode()).hexdigest()[:12]}"


def plan(values: Mapping[str, Any], **options: Any) -> dict[str, tuple[str, str]]:
    """The plan as printed: what was derived, to its value and where it came from."""
    lines = alone(values, **options).one("ConfigMap")["data"]["plan"].splitlines()
    found = {}
    for line, source in pairwise(lines):
        if source.strip().startswith("from ") and not line.startswith(" "):
            found[line[:18].strip()] = (line[19:], source.strip().removeprefix("from "))
    return found


@dataclass(frozen=True)
class Case:
    """Values that are refused with one message, and values beside them that are not."""

    id: str
    message: str
    refused: dict[str, Any]
    accepted: dict[str, Any]
    namespace: str = "llm"
