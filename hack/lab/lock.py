"""Lock files of wheels for images: one hash a package, of the one wheel that CPython 3.11 on Debian bookworm (x86_64) gets.

To make a new engine-cpu.lock from a list of `name==version` lines (a full `uv pip compile` output does as well):

    python -m hack.lab.lock requirements.txt > hack/lab/files/engine-cpu.lock
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from hack import cached, paths
from hack.console import StepFailed
from hack.lab import tree
from hack.shell import run

PYTHON = "3.11"
PLATFORM = "x86_64-manylinux_2_36"  # bookworm's glibc; 2_28 would leave out llguidance (2_31)
HEADER = "# Wheels of the engine image, one hash each (CPython 3.11, x86_64, glibc 2.36). Made by hack/lab/lock.py.\n"


def uv() -> Path:
    """The uv that hack/run installed, by the version named there; StepFailed when it is not in the cache."""
    found = re.search(r"^uv_version=(\S+)$", (paths.ROOT / "hack" / "run").read_text(), re.MULTILINE)
    assert found is not None
    program = paths.cache() / "python" / f"uv-{found[1]}" / "bin" / "uv"
    if not program.exists():
        raise StepFailed(f"{program}: not found; `hack/run` installs it")
    return program


def pins(text: str) -> dict[str, str]:
    """Name and version of every package in a lock or requirements file."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))


def install(requirements: Path, site: Path, uv_cache: Path) -> None:
    """Wheels of a lock file with hashes into the folder `site`. CommandFailed when one cannot be had."""
    # uv's cache is thrown away with the build, so that files can be hard links to it: nobody else sees them change later.
    run(
        *(uv(), "pip", "install", "--quiet", "--system-certs", "--no-config", "--target", site, "--no-deps"),
        *("--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:"),
        *("--require-hashes", "-r", requirements),
        env={"UV_CACHE_DIR": str(uv_cache), "UV_LINK_MODE": "hardlink", "UV_PYTHON_DOWNLOADS": "never"},
    )
    cached.remove(uv_cache)


def virtual_environment(prefix: Path) -> None:
    """Make the folder, which has a lib/python3.11/site-packages, a virtual environment of the image's own Python."""
    tree.place(prefix / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
    for name in ("python", "python3", "python3.11"):
        tree.link(prefix / "bin" / name, "/usr/bin/python3.11")


def reduce(text: str) -> str:
    """The lock file for the `name==version` lines in `text`. Hashes that `text` lists must contain the chosen one.

    Raises StepFailed for a package without a fitting wheel or with a hash that `text` does not know.
    """
    wanted = pins(text)
    with tempfile.TemporaryDirectory() as scratch:
        source, lock = Path(scratch, "in.txt"), Path(scratch, "pylock.toml")
        source.write_text("".join(f"{name}=={version}\n" for name, version in wanted.items()))
        run(
            *(uv(), "pip", "compile", "--quiet", "--system-certs", "--no-config", "--no-deps", "--only-binary", ":all:"),
            *("--python-version", PYTHON, "--python-platform", PLATFORM, "--format", "pylock.toml", "-o", lock, source),
        )
        packages = tomllib.loads(lock.read_text())["packages"]
    known = set(re.findall(r"sha256:([0-9a-f]{64})", text))
    order = {tag: rank for rank, tag in enumerate(_tags())}
    lines = []
    for package in packages:
        ranked = [(min(order.get(t, len(order)) for t in _wheel_tags(w["url"])), w) for w in package["wheels"]]
        rank, best = min(ranked, key=lambda pair: pair[0])
        digest = best["hashes"]["sha256"]
        if rank == len(order):
            raise StepFailed(f"{package['name']}=={package['version']}: no wheel for CPython {PYTHON} on {PLATFORM}")
        if known and digest not in known:
            raise StepFailed(f"{package['name']}=={package['version']}: {best['url']} has a hash that the source does not list")
        lines.append(f"{package['name']}=={package['version']} --hash=sha256:{digest}\n")
    return HEADER + "".join(lines)


def _tags() -> list[Tag]:
    """What CPython 3.11 on bookworm installs, best first."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)] + ["manylinux2014_x86_64", "linux_x86_64"]
    version = (3, 11)
    return [*cpython_tags(version, platforms=platforms), *compatible_tags(version, "cp311", platforms)]


def _wheel_tags(url: str) -> frozenset[Tag]:
    return parse_wheel_filename(url.rsplit("/", 1)[1].replace("%2B", "+"))[3]


if __name__ == "__main__":
    sys.stdout.write(reduce(Path(sys.argv[1]).read_text()))
