"""The download of model-cache against servers that speak the real protocols, with KServe's own versions of the libraries.

In every case one of two things is true at the end: all files are published, as the source has them, or nothing is and one message
says why.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack import certificates
from hack.lab import storage_image
from tests.harness import hub
from tests.harness.cache import LIMITS, MIB, PATH, Ended, Volume, ended, model, peak_mib, tensors
from tests.harness.hub import Faults, Hub

TOKEN = "hf_of_the_test"
URI = "hf://org/own"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The model that the hub has."""
    return model(tmp_path / "hub" / "org" / "own")


@contextmanager
def serving(source: Path, **options: Any) -> Iterator[tuple[Hub, Volume]]:
    """A hub with `source`, and an empty volume whose downloads ask it."""
    root = source.parents[1]
    with Hub(root, **options) as server:
        yield server, Volume(root.parent / "volume", {"HF_ENDPOINT": server.url})


def refused(volume: Volume, found: Ended, code: int) -> str:
    """The message of a download that failed and published nothing."""
    assert found.code == code, found.text
    assert not volume.published.exists()
    assert "Traceback" not in found.text, found.text
    assert found.message.startswith("failed: ")
    return found.message.removeprefix("failed: ")


# --- what is published ------------------------------------------------------------------------------------------------


def test_a_model_is_published_whole_with_a_manifest(source: Path) -> None:
    with serving(source) as (_, volume):
        found = volume.download(URI)
    assert found.code == 0, found.text
    assert volume.holds(source)
    assert not volume.staged()
    manifest = volume.manifest()
    assert manifest["source"] == URI
    assert len(manifest["revision"]) == 40
    large = manifest["files"]["model-00001-of-00003.safetensors"]
    assert large["size"] == (source / "model-00001-of-00003.safetensors").stat().st_size
    assert large["comparedBy"] == ["sha256"]
    assert manifest["files"]["config.json"]["comparedBy"] == ["git"]
    assert "5 files, 12.6 MB; 12.6 MB downloaded in" in found.message


def test_the_same_again_downloads_nothing(source: Path) -> None:
    with serving(source) as (server, volume):
        assert volume.download(URI).code == 0
        server.log.clear()
        found = volume.download(URI)
        assert found.code == 0
        assert "there already" in found.message
        assert not server.log


def test_another_revision_is_another_folder_beside_it(source: Path) -> None:
    other = model(source.parent / "own@v2", seed=7)
    with serving(source) as (_, volume):
        assert volume.download(URI).code == 0
        assert volume.download(f"{URI}:v2", path="models/own/v2").code == 0
        assert volume.holds(source)
        assert volume.holds(other, "models/own/v2")
        assert volume.gate(paths=[PATH, "models/own/v2"]).code == 0


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["model.safetensors", "pytorch_model.bin", "tf_model.h5", "original/x.pth"], ["model.safetensors"]),
        (["pytorch_model.bin"], ["pytorch_model.bin"]),
        (["model-1.safetensors", "consolidated.safetensors"], ["model-1.safetensors"]),
        (["consolidated-1.safetensors", "params.json"], ["consolidated-1.safetensors", "params.json"]),
        (["pytorch_model.bin", "2_Dense/model.safetensors"], ["2_Dense/model.safetensors", "pytorch_model.bin"]),
    ],
)
def test_of_several_forms_of_the_weights_one_is_downloaded(tmp_path: Path, names: list[str], kept: list[str]) -> None:
    folder = tmp_path / "hub" / "org" / "own"
    for name in names:
        tensors(folder / name, 10)
    (folder / "config.json").write_text("{}")
    with serving(folder) as (_, volume):
        found = volume.download(URI)
    assert found.code == 0, found.text
    assert sorted(volume.manifest()["files"]) == sorted([*kept, "config.json"])


