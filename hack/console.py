"""What a person sees: steps with progress and elapsed time, one clear message on failure, a table at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PROGRESS_SECONDS = 5.0


class StepFailed(RuntimeError):
    """A step cannot go on. `reason` says why, `look` is the command that shows more."""

    def __init__(self, reason: str, look: str = "") -> None:
        self.reason, self.look = reason, look
        super().__init__(reason)


@dataclass
class Step:
    """One step under way; `detail` is what its progress lines show."""

    title: str
    detail: str = ""

    def note(self, detail: str) -> None:
        self.detail = detail


@dataclass
class Timeline:
    """Titles and seconds of the steps done so far, in order."""

    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Print the title, a progress line every 5 s, and the elapsed time; remember the time for `table`."""
        current = Step(title)
        done = threading.Event()
        began = time.monotonic()

        def progress() -> None:
            while not done.wait(PROGRESS_SECONDS):
                detail = f": {current.detail}" if current.detail else ""
                say(f"    … {time.monotonic() - began:.0f} s{detail}")

        say(f"==> {title}")
        watcher = threading.Thread(target=progress, daemon=True)
        watcher.start()
        ok = False
        try:
            yield current
            ok = True
        finally:
            done.set()
            watcher.join()
            seconds = time.monotonic() - began
            self.steps.append((title, seconds))
            say(f"    {'done' if ok else 'FAILED'} after {seconds:.1f} s")

    def table(self) -> str:
        """Where the time went, one line a step, the sum last."""
        rows = [*self.steps, ("total", sum(seconds for _, seconds in self.steps))]
        width = max(len(title) for title, _ in rows)
        return "\n".join(f"{title:<{width}}  {seconds:7.1f} s" for title, seconds in rows)


def say(text: str) -> None:
    """A line for the person watching."""
    print(text, flush=True)


def fail(reason: str, look: str = "") -> int:
    """Print why a command failed and where to look further; returns the exit status."""
    print(f"\nFAILED: {reason}", file=sys.stderr)
    if look:
        print(f"To look further: {look}", file=sys.stderr)
    return 1
