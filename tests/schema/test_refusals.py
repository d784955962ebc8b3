"""What the schema refuses, by the real helm: misspelt keys at any depth, below a disabled subchart too, and wrong types."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jsonschema
import pytest

from hack import schemas
from tests.harness import HelmError, render
from tests.harness.components import overlay
from tests.schema.bases import CONTROLLER, MODEL_PLANE, PLATFORM_PLANE, base
from tests.schema.leaves import LEAVES, SECTIONS, Leaf, Path, concrete, document, place

WRONG = (7, -1, "wrong type", True, ["wrong type"], [{"misspelt": 7}], {"misspelt": [7]}, [[7]])
HELMS = ("helm", "helm3")
MISSPELT = "additional properties 'misspelt' not allowed"


def refusal(chart: str, under: Any, *layers: Any, helm: str = "helm") -> str:
    """What helm says of values that the schema refuses."""
    for layer in layers:
        under = overlay(under, layer)
    with pytest.raises(HelmError) as refused:
        render(chart, values=under, namespace="kserve", helm=helm)
    assert "values don't meet the specifications of the schema" in refused.value.stderr
    return refused.value.stderr


def at(path: Path) -> str:
    """How helm names a place in the values."""
    return f"at '{''.join(f'/{part}' for part in concrete(path))}': "


def places(told: str) -> set[str]:
    return set(re.findall(r"at '[^']*': ", told))


# --- misspelt keys: helm names all that are wrong at once, so that one call tries every object of a chart ---------------


@cache
def misspelt(chart: str, helm: str, base_of: str) -> str:
    """A misspelt key in every object of a chart; `base_of` says which subcharts are enabled."""
    base = {"model": MODEL_PLANE, "platform": PLATFORM_PLANE, "controller": CONTROLLER}[base_of]
    wrong = [place((*concrete(path), "misspelt"), 1) for owner, path in SECTIONS if owner == chart]
    return refusal(chart, base, *wrong, helm=helm)


def planes(chart: str) -> tuple[str, ...]:
    """The umbrella in both planes, so that every subchart is disabled once."""
    if chart == schemas.UMBRELLA:
        return ("model", "platform")
    return ("controller",) if chart == "kserve-controller" else ("model",)


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(
    ("plane", "section"),
    [(plane, section) for section in SECTIONS for plane in planes(section[0])],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}:{'.'.join(value[1]) or '(top)'}",
)
def test_a_misspelt_key_is_refused(plane: str, section: tuple[str, Path], helm: str) -> None:
    chart, path = section
    assert at(path) + MISSPELT in misspelt(chart, helm, plane)


def test_one_misspelt_key_is_enough() -> None:
    told = refusal("llm-stack", MODEL_PLANE, {"kserve-controller": {"configuration": {"tls": {"misspelt": 1}}}})
    assert at(("kserve-controller", "configuration", "tls")) + MISSPELT in told


# --- wrong types ------------------------------------------------------------------------------------------------------


def wrong(leaf: Leaf) -> Any:
    """A value that a key must not take."""
    validator = jsonschema.Draft7Validator({**leaf.schema, "definitions": document(leaf.chart)["definitions"]})
    return next((value for value in WRONG if not validator.is_valid(value)), None)


def is_map_with_fields(leaf: Leaf) -> bool:
    return any(other.path[: len(leaf.path)] == leaf.path for other in LEAVES if other.chart == leaf.chart and other != leaf)


@cache
def wrong_types(chart: str, maps: bool) -> str:
    """A wrong value at every key of a chart at once; maps whose fields are keys too come in a call of their own."""
    values = [leaf.values(wrong(leaf)) for leaf in LEAVES if leaf.chart == chart and is_map_with_fields(leaf) is maps]
    return refusal(chart, base(chart, ()), *values)


@pytest.mark.parametrize("leaf", LEAVES, ids=str)
def test_a_wrong_type_is_refused(leaf: Leaf) -> None:
    assert wrong(leaf) is not None, f"{leaf} takes anything"
    assert at(leaf.path) in places(wrong_types(leaf.chart, is_map_with_fields(leaf)))


SWITCHES = [leaf for leaf in LEAVES if leaf.schema.get("type") == "boolean"]


@cache
def texts_as_switches(chart: str, helm: str) -> str:
    return refusal(chart, base(chart, ()), *(leaf.values("false") for leaf in SWITCHES if leaf.chart == chart), helm=helm)


@pytest.mark.parametrize("leaf", SWITCHES, ids=str)
@pytest.mark.parametrize("helm", HELMS)
def test_a_switch_is_never_a_text(leaf: Leaf, helm: str) -> None:
    """To Helm's conditions and to templates the text "false" is true."""
    assert f"{at(leaf.path)}got string, want boolean" in texts_as_switches(leaf.chart, helm)


HOSTILE = {
    "labels": {"a b": "x"},
    "podLabels": {"-a": "x"},
    "annotations": {"no space here": "x"},
    "podAnnotations": {"UPPER.example.com/a": "x"},
}
HOSTILE_VALUES = {"labels": {"a": "va lue"}, "podLabels": {"a": "x" * 64}}


@pytest.mark.parametrize(("key", "given"), [*HOSTILE.items(), *HOSTILE_VALUES.items()], ids=str)
def test_hostile_labels_and_annotations_are_refused(key: str, given: dict[str, str]) -> None:
    told = refusal("llm-inference-service", MODEL_PLANE, {key: given})
    assert f"at '/{key}" in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"engine": {"image": {"tag": "no spaces"}}}, "/global/llm/engine/image/tag'"),
        ({"engine": {"image": {"digest": "sha256:short"}}}, "/global/llm/engine/image/digest'"),
        (
            {"engine": {"args": {"--max-model-len": 1}}},
            "/global/llm/engine/args': additional properties '--max-model-len' not allowed",
        ),
        (
            {"engine": {"args": {"max__model_len": 1}}},
            "/global/llm/engine/args': additional properties 'max__model_len' not allowed",
        ),
        ({"engine": {"version": "latest"}}, "/global/llm/engine/version'"),
        ({"engine": {"env": {"A-B": "c"}}}, "/global/llm/engine/env': additional properties 'A-B' not allowed"),
        ({"engine": {"env": {"A": {"value": "b"}}}}, "/global/llm/engine/env/A'"),
        ({"models": {"With.Dot": {"uri": "hf://a/b"}}}, "/global/llm/models': additional properties 'With.Dot' not allowed"),
        ({"models": {"own": {"uri": "a/b"}}}, "/global/llm/models/own/uri'"),
        ({"models": {"own": {"uri": "hf://a b"}}}, "/global/llm/models/own/uri'"),
        ({"cache": {"size": "lots"}}, "/global/llm/cache/size'"),
        ({"cache": {"accessMode": "ReadWriteSometimes"}}, "/global/llm/cache/accessMode'"),
        ({"replicas": 0}, "/global/llm/replicas'"),
        ({"replicas": 1.5}, "/global/llm/replicas'"),
    ],
    ids=str,
)
def test_shapes_that_the_schema_refuses(values: Any, told: str) -> None:
    assert told in refusal("llm-stack", MODEL_PLANE, {"global": {"llm": values}})
