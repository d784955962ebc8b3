"""Images built from source, as archives in the cache: each keyed by the content of all that goes into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hack import cached, gobuild, paths, versions
from hack.console import StepFailed
from hack.lab import archive as archives
from hack.lab import engine_image, node_image, rootfs, storage_image, tree


@dataclass(frozen=True)
class Source:
    """How one image is built: its name, the key of its content, what writes its archive; Go programs that it is built from."""

    ref: Callable[[], str]
    content: Callable[[], str]
    build: Callable[[Path], None]
    programs: tuple[str, ...] = ()


def ref(name: str) -> str:
    """The name under which a node knows image `name` built from source; StepFailed for an image that is not built from source."""
    return _source(name).ref()


def archive(name: str) -> Path:
    """The archive of image `name` (see `names`), built first if need be.

    Raises StepFailed for an image that is not built from source, or when not root; CommandFailed when a program fails.
    """
    source = _source(name)
    return cached.artifact("images", f"{name}.tar", source.content(), source.build)


def is_built(name: str) -> bool:
    """Whether the archive of image `name` is in the cache already."""
    return (paths.cache() / "images" / f"{name}.tar-{_source(name).content()}").exists()


def programs(name: str) -> tuple[str, ...]:
    """Go programs that image `name` is built from."""
    return _source(name).programs


def names() -> tuple[str, ...]:
    """The images that can be built from source."""
    return tuple(_SOURCES)


def _source(name: str) -> Source:
    if name not in _SOURCES:
        raise StepFailed(f"image {name}: not built from source; IMAGES=source knows {', '.join(_SOURCES)}")
    return _SOURCES[name]


def _program(image: str, program: str, entrypoint: str, uid: int) -> Source:
    """An image of one static Go program alone, as upstream's own: no shell, no libraries."""

    def ref() -> str:
        return versions.images()[image].ref

    def content() -> str:
        code = [Path(__file__).parent / f"{name}.py" for name in ("archive", "images", "tree")]
        return cached.key(ref(), str(gobuild.module_of(program)), gobuild.go_version(), *code)

    def build(target: Path) -> None:
        root = target.with_name("root")
        tree.place(root / entrypoint, gobuild.program(program), 0o755)
        tree.make_folder(root / "tmp").chmod(0o1777)
        tree.place(root / "etc" / "passwd", f"nonroot:x:{uid}:{uid}::/:/sbin/nologin\n")
        # A number, so that Kubernetes can see that it is not root (runAsNonRoot).
        archives.write_image(target, root, ref(), {"Entrypoint": [f"/{entrypoint}"], "User": f"{uid}:{uid}", "WorkingDir": "/"})

    return Source(ref, content, build, (program,))


def _busybox_content() -> str:
    code = [Path(__file__).parent / f"{name}.py" for name in ("archive", "node_image", "rootfs", "tree")]
    return cached.key(node_image.busybox_ref(), node_image.PACKAGES, *code)


def _build_busybox(target: Path) -> None:
    root = target.with_name("root")
    rootfs.unpack(node_image.base(), root)
    node_image.write_busybox(target, root, target.with_name("busybox"))


_SOURCES = {
    "node": Source(node_image.ref, node_image.content, node_image.build, node_image.PROGRAMS),
    "controller": _program("controller", "llmisvc-controller", "manager", 1000),
    "lws": _program("lws", "lws-controller", "manager", 65532),
    "keda": _program("keda", "keda-operator", "keda", 65532),
    "keda-metrics-apiserver": _program("keda-metrics-apiserver", "keda-metrics-apiserver", "keda-adapter", 65532),
    "keda-admission-webhooks": _program("keda-admission-webhooks", "keda-admission-webhooks", "keda-admission-webhooks", 65532),
    "prometheus": _program("prometheus", "prometheus", "bin/prometheus", 65534),
    "routing-sidecar": _program("routing-sidecar", "pd-sidecar", "app/pd-sidecar", 65532),
    "engine-cpu": Source(lambda: versions.images()["engine-cpu"].ref, engine_image.content, engine_image.build),
    "storage-initializer": Source(
        lambda: versions.images()["storage-initializer"].ref, storage_image.content, storage_image.build
    ),
    "busybox": Source(node_image.busybox_ref, _busybox_content, _build_busybox),
}
