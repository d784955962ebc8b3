"""What a release renders is what was reviewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack import golden
from hack.paths import ROOT
from tests.harness import EXAMPLES, SCENARIOS

SCENARIO_NAMES = sorted(scenario.name for scenario in (*SCENARIOS, *EXAMPLES))


@pytest.fixture(scope="module")
def rendered() -> dict[Path, str]:
    return golden.files()


@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_render_is_as_reviewed(rendered: dict[Path, str], name: str) -> None:
    folder = golden.GOLDENS / name
    wanted = {path.name: text for path, text in rendered.items() if path.parent == folder}
    stored = {path.name: text for path, text in golden.stored().items() if path.parent == folder}
    assert wanted, f"{name} renders nothing"
    assert stored == wanted, f"{name} renders differently from what was reviewed; if that is meant: make golden"


def test_no_golden_is_left_over(rendered: dict[Path, str]) -> None:
    left = sorted(path.relative_to(ROOT) for path in golden.stored().keys() - rendered.keys())
    assert not left, f"{', '.join(map(str, left))}: no render gives them; make golden removes them"


def test_scenarios_have_names_of_their_own() -> None:
    assert len(SCENARIO_NAMES) == len(set(SCENARIO_NAMES)), f"two values files with one name in {SCENARIO_NAMES}"


def test_rewrite_removes_what_no_render_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "gone" / "configmap-gone.yaml"
    stale.parent.mkdir()
    stale.write_text("kind: ConfigMap\n")
    merged = tmp_path / "merged" / "demo" / "service-demo.yaml"
    merged.parent.mkdir(parents=True)
    merged.write_text("kind: Service\n")
    fresh = tmp_path / "demo" / "configmap-demo.yaml"
    monkeypatch.setattr(golden, "GOLDENS", tmp_path)
    monkeypatch.setattr(golden, "files", lambda: {fresh: "kind: ConfigMap\n"})
    monkeypatch.setattr(golden, "say", lambda _text: None)
    monkeypatch.setattr(golden.paths, "ROOT", tmp_path)
    golden.rewrite([])
    assert golden.stored() == {fresh: "kind: ConfigMap\n"}
    assert not stale.parent.exists()
    assert merged.exists()
