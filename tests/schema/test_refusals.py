"""What the schema refuses, by the real helm: misspelt keys at any depth, below a disabled subchart too, and wrong types."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from hack import schemas
from tests.harness import HelmError, render
from tests.harness.components import overlay
from tests.schema.bases import MODEL_PLANE, PLATFORM_PLANE, base, is_platform
from tests.schema.leaves import LEAVES, SECTIONS, Leaf, Path, concrete, document, place

WRONG = (7, -1, "wrong type", True, ["wrong type"], [{"misspelt": 7}], {"misspelt": [7]}, [[7]])


def refusal(chart: str, path: Path, values: Any, helm: str, *, disabled: bool = False) -> str:
    under: Any = base(chart, path)
    if disabled:
        under = MODEL_PLANE if is_platform(chart, path) else PLATFORM_PLANE
    with pytest.raises(HelmError) as refused:
        render(chart, values=overlay(under, values), namespace="kserve", helm=helm)
    assert "values don't meet the specifications of the schema" in refused.value.stderr
    return refused.value.stderr


def section_id(section: tuple[str, Path]) -> str:
    return f"{section[0]}:{'.'.join(section[1]) or '(top)'}"


@pytest.mark.parametrize("section", SECTIONS, ids=section_id)
def test_a_misspelt_key_is_refused(section: tuple[str, Path]) -> None:
    chart, path = section
    where = concrete(path)
    told = refusal(chart, path, place((*where, "misspelt"), 1), "helm")
    assert f"at '{''.join(f'/{part}' for part in where)}': additional properties 'misspelt' not allowed" in told


@pytest.mark.parametrize("section", [section for section in SECTIONS if section[0] == schemas.UMBRELLA and len(section[1]) > 0], ids=section_id)
def test_a_misspelt_key_below_a_disabled_subchart_is_refused(section: tuple[str, Path]) -> None:
    chart, path = section
    told = refusal(chart, path, place((*concrete(path), "misspelt"), 1), "helm", disabled=True)
    assert "additional properties 'misspelt' not allowed" in told


SAMPLE = [section for section in SECTIONS if section[0] == schemas.UMBRELLA][::6]


@pytest.mark.parametrize("section", SAMPLE, ids=section_id)
def test_helm_3_refuses_the_same(section: tuple[str, Path]) -> None:
    chart, path = section
    for disabled in (False, True) if path else (False,):
        told = refusal(chart, path, place((*concrete(path), "misspelt"), 1), "helm3", disabled=disabled)
        assert "additional properties 'misspelt' not allowed" in told


def wrong(leaf: Leaf) -> Any:
    """A value that a key must not take."""
    validator = jsonschema.Draft7Validator({**leaf.schema, "definitions": document(leaf.chart)["definitions"]})
    return next((value for value in WRONG if not validator.is_valid(value)), None)


@pytest.mark.parametrize("leaf", LEAVES, ids=str)
def test_a_wrong_type_is_refused(leaf: Leaf) -> None:
    value = wrong(leaf)
    assert value is not None, f"{leaf} takes anything"
    told = refusal(leaf.chart, leaf.path, leaf.values(value), "helm")
    assert f"at '/{'/'.join(concrete(leaf.path))}" in told


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf.schema.get("type") == "boolean"], ids=str)
@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_switch_is_never_a_text(leaf: Leaf, helm: str) -> None:
    """To Helm's conditions and to templates the text "false" is true."""
    told = refusal(leaf.chart, leaf.path, leaf.values("false"), helm)
    assert "got string, want boolean" in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"engine": {"image": {"tag": "no spaces"}}}, "/global/llm/engine/image/tag'"),
        ({"engine": {"image": {"digest": "sha256:short"}}}, "/global/llm/engine/image/digest'"),
        ({"engine": {"args": {"--max-model-len": 1}}}, "/global/llm/engine/args': additional properties '--max-model-len' not allowed"),
        ({"engine": {"args": {"max_model_len": 1}}}, "/global/llm/engine/args': additional properties 'max_model_len' not allowed"),
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
    assert told in refusal("llm-stack", ("global",), {"global": {"llm": values}}, "helm")


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize("tag", ["latest", "main"])
def test_moving_tags_of_the_controller_are_refused(tag: str, helm: str) -> None:
    told = refusal("kserve-controller", (), {"image": {"tag": tag}}, helm)
    assert "at '/image/tag': 'not' failed" in told
