"""kubectl as a typed object: one cluster, by its kubeconfig."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack import documents, gobuild
from hack.shell import BRIEF, Arg, CommandFailed, out, run

Object = dict[str, Any]


# What restricted Pod Security wants of a container, and more: its files stay as the image has them.
RESTRICTED: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
READ_ONLY: Object = {**RESTRICTED, "readOnlyRootFilesystem": True}


@dataclass(frozen=True)
class Cluster:
    """A cluster that `kubeconfig` leads to."""

    kubeconfig: Path

    def kubectl(self, *arguments: Arg, stdin: str | None = None, check: bool = True, timeout: float | None = None) -> str:
        """Standard output of kubectl; CommandFailed when it fails and `check` is set."""
        command = (gobuild.program("kubectl"), "--kubeconfig", self.kubeconfig, *arguments)
        return run(*command, stdin=stdin, check=check, timeout=timeout, env=BRIEF).stdout

    def helm(self, *arguments: Arg, program: str = "helm", check: bool = True) -> str:
        """Standard output of helm (4, or `helm3`) against this cluster."""
        return run(gobuild.program(program), "--kubeconfig", self.kubeconfig, *arguments, check=check, env=BRIEF).stdout

    def get(self, *arguments: Arg) -> Object | None:
        """One object or a list, None when it does not exist."""
        text = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def items(self, *arguments: Arg) -> list[Object]:
        """The items of a list."""
        found = self.get(*arguments)
        return list(found["items"]) if found else []

    def apply(self, objects: Iterable[Object], *, manager: str = "llm-stack", dry_run: bool = False) -> str:
        """Server-side apply; `dry_run` asks the API server and its webhooks without storing."""
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        flags = ["--dry-run=server"] if dry_run else []
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", *flags, "-f", "-", stdin=document
        )

    def wait_served(self, names: Iterable[str], timeout: float = 60) -> None:
        """Until the API server serves the named resource definitions and lists them, which is later than Established."""
        wanted = set(names)

        def served() -> bool:
            return wanted <= set(self.kubectl("api-resources", "--cached=false", "-o", "name", check=False).split())

        until(served, timeout, f"not all are served: {', '.join(sorted(wanted))}")

    @contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """A local port that leads to `target` (service/…, pod/…); it lives as long as the block."""
        with self._listening("-n", namespace, "port-forward", target, f":{port}") as local:
            yield local

    @contextmanager
    def proxy(self, path: str) -> Iterator[int]:
        """A local port that leads to what the API server has under `path`, for reading only; it lives as long as the block.

        `kubectl get --raw` sends no headers and does not tell whose status it got.
        """
        only = (f"--accept-paths=^{re.escape(path)}", "--reject-methods=POST,PUT,PATCH,DELETE")
        with self._listening("proxy", "--port=0", *only) as local:
            yield local

    @contextmanager
    def _listening(self, *arguments: str) -> Iterator[int]:
        """The local port of a kubectl that says "Forwarding from 127.0.0.1:40123 -> 8000" or "Starting to serve on …"."""
        command = [str(gobuild.program("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            if "127.0.0.1:" not in line:
                raise CommandFailed(command, 1, line + process.stderr.read())
            yield int(line.split("127.0.0.1:")[1].split()[0])
        finally:
            process.terminate()
            process.wait()


def kustomize(folder: Path) -> list[Object]:
    """What `kubectl apply -k folder` would send."""
    return list(documents.load_all(out(gobuild.program("kubectl"), "kustomize", folder)))


def conditions(obj: Object | None) -> dict[str, Object]:
    """The conditions of an object's status by their type; empty for an object that is not there or says nothing yet."""
    return {found["type"]: found for found in ((obj or {}).get("status") or {}).get("conditions") or []}


def holds(obj: Object | None, kind: str) -> bool:
    """Whether an object's condition is true."""
    return conditions(obj).get(kind, {}).get("status") == "True"


def until(happened: Any, timeout: float, otherwise: str, every: float = 0.5) -> None:
    """Wait until `happened()` is true; TimeoutError(`otherwise`) when it does not become so."""
    end = time.monotonic() + timeout
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"{otherwise} after {timeout:.0f} s")
        time.sleep(every)


__all__ = ["READ_ONLY", "RESTRICTED", "Cluster", "Object", "conditions", "holds", "kustomize", "out", "until"]
