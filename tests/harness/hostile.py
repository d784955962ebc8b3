"""Hostile words: what some stage between a values file and the engine takes for something else, found by hypothesis.

The words of a run are fixed by its seed; `LLM_STACK_WORDS` asks for more of them and `LLM_STACK_SEED` for others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MARKS = list("'\"\\$`;&|<>(){}[]*?~#!%^=+,.:/@- \t\n\r")
PIECES = [
    *("{{", "}}", "{{{", "}}}", "{{`", "`}}", "{{- ", " -}}", "{{/*", "*/}}", '{{"', "{{ .Spec.Model.Name }}", "{{`{{`}}"),
    *("$$", "$(HOME)", "$(NOT_SET)", "$$(HOME)", "${HOME}", "$HOME", "$(", "${", "$@", "$*", "$#", "$?", "$'\\n'"),
    *("`id`", "$(id)", "\\n", "\\\\", "\\'", "''", '""', "&&", "||", ">/dev/null", "2>&1", "; exit 1; ", "\\\n", "\r\n"),
    *("--flag", "-x", "--", "-", "=", "x=y", "*.py", "{1,2}", "~root", "!!", "#c", "EOF", "%s", "%(x)s", "\\u0000", "\\x00"),
    *(
        "é",
        "e\u0301",
        "漢字",
        "🙂",
        "👩‍👩‍👧",
        "\u202eabc",
        "שלום",
        "\u2028",
        "\u2029",
        "\u00a0",
        "\ufeff",
        "\u0378",
        "\U0010fffd",
    ),
    *(
        "null",
        "true",
        "yes",
        "~",
        "1e3",
        "0x1F",
        "0o7",
        "1_000",
        "2001-01-01",
        "12:30:00",
        ".inf",
        "- a",
        "a: b",
        "? a",
        "| ",
        "> ",
    ),
    *("---", "...", "%YAML", "&a", "*a", "!!str", "@", " #", "<<", "a", "B", "0", " "),
]
# Always among the words: what a generator finds late or never.
FIXED = [
    *("", " ", "  ", "\n", "\n\n", "\t", "\r", "a\n", "a\n\n", "\na", " a", "a ", " a\n b ", "\t\n", "a\n ", " \na"),
    *("-", "--", "'", '"', "\\", "$", "$$", "$$$", "{{", "}}", "{{{", "{{{{", "{{{{{", "`", "{", "x{", "#", "~", "=", "!"),
    *("a" * 10_000, "é{{'$" * 2_000, " " * 10_000, "a\n" * 5_000),
    *(chr(code) for code in range(1, 32)),
]


@dataclass(frozen=True)
class Words:
    """Hostile words, none twice, and how to get them again."""

    words: tuple[str, ...]
    origin: str


def words(count: int = 300) -> Words:
    """About `count` words of hypothesis and the fixed ones. None holds NUL, which no argument of a process can."""
    count = int(os.environ.get("LLM_STACK_WORDS", count))
    number = int(os.environ.get("LLM_STACK_SEED", 4))
    found: dict[str, None] = dict.fromkeys(FIXED)
    any_character = st.characters(codec="utf-8", exclude_characters="\0")
    part = st.sampled_from(PIECES) | st.sampled_from(MARKS) | any_character
    word = st.lists(part, min_size=1, max_size=10).map("".join)

    # Words are collected here and driven through the cluster together: one service for each would take minutes.
    @seed(number)
    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
    @given(word)
    def collect(text: str) -> None:
        found[text] = None

    collect()
    return Words(tuple(found), f"{len(found)} words, seed {number}")
