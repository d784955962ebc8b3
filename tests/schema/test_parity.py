"""values.yaml and schema have the same keys, and defaults are valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest

from hack import schemas
from tests.schema.leaves import Path, document, entries, resolve, sections


def values_keys(values: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from values_keys(value, (*path, key))


def own(chart: str, path: Path) -> bool:
    """Keys of a chart's own values.yaml: the umbrella's shows of its subcharts the switches only."""
    if chart != schemas.UMBRELLA:
        return path[:1] not in ((schemas.GLOBAL,), ("enabled",))
    return path[:1] == (schemas.GLOBAL,) or len(path) <= 1 or path[1:] == ("enabled",)


@pytest.mark.parametrize("chart", schemas.charts())
def test_every_key_of_the_schema_is_in_values(chart: str) -> None:
    shown = set(values_keys(schemas.values(chart)))
    missing = []
    for path, section in sections(chart):
        if "*" in path or path not in shown:
            # Fields of entries, and of objects whose default is empty, are documented in the schema alone.
            continue
        for key in section["properties"]:
            here = (*path, key)
            if here not in shown and own(chart, here) and key != schemas.LIBRARY and values_at(chart, path) != {}:
                missing.append(".".join(here))
    # Subcharts that have no switch of their own are absent from the umbrella's values.
    assert missing == (["model-cache", "keda-autoscaling"] if chart == schemas.UMBRELLA else [])


def values_at(chart: str, path: Path) -> Any:
    found: Any = schemas.values(chart)
    for part in path:
        found = found[part]
    return found


@pytest.mark.parametrize("chart", schemas.charts())
def test_every_key_of_values_is_in_the_schema(chart: str) -> None:
    root = document(chart)
    unknown = []
    for path in values_keys(schemas.values(chart)):
        schema: Any = root
        for part in path:
            schema = resolve(root, schema)
            if part in schema.get("properties", {}):
                schema = schema["properties"][part]
            elif entries(schema):
                (schema,) = entries(schema)
            else:
                unknown.append(".".join(path))
                break
    assert unknown == []


@pytest.mark.parametrize("chart", schemas.charts())
def test_defaults_are_valid(chart: str) -> None:
    jsonschema.Draft7Validator(document(chart)).validate(schemas.values(chart))


@pytest.mark.parametrize("chart", [chart for chart in schemas.charts() if chart != schemas.UMBRELLA])
def test_the_umbrella_embeds_each_subcharts_schema(chart: str) -> None:
    """A switched-off subchart is validated by the umbrella alone, which therefore must know all that the subchart knows.

    Only `global` is checked once, where it is written: its copies below subcharts are Helm's.
    """
    alone, umbrella = document(chart), document(schemas.UMBRELLA)
    assert umbrella["properties"][chart] == {"$ref": f"#/definitions/{chart}"}
    outside = ("$schema", "$comment", "title", "definitions")
    expected = {key: value for key, value in alone.items() if key not in outside}
    expected["properties"] = {**expected["properties"], schemas.GLOBAL: schemas.COPY_OF_GLOBAL}
    assert umbrella["definitions"][chart] == expected
    assert alone["definitions"].items() <= umbrella["definitions"].items()


def test_every_description_is_a_sentence() -> None:
    texts = [
        (chart, path, key, resolve(document(chart), sub).get("description", ""))
        for chart in schemas.charts()
        for path, section in sections(chart)
        for key, sub in section["properties"].items()
        if "$ref" not in sub and "properties" not in resolve(document(chart), sub)
    ]
    assert len(texts) > 100
    assert [entry[:3] for entry in texts if not entry[3].rstrip().endswith((".", "`"))] == []