def test_an_adapter(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "org" / "sql"
    tensors(folder / "adapter_model.safetensors", 1000)
    (folder / "adapter_config.json").write_text("{}")
    with serving(folder) as (_, volume):
        found = volume.download("hf://org/sql", kind="adapter")
    assert found.code == 0, found.text
    assert volume.holds(folder)


# --- sources ----------------------------------------------------------------------------------------------------------


def test_a_web_server_with_checksums(source: Path) -> None:
    with serving(source) as (server, volume):
        found = volume.download(f"{server.url}/files/org/own")
        assert found.code == 0, found.text
        assert volume.holds(source)
        assert volume.manifest()["files"]["config.json"]["comparedBy"] == ["sha256"]


def test_a_web_server_without_checksums(source: Path) -> None:
    with serving(source) as (server, volume):
        message = refused(volume, volume.download(f"{server.url}/nothing/there"), 3)
    assert (
        message == f"{server.url}/nothing/there/SHA256SUMS: is missing; write it with `sha256sum $(find * -type f)` in the folder"
    )


# --- what goes away by itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    [
        ["cut"] * 5,
        ["short"] * 5,
        ["stall"],
        ["500", "502", "503", "504"],
        ["429:1", "429:1"],
        ["flip"],
        ["expire"],
        ["cut", "429:1", "500", "flip", "expire", "short", "stall"],
    ],
    ids=" ".join,
)
def test_a_fault_on_the_way_is_overcome(source: Path, plan: list[str]) -> None:
    with serving(source, faults=Faults(plan)) as (server, volume):
        found = volume.download(URI)
        assert found.code == 0, found.text
        assert volume.holds(source)
        assert not server.faults.plan


def test_a_server_that_asks_to_wait_is_given_the_time(source: Path) -> None:
    with serving(source, faults=Faults(["429:3"])) as (_, volume):
        began = time.monotonic()
        assert volume.download(URI, connections=1).code == 0
        assert time.monotonic() - began > 3


def test_a_server_may_ask_for_more_time_than_a_stall_is_given(source: Path) -> None:
    with serving(source, faults=Faults(["429:5"])) as (_, volume):
        found = volume.download(URI, connections=1, stall_seconds=3)
        assert found.code == 0, found.text


def test_many_connections_run_into_one_expiry(tmp_path: Path) -> None:
    source = model(tmp_path / "hub" / "org" / "own", shards=1, size=40 * MIB)
    with serving(source) as (server, volume):
        server.bytes_per_second = 500_000
        process = volume.start(URI, connections=24)
        while received(server) < 26:
            time.sleep(0.02)
        server.epoch += 1
        server.bytes_per_second = 0
        found = ended(process)
        assert found.code == 0, found.text
        assert volume.holds(source)


def test_the_rate_has_a_limit(source: Path) -> None:
    with serving(source) as (_, volume):
        began = time.monotonic()
        assert volume.download(URI, bytes_per_second=5_000_000).code == 0
        assert time.monotonic() - began > 2.2  # 12.6 MB


# --- what does not ----------------------------------------------------------------------------------------------------

SECRET = "set global.llm.cache.env.HF_TOKEN.valueFrom.secretKeyRef to a Secret with a token"


def test_a_gated_model_without_a_token(source: Path) -> None:
    with serving(source, token=TOKEN) as (_, volume):
        message = refused(volume, volume.download(URI), 3)
    assert message == (f"{URI}: is gated, and no token is set; accept its licence on the hub and {SECRET} of that account")


def test_a_gated_model_with_its_token(source: Path) -> None:
    with serving(source, token=TOKEN) as (server, volume):
        volume.env = {**volume.env, "HF_TOKEN": TOKEN}
        found = volume.download(URI)
        assert found.code == 0, found.text
        assert TOKEN not in found.text
        assert not [path for path in volume.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
        assert any("/store/" in path for _, path, _ in server.log)  # which refuses a request that carries a token


def test_a_token_whose_account_did_not_accept_the_licence(source: Path) -> None:
    """The hub then tells what there is, and refuses the files."""
    with serving(source, token=TOKEN) as (server, volume):
        server.licence = False
        volume.env = {**volume.env, "HF_TOKEN": TOKEN}
        message = refused(volume, volume.download(URI), 3)
    access = "is gated, and the token of HF_TOKEN gives no access to it"
    assert message == f"{URI}: {access}; accept its licence on the hub and {SECRET} of that account"


def test_a_token_from_a_file_with_a_line_feed(source: Path) -> None:
    with serving(source, token=TOKEN) as (_, volume):
        volume.env = {**volume.env, "HF_TOKEN": f"{TOKEN}\n"}
        assert volume.download(URI).code == 0


PROXY = "http://user:pa/SECRET@proxy:3128"


@pytest.mark.parametrize(
    ("uri", "env"),
    [
        ("hf://org/own--other", {}),
        (URI, {"HF_ENDPOINT": "hub.local:8080"}),
        (URI, {"HTTP_PROXY": PROXY, "http_proxy": PROXY, "NO_PROXY": "none"}),
        ("https://user:SECRET@localhost/own", {}),
        ("s3://models/own", {"AWS_ENDPOINT_URL": "minio:9000"}),
        ("s3://a:b/own", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "SECRET"}),
    ],
)
def test_a_setting_that_cannot_work_is_told_at_once_and_without_secrets(source: Path, uri: str, env: dict[str, str]) -> None:
    with serving(source) as (_, volume):
        volume.env = {**volume.env, **env}
        found = volume.download(uri)
        refused(volume, found, 3)
        assert "SECRET" not in found.text + volume.last.read_text()


