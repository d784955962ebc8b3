"""The schema bundler (hack/schemas.py): what it makes of good fragments, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack import documents, schemas
from hack.schemas import Bundler, SchemaError, prose

UMBRELLA_VALUES = """\
global:
  # -- A prefix.
  registry: ""
  llm:
    # -- A name.
    name: x
part:
  # -- Switch it on.
  enabled: false
"""
PART_VALUES = """\
# -- How many.
count: 1
nested:
  # -- A text that
  # goes on in a second line.
  text: ""
"""
GLOBAL = {
    "type": "object",
    "properties": {
        "registry": {"type": "string"},
        "llm": {"type": "object", "properties": {"name": {"$ref": "defs/name.json"}}},
    },
}
PART = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "nested": {"type": "object", "properties": {"text": {"type": "string"}}}},
}


class Tree:
    """A repository of two charts, to be spoiled."""

    def __init__(self, root: Path) -> None:
        self.charts, self.schemas = root / "charts", root / "schemas"
        (self.schemas / "defs").mkdir(parents=True)
        dependencies = [{"name": "llm-common"}, {"name": "part", "condition": "part.enabled"}]
        for chart, values in (("llm-stack", UMBRELLA_VALUES), ("part", PART_VALUES)):
            (self.charts / chart).mkdir(parents=True)
            self.values(chart, values)
            metadata = {"name": chart, "dependencies": dependencies if chart == "llm-stack" else dependencies[:1]}
            (self.charts / chart / "Chart.yaml").write_text(documents.dump(metadata))
        (self.charts / "llm-common" / "templates").mkdir(parents=True)
        self.fragment("global.json", GLOBAL)
        self.fragment("llm-stack.json", {"type": "object", "properties": {}})
        self.fragment("part.json", PART)
        self.fragment("defs/name.json", {"type": "string", "description": "A name of something."})

    def values(self, chart: str, text: str) -> None:
        (self.charts / chart / "values.yaml").write_text(text)

    def fragment(self, name: str, schema: Any) -> None:
        (self.schemas / name).write_text(json.dumps(schema))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    tree = Tree(tmp_path)
    monkeypatch.setattr(schemas, "CHARTS", tree.charts)
    monkeypatch.setattr(schemas, "SCHEMAS", tree.schemas)
    return tree


def part(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


# --- good fragments ---------------------------------------------------------------------------------------------------


def test_a_chart_is_closed_documented_and_has_helms_own_keys(tree: Tree) -> None:
    bundled = schemas.bundle("part")
    assert bundled["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert bundled["additionalProperties"] is False
    assert set(bundled["properties"]) == {"count", "nested", "global", "llm-common", "enabled"}
    assert bundled["properties"]["count"] == {"type": "integer", "description": "How many.", "default": 1}
    nested = bundled["properties"]["nested"]
    assert nested["additionalProperties"] is False
    assert nested["properties"]["text"]["description"] == "A text that goes on in a second line."
    assert bundled["properties"]["enabled"] == {"type": "boolean", "description": "Switch it on.", "default": False}
    assert bundled["properties"]["llm-common"]["additionalProperties"] is False


def test_references_become_local_and_are_bundled_once(tree: Tree) -> None:
    bundled = schemas.bundle("llm-stack")
    assert set(bundled["definitions"]) == {"global", "name", "part"}
    assert bundled["properties"]["part"] == {"$ref": "#/definitions/part"}
    name = bundled["definitions"]["global"]["properties"]["llm"]["properties"]["name"]
    assert name == {"allOf": [{"$ref": "#/definitions/name"}], "description": "A name.", "default": "x"}
    references = [text for text in json.dumps(bundled).split('"') if text.endswith(".json")]
    assert references == []


def test_a_definition_may_refer_to_another_and_to_itself(tree: Tree) -> None:
    tree.fragment("defs/name.json", {"type": "object", "properties": {"inner": {"$ref": "other.json"}}})
    tree.fragment("defs/other.json", {"type": "array", "items": {"$ref": "other.json"}})
    definitions = schemas.bundle("part")["definitions"]
    assert definitions["name"]["properties"]["inner"] == {"$ref": "#/definitions/other"}
    assert definitions["other"]["items"] == {"$ref": "#/definitions/other"}


def test_objects_in_examples_and_defaults_are_data(tree: Tree) -> None:
    example = {"properties": {"a": 1}, "$ref": "nothing"}
    closed = Bundler().close(
        {"type": "object", "additionalProperties": {}, "examples": [example], "default": example}, Path("x.json"), "x"
    )
    assert closed["examples"] == [example]
    assert closed["default"] == example


def test_names_of_entries_become_patterns() -> None:
    fragment = {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^[a-z]+$"}}
    assert Bundler().close(fragment, Path("x.json"), "x") == {
        "type": "object",
        "patternProperties": {"^[a-z]+$": {"type": "string"}},
        "additionalProperties": False,
    }


def test_an_open_object_may_stay_open_with_its_reason() -> None:
    fragment = {"type": "object", "properties": {}, "additionalProperties": True, "$comment": "Somebody else checks it."}
    assert Bundler().close(fragment, Path("x.json"), "x") == fragment


def test_defaults_of_the_library_are_the_umbrellas(tree: Tree) -> None:
    text = schemas.defaults_template()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("{{"))
    assert documents.load(body) == {"name": "x"}
    assert '{{- define "llm-common.defaults" -}}' in text


def test_generate_writes_what_is_out_of_date_and_only_that(tree: Tree) -> None:
    first = schemas.generate()
    assert {str(path.relative_to(tree.charts)) for path in first} == {
        *("llm-stack/values.schema.json", "part/values.schema.json", "llm-common/templates/_defaults.tpl")
    }
    assert schemas.generate() == []
    (tree.charts / "part" / "values.schema.json").write_text("{}")
    assert schemas.generate() == [tree.charts / "part" / "values.schema.json"]


# --- prose ------------------------------------------------------------------------------------------------------------


def test_prose_is_the_comment_directly_above_a_key() -> None:
    text = "# -- Far away.\n\na: 1\n# no mark\nb: 1\n# -- First.\n# -- Second.\nc:\n  # -- Deep.\n  d: 1 # -- beside\n"
    assert prose(text) == {("c",): "Second.", ("c", "d"): "Deep."}


# --- refused ----------------------------------------------------------------------------------------------------------


def test_a_key_of_the_schema_alone_is_refused(tree: Tree) -> None:
    tree.fragment("part.json", part(**PART["properties"], more={"type": "string"}))  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match=r"^top level: only in one of schema and values\.yaml: more$"):
        schemas.bundle("part")


def test_a_key_of_values_alone_is_refused(tree: Tree) -> None:
    tree.values("part", PART_VALUES + "  # -- More.\n  more: 1\n")
    with pytest.raises(SchemaError, match=r"^nested: only in one of schema and values\.yaml: more$"):
        schemas.bundle("part")


def test_a_key_of_global_alone_is_refused(tree: Tree) -> None:
    tree.values("llm-stack", UMBRELLA_VALUES.replace("name: x", "name: x\n    # -- More.\n    more: 1"))
    with pytest.raises(SchemaError, match=r"^global\.llm: only in one of schema and values\.yaml: more$"):
        schemas.bundle("part")


@pytest.mark.parametrize("comment", ["", "# no mark\n"])
def test_a_key_without_prose_is_refused(tree: Tree, comment: str) -> None:
    tree.values("part", PART_VALUES.replace("# -- How many.\n", comment))
    with pytest.raises(SchemaError, match=r"^values\.yaml count: has no `# --` comment$"):
        schemas.bundle("part")


def test_a_referring_key_without_prose_is_refused(tree: Tree) -> None:
    tree.values("llm-stack", UMBRELLA_VALUES.replace("    # -- A name.\n", ""))
    with pytest.raises(SchemaError, match=r"^values\.yaml global\.llm\.name: has no `# --` comment$"):
        schemas.bundle("part")


def test_prose_in_both_places_is_refused(tree: Tree) -> None:
    tree.fragment("part.json", part(**{**PART["properties"], "count": {"type": "integer", "description": "Twice."}}))  # type: ignore[dict-item]
    with pytest.raises(SchemaError, match=r"^count: has prose in values\.yaml and in the fragment$"):
        schemas.bundle("part")


def test_a_constraint_beside_a_reference_is_refused(tree: Tree) -> None:
    tree.fragment("part.json", part(**{**PART["properties"], "count": {"$ref": "defs/name.json", "minLength": 1}}))  # type: ignore[dict-item]
    with pytest.raises(SchemaError, match=r"^part\.json part\.properties\.count: draft-07 ignores \['minLength'\] beside \$ref$"):
        schemas.bundle("part")


@pytest.mark.parametrize("reference", ["defs/absent.json", "https://example.com/name.json"])
def test_a_reference_to_nothing_is_refused(tree: Tree, reference: str) -> None:
    tree.fragment("part.json", part(**{**PART["properties"], "count": {"$ref": reference}}))  # type: ignore[dict-item]
    with pytest.raises(SchemaError, match=r"\.json: no such file in schemas/defs$"):
        schemas.bundle("part")


def test_an_open_object_without_its_reason_is_refused(tree: Tree) -> None:
    tree.fragment("part.json", part(**{**PART["properties"], "count": {"type": "object", "additionalProperties": True}}))  # type: ignore[dict-item]
    with pytest.raises(SchemaError, match=r"^part\.json part\.properties\.count: an open object needs its reason in \$comment$"):
        schemas.bundle("part")


def test_an_open_definition_without_its_reason_is_refused(tree: Tree) -> None:
    tree.fragment("defs/name.json", {"type": "object", "additionalProperties": True})
    with pytest.raises(SchemaError, match=r"^name\.json name: an open object needs its reason in \$comment$"):
        schemas.bundle("part")
