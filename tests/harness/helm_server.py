"""helm's own commands in one process (hack/lab/files/helm): of a small render, helm's start is three quarters."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from functools import cache
from typing import IO, Any

from hack import gobuild
from hack.shell import BRIEF, environment

# Each call leaves a hook in a list of cobra's that all later calls run through.
CALLS = 200


class HelmServer:
    """A process that runs helm's commands in turn; another takes its place after CALLS."""

    def __init__(self) -> None:
        self._calls = 0
        self._one = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What `helm ARGUMENTS` gives, to one thread after the other. AssertionError when the process ends instead."""
        with self._one:
            told = self._ask(arguments)
        return subprocess.CompletedProcess(["helm", *arguments], told["status"], told["stdout"], told["stderr"])

    def _ask(self, arguments: tuple[str, ...]) -> Any:
        if self._process is None or self._calls >= CALLS:
            self.stop()
            command = [str(gobuild.program("helm-server"))]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, env=environment(BRIEF), stdin=pipe, stdout=pipe, text=True)
            self._calls = 0
        self._calls += 1
        questions, answers = _pipes(self._process)
        with contextlib.suppress(BrokenPipeError):
            questions.write(json.dumps(arguments) + "\n")
            questions.flush()
        line = answers.readline()
        assert line, f"helm-server ended, status {self._process.wait()}, at: helm {' '.join(arguments)}"
        return json.loads(line)

    def stop(self) -> None:
        """End the process, which nothing is asked of now."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout


@cache
def server() -> HelmServer:
    """One for this test process, whose end closes its input and so ends it."""
    return HelmServer()
