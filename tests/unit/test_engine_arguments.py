"""Arguments of the engine: their forms, who wins, and that every word reaches vLLM byte for byte."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness import exec_chart, notes, render
from tests.harness.container import kubelet, templated
from tests.unit.models import engine, environment, llm, plan

# --- forms ------------------------------------------------------------------------------------------------------------


def words(args: Mapping[str, Any], **keys: Any) -> list[str]:
    """The rendered words of a CPU engine, for which nothing is derived, of a vLLM without a list of flags."""
    return list(engine(llm(accelerator="cpu", engine={"version": "0.99", "args": args, **keys})).get("args", ()))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, ["--flag"]),
        (False, ["--no-flag"]),
        ("text", ["--flag", "text"]),
        ("", ["--flag", "''"]),
        (7, ["--flag", "7"]),
        (0, ["--flag", "0"]),
        (-1, ["--flag", "-1"]),
        (0.9, ["--flag", "0.9"]),
        (1048576, ["--flag", "1048576"]),
        (4294967296, ["--flag", "4294967296"]),
        ("1e3", ["--flag", "1e3"]),
        ("true", ["--flag", "true"]),
        (["a", "b c", 1048576, 0.5, True], ["--flag", "a", "'b c'", "1048576", "0.5", "true"]),
        ({}, ["--flag", "'{}'"]),
        ({"b": 1048576, "a": [1, {"c": None}]}, ["--flag", '\'{"a":[1,{"c":null}],"b":1048576}\'']),
        ([{"name": "x", "size": 1048576}], ["--flag", '\'[{"name":"x","size":1048576}]\'']),
        ([[1, 2], [3]], ["--flag", "'[[1,2],[3]]'"]),
        ({"html": "<a & b>"}, ["--flag", '\'{"html":"<a & b>"}\'']),
    ],
    ids=str,
)
def test_forms(value: Any, wanted: list[str]) -> None:
    assert words({"flag": value}) == wanted


def test_flags_are_sorted() -> None:
    assert words({"b": True, "c": 1, "a": "x"}) == ["--a", "x", "--b", "--c", "1"]


def test_flags_of_parts_keep_their_dots() -> None:
    assert words({"kv-transfer-config.kv_role": "both"}) == ["--kv-transfer-config.kv_role", "both"]


@pytest.mark.parametrize(
    ("value", "word"), [(True, "true"), (False, "false"), ([1, "a"], "'[1,\"a\"]'"), ({"a": 1}, "'{\"a\":1}'"), (7, "7")], ids=str
)
def test_a_part_of_a_json_argument_always_has_a_value(value: Any, word: str) -> None:
    """vLLM's parser takes the next word for it, whatever that is."""
    assert words({"kv-transfer-config.part": value}) == ["--kv-transfer-config.part", word]


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ({"lora-modules": [{"name": "a", "path": "/a"}, "b=/b"]}, ["--lora-modules", '\'{"name":"a","path":"/a"}\'', "b=/b"]),
        ({"middleware": ["a.b", "c.d"]}, ["--middleware", "a.b", "--middleware", "c.d"]),
        ({"allowed-origins": ["https://a"]}, ["--allowed-origins", "'[\"https://a\"]'"]),
        ({"allowed-origins": []}, ["--allowed-origins", "'[]'"]),
        ({"cudagraph-capture-sizes": [1, 2]}, ["--cudagraph-capture-sizes", "1", "2"]),
        ({"hf-token": True}, ["--hf-token"]),
    ],
    ids=lambda value: "-".join(value),
)
def test_a_flag_of_a_known_version_has_its_own_form(args: dict[str, Any], wanted: list[str]) -> None:
    assert words(args, version="0.32") == wanted


@pytest.mark.parametrize(
    ("version", "flag", "negation"),
    [
        ("0.32", "enable-prefix-caching", "--no-enable-prefix-caching"),
        ("0.33", "enable-prefix-caching", "--disable-prefix-caching"),
        ("0.33", "disable-cascade-attn", "--enable-cascade-attn"),
        ("0.33", "enforce-eager", "--no-enforce-eager"),
        ("0.99", "enable-prefix-caching", "--no-enable-prefix-caching"),
    ],
)
def test_false_is_that_versions_negation(version: str, flag: str, negation: str) -> None:
    assert words({flag: False}, version=version) == [negation]


