"""The scripts of model-cache as processes: what the Job and the gate run, with the libraries of the Job's image."""

from __future__ import annotations

import json
import os
import random
import re
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.lab import storage_image
from hack.paths import CHARTS

SCRIPTS = CHARTS / "model-cache" / "files"
MIB = 1 << 20
PATH = "models/own/0123456789ab"
# Small parts and short times, so that a small model has many parts and a fault is noticed within seconds.
LIMITS: dict[str, Any] = {"connections": 4, "part": MIB, "stall_seconds": 6, "read_seconds": 1}


def tensors(path: Path, size: int, seed: int = 0) -> None:
    """A safetensors file of one tensor of `size` random bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    with path.open("wb") as handle:
        handle.write(struct.pack("<Q", len(header)) + header)
        for start in range(0, size, MIB):
            handle.write(source.randbytes(min(MIB, size - start)))


def model(folder: Path, *, shards: int = 3, size: int = 4 * MIB, seed: int = 0) -> Path:
    """A model as hubs keep one: configuration, index, shards, and the same weights in another form. Its small files are small."""
    names = [f"model-{number + 1:05}-of-{shards:05}.safetensors" for number in range(shards)]
    for number, name in enumerate(names):
        tensors(folder / name, size, seed + number)
    (folder / "config.json").write_text('{"model_type": "own"}')
    index = {"weight_map": {f"layer.{number}": name for number, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "pytorch_model.bin").write_bytes(b"the same weights again")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    return folder


@dataclass(frozen=True)
class Ended:
    code: int
    text: str

    @property
    def message(self) -> str:
        """The last line: what a person reads first."""
        return self.text.rstrip().splitlines()[-1]


@dataclass
class Volume:
    """A folder that stands for the volume, and the two programs that work on it."""

    root: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> Path:
        """Where a container's last words are."""
        return self.root.parent / f"{self.root.name}-last-words"

    @property
    def published(self) -> Path:
        return self.root / PATH

    def start(self, uri: str, *, path: str = PATH, kind: str = "model", **limits: Any) -> subprocess.Popen[str]:
        """The download as a running process."""
        self.root.mkdir(parents=True, exist_ok=True)
        items = [{"kind": kind, "uri": uri, "path": path}]
        spec = {"items": items, "folders": [], "claim": "weights", "always": False, "limits": {**LIMITS, **limits}}
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root.parent),
            "PYTHONPATH": str(storage_image.libraries()),
            "PYTHONUNBUFFERED": "1",
            "TERMINATION_LOG": str(self.last),
            "CACHE_ROOT": str(self.root),
            "CACHE_SPEC": json.dumps(spec),
            **self.env,
        }
        command = [sys.executable, "-B", str(SCRIPTS / "download.py")]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def download(self, uri: str, **options: Any) -> Ended:
        """The download until its end."""
        return ended(self.start(uri, **options))

    def gate(
        self, *, seconds: float = 0, verify: str = "changed", paths: Sequence[str] = (PATH,), folders: Sequence[str] = ()
    ) -> Ended:
        """The gate, as an engine's pod runs it, until its end."""
        env = {
            "PATH": os.environ["PATH"],
            "TERMINATION_LOG": str(self.last),
            "GATE_ROOT": str(self.root),
            "GATE_PATHS": json.dumps(list(paths)),
            "GATE_FOLDERS": json.dumps(list(folders)),
            "GATE_SECONDS": str(seconds),
            "GATE_VERIFY": verify,
            "GATE_REPAIR": "delete the Job",
        }
        return _alone("gate", env)

    def prune(self, keep: Sequence[str], *, remove: bool = False, age: int = 0) -> Ended:
        """The script of `make cache-prune` until its end."""
        env = {
            "CACHE_ROOT": str(self.root),
            "CACHE_KEEP": json.dumps(list(keep)),
            "CACHE_AGE": str(age),
            "CACHE_REMOVE": "yes" if remove else "",
        }
        return _alone("prune", env)

    def manifest(self, path: str = PATH) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / path / ".model-cache.json").read_text())
        return found

    def holds(self, folder: Path, path: str = PATH) -> bool:
        """Whether what an engine reads of `folder` is published here, byte for byte, and nothing else is."""
        wanted = {p.name for p in folder.iterdir()} - {"pytorch_model.bin", ".gitattributes"}
        there = {p.name for p in (self.root / path).iterdir()} - {".model-cache.json"}
        return wanted == there and all((self.root / path / n).read_bytes() == (folder / n).read_bytes() for n in wanted)

    @staticmethod
    def seconds(found: Ended) -> float:
        """How long a download took before it was verified, of what it said at its end."""
        said = re.search(r"downloaded in ([0-9.]+) s, ", found.message)
        assert said, found.message
        return float(said[1])

    def staged(self) -> list[Path]:
        """Files that are not published."""
        staging = self.root / ".model-cache" / "staging"
        return [path for path in staging.rglob("*") if path.is_file()] if staging.exists() else []


def _alone(script: str, env: Mapping[str, str]) -> Ended:
    """A script with the standard library alone, as in an engine image."""
    start = f"import sys; sys.path[:0] = [{str(SCRIPTS)!r}]; import {script}; {script}.main()"
    command = [sys.executable, "-B", "-I", "-c", start]
    return ended(subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


def ended(process: subprocess.Popen[str], seconds: float = 120) -> Ended:
    text, _ = process.communicate(timeout=seconds)
    return Ended(process.returncode, text)


def peak_mib(process: subprocess.Popen[str]) -> float:
    """The most memory that a process held while it ran; returns when it has ended. Its output is read meanwhile."""
    import threading

    reader = threading.Thread(target=process.communicate, daemon=True)
    reader.start()
    peak = 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.02)
    reader.join()
    return peak
