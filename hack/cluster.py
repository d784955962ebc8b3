"""The kind cluster of `make demo` and `make smoke`: checks first, images from a registry or from source, one code path."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from hack import cached, gobuild, keda, paths, versions
from hack.console import StepFailed, Timeline, say
from hack.kube import Cluster, until
from hack.lab import builds, daemon, images, node_image
from hack.shell import out, run

NAME = os.environ.get("LLM_STACK_CLUSTER", "llm-stack")
PROGRAMS = ("helm", "kind", "kubectl")
WORKLOADS = ("controller", "engine-cpu")
LOADED = "/kind/llm-stack-images"  # on the node: one empty file for each archive that was loaded
# Images of multi-node and disaggregated serving, of the model cache, of scaling and monitoring: for make smoke.
MODES = ("lws", "routing-sidecar", "storage-initializer", *keda.DEPLOYMENTS.values(), "prometheus")
MEMORY_GIB = 8
DISK_COLD_GIB, DISK_WARM_GIB = 25, 8
REGISTRY = "https://registry-1.docker.io/v2/"


def kubeconfig() -> Path:
    """The cluster's own kubeconfig; the user's one is never touched."""
    return paths.cache() / "kind" / f"{NAME}.kubeconfig"


def cluster() -> Cluster:
    return Cluster(kubeconfig())


def exists() -> bool:
    """Whether the cluster is there and its node runs."""
    if not kubeconfig().exists() or not shutil.which("docker"):
        return False
    state = run("docker", "inspect", "-f", "{{.State.Running}}", f"{NAME}-control-plane", check=False)
    return state.stdout.strip() == "true"


def image_source() -> str:
    """`registry` or `source`, from `$IMAGES` (auto: a registry if one answers)."""
    wanted = os.environ.get("IMAGES", "auto")
    if wanted not in ("auto", "registry", "source"):
        raise StepFailed(f"IMAGES: {wanted!r} is none of registry, source, auto; set one of them")
    if wanted != "auto":
        return wanted
    try:
        urllib.request.urlopen(REGISTRY, timeout=5)
    except urllib.error.HTTPError as error:
        # A registry asks for a login and names its API; a proxy that refuses does not.
        return "registry" if error.headers.get("Docker-Distribution-Api-Version") else "source"
    except (OSError, http.client.HTTPException):
        return "source"
    return "registry"


def check_machine(names: Sequence[str]) -> None:
    """Refuse at once what would fail after minutes: tools, memory, disk. `names`: images that must be built from source."""
    if exists():
        return
    gobuild.go_version()
    available = _memory_gib()
    if available is not None and available < MEMORY_GIB:
        raise StepFailed(
            f"memory: {available:.1f} GiB are available and the demo needs {MEMORY_GIB}; end other programs or add memory"
        )
    need = DISK_WARM_GIB if _built(names) else DISK_COLD_GIB
    folder = paths.cache()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    if free < need:
        raise StepFailed(
            f"disk: {free:.1f} GiB are free at {paths.cache()} and {need} are needed; free some or set LLM_STACK_CACHE elsewhere"
        )


def _built(names: Sequence[str]) -> bool:
    return all(images.is_built(name) for name in names)


def _memory_gib() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None  # not Linux: docker's own machine decides
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("MemAvailable:"))


def up(timeline: Timeline, also: Sequence[str] = ()) -> Cluster:
    """The cluster, created where it is missing, with the images of the demo, and those named in `also`, on its node."""
    source = image_source()
    workloads = (*WORKLOADS, *also)
    names = ("node", *workloads) if source == "source" else ()
    with timeline.step(f"check this machine (images from {source})"):
        check_machine(names)
        if not _built(names):
            daemon.ensure_packages(["build"])
        daemon.ensure_docker()
    with timeline.step("programs and images: what is missing is built, the first time for many minutes") as step:
        builds.build_all(names, step.note, lambda part, seconds: say(f"    {part}: {seconds:.0f} s"), PROGRAMS)
    if not exists():
        with timeline.step(f"kind cluster {NAME}") as step:
            _create(source, step.note)
    elif source == "source" and _node_content("container", f"{NAME}-control-plane") != node_image.content():
        say(f"==> kind cluster {NAME}: its node is of an older build; for a new one: make destroy, then again")
    if source == "source":
        missing = [name for name in workloads if not _is_loaded(images.archive(name))]
        if missing:
            with timeline.step(f"load images onto the node: {', '.join(missing)}"):
                archives = [images.archive(name) for name in missing]
                run(gobuild.program("kind"), "load", "image-archive", *archives, "--name", NAME)
                _on_node("mkdir", "-p", LOADED)
                _on_node("touch", *(f"{LOADED}/{archive.name}" for archive in archives))
    return cluster()


def _create(source: str, note: builds.Note) -> None:
    kind = gobuild.program("kind")
    if NAME in out(kind, "get", "clusters", "-q").split():
        note("removing the remains of an interrupted run")
        run(kind, "delete", "cluster", "--name", NAME)
    image = versions.images()["node"].pinned
    if source == "source":
        image = images.ref("node")
        if _node_content("image", image) != node_image.content():
            note("loading the node image into docker")
            run("docker", "load", "-i", images.archive("node"))
            run("docker", "image", "prune", "--force", "--filter", f"label={cached.CONTENT}")  # the one that had the name before
    note("creating")
    kubeconfig().parent.mkdir(parents=True, exist_ok=True)
    run(kind, "create", "cluster", "--name", NAME, "--image", image, "--kubeconfig", kubeconfig(), "--wait", "180s")
    # kubeadm gives kube-proxy no share of the CPU: while engines took all of it, a change of a Service's pods took 18 s to be
    # followed, and engines answer for 15 s after they were told to end. With a share it took less than 5.
    proxy = ("-n", "kube-system", "daemonset/kube-proxy")
    cluster().kubectl("set", "resources", *proxy, "--requests=cpu=100m")
    cluster().kubectl("rollout", "status", *proxy, "--timeout=60s")


def _node_content(what: str, name: str) -> str:
    """What the node image or container (`what`) of that name was made from, by its label; "" where there is none."""
    label = f'{{{{index .Config.Labels "{cached.CONTENT}"}}}}'
    return run("docker", what, "inspect", "-f", label, name, check=False).stdout.strip()


def _on_node(*command: str, check: bool = True) -> str:
    return run("docker", "exec", f"{NAME}-control-plane", *command, check=check).stdout.strip()


def _is_loaded(archive: Path) -> bool:
    """Whether the node has this very archive: its name carries the content, the image's name does not."""
    return bool(_on_node("ls", f"{LOADED}/{archive.name}", check=False))


def memory_peak_gib() -> float | None:
    """The most memory that the node and all pods used since it was created, page cache included; None where it is not told."""
    for file in ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory.peak"):
        told = _on_node("cat", file, check=False)
        if told.isdigit():
            return int(told) / 2**30
    return None


def restart() -> None:
    """Restart the node with all that runs on it, and wait until it is ready again: what a node's reboot does to its pods."""
    run("docker", "restart", f"{NAME}-control-plane")
    answers = ("get", "nodes", "--request-timeout=5s")
    until(lambda: "Ready" in cluster().kubectl(*answers, check=False), 180, "the API server does not answer")
    cluster().kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=180s")


def delete() -> None:
    """Remove the cluster and its kubeconfig."""
    if shutil.which("docker") and run("docker", "info", check=False).returncode == 0:
        run(gobuild.program("kind"), "delete", "cluster", "--name", NAME)
    kubeconfig().unlink(missing_ok=True)
