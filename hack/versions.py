"""The typed reader of versions.yaml: the one list of every version, image and tag."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hack import documents
from hack.paths import ROOT


@dataclass(frozen=True)
class GoModule:
    """A pinned Go module and the programs built from it."""

    name: str
    module: str
    version: str
    sum: str
    build: dict[str, str] = field(default_factory=dict)  # program: package
    ldflags: tuple[str, ...] = ()
    staging: str = ""  # version that stands in for `./staging/…` replaces
    overlay: str = ""  # folder of our sources laid over the module
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image that a person with a registry pulls and that `IMAGES=source` builds under the same name."""

    name: str
    repository: str
    tag: str
    digest: str | None

    @property
    def ref(self) -> str:
        """`repository:tag`, the name that the node knows after loading."""
        return f"{self.repository}:{self.tag}"

    @property
    def pinned(self) -> str:
        """What a registry is asked for: with the digest where one is known."""
        return f"{self.ref}@{self.digest}" if self.digest else self.ref


@cache
def document() -> dict[str, Any]:
    """versions.yaml as read."""
    loaded = documents.load((ROOT / "versions.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def go_modules() -> dict[str, GoModule]:
    """Pinned Go modules by name."""
    return {
        name: GoModule(name=name, **{**entry, **{key: tuple(entry.get(key, ())) for key in ("ldflags", "tags")}})
        for name, entry in document()["go"].items()
    }


def images() -> dict[str, Image]:
    """Images by role (node, controller, engine, …)."""
    return {
        name: Image(name, entry["repository"], str(entry["tag"]), entry["digest"]) for name, entry in document()["images"].items()
    }
