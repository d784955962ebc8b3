"""Files of an image's root file system, with exact modes: what a person's umask is must not change an image."""

from __future__ import annotations

import shutil
from pathlib import Path


def make_folder(path: Path, mode: int = 0o755) -> Path:
    """Make a folder and its parents with exactly this mode, whatever the umask says; returns it."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir()
        path.chmod(mode)
    return path


def place(path: Path, content: str | bytes | Path, mode: int = 0o644) -> None:
    """Write a file (text, bytes, or a copy of another file) with exactly this mode, making its folder."""
    make_folder(path.parent)
    path.unlink(missing_ok=True)  # an absolute link would lead out of the tree
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def link(path: Path, to: str) -> None:
    """Make a symbolic link, replacing what is there."""
    make_folder(path.parent)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def empty(folder: Path) -> None:
    """Delete what is in `folder` (device nodes included), if there is such a folder."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
