"""What the cache keeps on its volume, and how a reader knows that it is whole.

Standard library only: the gate runs it in engine images.

    models/KEY/ID/                     published: the files as the source names them, and MANIFEST: by one rename, never to change
    .model-cache/staging/ID/files/     what is being downloaded            …/journal/  which parts of each file are there
    .model-cache/broken/ID-TIME/       a published folder that did not agree with its manifest any more
    .model-cache/lock/ID               held by the process that downloads (flock: the kernel lets go when it dies)
    .model-cache/status/ID.json        how far it is, for those who wait
    .model-cache/used/ID               when a Job last found or made it

ID is derived from what was asked for (the chart's `llm-common.cachePath`), so that another revision is another folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MANIFEST = ".model-cache.json"
FORMAT = 1
PRIVATE = ".model-cache"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
BLOCK = 4 << 20  # bytes read at once

Json = dict[str, Any]


class Wrong(Exception):
    """A published or downloaded file is not what it has to be; the text says which and how."""


class Entry:
    """The places of one thing that is cached. `path` is its published folder, relative to the volume's root."""

    def __init__(self, root: Path, path: str) -> None:
        self.root, self.path = root, path
        self.published = root / path
        name = "-".join(Path(path).parts[-2:])
        private = root / PRIVATE
        self.staging = private / "staging" / name
        self.lock = private / "lock" / name
        self.status = private / "status" / f"{name}.json"
        self.used = private / "used" / name  # touched whenever a Job found or made it
        self.broken = private / "broken" / f"{name}-{int(time.time())}"

    @property
    def files(self) -> Path:
        return self.staging / "files"

    @property
    def journal(self) -> Path:
        return self.staging / "journal"


# --- what a file is ---------------------------------------------------------------------------------------------------


def stamp(path: Path) -> list[int]:
    """What tells that a file was not touched: size and time of the last change, ns. `publish` gives each a time of its own."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def digests(path: Path, algorithms: set[str]) -> dict[str, str]:
    """Checksums of a file, hexadecimal, in one reading. `git` is git's name of a blob: sha1 over a header and the content."""
    size = path.stat().st_size
    hashes = {name: hashlib.new("sha1" if name == "git" else name) for name in algorithms}
    if "git" in hashes:
        hashes["git"].update(b"blob %d\0" % size)
    with path.open("rb", buffering=0) as handle:
        buffer = bytearray(BLOCK)
        view = memoryview(buffer)
        while count := handle.readinto(buffer):
            for one in hashes.values():
                one.update(view[:count])
    return {name: one.hexdigest() for name, one in hashes.items()}