def test_a_wrong_token(source: Path) -> None:
    with serving(source, token=TOKEN) as (_, volume):
        volume.env = {**volume.env, "HF_TOKEN": "hf_of_another"}
        message = refused(volume, volume.download(URI), 3)
    assert message == f"{URI}: the hub refuses the token of HF_TOKEN (HTTP 401); {SECRET} that is valid"


def test_a_missing_revision(source: Path) -> None:
    with serving(source) as (_, volume):
        message = refused(volume, volume.download(f"{URI}:v9"), 3)
    assert message == f"{URI}: has no revision v9; set one that exists in the uri, hf://org/model:revision"


def test_a_missing_model(source: Path) -> None:
    with serving(source) as (_, volume):
        message = refused(volume, volume.download("hf://org/nothing"), 3)
    assert message == (
        f"hf://org/nothing: is not there, or is private, and no token is set; mend the name, or {SECRET} that may read it"
    )


@pytest.mark.parametrize("status", [403, 404])
def test_a_file_that_the_server_refuses(source: Path, status: int) -> None:
    with serving(source, faults=Faults(always=str(status))) as (_, volume):
        message = refused(volume, volume.download(URI), 3)
    assert f": HTTP {status} " in message


@pytest.mark.parametrize(
    ("always", "last"),
    [
        ("cut", "Connection broken"),
        ("500", "HTTP 500"),
        ("stall", "ead timed out"),
        ("api 503", "HTTP 503"),
        ("api stall", "ead timed out"),
    ],
)
def test_what_does_not_end_is_given_up_for_this_time(source: Path, always: str, last: str) -> None:
    """A pod of the Job that fails is followed by another one, which goes on from there."""
    with serving(source, faults=Faults(always=always)) as (_, volume):
        message = refused(volume, volume.download(URI, part=32 * MIB), 1)
    assert last in message
    assert message.endswith("(the Job tries again and goes on from where it was)")


def test_no_network(source: Path) -> None:
    with serving(source) as (server, volume):
        server.close()
        message = refused(volume, volume.download(URI, stall_seconds=2), 1)
    assert message == f"{URI}: [Errno 111] Connection refused (the Job tries again and goes on from where it was)"


def test_an_untrusted_certificate_and_one_that_is_trusted(source: Path, tmp_path: Path) -> None:
    authority = certificates.Authority("own")
    made = authority.sign("localhost", ips=("127.0.0.1",))
    (tmp_path / "pem").write_text(made.certificate + made.key)
    (tmp_path / "ca").write_text(authority.pem)
    with serving(source, certificate=tmp_path / "pem") as (_, volume):
        message = refused(volume, volume.download(URI), 3)
        assert message.startswith(f"{URI}: its certificate is not trusted (certificate verify failed: ")
        assert message.endswith("; set model-cache.caBundle")
        volume.env = {**volume.env, "REQUESTS_CA_BUNDLE": str(tmp_path / "ca")}
        found = volume.download(URI)
        assert found.code == 0, found.text


def test_a_source_that_is_broken(source: Path) -> None:
    with serving(source, faults=Faults(always="flip")) as (_, volume):
        message = refused(volume, volume.download(URI), 5)
    assert message.startswith(f"{URI}: config.json: git is ")
    assert message.endswith(", twice; the source is broken, or something on the way changes files")


