"""Artifacts of the shared cache: named by the content they are made from, published by one rename, one maker at a time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack import paths

# Where objects of a cluster and images keep the key of what they were made from.
CONTENT = "llm-stack.io/content"


def key(*parts: object) -> str:
    """A short name for the content `parts` (JSON-able values; a Path stands for that file's or folder's bytes)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        digest.update(b"\1")
    return digest.hexdigest()[:16]


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the cache-wide lock `name`; the kernel frees it when the holder dies, so an interrupted run blocks nobody."""
    folder = paths.cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def artifact(kind: str, name: str, content: str, make: Callable[[Path], None]) -> Path:
    """The cached file or folder `<cache>/<kind>/<name>-<content>`, made by `make(path)` if it is not there yet.

    `make` writes to a temporary sibling that is renamed when it returns: whoever is interrupted leaves nothing half-made
    under the final name, and the next run removes the remains.
    """
    final = paths.cache() / kind / f"{name}-{content}"
    if final.exists():
        return final
    with lock(f"{kind}-{name}"):
        if final.exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        for stale in final.parent.glob(f".{name}-*.partial"):
            remove(stale)
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=".partial", dir=final.parent))
        target = work / "out"
        make(target)
        os.rename(target, final)
        remove(work)
    return final


def remove(path: Path) -> None:
    """Delete whatever stands at `path`: a file, a link, a device, or a folder with its read-only parts."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for folder in [path, *(p for p in path.rglob("*") if p.is_dir() and not p.is_symlink())]:
        folder.chmod(0o755)
    shutil.rmtree(path)