def check_safetensors(path: Path) -> None:
    """Wrong unless the file's header can be read and describes exactly the bytes that follow (the format of safetensors)."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        first = handle.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else size
        if length > size - 8:
            raise Wrong(f"{path.name}: its header is cut off ({size} bytes)")
        try:
            header = json.loads(handle.read(length))
            end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise Wrong(f"{path.name}: its header is no safetensors header ({error})") from error
    if size != 8 + length + end:
        raise Wrong(f"{path.name}: has {size} bytes and its header describes {8 + length + end}")


def check_folder(folder: Path, names: list[str], kind: str) -> None:
    """Wrong unless the files make up a model (`kind` model) or an adapter (`kind` adapter) that an engine can load."""
    wanted = {"model": ("config.json", "params.json"), "adapter": ("adapter_config.json",)}[kind]
    if not set(wanted) & set(names):
        raise Wrong(f"has neither {' nor '.join(wanted)} among its {len(names)} files: this is no {kind}")
    if not any(name.endswith(WEIGHTS) and "/" not in name for name in names):
        raise Wrong(
            f"has no weights among its {len(names)} files ({', '.join(f'*{form}' for form in WEIGHTS)}): this is no {kind}"
        )
    for name in names:
        # Of a set of shards each says how many there are.
        if found := re.fullmatch(r"(.*-)(\d{5})(-of-)(\d{5})(\..+)", name):
            every = {f"{found[1]}{number:05}{found[3]}{found[4]}{found[5]}" for number in range(1, int(found[4]) + 1)}
            if lacking := sorted(every - set(names)):
                raise Wrong(f"{name}: is one of {int(found[4])}, of which {len(lacking)} are not there, first {lacking[0]}")
    for name in names:
        if name.endswith(".safetensors"):
            check_safetensors(folder / name)
        if name.endswith(".safetensors.index.json"):
            try:
                shards = set(json.loads((folder / name).read_text())["weight_map"].values())
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Wrong(f"{name}: cannot be read ({error})") from error
            lacking = sorted(shards - {os.path.relpath(folder / n, (folder / name).parent) for n in names})
            if lacking:
                raise Wrong(f"{name}: names {len(lacking)} files that are not there, first {lacking[0]}")


# --- what is published ------------------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Json | None:
    """The manifest of a published folder; None where nothing is published. Wrong for a manifest that cannot be read."""
    try:
        found: Json = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        # Published in between it would have a manifest now.
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
            raise Wrong(f"{folder.name}: holds files and no {MANIFEST}: they were not put there by the download") from None
        return read_manifest(folder) if (folder / MANIFEST).exists() else None
    except (OSError, ValueError) as error:
        raise Wrong(f"{MANIFEST}: cannot be read ({error})") from error
    if found.get("format") != FORMAT or not isinstance(found.get("files"), dict):
        raise Wrong(f"{MANIFEST}: is of format {found.get('format')!r} and this reads {FORMAT}")
    return found


def check_published(folder: Path, *, always: bool = False, note: Callable[[str], None] = lambda text: None) -> Json | None:
    """The manifest of a folder whose files are as it says; None where nothing is published; else Wrong.

    A file with the size and time that it was published with is believed, any other (or with `always`, every one) is read and
    compared by its sha256: a copy of files has new times and the same content.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    suspects = []
    for name, facts in manifest["files"].items():
        path = folder / name
        try:
            found = stamp(path)
        except FileNotFoundError:
            raise Wrong(f"{name}: is missing") from None
        if found[0] != facts["size"]:
            raise Wrong(f"{name}: has {found[0]} bytes and was published with {facts['size']}")
        if always or found != facts["stamp"]:
            suspects.append(name)
    if suspects:
        why = "are to be read" if always else "changed their time"
        note(f"reading {len(suspects)} of {len(manifest['files'])} files that {why}")

    def compare(name: str) -> None:
        found = digests(folder / name, {"sha256"})["sha256"]
        if found != manifest["files"][name]["sha256"]:
            raise Wrong(f"{name}: its content changed: sha256 {found}, published with {manifest['files'][name]['sha256']}")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(compare, name) for name in suspects]:
            done.result()
    return manifest


def publish(entry: Entry, manifest: Json) -> None:
    """Make the staged files appear at their place, all at once. `manifest` lacks the stamps, which are taken here."""
    base = int(time.time()) - len(manifest["files"]) - 1
    for number, (name, facts) in enumerate(sorted(manifest["files"].items())):
        path = entry.files / name
        # A second apart, so that two files of one size that change places are seen on every file system.
        os.utime(path, (base + number, base + number))
        path.chmod(0o644)
        _sync(path)
        facts["stamp"] = stamp(path)
    write(entry.files / MANIFEST, json.dumps(manifest, indent=1), lasting=True)
    for folder in {path.parent for path in entry.files.rglob("*")}:
        _sync(folder)
    entry.published.parent.mkdir(parents=True, exist_ok=True)
    entry.files.rename(entry.published)
    _sync(entry.published.parent)
    shutil.rmtree(entry.staging, ignore_errors=True)


def set_aside(entry: Entry) -> None:
    """Take a published folder away that is wrong. What an engine has open stays readable to it."""
    entry.broken.parent.mkdir(parents=True, exist_ok=True)
    entry.published.rename(entry.broken)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, text: str, *, lasting: bool = False) -> None:
    """Write a file so that a reader sees the old or the new text whole; `lasting`: also after a loss of power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(text)
    if lasting:
        _sync(scratch)
    scratch.replace(path)


# --- who downloads ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(entry: Entry, waiting: Callable[[], None]) -> Iterator[bool]:
    """Be the only process of all nodes that downloads this; `waiting` is called every second until then.

    False where the file system has no locks: then two may download at once, each for itself, and the first to publish wins.
    """
    import fcntl

    entry.lock.parent.mkdir(parents=True, exist_ok=True)
    with entry.lock.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(1)
            except OSError:
                yield False
                return
        yield True


# --- words for a person -----------------------------------------------------------------------------------------------


def last_words(message: str) -> None:
    """A container's message, where Kubernetes reads it when it has ended."""
    try:
        Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log")).write_text(message[:4000])
    except OSError:
        print("(no termination log to write to)", flush=True)


def size_text(count: float) -> str:
    """Bytes for a person, decimal as disks and hubs count them."""
    for unit, digits in (("bytes", 0), ("kB", 0), ("MB", 1)):
        if count < 1000:
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def time_text(seconds: float) -> str:
    """A time for a person."""
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
