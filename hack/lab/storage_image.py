"""KServe's storage-initializer image from the lock file that its module ships: upstream's libraries, version by version.

What model-cache downloads with, and what KServe itself downloads with where no claim keeps the weights. Layout and user are
those of upstream's Dockerfile (python/storage-initializer.Dockerfile); its Kerberos and HDFS are left out.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from hack import cached, gobuild, versions
from hack.lab import archive, engine_image, lock, rootfs, tree
from hack.shell import out, run

PREFIX = "prod_venv"
SITE = f"{PREFIX}/lib/python3.11/site-packages"
UID = 1000
CONFIG = {
    "User": f"{UID}:{UID}",
    "WorkingDir": "/work",
    "Entrypoint": ["/storage-initializer/scripts/initializer-entrypoint"],
    "Env": [f"PATH=/{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin", "HOME=/home/kserve"],
}


def _sources() -> Path:
    return gobuild.module_dir("kserve") / "python"


def libraries() -> Path:
    """The image's Python packages, as a folder for PYTHONPATH: CPython 3.11, x86_64. Made in seconds, from PyPI."""
    return cached.artifact("storage", "site-packages", _key(), _install)


def _key() -> str:
    return cached.key(_sources() / "storage" / "uv.lock", lock.PYTHON, lock.PLATFORM, Path(__file__))


def _install(target: Path) -> None:
    pinned = target.with_name("requirements.txt")
    exported = ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--extra", "confidential")
    pinned.write_text(out(lock.uv(), *exported, "--project", _sources() / "storage"))
    tree.make_folder(target)
    lock.install(pinned, target, target.with_name("uv-cache"))
    # What `uv pip install .` adds: KServe's own package, which is plain Python.
    shutil.copytree(_sources() / "storage" / "kserve_storage", target / "kserve_storage")


def content() -> str:
    """The key of the image's content."""
    here = Path(__file__).parent
    code = [here / f"{name}.py" for name in ("archive", "lock", "rootfs", "storage_image", "tree")]
    return cached.key(versions.images()["storage-initializer"].ref, _key(), engine_image.PACKAGES, *code)


def build(target: Path) -> None:
    """Write the image's archive to `target`. Raises StepFailed when not root, CommandFailed when a check fails."""
    rootfs.require_root("building the storage-initializer image")
    root = target.with_name("root")
    rootfs.unpack(engine_image.base(), root)
    tree.make_folder(root / SITE).rmdir()
    shutil.copytree(libraries(), root / SITE)
    lock.virtual_environment(root / PREFIX)
    script = _sources() / "storage-initializer" / "scripts" / "initializer-entrypoint"
    tree.place(root / "storage-initializer" / "scripts" / script.name, script, 0o755)
    works = "import boto3, google.cloud.storage, huggingface_hub, kserve_storage"
    run("chroot", root, "env", *CONFIG["Env"], "python3", "-c", works)
    for name, line in (("passwd", f"kserve:x:{UID}:{UID}::/home/kserve:/bin/bash"), ("group", f"kserve:x:{UID}:")):
        path = root / "etc" / name
        path.write_text(f"{path.read_text()}{line}\n")
    for folder in ("home/kserve", "mnt/models", "work"):
        tree.make_folder(root / folder).chmod(0o1777)
    tree.empty(root / "tmp")
    tree.empty(root / "dev")
    archive.write_image(target, root, versions.images()["storage-initializer"].ref, CONFIG, keep_owners=True)
