"""The script that `helm test` runs, against a stand-in for the engine: which protocol it finds, its key, its words when it fails.

What it asks of a real engine is in tests/smoke.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hack import certificates
from hack.paths import CHARTS

SCRIPT = CHARTS / "llm-inference-service" / "files" / "ask.py"
KEY = "a key of the test's own"
ANSWERS: dict[str, Any] = {
    "/health": {},
    "/v1/models": {"data": [{"id": "own"}]},
    "/v1/embeddings": {"data": [{"embedding": [0.5, 0.25]}]},
    "/score": {"data": [{"score": 1.0}]},
    "/classify": {"data": [{"probs": [0.1, 0.9]}]},
    "/v1/completions": {"usage": {"completion_tokens": 0}, "choices": []},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.path == "/health" or self.headers.get("Authorization") == f"Bearer {KEY}"
        body = json.dumps(ANSWERS[self.path] if allowed else {"error": "Unauthorized"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def serving(folder: Path | None) -> Iterator[int]:
    """A server on a local port; with a folder for its certificate it speaks TLS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if folder:
        made = certificates.Authority("own").sign("localhost")
        (folder / "pem").write_text(made.certificate + made.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def ask(port: int, task: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    given = {
        "HOST": f"127.0.0.1:{port}",
        "MODEL": "own",
        "TASK": task,
        "PROMPT": "Hello",
        "MAX_TOKENS": "1",
        "WAIT_SECONDS": "10",
    }
    return subprocess.run([sys.executable, SCRIPT], env={**given, "API_KEY": key}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize(("task", "numbers"), [("embed", 2), ("score", 1), ("classify", 2)])
def test_it_finds_the_protocol_and_asks_for_the_task(tmp_path: Path, tls: bool, task: str, numbers: int) -> None:
    with serving(tmp_path if tls else None) as port:
        done = ask(port, task)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"models: own\n{task}: {numbers} numbers\n"


def test_a_wrong_key_is_told_and_not_repeated() -> None:
    with serving(None) as port:
        done = ask(port, "embed", "wrong key")
    assert done.returncode == 1
    assert done.stderr == '/v1/models: HTTP 401: {"error": "Unauthorized"}\n'


def test_an_answer_without_tokens_is_a_failure() -> None:
    with serving(None) as port:
        done = ask(port, "generate")
    assert done.returncode == 1
    assert done.stderr.startswith("/v1/completions: no tokens: ")
