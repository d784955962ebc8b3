"""Container image archives (`docker save` format) written directly from a folder: no Docker, no Dockerfile.

What comes out works with `docker load`, `ctr images import` and `kind load image-archive`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from hack.shell import CommandFailed

BLOCK = 512
CHUNK = 1 << 20
NO_DIGEST = "0" * 64  # stands in, at the same length, for the layer's digest until that is known


class Written(NamedTuple):
    """Digests (`sha256:…`) of an image that was written: its id, and its one layer."""

    id: str
    layer: str


def write_image(target: Path, rootfs: Path, ref: str, config: Mapping[str, Any], *, keep_owners: bool = False) -> Written:
    """Write `target`, the archive of an image named `ref` whose one uncompressed layer is the content of `rootfs`.

    `config` is the image's run configuration under the names of the image specification (Entrypoint, Env, User, WorkingDir,
    StopSignal, …). All files belong to root unless `keep_owners`.
    Raises CommandFailed when `tar` cannot read the folder.
    """
    # The two small members come first, so that a reader which only wants the name does not read a gigabyte; their sizes do
    # not depend on the digests in them, so they are filled in after the layer went through.
    with target.open("w+b") as sink:
        _members(sink, ref, config, NO_DIGEST)
        header = sink.tell()
        sink.write(bytes(BLOCK))
        size, digest = _layer(sink, rootfs, keep_owners)
        sink.write(bytes(-size % BLOCK + 2 * BLOCK))
        sink.seek(0)
        image_id = _members(sink, ref, config, digest)
        assert sink.tell() == header
        sink.write(_header(f"{digest}/layer.tar", size))
    return Written(f"sha256:{image_id}", f"sha256:{digest}")


def read_manifest(archive: Path) -> tuple[str, dict[str, Any]]:
    """The name and the configuration file of the image in `archive`."""
    with tarfile.open(archive, "r:") as tar:
        entry = json.loads(_read(tar, "manifest.json"))[0]
        return entry["RepoTags"][0], json.loads(_read(tar, entry["Config"]))


def pack(folder: Path, sink: IO[bytes], *options: str) -> None:
    """Write the content of `folder` as a tar stream to `sink`, in a stable order, with file capabilities."""
    for chunk in _stream(folder, options):
        sink.write(chunk)


def _layer(sink: IO[bytes], rootfs: Path, keep_owners: bool) -> tuple[int, str]:
    owners = () if keep_owners else ("--owner=0", "--group=0")
    digest, size = hashlib.sha256(), 0
    for chunk in _stream(rootfs, owners):
        digest.update(chunk)
        sink.write(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _stream(folder: Path, options: Iterable[str]) -> Iterable[bytes]:
    # No access and change times: they differ on every run and double the headers.
    fixed = ["--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--pax-option=delete=atime,delete=ctime"]
    command = ["tar", "-C", str(folder), *fixed, *options, "-cf", "-", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while chunk := process.stdout.read(CHUNK):
            yield chunk
        complaint = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise CommandFailed(command, process.returncode, complaint)


def _members(sink: IO[bytes], ref: str, config: Mapping[str, Any], layer: str) -> str:
    """Write manifest.json and the configuration for a layer with digest `layer`; returns the configuration's own digest."""
    image = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",  # the id depends on the content alone
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "llm-stack hack/lab"}],
    }
    data = json.dumps(image, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [ref], "Layers": [f"{layer}/layer.tar"]}]
    for name, content in (("manifest.json", json.dumps(manifest).encode()), (f"{digest}.json", data)):
        sink.write(_header(name, len(content)) + content + bytes(-len(content) % BLOCK))
    return digest


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    assert member is not None
    return member.read()
