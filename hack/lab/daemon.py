"""The Docker daemon that kind needs, and the Debian packages that building and running need."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from hack import cached, paths
from hack.console import StepFailed
from hack.lab import tree
from hack.shell import run

WRAPPER = paths.ROOT / "hack" / "lab" / "files" / "runc-without-sys-resource"
SYSTEM_CONFIG = Path("/etc/docker/daemon.json")
CAP_SYS_RESOURCE = 24
START_SECONDS = 60.0

# What for: {Debian package: any of these commands or files shows that it is there}.
PACKAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "docker": {
        "docker.io": ("dockerd",),
        "containerd": ("containerd",),
        "runc": ("runc",),
        "iptables": ("iptables",),
        "jq": ("jq",),
    },
    "build": {
        "debootstrap": ("debootstrap",),
        "gcc": ("gcc",),
        "binutils": ("strip",),
        "libc6-dev": ("/usr/lib/*/libc.a", "/usr/lib64/libc.a", "/usr/lib/libc.a"),
        "util-linux": ("unshare",),
    },
}


def missing_packages(purposes: Iterable[str] = tuple(PACKAGES)) -> list[str]:
    """Debian packages for `purposes` (docker, build) of which nothing is on this machine. Only looks at files: milliseconds."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

    def there(probe: str) -> bool:
        if probe.startswith("/"):
            return any(Path("/").glob(probe.lstrip("/")))
        return shutil.which(probe, path=search) is not None

    return [name for purpose in purposes for name, probes in PACKAGES[purpose].items() if not any(map(there, probes))]


def ensure_packages(purposes: Iterable[str] = tuple(PACKAGES)) -> list[str]:
    """Install the missing packages for `purposes` (docker, build) when root on Debian; returns what was installed.

    Raises StepFailed naming all that is missing when it cannot install, CommandFailed when apt-get fails.
    """
    missing = missing_packages(purposes)
    if not missing:
        return []
    command = f"apt-get update && apt-get install -y {' '.join(missing)}"
    if not shutil.which("apt-get"):
        raise StepFailed(f"not installed: {', '.join(missing)} (as Debian names them); use your package manager")
    if os.geteuid() != 0:
        raise StepFailed(f"not installed: {', '.join(missing)}; install them: sudo sh -c '{command}'")
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env={"DEBIAN_FRONTEND": "noninteractive"})
    return missing


def docker_works() -> bool:
    """Whether a Docker daemon answers."""
    if not shutil.which("docker"):
        return False
    try:
        return run("docker", "version", "--format", "{{.Server.Version}}", check=False, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def ensure_docker() -> str:
    """Make sure that a Docker daemon answers, starting one when root on Linux; returns `running` or `started`.

    A daemon started here lives on by itself, with its log and process id under `<cache>/docker`. Raises StepFailed when there is
    none and this process may not start one, or with the end of its log when it does not come up.
    """
    if docker_works():
        return "running"
    if not sys.platform.startswith("linux"):
        raise StepFailed("docker: no daemon answers; start Docker Desktop (or colima, …) and try again", "docker info")
    if os.geteuid() != 0:
        absent = "" if shutil.which("docker") else " (docker is not installed: apt-get install docker.io)"
        raise StepFailed(f"docker: no daemon answers{absent}; start it, or run this as root to have it started", "docker info")
    with cached.lock("dockerd"):
        if docker_works():
            return "running"
        ensure_packages(["docker"])
        _start(paths.cache() / "docker")
    return "started"


def configuration(folder: Path, system: str | None, *, wrap: bool) -> dict[str, object]:
    """The daemon's configuration: the machine's own (`system`, JSON text) and, if `wrap`, our runc wrapper as default runtime."""
    settings: dict[str, object] = json.loads(system) if system else {}
    if wrap:
        runtimes = settings.get("runtimes")
        ours = {"runc-without-sys-resource": {"path": str(folder / WRAPPER.name)}}
        settings["runtimes"] = {**(runtimes if isinstance(runtimes, dict) else {}), **ours}
        settings["default-runtime"] = "runc-without-sys-resource"
    return settings


def lacks_sys_resource(status: str) -> bool:
    """Whether the bounding set in `status` (the text of /proc/self/status) lacks CAP_SYS_RESOURCE."""
    bounding = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bounding is not None and not int(bounding[1], 16) >> CAP_SYS_RESOURCE & 1


def _start(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log, pid_file, config = folder / "dockerd.log", folder / "dockerd.pid", folder / "daemon.json"
    system = SYSTEM_CONFIG.read_text() if SYSTEM_CONFIG.exists() else None
    # The wrapper is copied out of the checkout, which may go away while the daemon runs.
    tree.place(folder / WRAPPER.name, WRAPPER, 0o755)
    wrap = lacks_sys_resource(Path("/proc/self/status").read_text())
    config.write_text(json.dumps(configuration(folder, system, wrap=wrap), indent=2) + "\n")
    # dockerd refuses to start when the number in its file belongs to any process: after a reboot that may be anybody.
    if pid_file.exists() and not _is_dockerd(pid_file.read_text()):
        pid_file.unlink()
    with log.open("ab") as sink:
        begin = sink.tell()
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(config), "--pidfile", str(pid_file)],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd="/",
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while not docker_works():
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            said = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()[-8:]
            why = f"ended with status {ended}" if ended is not None else f"does not answer after {START_SECONDS:.0f} s"
            raise StepFailed("\n".join([f"dockerd {why}; the end of its log:", *said]), f"less {log}")
        time.sleep(0.3)


def stop() -> bool:
    """End the daemon if it is the one that `ensure_docker` started; returns whether it was. Waits until it is gone."""
    pid_file = paths.cache() / "docker" / "dockerd.pid"
    if not pid_file.exists() or not _is_dockerd(pid_file.read_text()):
        return False
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + START_SECONDS
    while _is_dockerd(str(pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return True


def _is_dockerd(pid: str) -> bool:
    try:
        return Path("/proc", pid.strip(), "comm").read_text().strip() == "dockerd"
    except OSError:
        return False
