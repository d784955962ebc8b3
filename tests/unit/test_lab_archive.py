"""Image archives: what is written can be read back, and says what the formats ask for."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from hack.lab import archive, tree
from hack.shell import CommandFailed


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    tree.place(root / "bin" / "program", b"\x7fELF", 0o755)
    tree.place(root / "etc" / "passwd", "root:x:0:0::/:/bin/sh\n")
    tree.link(root / "sbin", "bin")
    tree.make_folder(root / "tmp").chmod(0o1777)
    return root


def test_layout_round_trip(tmp_path: Path, rootfs: Path) -> None:
    target = tmp_path / "image.tar"
    written = archive.write_image(target, rootfs, "example.test/a:1", {"User": "1000:1000", "Entrypoint": ["/bin/program"]})

    ref, config = archive.read_manifest(target)
    assert ref == "example.test/a:1"
    assert config["config"] == {"User": "1000:1000", "Entrypoint": ["/bin/program"]}
    assert (config["os"], config["rootfs"]["diff_ids"]) == ("linux", [written.layer])
    with tarfile.open(target, "r:") as tar:
        assert next(member.name for member in tar) == "manifest.json", "readers that want only the name should find it first"
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        layer, configuration = (tar.extractfile(name).read() for name in (manifest[0]["Layers"][0], manifest[0]["Config"]))  # type: ignore[union-attr]
    assert f"sha256:{hashlib.sha256(layer).hexdigest()}" == written.layer
    assert f"sha256:{hashlib.sha256(configuration).hexdigest()}" == written.id
    assert manifest[0]["Config"] == f"{written.id.removeprefix('sha256:')}.json"


def test_layer_keeps_modes_and_belongs_to_root(tmp_path: Path, rootfs: Path) -> None:
    target = tmp_path / "image.tar"
    written = archive.write_image(target, rootfs, "example.test/a:1", {})
    with tarfile.open(target, "r:") as outer:
        stream = outer.extractfile(f"{written.layer.removeprefix('sha256:')}/layer.tar")
        with tarfile.open(fileobj=stream, mode="r:") as layer:
            members = {member.name: member for member in layer}
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert members["./bin/program"].mode == 0o755
    assert members["./tmp"].mode == 0o1777
    assert members["./sbin"].linkname == "bin"


def test_same_content_same_id(tmp_path: Path, rootfs: Path) -> None:
    first = archive.write_image(tmp_path / "1.tar", rootfs, "example.test/a:1", {})
    again = archive.write_image(tmp_path / "2.tar", rootfs, "example.test/a:1", {})
    assert first == again
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_unreadable_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="nowhere"):
        archive.write_image(tmp_path / "image.tar", tmp_path / "nowhere", "example.test/a:1", {})


def test_place_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    tree.link(tmp_path / "root" / "etc" / "hosts", str(outside))
    tree.place(tmp_path / "root" / "etc" / "hosts", "inside")
    assert outside.read_text() == "untouched"
    assert (tmp_path / "root" / "etc" / "hosts").read_text() == "inside"
