"""Where things are: the checkout, and the one cache outside it that all clones share (README, "What is cached")."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHARTS = ROOT / "charts"
VALUES = ROOT / "values"
SCHEMAS = ROOT / "schemas"


def cache() -> Path:
    """The shared cache: `$LLM_STACK_CACHE`, else `$XDG_CACHE_HOME/llm-stack`, else `~/.cache/llm-stack`."""
    explicit = os.environ.get("LLM_STACK_CACHE")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "llm-stack"
