"""Values that render, for each plane and each chart: what a single key is laid over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hack import schemas
from tests.harness import Manifests, render
from tests.harness.components import overlay
from tests.schema.leaves import Path

Values = Mapping[str, Any]

CERTIFICATE = {"certificates": {"certManager": {"enabled": True}}}
LLM = {"global": {"llm": {"model": "qwen2-5-7b-instruct", "accelerator": "nvidia-l40s"}}}
# Presets are upstream's files: without them a render takes half the time.
CONTROLLER = {**CERTIFICATE, "presets": {"enabled": False}}
SCALING = {"enabled": True, "maxReplicas": 8, "prometheus": {"serverAddress": "http://p:9090"}}
AUTOSCALED: Values = {
    "global": {"llm": {"autoscaling": SCALING, "prefill": {"enabled": True, "autoscaling": {"maxReplicas": 8}}}}
}
OBSERVED: Values = {"global": {"llm": {"router": {"enabled": True}}}}
MODEL_PLANE = LLM
PLATFORM_PLANE = {
    "llm-inference-service": {"enabled": False},
    "global": {"llm": {"cache": {"enabled": False}}},
    "kserve-controller": {"enabled": True, **CONTROLLER},
}


def is_platform(chart: str, path: Path) -> bool:
    return chart == "kserve-controller" or path[:1] == ("kserve-controller",)


def base(chart: str, path: Path) -> Values:
    """Values with which a key of a chart can be tried."""
    if chart == schemas.UMBRELLA:
        return PLATFORM_PLANE if is_platform(chart, path) else MODEL_PLANE
    if chart == "keda-autoscaling":
        return overlay(LLM, AUTOSCALED)
    if chart == "llm-observability":
        return overlay(LLM, OBSERVED)
    return CONTROLLER if is_platform(chart, path) else LLM


def show(chart: str, path: Path, *layers: Values, helm: str = "helm") -> Manifests:
    """Render a chart with a key's base and further layers."""
    values: Any = base(chart, path)
    for layer in layers:
        values = overlay(values, layer)
    return render(chart, values=values, namespace="kserve" if is_platform(chart, path) else "llm", helm=helm)