# --- the version whose flags are meant --------------------------------------------------------------------------------

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, ("vLLM 0.32", "image tag v0.32.0")),
        ({"image": {"tag": "v0.28.0-team.3"}}, ("vLLM 0.28", "image tag v0.28.0-team.3")),
        ({"image": {"repository": "a/b"}}, ("vLLM 0.32", "image tag v0.32.0")),
        ({"image": {"tag": "v0.33.0", "digest": DIGEST}}, ("vLLM 0.33", "image tag v0.33.0")),
        ({"image": {"digest": DIGEST}, "version": "v0.30.1"}, ("vLLM 0.30", "global.llm.engine.version")),
        ({"version": "0.25"}, ("vLLM 0.25", "global.llm.engine.version")),
        ({"version": "0.99"}, ("vLLM 0.99", "global.llm.engine.version")),
        ({"image": {"digest": DIGEST}}, None),
        ({"image": {"tag": "0.32.0"}}, None),
        ({"image": {"tag": "v7"}}, None),
    ],
    ids=str,
)
def test_the_version_is_the_images(keys: dict[str, Any], wanted: tuple[str, str] | None) -> None:
    assert plan(llm(engine=keys)).get("engine version") == wanted


UNKNOWN = (
    "WARNING: engine arguments are not checked: the engine image's tag does not say which vLLM it holds; "
    "set global.llm.engine.version"
)
NO_LIST = (
    "WARNING: engine arguments are not checked: there is no list of vLLM 0.99's flags, only of 0.25, 0.28, 0.30, 0.31, "
    "0.32, 0.33 (global.llm.engine.version)"
)


@pytest.mark.parametrize(
    ("keys", "warning"),
    [({"image": {"tag": "v7"}}, UNKNOWN), ({"version": "0.99"}, NO_LIST), ({}, "")],
    ids=["tag", "list", "known"],
)
def test_without_a_list_nothing_is_checked_and_a_person_is_told(keys: dict[str, Any], warning: str) -> None:
    told = notes("llm-stack", values=llm(engine={"args": {} if not warning else {"no-such-flag": 1}, **keys}))
    assert [line for line in told.splitlines() if "not checked" in line] == ([warning] if warning else [])


# --- derived arguments ------------------------------------------------------------------------------------------------


def test_a_gpu_engine_takes_nine_tenths_of_the_memory() -> None:
    assert engine(llm())["args"] == ("--gpu-memory-utilization", "0.9")


def test_a_cpu_engine_has_no_derived_arguments() -> None:
    assert "args" not in engine(llm(accelerator="cpu"))


def test_a_given_argument_wins_over_the_derived_one() -> None:
    assert engine(llm(engine={"args": {"gpu-memory-utilization": 0.5}}))["args"] == ("--gpu-memory-utilization", "0.5")


def test_a_derived_argument_can_be_left_out() -> None:
    assert "args" not in engine(llm(engine={"omitArgs": ["gpu-memory-utilization"]}))


# --- byte for byte ----------------------------------------------------------------------------------------------------

ENVIRONMENT = {"HOME": "/home", "A": "expanded", "POD_IP": "10.0.0.1"}
PIECES = [
    *"'\"\\$`;&|<>(){}[]*?~#!%^=+,.:/@- \t\n",
    *(
        "{{",
        "}}",
        "{{{",
        "}}}",
        "{{`",
        "`}}",
        "{{- ",
        " -}}",
        "{{/*",
        "$$",
        "$(A)",
        "$(HOME)",
        "$(NOT_SET)",
        "${HOME}",
        "$A",
        "$(",
    ),
    *("`id`", "$(id)", "\\n", "\\\\", "''", '""', "&&", "||", ">/dev/null", "é", "漢字", "🙂", "\u2028", "\x1b", "\x01", "\r"),
    *("--flag", "-x", "a", "B", "0", "word", "=", "x=y", "*.py", "{1,2}", "~root", "!!", "#c", "EOF", "--"),
]
FIXED = [
    *(
        "",
        " ",
        "-",
        "--",
        "-x",
        "'",
        "''",
        '"',
        "\\",
        "$",
        "$$",
        "$$$",
        "$(A)",
        "$$(A)",
        "$$$(A)",
        "`",
        "{{",
        "}}",
        "{{{",
        "{{{{",
        "{{{{{",
    ),
    *(
        "{{ .Spec.Model.Name }}",
        "{{`{{`}}",
        '{"a": "{{b}}"}',
        "{{- if x -}}",
        "a\nb",
        "\n",
        "a\\\nb",
        "~",
        "~/x",
        "*",
        "[a-z]",
        "{a,b}",
    ),
    *("a=b", "A=$(A) b", "!!", "#", "; rm -rf /", "$(id)", "${IFS}", "'; exit 1; '", "\t", "é", "\x01\x1f", "%s", "\\0", "x'\"y"),
]


