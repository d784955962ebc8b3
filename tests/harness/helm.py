"""The real helm as a function."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hack import gobuild, paths
from hack.shell import BRIEF, run
from tests.harness.helm_server import server
from tests.harness.manifests import Manifests, freeze

KUBE = "1.34.0"


_Base: Any = yaml.CSafeLoader


class _Loader(_Base):  # type: ignore[misc]
    """Refuses a key that stands twice in one map: YAML parsers differ in which of them wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        assert not twice, f"rendered twice in one map: {', '.join(twice)}\n{node.start_mark}"
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


# A lone `=` is a text to Go's parser, which is what reads our renders.
_Loader.add_constructor("tag:yaml.org,2002:value", _Loader.construct_yaml_str)


class HelmError(Exception):
    """helm refused; `message` is what a person would read, without helm's own frame."""

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        self.arguments, self.stderr = arguments, stderr
        super().__init__(f"helm {' '.join(arguments)}\n{stderr}")

    @property
    def messages(self) -> list[str]:
        """The refusals, one entry each: ours from `llm-common.fail`, or helm's schema errors."""
        return [line.strip().removeprefix("- ") for line in self.stderr.splitlines() if line.strip().startswith("- ")]


def render(
    chart: str | Path,
    *values_files: Path | str,
    values: Mapping[str, Any] | None = None,
    name: str = "demo",
    namespace: str = "llm",
    kube: str = KUBE,
    helm: str = "helm",
    sets: tuple[str, ...] = (),
    fresh: bool = False,
) -> Manifests:
    """`helm template` of a whole chart (a name below charts/ or a path); the same question is asked once per run.

    `fresh`: asked again, of the program that a person would start. `values_files` are paths or names below values/ without
    `.yaml`; `values` are laid over them. Raises HelmError.
    """
    files = tuple(str(_values_file(file)) for file in values_files)
    ask = _render.__wrapped__ if fresh else _render
    return ask(str(_chart(chart)), files, _document(values or {}), name, namespace, kube, helm, sets, fresh)


def notes(
    chart: str, *values_files: Path | str, values: Mapping[str, Any] | None = None, name: str = "demo", namespace: str = "llm"
) -> str:
    """NOTES.txt as a person sees it, by a client-side dry run."""
    with _values(_document(values or {})) as extra:
        arguments = ["install", name, str(_chart(chart)), "--dry-run=client", "--namespace", namespace]
        for file in (*map(_values_file, values_files), extra):
            arguments += ["--values", str(file)]
        out = _helm("helm", arguments)
    return out.split("NOTES:\n", 1)[1]


@contextmanager
def helm_fails(*exactly: str) -> Iterator[None]:
    """The block must be refused with exactly these messages, in order."""
    refused: HelmError | None = None
    try:
        yield
    except HelmError as error:
        refused = error
    assert refused, f"helm accepted what must be refused with {list(exactly)}"
    assert refused.messages == list(exactly), refused.stderr


def _chart(chart: str | Path) -> Path:
    return chart if isinstance(chart, Path) else paths.CHARTS / chart


def _values_file(file: Path | str) -> Path:
    return file if isinstance(file, Path) else paths.VALUES / f"{file}.yaml"


def _document(values: Mapping[str, Any]) -> str:
    """Values as JSON that is YAML too: YAML knows no surrogate pairs."""
    escape = r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)"
    return re.sub(
        escape,
        lambda found: (
            f"\\U{0x10000 + (int(found[1], 16) - 0xD800) * 0x400 + int(found[2], 16) - 0xDC00:08x}" if found[1] else found[0]
        ),
        json.dumps(values),
    )


@contextmanager
def values_file(values: Mapping[str, Any]) -> Iterator[Path]:
    """Values as a file, for a helm that is called elsewhere; gone with the block."""
    with _values(_document(values)) as path:
        yield path


@contextmanager
def _values(document: str) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as handle:
        handle.write(document)
        handle.flush()
        yield Path(handle.name)


def _helm(program: str, arguments: list[str], fresh: bool = False) -> str:
    if fresh or program != "helm":
        done = run(gobuild.program(program), *arguments, check=False, env=BRIEF)
    else:
        done = server().run(*arguments)
    if done.returncode:
        raise HelmError(tuple(arguments), done.stderr)
    return done.stdout


@cache
def _render(
    chart: str,
    files: tuple[str, ...],
    document: str,
    name: str,
    namespace: str,
    kube: str,
    helm: str,
    sets: tuple[str, ...],
    fresh: bool,
) -> Manifests:
    with _values(document) as extra:
        arguments = ["template", name, chart, "--namespace", namespace, "--kube-version", kube]
        for file in (*files, extra):
            arguments += ["--values", str(file)]
        for setting in sets:
            arguments += ["--set", setting]
        text = _helm(helm, arguments, fresh)
    # Sources and comments stay in `text` for those who look for them; the objects are what the API server would get.
    documents = [doc for doc in yaml.load_all(text, Loader=_Loader) if doc]
    return Manifests(freeze(documents), text)
