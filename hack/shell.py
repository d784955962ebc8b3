"""Running other programs: one function, one error class."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

Arg = str | Path
# The environment of Go programs that end within a second or so: collecting garbage does not pay before (a fifth of their time).
BRIEF = {"GOGC": "400"}


class CommandFailed(RuntimeError):
    """A program ended with a non-zero status; `str()` holds the command and the end of what it printed."""

    def __init__(self, command: Sequence[str], status: int, output: str) -> None:
        self.command, self.status, self.output = list(command), status, output
        tail = "\n".join(output.strip().splitlines()[-20:])
        super().__init__(f"`{' '.join(command)[:300]}` ended with status {status}\n{tail}")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The present environment with `more`."""
    return {**os.environ, **more}


def run(
    *command: Arg,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    check: bool = True,
    timeout: float | None = None,
    log: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed.

    `env` is added to the present environment. With `log`, stdout and stderr go to that file (appended) as they come.
    Raises CommandFailed on a non-zero status unless `check` is false.
    """
    words = [str(word) for word in command]
    full_env = environment(env or {})
    data = stdin.decode() if isinstance(stdin, bytes) else stdin
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as sink:
            done = subprocess.run(
                words, cwd=cwd, env=full_env, input=data, text=True, stdout=sink, stderr=subprocess.STDOUT, timeout=timeout
            )
        if check and done.returncode:
            raise CommandFailed(words, done.returncode, log.read_text(errors="replace")[-8000:])
        return subprocess.CompletedProcess(words, done.returncode, "", "")
    result = subprocess.run(words, cwd=cwd, env=full_env, input=data, text=True, capture_output=True, timeout=timeout)
    if check and result.returncode:
        raise CommandFailed(words, result.returncode, result.stdout + result.stderr)
    return result


def out(*command: Arg, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    """The standard output of a program that must succeed, without the last newline."""
    return run(*command, cwd=cwd, env=env, stdin=stdin).stdout.rstrip("\n")
