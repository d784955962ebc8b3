"""Committed schemas are what the bundler makes of schemas/ and values.yaml."""

from __future__ import annotations

from hack import schemas
from hack.paths import ROOT


def test_committed_files_are_current() -> None:
    stale = [str(path.relative_to(ROOT)) for path, content in schemas.outputs() if path.read_text() != content]
    assert not stale, f"{', '.join(stale)}: run make generate and commit"


def test_every_chart_has_a_schema() -> None:
    generated = {path.parent.name for path, _ in schemas.outputs() if path.name == "values.schema.json"}
    charts = {path.parent.name for path in (ROOT / "charts").glob("*/Chart.yaml")}
    assert generated == charts - {schemas.LIBRARY}