def hostile() -> list[str]:
    """Words made of what each of the three stages takes for something else; the same ones at every run."""
    chance = random.Random(20)
    return FIXED + ["".join(chance.choices(PIECES, k=chance.randint(1, 8))) for _ in range(400)]


def preset(words: list[str]) -> list[str]:
    """The preset's shell: `bash -c 'eval "… $@"' -- ARGS`, with a program that prints its arguments."""
    script = "eval \"exec printf '%s\\0' \\\n  ${VLLM_ADDITIONAL_ARGS} \\\n  $@\""
    done = subprocess.run(
        ["bash", "-c", script, "--", *words], env={**ENVIRONMENT, "PATH": "/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


def arrive(rendered: list[str]) -> list[str]:
    return preset([kubelet(templated(word), ENVIRONMENT) for word in rendered])


def test_every_word_arrives_byte_for_byte() -> None:
    given = hostile()
    assert len(set(given)) > 400
    rendered = words({"flag": given})
    assert arrive(rendered) == ["--flag", *given]


def test_json_arrives_byte_for_byte() -> None:
    given = {str(index): word for index, word in enumerate(hostile())}
    flag, word = arrive(words({"flag": given}))
    assert flag == "--flag"
    assert json.loads(word) == given


def test_a_plain_word_is_not_quoted() -> None:
    plain = ["auto", "bfloat16", "0.9", "/mnt/models", "a.b_c-d", "tp=2,pp=1", "org/model@v1", "50%", "a:b", "+1"]
    assert words({"flag": plain})[1:] == plain
    assert arrive(plain) == plain


@pytest.mark.parametrize("stage", ["template", "kubelet", "shell"])
def test_each_stage_would_spoil_a_bare_word(stage: str) -> None:
    """The emulation does something: a word that skips one of the quotings does not arrive."""
    if stage == "template":
        with pytest.raises(AssertionError, match="for a template"):
            arrive(["'{{ x }}'"])
    elif stage == "kubelet":
        assert arrive(["'$(A) $$'"]) == ["expanded $"]
    else:
        assert arrive(["a  b", "$$HOME"]) == ["a", "b", "/home"]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "expanded"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$expanded"),
        ("$(NOT_SET)", "$(NOT_SET)"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("a$(A)b$(A)", "aexpandedbexpanded"),
        ("$()", "$()"),
    ],
)
def test_the_kubelets_algorithm(text: str, expanded: str) -> None:
    """Cases of kubernetes' own expansion_test.go."""
    assert kubelet(text, ENVIRONMENT) == expanded


def test_environment_is_data_for_kserves_templating_too() -> None:
    """The kubelet's `$(NAME)` stays: that is how one variable refers to another in a pod."""
    given = {"A": "{{ .Spec }}", "B": "{{{", "C": "$(POD_IP):1", "D": "quoted 'x' \"y\""}
    found = environment(llm(accelerator="cpu", engine={"env": given}))
    assert {name: templated(found[name]) for name in given} == given


def test_the_plan_shows_words_as_vllm_gets_them() -> None:
    shown = plan(llm(accelerator="cpu", engine={"version": "0.99", "args": {"flag": "it's $HOME {{x}}"}}))["engine arguments"][0]
    assert shown == "--flag it's $HOME {{x}}"


def test_hostile_words_cover_every_stage() -> None:
    given = "\n".join(hostile())
    for pattern in (r"\{\{", r"\}\}", r"\$\(A\)", r"\$\$", "'", '"', "`", ";", r"\\", r"[^\x00-\x7f]", r"\*", "~"):
        assert len(re.findall(pattern, given)) > 5, pattern


@pytest.mark.parametrize(
    ("word", "rendered"),
    [
        ("it's a;b\n", "it's a;b\n"),
        ("", ""),
        ("$(A) $$ $", "$$(A) $$$$ $$"),
        ("{{x}}{", "{{`{{`}}x}}{"),
        ("{{{$", "{{`{{`}}{$$"),
    ],
)
def test_a_word_without_a_shell_passes_two_stages_only(tmp_path: Path, word: str, rendered: str) -> None:
    service = render(exec_chart.write(tmp_path / "chart"), values={"words": [word]}).one("LLMInferenceService")
    assert service["spec"]["template"]["containers"][0]["args"] == (rendered,)
    assert kubelet(templated(rendered), ENVIRONMENT) == word


def test_hostile_words_arrive_without_a_shell(tmp_path: Path) -> None:
    service = render(exec_chart.write(tmp_path / "chart"), values={"words": hostile()}).one("LLMInferenceService")
    (container,) = service["spec"]["template"]["containers"]
    assert [kubelet(templated(word), ENVIRONMENT) for word in container["args"]] == hostile()
