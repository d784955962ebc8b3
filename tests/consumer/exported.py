"""Queries of a render against what the engine's vLLM exports: the expositions that `hack/run flags` keeps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hack import documents, expositions
from hack.expositions import Family
from hack.flags import minor, pinned
from tests.harness import Manifests, thaw

VERSIONS = [minor(version) for version in pinned()]
# Of a series, from its pod and not from the engine.
TARGET = {"namespace", "pod"}
STRING = r'"(?:[^"\\]|\\.)*"'
# What a query is read by: an aggregation's labels and its parenthesis, any parenthesis, a selector, a text.
PART = re.compile(
    r"\bby \((?P<by>[\w, ]*)\) \(|(?P<open>\()|(?P<close>\))"
    rf"|(?P<name>[a-zA-Z_:][\w:]*)\{{(?P<matchers>(?:[^\"}}]|{STRING})*)\}}|{STRING}"
)
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Selector:
    """A metric in a query, its matchers, and the labels that aggregations around it keep."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    kept: frozenset[str]


@cache
def families(version: str) -> Mapping[str, Family]:
    """The exposition of a version."""
    return expositions.read(expositions.file(version).read_text())


def selectors(query: str) -> Iterator[Selector]:
    """Those of a query as the charts write it: every metric with braces, and `by` before what it aggregates."""
    around: list[frozenset[str]] = []
    for found in PART.finditer(query):
        if found["by"] is not None:
            around.append(frozenset(re.findall(r"\w+", found["by"])))
        elif found["open"]:
            around.append(frozenset())
        elif found["close"]:
            around.pop()
        elif found["name"]:
            matchers = tuple((label, kind, value) for label, kind, value in MATCHER.findall(found["matchers"]))
            yield Selector(found["name"], matchers, frozenset().union(*around))


def faults(query: str, exported: Mapping[str, Family], engine: str | None = None) -> list[str]:
    """What a query asks of an engine that it does not export; `engine` are its arguments, where some may lack a feature."""
    found = []
    for selector in selectors(query):
        if not selector.name.startswith(expositions.PREFIXES):
            continue
        family = next((family for family in exported.values() if selector.name in family.series), None)
        if family is None:
            found.append(f"{selector.name}: not exported")
            continue
        if engine is not None and family.features and not any(feature in engine for feature in family.features):
            found.append(f"{selector.name}: only with {' or '.join(family.features)}")
        labels = family.series[selector.name]
        asked = {label for label, _, _ in selector.matchers} | selector.kept
        found += [f"{selector.name}: has no label {label}" for label in sorted(asked - TARGET - set(labels))]
        for label, kind, value in selector.matchers:
            wanted = {"=": re.escape(value), "=~": value}.get(kind, ".*")
            if label in labels and not any(re.fullmatch(wanted, one) for one in labels[label]):
                found.append(f"{selector.name}: {label} is never {value}")
    return found


def queries(manifests: Manifests) -> list[str]:
    """All PromQL of a render: of dashboards, rules and scaling."""
    found: list[Any] = [thaw(obj) for obj in manifests.objects if obj["kind"] != "ConfigMap"]
    for config_map in manifests.all("ConfigMap"):
        texts = config_map["data"].items()
        found += [json.loads(text) for name, text in texts if name.endswith(".json")]
        found += [documents.load(text) for name, text in texts if name.endswith(".rules.yaml")]
    return list(_under(("expr", "query"), found))


def _under(keys: tuple[str, ...], value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in keys and isinstance(item, str):
                yield item
            else:
                yield from _under(keys, item)
    elif isinstance(value, list):
        for item in value:
            yield from _under(keys, item)


def scenario_faults(manifests: Manifests) -> list[str]:
    """Of all queries of a release, by its engine's version and arguments."""
    (plan,) = [config_map["data"]["plan"] for config_map in manifests.all("ConfigMap") if "plan" in config_map["data"]]
    (version,) = re.findall(r"^engine version +vLLM ([\d.]+)$", plan, flags=re.M)
    engine = str(thaw(manifests.one("LLMInferenceService")["spec"]))
    return sorted({fault for query in queries(manifests) for fault in faults(query, families(version), engine)})
