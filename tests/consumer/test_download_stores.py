"""The download from object stores: moto's S3 and an emulator of Google Cloud Storage, each asked by its own library."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.harness import stores
from tests.harness.cache import MIB, Volume, ended, model


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("stores") / "own")


@pytest.fixture(scope="module")
def s3(source: Path) -> Iterator[str]:
    with stores.s3(source) as address:
        yield address


@pytest.fixture(scope="module")
def gcs(source: Path) -> Iterator[str]:
    with stores.gcs(source) as address:
        yield address


def bucket(tmp_path: Path, address: str) -> Volume:
    return Volume(tmp_path / "volume", {**stores.KEYS, "AWS_ENDPOINT_URL": address})


def message(volume: Volume, uri: str) -> str:
    """Why nothing is published, and never will be."""
    found = volume.download(uri)
    assert found.code == 3, found.text
    assert not volume.published.exists()
    return found.message.removeprefix("failed: ")


def test_a_model_in_s3(tmp_path: Path, source: Path, s3: str) -> None:
    volume = bucket(tmp_path, s3)
    found = volume.download("s3://models/own")
    assert found.code == 0, found.text
    assert volume.holds(source)
    assert volume.manifest()["files"]["model-00001-of-00003.safetensors"]["comparedBy"] == ["md5"]


def test_a_bucket_that_is_missing(tmp_path: Path, s3: str) -> None:
    volume = bucket(tmp_path, s3)
    assert message(volume, "s3://nothing/own") == "s3://nothing/own: NoSuchBucket (HTTP 404); mend the bucket's name"


def test_a_folder_that_is_empty(tmp_path: Path, s3: str) -> None:
    volume = bucket(tmp_path, s3)
    assert message(volume, "s3://models/nothing") == "s3://models/nothing: holds nothing under that name"


def test_no_credentials(tmp_path: Path, s3: str) -> None:
    env = {"AWS_ENDPOINT_URL": s3, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    assert message(Volume(tmp_path / "volume", env), "s3://models/own") == (
        "s3://models/own: no credentials; set global.llm.cache.env.AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY by Secret, or a "
        "service account"
    )


def test_an_object_that_is_replaced_meanwhile(tmp_path: Path, source: Path) -> None:
    with stores.s3(source) as address:
        volume = bucket(tmp_path, address)
        process = volume.start("s3://models/own", bytes_per_second=2 * MIB, connections=1)
        while not volume.staged():
            time.sleep(0.05)
        stores.replace(address, "own/model-00003-of-00003.safetensors", b"x" * (5 * MIB))
        found = ended(process)
        assert found.code == 3, found.text
        assert found.message == (
            "failed: model-00003-of-00003.safetensors: changed in the bucket while it was downloaded; begin again"
        )
        assert not volume.published.exists()


def test_a_model_in_google_cloud_storage(tmp_path: Path, source: Path, gcs: str) -> None:
    volume = Volume(tmp_path / "volume", {"STORAGE_EMULATOR_HOST": gcs})
    found = volume.download("gs://models/own")
    assert found.code == 0, found.text
    assert volume.holds(source)
    assert volume.manifest()["files"]["model-00001-of-00003.safetensors"]["comparedBy"] == ["md5"]


def test_a_folder_of_google_cloud_storage_that_is_empty(tmp_path: Path, gcs: str) -> None:
    volume = Volume(tmp_path / "volume", {"STORAGE_EMULATOR_HOST": gcs})
    assert message(volume, "gs://models/nothing") == "gs://models/nothing: holds nothing under that name"


def test_an_unknown_source(tmp_path: Path) -> None:
    assert message(Volume(tmp_path / "volume"), "ftp://models/own") == (
        "ftp://models/own: cannot be downloaded; known are hf://, s3://, gs://, https://, http://"
    )


class Poor(BaseHTTPRequestHandler):
    """Google Cloud Storage on a poor line: of each object the first two answers are cut, and so is the first listing."""

    protocol_version = "HTTP/1.1"
    source: Path
    asked: Counter[str]

    def do_GET(self) -> None:
        self.asked[self.path.partition("?")[0]] += 1
        poor = self.asked[self.path.partition("?")[0]] <= 2
        if "alt=media" in self.path:
            path = self.source / urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).rpartition("/")[2]
            start, end = (int(part) for part in self.headers["Range"].removeprefix("bytes=").split("-"))
            body = path.read_bytes()[start : end + 1]
            self._answer(206, body, len(body) // 2 if poor else len(body))
        else:
            items = [{"name": f"own/{p.name}", "size": str(p.stat().st_size), "generation": "1"} for p in self.source.iterdir()]
            body = json.dumps({"items": items}).encode()
            self._answer(503 if poor else 200, body, len(body))

    def _answer(self, status: int, body: bytes, count: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:count])
        self.close_connection = count < len(body)

    def log_message(self, *_: Any) -> None: ...


def test_google_cloud_storage_on_a_poor_line(tmp_path: Path) -> None:
    source = model(tmp_path / "own", shards=1, size=MIB)
    handler = type("Bound", (Poor,), {"source": source, "asked": Counter()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        volume = Volume(tmp_path / "volume", {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.server_address[1]}"})
        found = volume.download("gs://models/own", stall_seconds=20)
        assert found.code == 0, found.text
        assert "Traceback" not in found.text
        assert volume.holds(source)
    finally:
        server.shutdown()


def test_a_tls_handshake_that_breaks_is_no_wrong_certificate(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        env = {**stores.KEYS, "AWS_ENDPOINT_URL": f"https://127.0.0.1:{server.getsockname()[1]}"}
        found = Volume(tmp_path / "volume", env).download("s3://models/own", stall_seconds=2)
    assert found.code == 1, found.text
    assert "certificate" not in found.message
