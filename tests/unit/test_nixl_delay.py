"""The engine image's vLLM plugin, with a stand-in for NIXL's bindings."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from hack.lab import nixl_delay


@pytest.fixture
def bindings(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    package = ModuleType("nixl_cu13")
    package._bindings = SimpleNamespace(nixlAgent=lambda name, config: (name, config.pthrDelay))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nixl_cu13", package)
    monkeypatch.setenv("UCX_RCACHE_MAX_UNRELEASED", "1024")
    return package._bindings  # type: ignore[no-any-return]


def test_agents_pause_between_polls(bindings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXL_PTHR_DELAY_US", "1000")
    nixl_delay.register()
    assert bindings.nixlAgent("agent", SimpleNamespace(pthrDelay=0)) == ("agent", 1000)


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_imported_or_changed_unless_asked_for(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setitem(sys.modules, "nixl_cu13", None)  # its import would raise
    monkeypatch.delenv("NIXL_PTHR_DELAY_US", raising=False)
    if value is not None:
        monkeypatch.setenv("NIXL_PTHR_DELAY_US", value)
    nixl_delay.register()
