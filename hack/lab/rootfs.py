"""Debian root file systems for images: bootstrapped once, kept as tar files in the cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hack import cached, versions
from hack.console import StepFailed
from hack.lab import archive, tree
from hack.shell import run

# Kept out of every image: package lists and archives, documentation, logs.
CLUTTER = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log"),
    *("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"),
)


def require_root(what: str) -> None:
    """StepFailed unless this process is root, which `what` needs."""
    if os.geteuid() != 0:
        raise StepFailed(f"{what} needs root (debootstrap, chroot and mounts): run it as root, or use IMAGES=pull")


def debian(name: str, packages: Sequence[str]) -> Path:
    """The cached tar of a minimal Debian of the suite in versions.yaml with `packages`, owners and capabilities kept.

    Package versions are whatever the mirror holds. Raises StepFailed when not root, CommandFailed when debootstrap fails.
    """
    suite = versions.document()["debian"]["suite"]
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    content = cached.key(suite, sorted(packages), CLUTTER, Path(__file__))
    return cached.artifact("rootfs", f"{name}.tar", content, lambda target: _bootstrap(target, suite, mirror, packages))


def unpack(tar: Path, folder: Path) -> None:
    """Unpack a tar made by `debian` into the new `folder`, owners and capabilities kept."""
    tree.make_folder(folder)
    run("tar", "-C", folder, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", tar)


def _bootstrap(target: Path, suite: str, mirror: str, packages: Sequence[str]) -> None:
    require_root("bootstrapping Debian")
    root = target.with_name("root")
    # In a mount namespace of its own: whatever debootstrap mounts is gone with it, also when it is killed.
    run(
        *("unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, root, mirror),
        log=target.with_name("debootstrap.log"),
    )
    for clutter in CLUTTER:
        tree.empty(root / clutter)
    with target.open("wb") as sink:
        archive.pack(root, sink)
