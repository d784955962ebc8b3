"""What becomes of a container's words after the API server: the kubelet's expansion, then the container's own command.

The kubelet is emulated (its algorithm is thirty lines); the command is run for real, with a stub in place of `vllm`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STUB = """#!/usr/bin/python3
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("0.32.0")
else:
    json.dump([sys.argv[1:], dict(os.environ)], open(os.environ["STUB_OUT"], "w"))
"""


def kubelet(text: str, env: Mapping[str, str]) -> str:
    """What the kubelet makes of a word of command or args, or of an environment value; `env` are the variables defined before.

    k8s.io/kubernetes/third_party/forked/golang/expansion, line by line.
    """
    out, cursor, checkpoint = "", 0, 0
    while cursor < len(text):
        if text[cursor] == "$" and cursor + 1 < len(text):
            out += text[checkpoint:cursor]
            rest = text[cursor + 1 :]
            if rest[0] == "$":
                out, advance = out + "$", 1
            elif rest[0] == "(" and ")" in rest:
                name = rest[1 : rest.index(")")]
                out, advance = out + env.get(name, f"$({name})"), rest.index(")") + 1
            else:
                out, advance = out + "$" + rest[0], 1
            cursor += advance
            checkpoint = cursor + 1
        cursor += 1
    return out + text[checkpoint:]


TLS = re.compile(r"\{\{ if \.GlobalConfig\.EnableTLS \}\}.*?\{\{ else \}\}(.*?)\{\{ end \}\}", re.DOTALL)


def templated(text: str) -> str:
    """KServe's templating, of which we use two actions: a raw string that prints two braces, and KServe's switch for TLS, off."""
    left = TLS.sub(r"\1", text.replace("{{`{{`}}", "\0"))
    assert "{{" not in left, f"KServe would take {text!r} for a template"
    return left.replace("\0", "{{")


def engine_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The engine's container of a pod specification."""
    containers: list[Mapping[str, Any]] = pod["containers"]
    return next(container for container in containers if container["name"] == "main")


def run_stub(container: Mapping[str, Any], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Run a container's command and args as the kubelet would, with a stub `vllm`; the words and the environment that it gets.

    A variable that comes from elsewhere (`valueFrom`) has the value x. `folder` must be new to this call.
    """
    stub, out = folder / "bin" / "vllm", folder / "stub.json"
    stub.parent.mkdir(parents=True)
    stub.write_text(STUB)
    stub.chmod(0o755)
    env: dict[str, str] = {}
    for entry in container["env"]:
        env[entry["name"]] = "x" if "valueFrom" in entry else kubelet(entry.get("value", ""), env)
    command = [kubelet(word, env) for word in [*container["command"], *container["args"]]]
    given = {**env, "PATH": f"{stub.parent}:{os.environ['PATH']}", "STUB_OUT": str(out)}
    subprocess.run(command, env=given, check=True, timeout=60)
    words, environment = json.loads(out.read_text())
    return words, environment
