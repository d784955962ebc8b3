"""The schema bundler: schemas/*.json and the prose of values.yaml in, charts/*/values.schema.json out.

Helm resolves no relative `$ref` and draft-07 ignores what stands beside a `$ref`, so each chart gets one closed, self-contained
file. Rules, checked here and by tests/schema:

* every object with `properties` is closed unless it says `additionalProperties` itself; an open one says why in `$comment`;
* the prose (`# --` comment) and the default of a key live in values.yaml only; prose of keys that values.yaml cannot show
  (fields of map entries, `defs/`) lives in the fragment; both or neither is an error;
* `global`, the condition key `enabled` and one closed object per dependency are added, because Helm puts them into the values
  of a chart before it validates them, and a switched-off subchart is not validated by its own schema.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hack import documents
from hack.paths import CHARTS, SCHEMAS

Json = dict[str, Any]
DEFINITION = "#/definitions/"
LIBRARY = "llm-common"
UMBRELLA = "llm-stack"
GLOBAL = "global"


class SchemaError(ValueError):
    """A fragment or a values.yaml that breaks a rule of the bundler; the message names the file and the key."""


def charts() -> list[str]:
    """Names of the charts that have values, the umbrella last."""
    names = sorted(path.parent.name for path in CHARTS.glob("*/values.yaml"))
    return [*(name for name in names if name != UMBRELLA), UMBRELLA]


def chart_metadata(chart: str) -> Json:
    loaded: Json = documents.load((CHARTS / chart / "Chart.yaml").read_text())
    return loaded


def values(chart: str) -> Json:
    loaded: Json = documents.load((CHARTS / chart / "values.yaml").read_text()) or {}
    return loaded


def prose(text: str) -> dict[tuple[str, ...], str]:
    """Key path to description, from the `# --` comment lines directly above each key of a values.yaml."""
    lines = text.splitlines()
    found: dict[tuple[str, ...], str] = {}

    def visit(node: yaml.Node | None, path: tuple[str, ...]) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            here = (*path, key.value)
            block: list[str] = []
            row = key.start_mark.line - 1
            while row >= 0 and lines[row].strip().startswith("#"):
                block.insert(0, lines[row].strip())
                row -= 1
            starts = [number for number, line in enumerate(block) if line.startswith("# --")]
            if starts:
                found[here] = " ".join(line.removeprefix("# --").removeprefix("#").strip() for line in block[starts[-1] :])
            visit(value, here)

    visit(yaml.compose(text), ())
    return found


class Bundler:
    """Collects the definitions that one output file needs."""

    def __init__(self) -> None:
        self.definitions: Json = {}

    def define(self, file: Path) -> str:
        """Bundle a file of `defs/` under its stem; returns the local reference."""
        name = file.stem
        if name not in self.definitions:
            if not file.is_file():
                raise SchemaError(f"{file.name}: no such file in schemas/defs")
            self.definitions[name] = {}
            self.definitions[name] = self.close(json.loads(file.read_text()), file, name)
        return DEFINITION + name

    def close(self, schema: Any, file: Path, where: str) -> Any:
        """A copy of a fragment with references made local and objects closed."""
        if isinstance(schema, list):
            return [self.close(item, file, where) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            if set(schema) != {"$ref"}:
                raise SchemaError(f"{file.name} {where}: draft-07 ignores {sorted(set(schema) - {'$ref'})} beside $ref")
            if schema["$ref"].startswith(DEFINITION):
                return schema
            return {"$ref": self.define(file.parent / schema["$ref"])}
        if schema.get("additionalProperties") is True and "$comment" not in schema:
            raise SchemaError(f"{file.name} {where}: an open object needs its reason in $comment")
        closed = {
            key: value if key in ("examples", "default", "enum", "const") else self.close(value, file, f"{where}.{key}")
            for key, value in schema.items()
        }
        if "properties" in schema and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        if "propertyNames" in closed:
            # The same rule in another form: Helm names the wrong place for a refused `propertyNames`.
            closed["patternProperties"] = {closed.pop("propertyNames")["pattern"]: closed["additionalProperties"]}
            closed["additionalProperties"] = False
        return closed

    def document(self, schema: Json, defaults: Any, texts: dict[tuple[str, ...], str], path: tuple[str, ...]) -> Json:
        """Add description and default from values.yaml to a bundled schema, key by key."""
        at = ".".join(path)
        if "$ref" in schema:
            if path not in texts:
                raise SchemaError(f"values.yaml {at}: has no `# --` comment")
            return {"allOf": [schema], "description": texts[path], "default": defaults}
        schema = dict(schema)
        if path in texts:
            if "description" in schema:
                raise SchemaError(f"{at}: has prose in values.yaml and in the fragment")
            schema["description"] = texts[path]
        if "properties" not in schema:
            if path and path not in texts:
                raise SchemaError(f"values.yaml {at}: has no `# --` comment")
            return {**schema, "default": defaults} if path else schema
        properties = schema["properties"]
        if set(properties) != set(defaults or {}):
            odd = sorted(set(properties) ^ set(defaults or {}))
            raise SchemaError(f"{at or 'top level'}: only in one of schema and values.yaml: {', '.join(odd)}")
        schema["properties"] = {key: self.document(sub, defaults[key], texts, (*path, key)) for key, sub in properties.items()}
        return schema


def _own(bundler: Bundler, chart: str) -> Json:
    """The bundled, documented schema of a chart's own keys (without `global` and subcharts)."""
    file = SCHEMAS / f"{chart}.json"
    own_values = {k: v for k, v in values(chart).items() if k != GLOBAL and not (chart == UMBRELLA and (CHARTS / k).is_dir())}
    texts = prose((CHARTS / chart / "values.yaml").read_text())
    return bundler.document(bundler.close(json.loads(file.read_text()), file, chart), own_values, texts, ())


