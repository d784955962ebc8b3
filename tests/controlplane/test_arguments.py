"""Hostile words as engine arguments and environment: each arrives at vLLM byte for byte, or is refused at render.

The way is the real one but for the kubelet, which is emulated: helm installs the release, the API server stores it, KServe's
controller merges and templates it, and the child pod's command runs in real bash with a stub `vllm`. The words
(tests/harness/hostile.py) are the same at every run and are printed with their seed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hack.kube import until
from hack.paths import CHARTS, VALUES
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import HelmError, hostile, render, values_file
from tests.harness.container import engine_container, kubelet, run_stub
from tests.harness.controlplane import ControlPlane

# No text in a YAML document can hold these, escaped or not, or (NUL) no argument or variable of a process.
LOST = re.compile("[\0\x7f-\x9f\ufffe\uffff]")
UNCHECKED = "0.99"  # a vLLM without a list of flags, so that any flag may be given
LONG = 1000


def numbered(prefix: str, words: Sequence[str]) -> dict[str, str]:
    return {f"{prefix}{index:04}": word for index, word in enumerate(words)}


def engine(**keys: Any) -> dict[str, Any]:
    return {"global": {"llm": {"engine": {"version": UNCHECKED, **keys}}}}


@pytest.fixture(scope="module")
def words(pytestconfig: pytest.Config) -> list[str]:
    """The words that can arrive; how many, and how to get them again, is printed."""
    found = hostile.words()
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert capture
    with capture.global_and_fixture_disabled():
        print(f"\nhostile words: {found.origin}")
    return [word for word in found.words if not LOST.search(word)]


def install(plane: ControlPlane, chart: Path, name: str, values: Mapping[str, Any], *more: str | Path) -> Any:
    """Install by the real helm; the engine's container as KServe's controller merged it."""
    with values_file(values) as file:
        plane.cluster.helm("install", name, chart, "-n", NAMESPACE, *more, "--values", file)
    return engine_container(merged.wait_deployment(plane, NAMESPACE, name)["spec"]["template"]["spec"])


def assert_same(found: Sequence[str], given: Sequence[str]) -> None:
    """Names the shortest word that did not arrive: 400 words side by side help nobody."""
    wrong = [(sent, got) for sent, got in zip(given, found, strict=False) if sent != got]
    shortest = min(wrong, key=lambda pair: len(pair[0]), default=None)
    assert shortest is None, f"{len(wrong)} words differ, the shortest: sent {shortest[0]!a}, got {shortest[1]!a}"
    assert len(found) == len(given)


def test_a_word_arrives_or_is_refused() -> None:
    """As argument and as environment, each word that cannot arrive is named by its path, and no other."""
    found = [*hostile.words().words, "\0", "a\0b", "\\u0000", "\\\0", "\x7f", "a\x85", "\ufffe", "\uffff"]
    with pytest.raises(HelmError) as refused:
        render("llm-stack", "demo", values=engine(args=numbered("x-", found), env=numbered("X_", found)))
    paths = {message.partition(":")[0] for message in refused.value.messages}
    lost = [index for index, word in enumerate(found) if LOST.search(word)]
    wanted = {f"global.llm.engine.{kind}{index:04}" for index in lost for kind in ("args.x-", "env.X_")}
    assert paths == wanted
    assert all(message.partition(":")[2].startswith(" holds a control character") for message in refused.value.messages)


def test_every_word_arrives_through_the_presets_shell(plane: ControlPlane, words: list[str], tmp_path: Path) -> None:
    """As value of a flag, as one of a list, as key and value of JSON, and as environment."""
    short = [word for word in words if len(word) < LONG]  # one argument of a process is at most 128 KiB
    json_map = dict(zip(short, reversed(short), strict=True))
    json_list = [{"name": word, "words": [word]} for word in short]
    args = {**numbered("x-", words), "x-list": words, "x-map": json_map, "x-nested": json_list, **numbered("x-part.p", words)}
    env = numbered("X_", words)
    chart = CHARTS / "llm-stack"
    container = install(plane, chart, "words", engine(args=args, env=env), "--values", VALUES / "demo.yaml")
    argv, environment = run_stub(container, tmp_path)
    given = argv[argv.index("--x-0000") :]
    flags = [item for flag, word in numbered("--x-", words).items() for item in (flag, word)]
    parts = [item for flag, word in numbered("--x-part.p", words).items() for item in (flag, word)]
    assert_same(given[: len(flags)], flags)
    rest = given[len(flags) :]
    assert rest[0] == "--x-list"
    assert_same(rest[1 : len(words) + 1], words)
    rest = rest[len(words) + 1 :]
    assert [rest[0], rest[2]] == ["--x-map", "--x-nested"]
    assert json.loads(rest[1]) == json_map
    assert json.loads(rest[3]) == json_list
    assert_same(rest[4:], parts)
    # The kubelet's `$(NAME)` in a value of the environment is a feature: what was written is what it gets to expand, and no word
    # names a variable that stands before ours.
    written = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    assert_same([written[name] for name in env], list(env.values()))
    assert_same([environment[name] for name in env], [kubelet(word, {}) for word in env.values()])


def test_every_word_arrives_without_a_shell(plane: ControlPlane, words: list[str], tmp_path: Path) -> None:
    """On several nodes the chart gives its own command: Go templating and the kubelet, no `eval`; leader and worker alike."""
    with values_file(engine(args={"x-list": words})) as file:
        given = ("--values", VALUES / "deploy-multi-node.yaml", "--values", file)
        plane.cluster.helm("install", "exec-words", CHARTS / "llm-stack", "-n", NAMESPACE, *given)
    group = "exec-words-kserve-mn"
    until(lambda: plane.cluster.get("leaderworkerset", group, "-n", NAMESPACE), 30, f"no {group}")
    template = (plane.cluster.get("leaderworkerset", group, "-n", NAMESPACE) or {})["spec"]["leaderWorkerTemplate"]
    for pod in ("leaderTemplate", "workerTemplate"):
        container = engine_container(template[pod]["spec"])
        assert container["command"] == ["vllm", "serve", "/mnt/models"]
        argv, _ = run_stub(container, tmp_path / pod)
        start = argv.index("--x-list") + 1
        assert_same(argv[start : start + len(words)], words)
        assert argv[start + len(words) :] == (["--headless"] if pod == "workerTemplate" else [])
