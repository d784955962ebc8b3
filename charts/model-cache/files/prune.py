"""Removes from a volume what nobody uses. Standard library only.

Environment: CACHE_ROOT (where the volume is mounted), CACHE_KEEP (JSON list of the folders in use), CACHE_AGE (seconds that a
folder stays after a Job last found or made it), CACHE_REMOVE (`yes` removes, anything else only says what would be). What is
being downloaded is left alone, where the file system has locks.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import store


def size(folder: Path) -> int:
    """Bytes on the disk: a file being downloaded is a hole at first."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def origin(folder: Path) -> str:
    """What a published folder holds."""
    try:
        manifest = store.read_manifest(folder)
    except store.Wrong:
        manifest = None
    return f"{manifest['source']} {manifest['revision']}".strip() if manifest else ""


def held(lock: Path) -> IO[str] | None:
    """The lock of an entry, taken; None while a process downloads what it stands for. It is let go when the file is closed."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = lock.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    except OSError:  # a file system without locks: the hour that something stays is all there is
        pass
    return handle


def unused(root: Path, keep: set[str]) -> Iterator[tuple[Path, str]]:
    """Folders that no release names, and what downloads left behind, each with the name of its lock."""
    for kind in ("models", "adapters", "compiled"):
        for folder in sorted((root / kind).glob("*/*")):
            path = str(folder.relative_to(root))
            if folder.is_dir() and path not in keep:
                yield folder, store.Entry(root, path).lock.name
    entries = [store.Entry(root, path) for path in keep]
    begun = {entry.staging for entry in entries if not entry.published.exists()}
    for folder in sorted((root / store.PRIVATE / "staging").glob("*")):
        if folder not in begun:
            yield folder, folder.name
    for folder in sorted((root / store.PRIVATE / "broken").glob("*")):
        yield folder, f"broken-{folder.name}"


def fresh(root: Path, folder: Path, lock: str, seconds: float) -> bool:
    """Whether a Job found, made or wrote this within the last `seconds`: a release that is just being installed names it soon."""
    used = root / store.PRIVATE / "used" / lock
    newest = max(path.stat().st_mtime for path in (folder, used) if path.exists())
    return time.time() - newest < seconds


def main() -> None:
    env = os.environ
    root, remove, age = Path(env["CACHE_ROOT"]), env.get("CACHE_REMOVE") == "yes", float(env["CACHE_AGE"])
    gone = root / store.PRIVATE / "removed"
    if remove:
        shutil.rmtree(gone, ignore_errors=True)  # of a run that was stopped
    total = 0
    for folder, name in list(unused(root, set(json.loads(env["CACHE_KEEP"])))):
        lock = held(root / store.PRIVATE / "lock" / name)
        if lock is None or fresh(root, folder, name, age):
            continue
        with lock:
            count = size(folder)
            total += count
            text = f"{folder.relative_to(root)}: {store.size_text(count)} {origin(folder)}".rstrip()
            print(f"{'removed' if remove else 'unused'} {text}", flush=True)
            if remove:
                gone.mkdir(parents=True, exist_ok=True)
                moved = folder.rename(gone / str(folder.relative_to(root)).replace("/", "-"))
        if remove:
            shutil.rmtree(moved)
    free = store.size_text(shutil.disk_usage(root).free)
    print(f"{store.size_text(total)} {'removed' if remove else 'unused; YES=1 removes it'}, {free} free", flush=True)


if __name__ == "__main__":
    main()
