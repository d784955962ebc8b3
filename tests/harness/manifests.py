"""What a render gave: plain, frozen dictionaries, and three ways to pick from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Object = Mapping[str, Any]


def freeze(value: Any) -> Any:
    """A deep read-only copy, so that no test can spoil a cached render for another."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """A deep plain copy of something frozen, for libraries that want dict and list."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value


@dataclass(frozen=True)
class Manifests:
    """The objects of one render, in helm's order."""

    objects: tuple[Object, ...]
    text: str

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind."""
        return [obj for obj in self.objects if obj["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Object:
        """The only object of a kind (and name); AssertionError names what is there instead."""
        found = [obj for obj in self.all(kind) if name in (None, obj["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} of {kind}/{name or '*'} in {self.names()}"
        return found[0]

    def names(self) -> list[str]:
        """`Kind/name` of every object, sorted."""
        return sorted(f"{obj['kind']}/{obj['metadata']['name']}" for obj in self.objects)


def pod_specs(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Every pod specification with `Kind/name` of its owner: pods, workloads, and what a service asks for (`Kind/name/part`)."""
    for obj in objects:
        spec = obj.get("spec", {})
        owner = f"{obj['kind']}/{obj['metadata']['name']}"
        if obj["kind"] == "Pod":
            yield owner, spec
        elif obj["kind"] == "LLMInferenceService":
            for part in ("template", "worker"):
                for side, prefix in ((spec, ""), (spec.get("prefill", {}), "prefill.")):
                    if part in side:
                        yield owner if side is spec and part == "template" else f"{owner}/{prefix}{part}", side[part]
            if "router" in spec:
                yield f"{owner}/router.scheduler.template", spec["router"]["scheduler"]["template"]
        elif "template" in spec and "spec" in spec["template"]:
            yield owner, spec["template"]["spec"]
