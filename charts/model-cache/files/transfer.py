"""Moves files by ranges, several at once, so that a stop at any point loses at most the parts that were under way.

Memory does not grow with the model: each connection holds one piece of what it receives, and writes it where it belongs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import store

BOOT = Path("/proc/sys/kernel/random/boot_id")
PIECE = 1 << 20  # bytes that a connection holds
SPARE = 64 << 20  # bytes of the volume that stay free


class Refused(Exception):
    """The source or the volume says no, and asking again does not help; the text says what and what to do."""


class Full(Refused):
    """The volume has no room."""


class Failed(Exception):
    """It did not work this time: connection, server, time."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class File:
    """A file of a source. `checksums`: what the source says, hexadecimal by algorithm of store.digests."""

    name: str
    size: int
    checksums: dict[str, str] = field(default_factory=dict, hash=False)
    tag: str = ""  # changes with the content, where there is no checksum


@dataclass(frozen=True)
class Listing:
    revision: str
    files: list[File]


class Source(Protocol):
    def listing(self) -> Listing:
        """What there is. Raises Refused or Failed."""

    def read(self, file: File, start: int, end: int) -> Iterator[bytes]:
        """The bytes of `file` from `start` to before `end`, in pieces of about PIECE. Raises Refused or Failed."""


@dataclass(frozen=True)
class Limits:
    connections: int = 8
    bytes_per_second: int = 0  # 0: as fast as it goes
    part: int = 32 << 20  # what one request asks for, and what is asked for again after a stop
    stall_seconds: float = 300  # without a byte on any connection
    read_seconds: float = 30  # without a byte on one


def pause_after(error: Failed, attempt: int) -> float:
    """Seconds until the next try: as the server asks, up to an hour; else more and more, with full jitter.

    So connections that broke together do not come back together.
    """
    return min(3600, error.retry_after) or random.uniform(0.2, min(30, 2**attempt))


class Journal:
    """Which parts of a staged file are there: one line each, after the first, which says of what."""

    def __init__(self, path: Path, file: File, part: int) -> None:
        self.path, self.guard = path, threading.Lock()
        # Without a checksum nothing would tell what a loss of power left unwritten: then the machine's start counts as well.
        sure = "" if file.checksums else f" {BOOT.read_text().strip()}"
        self.head = f"{file.size} {part} {sorted(file.checksums.items())} {file.tag}{sure}"
        self.done: set[int] = set()
        with contextlib.suppress(FileNotFoundError):
            head, *lines = path.read_text(errors="replace").split("\n")
            if head == self.head:
                self.done = {int(line) for line in lines[:-1] if line.isdigit()}  # the last was perhaps cut off
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, "".join(f"{line}\n" for line in (self.head, *sorted(self.done))))

    def add(self, number: int) -> None:
        with self.guard:
            self.done.add(number)
            with self.path.open("a") as handle:
                handle.write(f"{number}\n")


class Transfer:
    """One download into the staging folder of `entry`. `received`: bytes of this run, `present`: those of runs before."""

    def __init__(self, source: Source, entry: store.Entry, limits: Limits) -> None:
        self.source, self.entry, self.limits = source, entry, limits
        self.received = self.present = 0
        self.last_error = ""
        self.last_byte = time.monotonic()
        self.guard, self.stop = threading.Lock(), threading.Event()
        self.began = time.monotonic()

    def run(self, files: list[File], tell: Callable[[], None]) -> None:
        """Bring all `files`; `tell` is called about every second. Raises Refused (Full) or Failed."""
        work = []
        for file in files:
            journal = Journal(self.entry.journal / file.name, file, self.limits.part)
            path = self.entry.files / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if journal.done and (not path.exists() or path.stat().st_size != file.size):
                journal.path.unlink()
                journal = Journal(journal.path, file, self.limits.part)
            if not journal.done:  # what another content left there must not shine through the holes of this one
                path.unlink(missing_ok=True)
            path.touch()
            os.truncate(path, file.size)
            for number in range(-(-file.size // self.limits.part)):
                start, end = number * self.limits.part, min(file.size, (number + 1) * self.limits.part)
                if number in journal.done:
                    self.present += end - start
                else:
                    work.append((file, journal, path, number, start, end))
        self._room(sum(end - start for *_, start, end in work))
        self.began = self.last_byte = time.monotonic()
        pending, errors = iter(work), []

        def worker() -> None:
            while not self.stop.is_set():
                with self.guard:
                    task = next(pending, None)
                if task is None:
                    return
                try:
                    self._part(*task)
                except BaseException as error:
                    errors.append(error)
                    self.stop.set()

        threads = [threading.Thread(target=worker, daemon=True) for _ in range(min(self.limits.connections, len(work)))]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                tell()
                for thread in threads:
                    thread.join(1 / len(threads))
                if self.stop.is_set():
                    break
        finally:
            self.stop.set()
        if errors:
            raise min(errors, key=lambda error: not isinstance(error, Refused))

    def _room(self, needed: int) -> None:
        free = shutil.disk_usage(self.entry.root).free
        if needed + SPARE > free:
            raise Full(f"{store.size_text(needed)} are still to come and the volume has {store.size_text(free)} left")

    def _part(self, file: File, journal: Journal, path: Path, number: int, start: int, end: int) -> None:
        """One part, asked for again from where it broke off."""
        attempt = 0
        with path.open("r+b", buffering=0) as handle:
            while start < end:
                try:
                    for piece in self.source.read(file, start, end):
                        if self.stop.is_set():
                            return
                        if start + len(piece) > end:
                            raise Failed(f"{file.name}: the server sent more than it was asked for")
                        self._write(handle.fileno(), piece, start)
                        start += len(piece)
                        attempt = 0
                    if start < end:
                        raise Failed(f"{file.name}: the connection ended after part of what was asked for")
                except Failed as error:
                    self.last_error = str(error)
                    attempt += 1
                    pause = pause_after(error, attempt)
                    if error.retry_after:  # asked to wait is not stalled
                        with self.guard:
                            self.last_byte = max(self.last_byte, time.monotonic() + pause)
                    elif time.monotonic() + pause - self.last_byte > self.limits.stall_seconds:
                        raise Failed(
                            f"nothing arrived for {store.time_text(self.limits.stall_seconds)}; last: {error}"
                        ) from error
                    if self.stop.wait(pause):
                        return
        journal.add(number)

    def _write(self, descriptor: int, piece: bytes, at: int) -> None:
        try:
            # The file has its size already, as a hole: zeros need not be written.
            view = memoryview(b"" if not piece[:64].strip(b"\0") and piece.count(0) == len(piece) else piece)
            while view:
                count = os.pwrite(descriptor, view, at)
                view, at = view[count:], at + count
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Full("the volume is full") from error
            raise Refused(f"cannot write to the volume: {error}") from error
        with self.guard:
            self.received += len(piece)
            self.last_byte = time.monotonic()
            limit = self.limits.bytes_per_second
            ahead = self.received / limit - (time.monotonic() - self.began) if limit else 0
        if ahead > 0:
            self.stop.wait(ahead)

    def forget(self, file: File) -> None:
        """Bring `file` again from its first byte at the next run."""
        (self.entry.journal / file.name).unlink(missing_ok=True)
        (self.entry.files / file.name).unlink(missing_ok=True)
