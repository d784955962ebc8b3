"""The kind node image from source: what kind's images/base/Dockerfile and `kind build node-image` make, without a registry.

Debian, the files of the kind module, Kubernetes programs from the module proxy, and the images that a cluster starts with
already in the node's containerd. Differences from the published image are commented where they are made.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hack import cached, gobuild, paths, versions
from hack.console import StepFailed
from hack.lab import archive, rootfs, tree
from hack.shell import out, run

FILES = paths.ROOT / "hack" / "lab" / "files" / "node"
# kind's own list, less network storage (nfs-common, open-iscsi, fuse-overlayfs), and the runtime that it builds from git:
# containerd, runc, CNI plugins. socat: port-forward. busybox-static: for the helper image.
PACKAGES = (
    *("bash", "busybox-static", "ca-certificates", "conntrack", "containerd", "containernetworking-plugins", "curl", "dbus"),
    *("e2fsprogs", "ethtool", "hostname", "ipset", "iproute2", "iptables", "jq", "kmod", "libseccomp2", "mount", "nftables"),
    *("pigz", "procps", "runc", "socat", "systemd", "systemd-sysv", "util-linux"),
)
PROGRAMS = ("kubelet", "etcd", "coredns", "local-path-provisioner")  # one of each module; `kubelet` stands for all of Kubernetes
KIND_MODULE = "kind"
CONFIG: dict[str, Any] = {
    "Env": ["container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],  # systemd asks `container`
    "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
    "StopSignal": "SIGRTMIN+3",  # systemd executes itself anew on SIGTERM
}
UNITS = ("containerd", "kubelet", "node-cni", "undo-mount-hacks")
MERGED = ("bin", "lib", "lib64", "sbin")  # links into /usr


def version() -> str:
    """The Kubernetes version of the image, as `v1.34.4`."""
    pinned = versions.go_modules()["kubernetes"].version
    if pinned != (tag := versions.document()["images"]["node"]["sourceTag"]):
        raise StepFailed(f"versions.yaml: images.node.sourceTag is {tag}, go.kubernetes.version is {pinned}: make them the same")
    return pinned


def ref() -> str:
    """The name of the image."""
    return f"{versions.images()['node'].repository}:{version()}"


def busybox_ref() -> str:
    """The name of the busybox image, which every node has."""
    return f"localhost/busybox:{versions.document()['debian']['suite']}"


def content() -> str:
    """The key of the image's content: pins of all programs, the Debian packages, our files and code."""
    here = Path(__file__).parent
    pins = {name: str(pin) for name, pin in versions.go_modules().items() if name in (*PROGRAMS, KIND_MODULE, "kubernetes")}
    code = [here / f"{name}.py" for name in ("archive", "node_image", "rootfs", "tree")]
    return cached.key(ref(), pins, versions.document()["debian"], gobuild.go_version(), FILES, *code)


def base() -> Path:
    """The Debian below the node."""
    return rootfs.debian("node", PACKAGES)


def build(target: Path) -> None:
    """Write the image's archive to `target`. Raises StepFailed when not root, CommandFailed when a program fails."""
    rootfs.require_root("building the node image")
    root = target.with_name("root")
    rootfs.unpack(base(), root)
    names = _image_names()
    _kind_files(root)
    _units(root)
    _runtime(root, names["pause"])
    for name in ("kubelet", "kubeadm", "kubectl"):
        tree.place(root / "usr" / "bin" / name, gobuild.program(name), 0o755)
    tree.place(root / "kind" / "version", version())
    _network(root)
    _storage(root)
    _preload(root, _control_plane(target.with_name("parts"), root / "preload", root, names))
    tree.empty(root / "dev")
    config = {**CONFIG, "Labels": {cached.CONTENT: content()}}
    archive.write_image(target, root, ref(), config, keep_owners=True)


def write_busybox(target: Path, root: Path, scratch: Path) -> archive.Written:
    """Write the busybox image's archive to `target`, from the static busybox in the Debian at `root`."""
    busybox = root / "usr" / "bin" / "busybox"
    tree.place(scratch / "bin" / "busybox", busybox, 0o755)
    for applet in out(busybox, "--list").split():
        if applet != "busybox":
            tree.link(scratch / "bin" / applet, "busybox")
    tree.place(scratch / "etc" / "passwd", "root:x:0:0:root:/root:/bin/sh\n")
    tree.make_folder(scratch / "tmp").chmod(0o1777)
    return archive.write_image(target, scratch, busybox_ref(), {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]})


def _image_names() -> dict[str, str]:
    """The images that kubeadm asks for, by their last word (etcd, coredns, pause, …)."""
    listed = out(gobuild.program("kubeadm"), "config", "images", "list", "--kubernetes-version", version()).splitlines()
    return {name.rpartition("/")[2].partition(":")[0]: name for name in listed}


