"""Holds an engine back until its weights are published and whole. Standard library only: runs in the engine image.

Environment: GATE_ROOT (where the volume is mounted), GATE_PATHS (JSON list of what must be published on it), GATE_FOLDERS (of
what must only be there), GATE_SECONDS (how long to wait),
GATE_VERIFY (`changed`: files whose size or time differ from the manifest are read and compared; `always`: every file is).
Ends with 0, or with 1 and one message, which Kubernetes shows as the container's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import store

TELL_SECONDS = 30  # between two lines that say the same


def state(entry: store.Entry) -> str:
    """What the download says of itself."""
    try:
        found = json.loads(entry.status.read_text())
    except (OSError, ValueError):
        return "the download has not begun"
    age = time.time() - found.get("time", 0)
    text = f"{found.get('state')}: {found.get('message')}"
    return f"{text} (said {store.time_text(age)} ago)" if age > 60 else text


def wait(root: Path, paths: list[str], folders: list[str], seconds: float, always: bool) -> None:
    """Until all is there and whole; store.Wrong when something cannot become so, TimeoutError when the time is over."""
    end = time.monotonic() + seconds
    for folder in folders:
        while not (root / folder).is_dir():
            if time.monotonic() > end:
                raise TimeoutError(f"{folder}: not there after {store.time_text(seconds)}; the download Job makes it")
            time.sleep(1)
    for path in paths:
        entry = store.Entry(root, path)
        said, when = "", 0.0
        while True:
            try:
                manifest = store.check_published(entry.published, always=always, note=lambda text: print(text, flush=True))
            except store.Wrong as error:
                raise store.Wrong(f"{path}: {error}") from error
            if manifest is not None:
                total = sum(facts["size"] for facts in manifest["files"].values())
                print(f"{path}: {manifest['source']} at {manifest['revision']}, {store.size_text(total)}", flush=True)
                break
            now = state(entry)
            if now != said or time.monotonic() - when > TELL_SECONDS:
                print(f"waiting for {path}: {now}", flush=True)
                said, when = now, time.monotonic()
            if time.monotonic() > end:
                raise TimeoutError(f"{path}: not there after {store.time_text(seconds)}; {now}")
            time.sleep(1)


def main() -> None:
    env = os.environ
    try:
        paths, folders = json.loads(env["GATE_PATHS"]), json.loads(env["GATE_FOLDERS"])
        wait(Path(env["GATE_ROOT"]), paths, folders, float(env["GATE_SECONDS"]), env["GATE_VERIFY"] == "always")
    except store.Wrong as error:
        end(f"the weights on the volume are not those that were published: {error}; {os.environ['GATE_REPAIR']}")
    except (TimeoutError, OSError) as error:
        end(f"no weights: {error}")


def end(message: str) -> None:
    """Say what is wrong, also where Kubernetes looks for a container's last words."""
    store.last_words(message)
    sys.exit(message)


if __name__ == "__main__":
    main()