def _global(bundler: Bundler) -> Json:
    file = SCHEMAS / "global.json"
    umbrella = (CHARTS / UMBRELLA / "values.yaml").read_text()
    schema = bundler.close(json.loads(file.read_text()), file, GLOBAL)
    return bundler.document(schema, values(UMBRELLA)[GLOBAL], prose(umbrella), (GLOBAL,))


COPY_OF_GLOBAL: Json = {
    "type": "object",
    "description": "Helm copies `global` here.",
    "$comment": "Checked where it is written, at the top level: one mistake shall give one message.",
    "additionalProperties": True,
    "default": {},
    "examples": [{}],
}


def _with_helm_keys(schema: Json, chart: str, *, embedded: bool = False) -> Json:
    """Add what Helm itself writes into a chart's values; `embedded` is a subchart's schema within the umbrella's."""
    schema = copy.deepcopy(schema)
    schema["properties"][GLOBAL] = COPY_OF_GLOBAL if embedded else {"$ref": DEFINITION + GLOBAL}
    schema["properties"][LIBRARY] = {
        "type": "object",
        "description": "Helm's own: the library chart has no values.",
        "properties": {GLOBAL: COPY_OF_GLOBAL},
        "additionalProperties": False,
    }
    switches = {d["name"]: d["condition"] for d in chart_metadata(UMBRELLA)["dependencies"] if "condition" in d}
    if switches.get(chart) == f"{chart}.enabled" and "enabled" not in schema["properties"]:
        text = prose((CHARTS / UMBRELLA / "values.yaml").read_text())[(chart, "enabled")]
        default = values(UMBRELLA)[chart]["enabled"]
        schema["properties"]["enabled"] = {"type": "boolean", "description": text, "default": default}
    return schema


def bundle(chart: str) -> Json:
    """The complete values schema of a chart."""
    bundler = Bundler()
    schema = _with_helm_keys(_own(bundler, chart), chart)
    bundler.definitions[GLOBAL] = _global(bundler)
    if chart == UMBRELLA:
        for dependency in chart_metadata(chart)["dependencies"]:
            name = dependency["name"]
            if name != LIBRARY:
                bundler.definitions[name] = _with_helm_keys(_own(bundler, name), name, embedded=True)
                schema["properties"][name] = {"$ref": DEFINITION + name}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Generated by `make generate` from schemas/ and values.yaml. Do not edit.",
        "title": f"Values of chart {chart}",
        **schema,
        "definitions": dict(sorted(bundler.definitions.items())),
    }


def defaults_template() -> str:
    """The defaults of `global.llm` as a template of the library chart, so that a subchart installed alone has them too."""
    body = documents.dump(values(UMBRELLA)[GLOBAL]["llm"], sort_keys=False)
    return (
        "{{/* Generated by `make generate` from charts/llm-stack/values.yaml. Do not edit. */}}\n"
        '{{- define "llm-common.defaults" -}}\n' + body + "{{- end }}\n"
    )


def outputs() -> Iterator[tuple[Path, str]]:
    """Every generated file with its content."""
    for chart in charts():
        yield CHARTS / chart / "values.schema.json", json.dumps(bundle(chart), indent=1, ensure_ascii=False) + "\n"
    yield CHARTS / LIBRARY / "templates" / "_defaults.tpl", defaults_template()


def generate() -> list[Path]:
    """Write what is out of date; returns the files changed."""
    changed = []
    for path, content in outputs():
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            changed.append(path)
    return changed