def broken(source: Path, how: str) -> str:
    """Break the model at its source; what the message must say."""
    shard = source / "model-00002-of-00003.safetensors"
    if how == "shard missing":
        shard.unlink()
        return "model-00001-of-00003.safetensors: is one of 3, of which 1 are not there, first model-00002-of-00003.safetensors"
    if how == "shard of another name missing":
        for path in source.glob("model-*.safetensors"):
            path.rename(source / path.name.replace("-of-", "-"))
        return "model.safetensors.index.json: names 3 files that are not there, first model-00001-of-00003.safetensors"
    if how == "no weights":
        for path in [*source.glob("*.safetensors*"), source / "pytorch_model.bin"]:
            path.unlink()
        return "has no weights among its 1 files (*.safetensors, *.bin, *.pt, *.pth, *.gguf): this is no model"
    if how == "cut short":
        os.truncate(shard, 1000)
        return "model-00002-of-00003.safetensors: has 1000 bytes and its header describes 4194"
    if how == "no header":
        shard.write_bytes(b"<html>sorry</html>" * 100)
        return "model-00002-of-00003.safetensors: its header is cut off (1800 bytes)"
    (source / "config.json").unlink()
    return "has neither config.json nor params.json among its 4 files: this is no model"


@pytest.mark.parametrize(
    "how", ["shard missing", "shard of another name missing", "no weights", "cut short", "no header", "no configuration"]
)
def test_a_model_that_is_incomplete_at_its_source(source: Path, how: str) -> None:
    expected = broken(source, how)
    with serving(source) as (_, volume):
        message = refused(volume, volume.download(URI), 5)
    assert message.startswith(f"{URI}: {expected}")


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 72 MiB, of which 64 are kept free."""
    if os.geteuid() != 0:
        pytest.skip("not root: a file system of a given size cannot be mounted")
    folder = tmp_path / "volume"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=72m", "none", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_volume_that_is_too_small_is_noticed_before(source: Path, small_volume: Path) -> None:
    with serving(source) as (server, volume):
        message = refused(volume, volume.download(URI), 4)
        assert not [path for _, path, _ in server.log if "/resolve/" in path]
    assert message == (
        "claim weights: 12.6 MB are still to come and the volume has 75.5 MB left; make it larger (global.llm.cache.size, where "
        "its class can expand), or free room on it"
    )


def fill(path: Path) -> None:
    """Write to a file until its file system is full."""
    with path.open("wb", buffering=0) as handle, contextlib.suppress(OSError):
        while handle.write(bytes(MIB)) == MIB:
            pass


def test_a_volume_that_fills_up_meanwhile(tmp_path: Path, small_volume: Path) -> None:
    source = model(tmp_path / "hub" / "org" / "own", size=2 * MIB)
    with serving(source) as (server, volume):
        server.bytes_per_second = 1_000_000
        process = volume.start(URI, connections=1)
        while not volume.staged():
            time.sleep(0.05)
        fill(small_volume / "another")
        message = refused(volume, ended(process), 4)
        assert message.startswith("claim weights: the volume is full; make it larger")
        (small_volume / "another").unlink()
        server.bytes_per_second = 0
        assert volume.download(URI).code == 0
        assert volume.holds(source)


# --- killed, together, changed ----------------------------------------------------------------------------------------


def kill_until_done(volume: Volume, kills: int, chance: random.Random) -> Ended:
    """Kill the download `kills` times at random moments, then let it end."""
    for _ in range(kills):
        process = volume.start(URI)
        end = time.monotonic() + chance.uniform(0.2, 1.5)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        process.communicate(timeout=10)
        if volume.published.exists():
            assert volume.gate().code == 0, "what is published is whole, whenever the process ended"
    return volume.download(URI)


def received(server: Hub) -> int:
    """How often a part was asked for."""
    return sum(1 for method, path, _ in server.log if method == "GET" and ("/store/" in path or "/resolve/" in path))


def test_a_download_that_is_killed_goes_on(tmp_path: Path) -> None:
    source = model(tmp_path / "hub" / "org" / "own", shards=5, size=8 * MIB)
    with serving(source) as (server, volume):
        server.bytes_per_second = 6_000_000
        seed = random.SystemRandom().randrange(2**32)
        found = kill_until_done(volume, 4, random.Random(seed))
        assert found.code == 0, (seed, found.text)
        assert volume.holds(source), seed
        # 47 parts, of which those under way at a kill are asked for again
        assert received(server) <= 47 + 4 * LIMITS["connections"], seed


def test_two_at_once_do_the_work_once(source: Path) -> None:
    with serving(source) as (server, volume):
        server.bytes_per_second = 2_000_000
        first, second = volume.start(URI), volume.start(URI)
        found = [ended(first), ended(second)]
        assert [one.code for one in found] == [0, 0], found
        assert sum("there already" in one.message for one in found) == 1
        assert volume.holds(source)
        assert received(server) == 17  # 3 shards of 5 parts and two small files


def test_a_moving_revision_that_moves_meanwhile(source: Path) -> None:
    """What was staged of the files before is not mixed with those after."""
    with serving(source) as (server, volume):
        server.bytes_per_second = 2_000_000
        process = volume.start(URI)
        while received(server) < 8:
            time.sleep(0.02)
        process.kill()
        process.communicate()
        shutil.rmtree(source)
        model(source, seed=9)
        server.bytes_per_second = 0
        found = volume.download(URI)
        assert found.code == 0, found.text
        assert volume.holds(source)


def test_what_was_staged_of_another_content_does_not_shine_through(tmp_path: Path) -> None:
    """Zeros are not written, because a new file is a hole."""
    source = model(tmp_path / "hub" / "org" / "own", shards=1, size=4 * MIB)
    with serving(source) as (server, volume):
        server.bytes_per_second = 1_000_000
        process = volume.start(URI, connections=1)
        while received(server) < 4:
            time.sleep(0.02)
        process.kill()
        process.communicate()
        (shard,) = source.glob("*.safetensors")
        size = shard.stat().st_size
        with shard.open("r+b") as handle:  # the same size, and zeros where there were none
            handle.seek(MIB)
            handle.write(bytes(size - MIB))
        server.bytes_per_second = 0
        found = volume.download(URI)
        assert found.code == 0, found.text
        assert "downloaded again" not in found.text
        assert volume.holds(source)


def test_what_stops_it_from_outside_is_told(source: Path) -> None:
    with serving(source) as (server, volume):
        server.bytes_per_second = 500_000
        process = volume.start(URI)
        while received(server) < 4:
            time.sleep(0.02)
        process.terminate()
        assert ended(process).code == 143
        assert volume.last.read_text().startswith(
            "stopped from outside, by the end of its time (global.llm.cache.deadlineSeconds) or with its node; downloading: "
        )


def change(volume: Volume, how: str) -> str:
    """Change what is published, as no download does; what the gate must say."""
    first, second = (volume.published / f"model-0000{number}-of-00003.safetensors" for number in (1, 2))
    if how == "truncated":
        os.truncate(first, 1000)
        return f"{first.name}: has 1000 bytes and was published with "
    if how == "removed":
        first.unlink()
        return f"{first.name}: is missing"
    if how == "swapped":
        first.rename(volume.published / "x")
        second.rename(first)
        (volume.published / "x").rename(second)
        return f"{first.name}: its content changed: sha256 "
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    return f"{first.name}: its content changed: sha256 "


@pytest.mark.parametrize("how", ["truncated", "removed", "swapped", "one bit flipped"])
def test_what_changed_after_it_was_published_is_not_served(source: Path, how: str) -> None:
    with serving(source) as (_, volume):
        assert volume.download(URI).code == 0
        expected = change(volume, how)
        found = volume.gate()
        assert found.code == 1
        assert found.message.startswith("the weights on the volume are not those that were published: ")
        assert expected in found.message
        assert found.message.endswith("; delete the Job")
        again = volume.download(URI)
        assert again.code == 0, again.text
        assert "set aside as .model-cache/broken/own-0123456789ab-" in again.text
        assert volume.holds(source)
        assert volume.gate().code == 0


def test_a_copy_of_the_volume_is_read_and_believed(source: Path) -> None:
    with serving(source) as (_, volume):
        assert volume.download(URI).code == 0
        for path in volume.published.iterdir():
            os.utime(path)
        found = volume.gate()
        assert found.code == 0
        assert "reading 5 of 5 files that changed their time" in found.text


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_the_gate_waits_until_all_is_published(source: Path) -> None:
    with serving(source) as (server, volume):
        server.bytes_per_second = 1_500_000
        process = volume.start(URI)
        found = volume.gate(seconds=60)
        assert process.wait() == 0
        assert found.code == 0, found.text
        assert "waiting for models/own/0123456789ab: downloading: " in found.text
        assert found.message.startswith(f"{PATH}: {URI} at ")


def test_the_gate_ends_with_what_the_download_said(source: Path) -> None:
    with serving(source, token=TOKEN) as (_, volume):
        assert volume.download(URI).code == 3
        found = volume.gate(seconds=2)
    assert found.code == 1
    assert found.message.startswith(f"no weights: {PATH}: not there after 2.0 s; failed: {URI}: is gated, and no token is set")


def test_the_gate_of_an_empty_volume(tmp_path: Path) -> None:
    found = Volume(tmp_path).gate(seconds=1)
    assert found.code == 1
    assert found.message == f"no weights: {PATH}: not there after 1.0 s; the download has not begun"


def test_the_gate_reads_all_where_it_is_told_to(source: Path) -> None:
    with serving(source) as (_, volume):
        assert volume.download(URI).code == 0
    shard = volume.published / "model-00001-of-00003.safetensors"
    times = shard.stat()
    with shard.open("r+b") as handle:
        handle.seek(1000)
        handle.write(b"\0\1")
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a disk that loses bits: no time tells
    assert volume.gate().code == 0
    assert "its content changed" in volume.gate(verify="always").message


def test_the_gate_waits_for_folders_that_an_engine_writes_to(source: Path) -> None:
    with serving(source) as (_, volume):
        assert volume.download(URI).code == 0
    assert volume.gate(folders=["compiled/own/1"]).message == (
        "no weights: compiled/own/1: not there after 0.0 s; the download Job makes it"
    )
    (volume.root / "compiled" / "own" / "1").mkdir(parents=True)
    assert volume.gate(folders=["compiled/own/1"]).code == 0


# --- what nobody uses -------------------------------------------------------------------------------------------------


def test_what_no_release_uses_is_removed_when_asked(source: Path) -> None:
    model(source.parent / "own@v2", seed=7)
    with serving(source) as (server, volume):
        for uri, path in ((URI, PATH), (f"{URI}:v2", "models/own/v2")):
            assert volume.download(uri, path=path).code == 0
        (volume.root / "compiled" / "own" / "1").mkdir(parents=True)
        told = volume.prune([PATH])
        assert told.code == 0, told.text
        revision = volume.manifest("models/own/v2")["revision"]
        assert told.text.startswith(f"unused models/own/v2: 12.6 MB {URI}:v2 {revision}\nunused compiled/own/1: 0 bytes\n")
        assert "12.6 MB unused; YES=1 removes it, " in told.message
        assert (volume.root / "models/own/v2").exists()
        assert "0 bytes removed, " in volume.prune([PATH], remove=True, age=3600).message  # found by a Job just now
        (volume.root / ".model-cache/removed/models-own-v2").mkdir(parents=True)  # of a run that was stopped
        assert volume.prune([PATH], remove=True).code == 0
        assert not (volume.root / "models/own/v2").exists()
        assert volume.gate().code == 0
        assert "0 bytes removed, " in volume.prune([PATH], remove=True).message

        # What another release downloads at this moment stays, and what it left when it was stopped does not.
        server.bytes_per_second = 2_000_000
        process = volume.start(f"{URI}:v2", path="models/own/v2")
        while not volume.staged():
            time.sleep(0.05)
        assert "0 bytes removed, " in volume.prune([PATH], remove=True).message
        process.kill()
        process.communicate()
        assert "unused .model-cache/staging/own-v2: " in volume.prune([PATH]).text


# --- any schedule of faults -------------------------------------------------------------------------------------------

FAULTS = st.sampled_from(["ok", "ok", "cut", "short", "500", "429:1", "flip", "expire", "404", "kill", "stall"])


@settings(max_examples=int(os.environ.get("LLM_STACK_SCHEDULES", "8")), deadline=None, suppress_health_check=list(HealthCheck))
@given(schedule=st.lists(FAULTS, max_size=14))
def test_whatever_happens_nothing_wrong_is_published(tmp_path_factory: pytest.TempPathFactory, schedule: list[str]) -> None:
    source = model(tmp_path_factory.mktemp("schedule") / "hub" / "org" / "own", shards=2, size=3 * MIB)
    with serving(source, faults=Faults([fault for fault in schedule if fault != "kill"])) as (server, volume):
        for kill in [*(fault == "kill" for fault in schedule if fault == "kill"), False, False]:
            process = volume.start(URI)
            if kill:
                time.sleep(random.uniform(0.1, 1))
                process.kill()
            found = ended(process)
            if volume.published.exists():
                assert volume.holds(source)
                assert volume.gate().code == 0
            elif not kill:
                assert found.code in (1, 3, 5)
                assert found.message.startswith("failed: ")
        server.faults.plan.clear()
        assert volume.download(URI).code == 0
        assert volume.holds(source)


# --- cost -------------------------------------------------------------------------------------------------------------


def sparse(folder: Path, size: int) -> Path:
    """A model of one file that is `size` bytes of zeros, which need no room."""
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with (folder / "model.safetensors").open("wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        handle.truncate(8 + len(header) + size)
    (folder / "config.json").write_text("{}")
    return folder


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """The Job's limit is 512Mi for every model.

    LLM_STACK_SPARSE_GIB=50 is the whole proof, of about three minutes: the files are holes, but a volume of that size is needed
    for the download to begin (`--basetemp` on a tmpfs with size=64g, which the holes do not fill).
    """
    peaks = {}
    for size in (50 * MIB, int(os.environ.get("LLM_STACK_SPARSE_GIB", "2")) << 30):
        folder = sparse(tmp_path / str(size) / "hub" / "org" / "own", size)
        hub.commit(folder)  # the real hub knows what it has: its answer does not wait for a hash
        hub.digest(folder / "model.safetensors", "sha256")
        with serving(folder) as (_, volume):
            process = volume.start(URI, connections=8, part=32 * MIB, read_seconds=30, stall_seconds=60)
            peaks[size] = peak_mib(process)
            assert process.returncode == 0
    small, large = peaks.values()
    print(f"peak memory in MiB by size: {peaks}")
    assert large < small + 30
    assert large < 256


PLAIN = """
import pathlib, requests, sys, time
url, target, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
began, session = time.monotonic(), requests.Session()
for name in names:
    with session.get(f"{url}/org/own/resolve/main/{name}", stream=True) as answer, (target / name).open("wb") as sink:
        for piece in answer.iter_content(1 << 20):
            sink.write(piece)
