"""Building several images at once: Go programs one after another (they use all cores), downloads and Debian beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from hack import gobuild
from hack.lab import daemon, engine_image, images, node_image

Note = Callable[[str], None]
Finished = Callable[[str, float], None]


@dataclass(frozen=True)
class Part:
    """Something to build: `make` after all parts named in `needs`. Parts with `go` run one after another in their order."""

    title: str
    make: Callable[[], object]
    needs: tuple[str, ...] = ()
    go: bool = False


class Stopped(Exception):
    """A part was not begun because another one failed."""


def build_all(names: Sequence[str], note: Note, finished: Finished, programs: Sequence[str] = ()) -> None:
    """Build the images `names` (see images.py) and Go `programs` that the cache lacks.

    `note` is told what is under way, `finished` each part's title and seconds. After a failure nothing new is begun; what runs
    is waited for, then the first error is raised: StepFailed (packages, root) or CommandFailed.
    """
    lacking = [name for name in names if not images.is_built(name)]
    if lacking:
        daemon.ensure_packages(["build"])
    run_parts(parts(lacking, programs), note, finished)


def parts(names: Sequence[str], programs: Sequence[str] = ()) -> list[Part]:
    """The parts that images `names` and Go `programs` are built from, those needed by more or longer work first."""
    debian = {
        "node": ("node", node_image.base),
        "busybox": ("node", node_image.base),
        "engine-cpu": ("engine", engine_image.base),
        "storage-initializer": ("engine", engine_image.base),
    }
    found: dict[str, Part] = {}

    def go(program: str) -> str:
        module = gobuild.module_of(program).name
        title = f"Go: {module}"
        if not gobuild.is_built(module):
            found.setdefault(title, Part(title, partial(gobuild.program, program), go=True))
        return title

    for name in sorted(names, key=lambda name: name != "node"):
        needs = [go(program) for program in images.programs(name)]
        if name in debian:
            label, base = debian[name]
            found.setdefault(f"Debian: {label}", Part(f"Debian: {label}", base))
            needs.append(f"Debian: {label}")
        found[f"image: {name}"] = Part(f"image: {name}", partial(images.archive, name), tuple(needs))
    for program in programs:
        go(program)
    return list(found.values())


def run_parts(work: Sequence[Part], note: Note, finished: Finished) -> None:
    """Run `work`, in which a part comes after those it needs; raises the first error."""
    futures: dict[str, Future[None]] = {}
    running: list[str] = []
    guard, stop = threading.Lock(), threading.Event()

    def do(part: Part) -> None:
        for need in part.needs:
            if need in futures:
                wait([futures[need]])
        if stop.is_set():
            raise Stopped(part.title)
        began = time.monotonic()
        with guard:
            running.append(part.title)
            note(", ".join(running))
        try:
            part.make()
        except BaseException:
            stop.set()
            raise
        finally:
            with guard:
                running.remove(part.title)
                note(", ".join(running))
        finished(part.title, time.monotonic() - began)

    # Every part of the second pool has a thread, so that one which waits keeps none from running.
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(max(1, len(work))) as many:
        for part in work:
            futures[part.title] = (one if part.go else many).submit(do, part)
    errors = [error for future in futures.values() if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error
