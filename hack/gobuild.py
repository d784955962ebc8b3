"""Pinned Go programs: built once from module sources that the checksum in versions.yaml names, then shared by all clones.

A copy of the module's own folder is built with the module's own go.mod and go.sum, because `go install m@v` refuses modules
that replace dependencies (KServe, chart-testing, Kubernetes, etcd). Replaces that point into folders which a module zip
does not carry are rewritten to the published versions of the same modules.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import cache
from pathlib import Path

from hack import cached, paths, versions
from hack.console import StepFailed
from hack.shell import out, run

MINIMUM_GO = (1, 26)
# One set of flags everywhere: other flags would double the cold build. -mod=mod because a module zip has no vendor folder.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-buildvcs=false -mod=mod"}


@cache
def go_version() -> str:
    """The installed Go, as `go1.26.8`; StepFailed when there is none or it is too old."""
    want = ".".join(map(str, MINIMUM_GO))
    if not shutil.which("go"):
        raise StepFailed(f"go: not found; install Go {want} or newer (https://go.dev/dl) and put it on PATH")
    found = out("go", "env", "GOVERSION")
    if tuple(int(part) for part in found.removeprefix("go").split(".")[:2]) < MINIMUM_GO:
        raise StepFailed(f"go: {found} is too old; install Go {want} or newer (https://go.dev/dl)")
    return found


@cache
def module_dir(name: str) -> Path:
    """The read-only folder of a pinned module's sources, its checksum compared with versions.yaml."""
    pin = versions.go_modules()[name]
    go_version()
    reply = json.loads(out("go", "mod", "download", "-json", f"{pin.module}@{pin.version}"))
    if reply["Sum"] != pin.sum:
        raise StepFailed(
            f"versions.yaml go.{name}.sum: {pin.module}@{pin.version} has checksum {reply['Sum']}, pinned is {pin.sum}"
        )
    return Path(reply["Dir"])


def program(name: str) -> Path:
    """The path of a pinned program, built first if need be; also linked into the cache's `bin/` for people."""
    pin = module_of(name)
    built = cached.artifact("go", pin.name, _content(pin), lambda target: _build(pin, target)) / name
    link = paths.cache() / "bin" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != built:
        fresh = link.with_name(f".{name}.{os.getpid()}")
        fresh.symlink_to(built)
        fresh.rename(link)
    return built


def module_of(program_name: str) -> versions.GoModule:
    """The pinned module that a program is built from; StepFailed when there is none."""
    pin = next((m for m in versions.go_modules().values() if program_name in m.build), None)
    if pin is None:
        raise StepFailed(f"versions.yaml: no Go module builds `{program_name}`")
    return pin


def is_built(name: str) -> bool:
    """Whether every program of module `name` is in the cache already."""
    pin = versions.go_modules()[name]
    return (paths.cache() / "go" / f"{pin.name}-{_content(pin)}").exists()


def _content(pin: versions.GoModule) -> str:
    overlay = paths.ROOT / pin.overlay if pin.overlay else ""
    # Settings have a `=` and tags none, so both can be one list: what is built without tags keeps its name.
    flags = pin.ldflags + pin.tags
    return cached.key(pin.module, pin.version, pin.sum, pin.build, flags, pin.staging, overlay, go_version())


def _build(pin: versions.GoModule, target: Path) -> None:
    source = target.with_name("src")
    shutil.copytree(module_dir(pin.name), source, copy_function=shutil.copyfile)
    for folder in [source, *(p for p in source.rglob("*") if p.is_dir())]:
        folder.chmod(0o755)
    if pin.overlay:
        shutil.copytree(paths.ROOT / pin.overlay, source, dirs_exist_ok=True)
    for replace in json.loads(out("go", "mod", "edit", "-json", cwd=source, env=ENVIRONMENT)).get("Replace") or []:
        old = replace["Old"]["Path"]
        if replace["New"]["Path"].startswith((".", "/")):
            edit = f"-replace={old}={old}@{pin.staging}" if pin.staging else f"-dropreplace={old}"
            run("go", "mod", "edit", edit, cwd=source, env=ENVIRONMENT)
    target.mkdir()
    flags = " ".join(["-s", "-w", *(f"-X {setting}" for setting in pin.ldflags)])
    for program_name, package in pin.build.items():
        options: list[str | Path] = ["-trimpath", "-ldflags", flags, "-tags", ",".join(pin.tags), "-o", target / program_name]
        run("go", "build", *options, package, cwd=source, env=ENVIRONMENT)
    cached.remove(source)
