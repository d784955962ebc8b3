"""vLLM's flags as the charts have them (`_flags.tpl`), against the parser in the engine image and against versions.yaml."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hack import documents, flags, versions
from hack.lab.vllm_flags import Flag, swapped
from tests.consumer.test_versions import ACCELERATORS
from tests.unit.models import llm, plan
from tests.unit.test_validations import ARGUMENTS

ENGINE: str = versions.document()["engine"]["vllm"]
# Refused here although the parser takes it: it would mean something else than the values say, or has a better spelling.
STRICTER = {
    ("max_model_len", "1"): "one spelling, so that a map can hold no flag twice",
    ("kv_transfer_config.kv_role", "'kv_both'"): "one spelling",
    ("prefill-context-parallel", "2"): "an abbreviation is ambiguous as soon as vLLM gets another flag",
    ("no-enable-prefix-caching", "True"): "one spelling",
    ("max-num-seqs", "[16]"): "a list, and one value is taken",
    ("dtype", "['auto']"): "a list, and one value is taken",
    ("chat-template", "['a']"): "a list, and one value is taken",
    ("chat-template", "{'a': 1}"): "JSON would become a text",
    ("served-model-name", "[{'a': 1}]"): "JSON would become a text",
    ("hf-overrides", "['a']"): "a list, and one value is taken",
}


def committed(version: str) -> dict[str, Any]:
    """Kinds to names, and choices, of a version as the template has them."""
    text = flags.TEMPLATE.read_text()

    def part(name: str) -> dict[str, Any]:
        found = re.search(rf'define "{re.escape(name)}" -\}}\}}\n(.*?)\{{\{{- end', text, flags=re.S)
        assert found, name
        loaded: dict[str, Any] = documents.load(found[1])
        return loaded

    common, own = part("llm-common.flags"), part(f"llm-common.flags.{version}")
    kinds = {kind: {*common.get(kind, "").split(), *own.get(kind, "").split()} for kind in {*common, *own} - {"choices"}}
    return {**kinds, "choices": {name: str(text).split() for name, text in {**common["choices"], **own["choices"]}.items()}}


def as_committed(found: dict[str, Flag]) -> dict[str, Any]:
    """The same form, of what a parser says."""
    kinds: dict[str, Any] = {}
    for name, flag in found.items():
        kinds.setdefault(flags.full_kind(name, flag), set()).add(name)
    return {**kinds, "choices": {name: choices for name, (_, _, choices) in found.items() if choices}}


def words(args: dict[str, Any], version: str) -> list[str]:
    """The words that the charts would give to vLLM, as vLLM gets them. No word of the cases has a space."""
    shown = plan(llm(accelerator="cpu", engine={"version": version, "args": args}))["engine arguments"][0]
    return ["/mnt/models", *re.findall(r"\{.*?\}+|\[.*?\]+|\S+", shown)]


CASES = [case for case in ARGUMENTS if case[0] == flags.minor(ENGINE)]


@cache
def refused() -> list[list[str]]:
    return [words({flag: value}, "0.99") for _, flag, value, _, _ in CASES if "_" not in flag.partition(".")[0]]


def key(case: tuple[str, str, Any, str, Any]) -> tuple[str, str]:
    return case[1], repr(case[2])


@pytest.mark.skipif(os.geteuid() != 0, reason="the engine image's file system is unpacked and entered with chroot")
def test_the_list_of_the_engines_version_is_its_parsers() -> None:
    """And what the charts refuse or accept, the parser does: each case of tests/unit/test_validations.py."""
    cases = [case for case in CASES if "_" not in case[1].partition(".")[0]]
    accepted = [case[4] if isinstance(case[4], dict) else {case[1]: case[4]} for case in CASES]
    good = [words(args, ENGINE) for args in accepted]
    with flags.engine_root() as root:
        found, taken = flags.ask(root, arguments=[*good, *refused()])
    assert as_committed(found) == committed(flags.minor(ENGINE))
    assert [args for args, takes in zip(accepted, taken, strict=False) if not takes] == []
    wrongly = {key(case) for case, takes in zip(cases, taken[len(good) :], strict=True) if takes}
    assert wrongly == {entry for entry in STRICTER if "_" not in entry[0].partition(".")[0]}


def test_versions_are_the_pinned_ones() -> None:
    text = flags.TEMPLATE.read_text()
    found = re.findall(r"vllm-([0-9.]+)\.tar\.gz, sha256 ([0-9a-f]{64}) .*\n.*define \"llm-common.flags\.([0-9.]+)\"", text)
    assert {version: digest for version, digest, _ in found} == flags.pinned()
    assert [minor for _, _, minor in found] == [flags.minor(version) for version in flags.pinned()]
    listed = re.search(r'define "llm-common.flagVersions" -\}\}([0-9. ]+)\{\{', text)
    assert listed
    assert listed[1].split() == [flags.minor(version) for version in flags.pinned()]


def test_the_lists_are_small() -> None:
    """They are in every chart's package, and in every release's Secret."""
    assert flags.TEMPLATE.stat().st_size < 44_000


@pytest.mark.parametrize("key", ACCELERATORS)
def test_every_engine_image_of_the_catalogue_is_checked(key: str) -> None:
    tag = ACCELERATORS[key]["image"]["tag"].removeprefix("v")
    assert flags.minor(tag) in {flags.minor(version) for version in flags.pinned()}


@pytest.mark.parametrize("version", flags.pinned())
def test_each_list_is_whole(version: str) -> None:
    found = committed(flags.minor(version))
    names = [name for kind, some in found.items() if kind != "choices" for name in some]
    assert len(names) == len(set(names)) > 250
    assert set(found["choices"]) <= set(names)
    assert {"model", "max-model-len", "gpu-memory-utilization", "tensor-parallel-size"} <= set(names)


def test_the_form_of_a_table() -> None:
    flag: dict[str, Flag] = {
        "enable-a": ("bool", "disable-a", []),
        "b": ("bool", "no-b", []),
        "c": ("bool", "", []),
        "d": ("text", "", ["x", "y"]),
    }
    assert flags.table(flag) == "bool-no:\n b\nbool-only:\n c\nbool-swap:\n enable-a\ntext:\n d\nchoices:\n d: x y\n"
    with pytest.raises(Exception, match="--e is negated by --without-e"):
        flags.table({"e": ("bool", "without-e", [])})
    assert swapped("enable-x") == "disable-x"
    assert swapped("disable-x") == "enable-x"
    assert Path(flags.SCRIPT).exists()