def _kind_files(root: Path) -> None:
    """The static files of kind's base image. Copied without modes: in the module cache all are read-only."""
    files = gobuild.module_dir(KIND_MODULE) / "images" / "base" / "files"
    for file in sorted(path for path in files.rglob("*") if path.is_file() and "LICENSES" not in path.parts):
        inside = file.relative_to(files)
        runs = inside.parts[:2] == ("kind", "bin") or inside.parts[:3] == ("usr", "local", "bin")
        tree.place(root / inside, file, 0o755 if runs else 0o644)


def _units(root: Path) -> None:
    """Take away Debian's units that do not belong in a container, enable those of the node."""
    library, ours = root / "lib" / "systemd" / "system", root / "etc" / "systemd" / "system"
    unwanted = [
        *(library / "sysinit.target.wants").glob("systemd-tmpfiles-setup.service"),
        *(entry for name in ("multi-user", "local-fs", "basic") for entry in (library / f"{name}.target.wants").glob("*")),
        *(entry for what in ("udev", "initctl") for entry in (library / "sockets.target.wants").glob(f"*{what}*")),
        *ours.glob("*.wants/*"),
    ]
    for entry in unwanted:
        entry.unlink()
    with (root / "etc" / "systemd" / "journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")
    tree.link(root / "usr" / "sbin" / "init", "/usr/lib/systemd/systemd")
    for unit in UNITS:
        tree.link(ours / "multi-user.target.wants" / f"{unit}.service", f"/etc/systemd/system/{unit}.service")
    tree.link(ours / "systemd-binfmt.service", "/dev/null")  # would register formats in the host's kernel
    tree.make_folder(root / "etc" / "kubernetes" / "manifests")


