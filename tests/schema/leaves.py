"""Walking a bundled schema: every key that a person can set, with what can stand there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from hack import schemas
from hack.paths import CHARTS

Json = dict[str, Any]
Path = tuple[str, ...]
# The key under which fields of a map's entries are tried.
ENTRY_KEYS = {
    "models": "qwen2-5-7b-instruct",
    "accelerators": "nvidia-l40s",
    "adapters": "sql",
    "extraVolumes": "own",
    "signals": "timeToFirstToken",
    "nodeGroups": "own",
}


@dataclass(frozen=True)
class Leaf:
    """A key without named keys below it. `*` in `path` is an entry of a map."""

    chart: str
    path: Path
    schema: Json

    def __str__(self) -> str:
        return f"{self.chart}:{'.'.join(self.path)}"

    def __hash__(self) -> int:
        return hash((self.chart, self.path))

    @property
    def dotted(self) -> str:
        return ".".join(self.path)

    def candidates(self) -> list[Any]:
        """Values to try: the examples, else every other choice."""
        if "examples" in self.schema:
            return list(self.schema["examples"])
        if self.schema.get("type") == "boolean":
            return [not self.schema.get("default", False)]
        return [value for value in self.schema["enum"] if value != self.schema.get("default")]

    def values(self, value: Any) -> Json:
        """`value` at this key, as values."""
        return place(concrete(self.path), value)


def concrete(path: Path) -> Path:
    """A path with a real key for each `*`."""
    return tuple(ENTRY_KEYS[path[index - 1]] if part == "*" else part for index, part in enumerate(path))


def place(path: Path, value: Any) -> Json:
    """Nested maps with `value` at a path."""
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    return value


@cache
def document(chart: str) -> Json:
    """The committed schema of a chart."""
    loaded: Json = json.loads((CHARTS / chart / "values.schema.json").read_text())
    return loaded


def resolve(root: Json, schema: Json) -> Json:
    """A schema with its one reference followed; what stands beside the reference wins."""
    reference = schema.get("$ref") or next((item["$ref"] for item in schema.get("allOf", []) if "$ref" in item), None)
    if reference is None:
        return schema
    target = resolve(root, root["definitions"][reference.rpartition("/")[2]])
    return {**target, **{key: value for key, value in schema.items() if key not in ("$ref", "allOf")}}


def entries(schema: Json) -> list[Json]:
    """The schemas that entries of a map may have."""
    found = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return [entry for entry in found if isinstance(entry, dict)]


def _skipped(chart: str, path: Path) -> bool:
    """Helm's own key; and `global` but at the top of the umbrella, from where Helm writes it over every other."""
    return path[-1:] == (schemas.LIBRARY,) or (
        path[-1:] == (schemas.GLOBAL,) and (chart, path) != (schemas.UMBRELLA, (schemas.GLOBAL,))
    )


def sections(chart: str) -> Iterator[tuple[Path, Json]]:
    """Every object with named keys: its path and its schema."""
    root = document(chart)

    def walk(schema: Json, path: Path) -> Iterator[tuple[Path, Json]]:
        schema = resolve(root, schema)
        if _skipped(chart, path):
            return
        if "properties" in schema:
            yield path, schema
            for key, sub in schema["properties"].items():
                yield from walk(sub, (*path, key))
        for entry in entries(schema):
            if "properties" in resolve(root, entry):
                yield from walk(entry, (*path, "*"))

    yield from walk(root, ())


def leaves(chart: str) -> list[Leaf]:
    """Every key of a chart that holds a value. Maps of objects count themselves and, with `*`, the fields of their entries."""
    root = document(chart)
    found = []
    for path, section in sections(chart):
        for key, sub in section["properties"].items():
            schema = resolve(root, sub)
            if "properties" not in schema and not _skipped(chart, (*path, key)):
                found.append(Leaf(chart, (*path, key), schema))
    return found


LEAVES = tuple(leaf for chart in schemas.charts() for leaf in leaves(chart))
SECTIONS = tuple((chart, path) for chart in schemas.charts() for path, _ in sections(chart))