print(time.monotonic() - began)
"""


def test_it_is_as_quick_as_a_plain_client(tmp_path: Path) -> None:
    """Before verification, from one server and to one disk, over one connection: the best of three tries of each.

    The server has a rate, of which a plain client gets what it can: at the full speed of this machine's memory the two would
    measure how Python programs share two cores (LLM_STACK_SERVER_RATE=0 does).
    """
    source = model(tmp_path / "hub" / "org" / "own", shards=2, size=48 * MIB)
    names = sorted(path.name for path in source.glob("*.safetensors"))
    size = sum((source / name).stat().st_size for name in names)
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    with free_hub(source.parents[1], int(os.environ.get("LLM_STACK_SERVER_RATE", "100000000"))) as url:
        for number in range(4):
            target = tmp_path / f"plain-{number}"
            target.mkdir()
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(storage_image.libraries())}
            plain = subprocess.run([sys.executable, "-c", PLAIN, url, target, *names], env=env, check=True, capture_output=True)
            shutil.rmtree(target)
            os.sync()  # what one left to be written is not the other's burden
            volume = Volume(tmp_path / f"ours-{number}", {"HF_ENDPOINT": url})
            found = volume.download(URI, connections=1, part=32 * MIB, read_seconds=30, stall_seconds=60)
            assert found.code == 0, found.text
            if number:  # the first fills caches of the server
                rates["plain"].append(size / float(plain.stdout))
                rates["ours"].append(size / volume.seconds(found))
            shutil.rmtree(volume.root)
            os.sync()
    best = {who: max(found) / 1e6 for who, found in rates.items()}
    print(f"MB/s: {best}")
    assert best["ours"] > 0.9 * best["plain"]


@contextmanager
def free_hub(root: Path, rate: int) -> Iterator[str]:
    """A hub in a process of its own, which shares no interpreter with the test and gives `rate` bytes a second; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, hub.__file__, str(port), str(root)], env={**os.environ, "HUB_RATE": str(rate)})
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