def _runtime(root: Path, pause: str) -> None:
    """Debian's containerd and CNI plugins where kind's units look for them, configured for a machine without CAP_SYS_RESOURCE."""
    for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
        tree.link(root / "usr" / "local" / "bin" / program, f"/usr/bin/{program}")
    for plugin in ("bridge", "host-local", "loopback", "portmap", "ptp"):
        tree.place(root / "opt" / "cni" / "bin" / plugin, root / "usr" / "lib" / "cni" / plugin, 0o755)
    tree.place(root / "usr" / "local" / "bin" / "crictl", FILES / "crictl", 0o755)
    # kind's file names a pause image of another version, which the node would not have.
    edit(root / "etc" / "containerd" / "config.toml", r'^  sandbox_image = ".*"$', f'  sandbox_image = "{pause}"')
    # Without CAP_SYS_RESOURCE nobody can lower an OOM score: containerd must not try for pods (each sandbox would fail with
    # "can't get final child's PID from pipe") and systemd must not try for containerd.
    edit(root / "etc" / "containerd" / "config.toml", r"restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    edit(root / "etc" / "systemd" / "system" / "containerd.service", r"^OOMScoreAdjust=.*\n", "")
    spec = json.loads(out("chroot", root, "/usr/bin/ctr", "oci", "spec"))
    spec.setdefault("hooks", {}).setdefault("createContainer", []).append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    tree.place(root / "etc" / "containerd" / "cri-base.json", json.dumps(spec))


def _network(root: Path) -> None:
    tree.place(root / "kind" / "bin" / "node-cni.sh", FILES / "node-cni.sh", 0o755)
    tree.place(root / "etc" / "systemd" / "system" / "node-cni.service", FILES / "node-cni.service")
    tree.place(root / "kind" / "manifests" / "default-cni.yaml", FILES / "default-cni.yaml")
    tree.make_folder(root / "etc" / "cni" / "net.d")


def _storage(root: Path) -> None:
    """kind's own manifest of its default storage class, cut out of its source, with the names of our images."""
    source = gobuild.module_dir(KIND_MODULE) / "pkg" / "build" / "nodeimage" / "const_storage.go"
    found = re.search(r"^const defaultStorageManifest = `\n(.*?)^`$", source.read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        raise StepFailed(f"{source}: no defaultStorageManifest in it; kind changed its source")
    manifest = found[1]
    for constant, image in (("storageProvisionerImage", _provisioner_ref()), ("storageHelperImage", busybox_ref())):
        manifest = manifest.replace(f"` + {constant} + `", image)
    tree.place(root / "kind" / "manifests" / "default-storage.yaml", manifest)


def _provisioner_ref() -> str:
    return f"localhost/local-path-provisioner:{versions.go_modules()['local-path-provisioner'].version}"


def _control_plane(parts: Path, archives: Path, root: Path, names: Mapping[str, str]) -> list[archive.Written]:
    """Write the archives of all images that a cluster starts with into `archives`."""
    tree.make_folder(archives)

    def image(name: str, ref: str, config: Mapping[str, Any]) -> archive.Written:
        written = archive.write_image(archives / f"{name}.tar", parts / name, ref, config)
        cached.remove(parts / name)
        return written

    def single(name: str, ref: str, folder: str, entrypoint: bool) -> archive.Written:
        tree.make_folder(parts / name / "tmp").chmod(0o1777)
        tree.place(parts / name / folder / name, gobuild.program(name), 0o755)
        # Without an entry point: kubeadm's manifests name the program alone and leave finding it to PATH.
        config = {"Entrypoint": [f"/{folder}/{name}"]} if entrypoint else {"Env": [f"PATH=/{folder}"]}
        return image(name, ref, config)

    written = [single(name, names[name], "usr/local/bin", False) for name in _static_pods()]
    written.append(single("coredns", names["coredns"], "usr/local/bin", True))
    written.append(single("local-path-provisioner", _provisioner_ref(), "bin", False))
    _pause(parts / "pause" / "pause")
    written.append(image("pause", names["pause"], {"Entrypoint": ["/pause"], "User": "65535:65535"}))
    _proxy_userland(parts / "kube-proxy", root)
    path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    written.append(image("kube-proxy", names["kube-proxy"], {"Env": [path]}))
    written.append(write_busybox(archives / "busybox.tar", root, parts / "busybox"))
    return written


def _static_pods() -> Sequence[str]:
    return ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")


def _pause(target: Path) -> None:
    """Compile Kubernetes' own pause.c."""
    source = gobuild.module_dir("kubernetes") / "build" / "pause" / "linux" / "pause.c"
    tree.make_folder(target.parent)
    run("gcc", "-Os", "-Wall", "-static", "-s", f"-DVERSION={version()}", "-o", target, source)
    target.chmod(0o755)


def _proxy_userland(image: Path, root: Path) -> None:
    """kube-proxy and what it calls: iptables (both kinds), nft, conntrack, modprobe, with the libraries they need."""
    for name in MERGED:
        tree.link(image / name, f"usr/{name}")
        tree.make_folder(image / "usr" / name)
    for name in ("etc", "run", "var/lib"):
        tree.make_folder(image / name)
    tree.make_folder(image / "tmp").chmod(0o1777)
    programs = [f"/usr/sbin/{name}" for name in ("xtables-nft-multi", "xtables-legacy-multi", "nft", "conntrack")]
    extensions = [f"/{path.relative_to(root)}" for path in (root / "usr/lib/x86_64-linux-gnu/xtables").glob("*.so")]
    wanted = [*programs, "/usr/bin/kmod", *extensions]
    # With the loader's own names (/lib64/ld-linux-x86-64.so.2), which lie in /usr as Debian merged the two.
    libraries = set(re.findall(r"(/[^\s:)]+\.so\S*) \(0x", out("chroot", root, "ldd", *wanted)))
    for file in [*wanted, *sorted(libraries)]:
        inside = file.lstrip("/") if file.startswith("/usr/") else f"usr{file}"
        tree.place(image / inside, (root / inside).resolve(), 0o755)
    for protocol in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            for flavour, program in (("", "nft"), ("-nft", "nft"), ("-legacy", "legacy")):
                tree.link(image / "usr" / "sbin" / f"{protocol}{flavour}{suffix}", f"xtables-{program}-multi")
    tree.link(image / "usr" / "sbin" / "modprobe", "../bin/kmod")
    for name in ("ethertypes", "protocols"):
        if (root / "etc" / name).exists():
            tree.place(image / "etc" / name, root / "etc" / name)
    tree.place(image / "usr" / "local" / "bin" / "kube-proxy", gobuild.program("kube-proxy"), 0o755)


def _preload(root: Path, images: Sequence[archive.Written]) -> None:
    """Import root/preload/*.tar with the node's own containerd, so that the versions of its database and its reader agree."""
    folder = root / "preload"
    tree.place(folder / "preload.sh", FILES / "preload.sh", 0o755)
    # Namespaces of its own: mounts and the daemon end with the script, also when that is killed.
    names = out(
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root / 'proc'}"),
        *("chroot", root, "/preload/preload.sh"),
        stdin="".join(f"{image.layer}\n" for image in images),
    ).splitlines()
    if len(names) != len(images):
        raise StepFailed(f"node image: {len(images)} images to preload, but its containerd has {len(names)}: {', '.join(names)}")
    shutil.rmtree(folder)


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace the one match of `pattern`; StepFailed when kind's file no longer has it."""
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise StepFailed(f"{path.name} of kind's base image: `{pattern}` found {count} times, not once; kind changed it")
    path.write_text(text)
