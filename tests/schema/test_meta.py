"""The schema for the schema: bundled files are closed, documented and exemplified (schemas/meta.schema.json)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from hack import schemas
from hack.paths import SCHEMAS
from tests.schema.leaves import document

META = json.loads((SCHEMAS / "meta.schema.json").read_text())
Spoil = Callable[[dict[str, Any]], object]


def errors(schema: Any) -> list[str]:
    found = jsonschema.Draft7Validator(META).iter_errors(schema)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


@pytest.mark.parametrize("chart", schemas.charts())
def test_bundled_schema_keeps_the_rules(chart: str) -> None:
    jsonschema.Draft7Validator.check_schema(document(chart))
    assert errors(document(chart)) == []


def test_the_meta_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(META)


def leaf(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["properties"]["test"]["properties"]["prompt"]
    return found


SPOILED: dict[str, Spoil] = {
    "no description": lambda s: leaf(s).pop("description"),
    "no default": lambda s: leaf(s).pop("default"),
    "no type": lambda s: leaf(s).pop("type"),
    "no examples": lambda s: leaf(s).pop("examples"),
    "empty examples": lambda s: leaf(s).update(examples=[]),
    "array without items": lambda s: leaf(s).update(type="array"),
    "bare object": lambda s: leaf(s).update(type="object"),
    "open object without a reason": lambda s: leaf(s).update(type="object", additionalProperties=True),
    "open section": lambda s: s["properties"]["test"].update(additionalProperties=True),
    "section without additionalProperties": lambda s: s["properties"]["test"].pop("additionalProperties"),
    "open top level": lambda s: s.update(additionalProperties=True),
    "another draft": lambda s: s.update({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
    "constraint beside a reference": lambda s: s["properties"]["global"].update(minProperties=1),
    "remote reference": lambda s: s["properties"].update({"global": {"$ref": "https://example.com/global.json"}}),
    "two references": lambda s: s["properties"]["annotations"]["allOf"].append({"$ref": "#/definitions/global"}),
    "entry field without a description": lambda s: s["definitions"]["model"]["properties"]["uri"].pop("description"),
    "entry field without examples": lambda s: s["definitions"]["model"]["properties"]["uri"].pop("examples"),
    "open entry": lambda s: s["definitions"]["model"].update(additionalProperties=True),
    "any shape without a reason": lambda s: s["definitions"]["engineArguments"]["patternProperties"].popitem()[1].pop("$comment"),
    "map that is open beside its patterns": lambda s: s["definitions"]["global"]["properties"]["llm"]["properties"][
        "models"
    ].update(additionalProperties=True),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_broken_rule_is_seen(spoil: Spoil) -> None:
    schema = copy.deepcopy(document("llm-inference-service"))
    assert errors(schema) == []
    spoil(schema)
    assert errors(schema)


@pytest.mark.parametrize("reasoned", [{"additionalProperties": True, "$comment": "A whole Kubernetes object."}], ids=["reason"])
def test_an_open_object_with_a_reason_passes(reasoned: dict[str, Any]) -> None:
    schema = copy.deepcopy(document("llm-inference-service"))
    leaf(schema).update(type="object", **reasoned)
    assert errors(schema) == []
