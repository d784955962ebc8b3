"""Rendering charts for tests: the real helm, whole charts, no network, cached by content, frozen results, one error class."""

from tests.harness.helm import HelmError, helm_fails, notes, render, values_file
from tests.harness.manifests import Manifests, freeze, pod_specs, thaw
from tests.harness.scenarios import EXAMPLES, SCENARIOS, Scenario

__all__ = [
    "EXAMPLES",
    "SCENARIOS",
    "HelmError",
    "Manifests",
    "Scenario",
    "freeze",
    "helm_fails",
    "notes",
    "pod_specs",
    "render",
    "thaw",
    "values_file",
]
