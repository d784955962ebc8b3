"""Object stores for tests, in processes of their own: moto for S3, gcp-storage-emulator for Google Cloud Storage.

Their libraries and the harness's own exclude each other (python-dateutil), so they have a lock file and a folder of their own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack import cached, paths
from hack.lab import lock, tree

KEYS = {"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own", "AWS_DEFAULT_REGION": "us-east-1"}
LOCK = paths.ROOT / "hack" / "lab" / "files" / "object-stores.lock"


def libraries() -> Path:
    """The servers' packages, as a folder for PYTHONPATH."""

    def install(target: Path) -> None:
        tree.make_folder(target)
        lock.install(LOCK, target, target.with_name("uv-cache"))

    return cached.artifact("storage", "object-stores", cached.key(LOCK), install)


@contextmanager
def _server(*command: str) -> Iterator[str]:
    """A server on a free port, which stands at the end of its command; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(libraries())}
    process = subprocess.Popen(
        [sys.executable, "-m", *command, str(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _send(method: str, url: str, body: bytes = b"") -> None:
    urllib.request.urlopen(
        urllib.request.Request(url, body, {"Content-Type": "application/octet-stream"}, method=method), timeout=30
    ).close()


def replace(address: str, key: str, body: bytes) -> None:
    """Write an object of bucket `models` to S3 once more, for which moto wants a signature."""
    script = f"import boto3, sys; boto3.client('s3').put_object(Bucket='models', Key={key!r}, Body=sys.stdin.buffer.read())"
    env = {**os.environ, **KEYS, "AWS_ENDPOINT_URL": address, "PYTHONPATH": str(libraries())}
    subprocess.run([sys.executable, "-c", script], input=body, env=env, check=True)


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """S3 with the files of `folder` below s3://models/own; its address."""
    with _server("moto.server", "-p") as address:
        _send("PUT", f"{address}/models")
        for path in folder.rglob("*"):
            if path.is_file():
                _send("PUT", f"{address}/models/own/{path.relative_to(folder)}", path.read_bytes())
        yield address


@contextmanager
def gcs(folder: Path) -> Iterator[str]:
    """Google Cloud Storage with the files of `folder` below gs://models/own; its address."""
    with _server("gcp_storage_emulator", "start", "-M", "-q", "--default-bucket", "models", "--port") as address:
        for path in folder.rglob("*"):
            if path.is_file():
                name = urllib.parse.quote(f"own/{path.relative_to(folder)}", safe="")
                _send("POST", f"{address}/upload/storage/v1/b/models/o?uploadType=media&name={name}", path.read_bytes())
        yield address
