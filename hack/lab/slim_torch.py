"""Make PyPI's CUDA build of torch importable, and small, on a machine without any CUDA.

PyPI has only that build for Linux on x86_64. Its libtorch_python.so is linked to libtorch_cuda.so (450 MB) and with it to cuDNN,
NCCL, cuBLAS … (2.7 GB of nvidia-* packages). A CPU never calls any of it, so the libraries are replaced by stubs that define
exactly the symbols which the kept ones still name. A stub that is called after all prints its name and aborts.
Kept and real: libtorch_cpu, libtorch_python, libc10, libc10_cuda; from PyPI also cudart, cupti and cufile (small), so that
`torch.cuda.is_available()` gives an honest False.

Bound to torch 2.13.0: another version may call other functions at import, and then aborts there with the function's name.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack import cached
from hack.console import StepFailed
from hack.shell import out, run

KEPT = ("torch_python", "torch_cpu", "c10", "c10_cuda", "torch", "shm", "torch_global_deps")
REAL_CUDA = ("torch_cuda", "torch_cuda_linalg", "torch_nvshmem")  # what the stub libtorch_cuda.so stands in for
DROPPED = ("torch_cuda_linalg", "torch_nvshmem", "caffe2_nvrtc")
# Not needed to run: headers, CMake files, the protobuf compiler, tests.
UNUSED = ("include", "share", "test", "bin/protoc*", "bin/test_*")

PRELUDE = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void die(const char *name) {
  const char *text = "stubbed CUDA function called: ";
  (void)!write(2, text, strlen(text)); (void)!write(2, name, strlen(name)); (void)!write(2, "\n", 1);
  abort();
}
extern void *_ZTVN10__cxxabiv117__class_type_infoE[];
extern unsigned long malloc_usable_size(void *);
"""


@dataclass(frozen=True)
class Symbol:
    """A dynamic symbol as `readelf` shows it; `version` is the version node, which for CUDA libraries is their file name."""

    name: str
    kind: str
    size: int
    version: str


def slim(site: Path) -> None:
    """Replace the CUDA libraries of `site`/torch by stubs, delete what is not needed to run, strip torch and vLLM.

    Raises StepFailed when libtorch_cuda.so does not look like the real library, CommandFailed when gcc or binutils do.
    """
    lib = site / "torch" / "lib"
    kept = [_library(lib, name) for name in KEPT]
    undefined = {symbol.name: symbol for file in kept for symbol in _symbols(file, defined=False)}
    defined = {symbol.name for file in kept for symbol in _symbols(file, defined=True)}
    cuda = {symbol.name: symbol for name in reversed(REAL_CUDA) for symbol in _symbols(_library(lib, name), defined=True)}
    if len(cuda) < 1000:
        raise StepFailed(f"{lib}/libtorch_cuda.so defines {len(cuda)} symbols: not the real library")

    needed = [cuda[s.name] for s in undefined.values() if s.name in cuda and s.name not in defined and not s.version]
    stubs = [_torch_stub(index, symbol) for index, symbol in enumerate(sorted(needed, key=lambda symbol: symbol.name))]
    _link(lib / "libtorch_cuda.so", stubs, versioned=())
    for soname, pattern in (("libcudnn.so.9", r"cudnn[A-Z]"), ("libnccl.so.2", r"p?nccl[A-Z]")):
        wanted = [s for s in undefined.values() if s.version == soname or (not s.version and re.match(pattern, s.name))]
        failing = [f'int f{i}(void) __asm__("{s.name}"); int f{i}(void) {{ return 1; }}' for i, s in enumerate(wanted)]
        _link(lib / soname, failing, versioned=[s.name for s in wanted if s.version])

    for name in DROPPED:
        _library(lib, name).unlink(missing_ok=True)
    for pattern in UNUSED:
        for path in (site / "torch").glob(pattern):
            cached.remove(path)
    # Debug information and static symbol tables (half of it vLLM's); what the loader needs stays.
    for file in [*(site / "vllm").glob("*.so"), _library(lib, "torch_cpu"), _library(lib, "torch_python")]:
        run("strip", "--strip-unneeded", file)


def _library(lib: Path, name: str) -> Path:
    return lib / f"lib{name}.so"


def _symbols(file: Path, *, defined: bool) -> list[Symbol]:
    found = []
    for line in out("readelf", "-W", "--dyn-syms", file).splitlines():
        field = line.split()  # number: value size type bind visibility section name[@version]
        if len(field) < 8 or not re.fullmatch(r"\d+:", field[0]) or (field[6] != "UND") != defined:
            continue
        name, _, version = field[7].partition("@")
        if name:
            found.append(Symbol(name, field[3], int(field[2], 0), version.lstrip("@")))
    return found


def _torch_stub(i: int, symbol: Symbol) -> str:
    """C code that defines `symbol` of libtorch_cuda. The first four are used while torch is imported."""
    name = symbol.name
    if name.startswith("_ZTI"):  # typeinfo, compared by catch clauses and dynamic_cast: a real one without bases
        return (
            f'const char name{i}[] = "{name[4:]}"; const void *info{i}[3] __asm__("{name}")'
            f" = {{&_ZTVN10__cxxabiv117__class_type_infoE[2], name{i}, 0}};"
        )
    if "get_gil_checker" in name:  # returns a reference to a slot, which a static initialiser then fills
        return f'static void *slot{i}; void *f{i}(void) __asm__("{name}"); void *f{i}(void) {{ return &slot{i}; }}'
    if "is_nvshmem_available" in name:  # asked by torch.distributed: no
        return f'int f{i}(void) __asm__("{name}"); int f{i}(void) {{ return 0; }}'
    if name.startswith("_ZN4c10d16ProcessGroupNCCL7OptionsC"):
        # The default argument of a Python binding is built at `import torch.distributed`: an all-zero object on the heap with the
        # right vtable (libtorch_python defines it) can be held and destroyed.
        return (
            f'extern void *vtable{i}[] __asm__("_ZTVN4c10d16ProcessGroupNCCL7OptionsE") __attribute__((weak));'
            f' void f{i}(void *self) __asm__("{name}");'
            f" void f{i}(void *self) {{ memset(self, 0, malloc_usable_size(self)); *(void **)self = &vtable{i}[2]; }}"
        )
    if symbol.kind == "OBJECT":
        return f'char data{i}[{max(symbol.size, 8)}] __asm__("{name}") __attribute__((aligned(16))) = {{0}};'
    return f'void f{i}(void) __asm__("{name}"); void f{i}(void) {{ die("{name}"); }}'


def _link(target: Path, definitions: Iterable[str], versioned: Iterable[str]) -> None:
    """Compile `definitions` into the shared library `target`, `versioned` symbols under a version node of its name."""
    soname = target.name
    names = "".join(f"{name}; " for name in versioned)
    with tempfile.TemporaryDirectory() as scratch:
        source, nodes, built = Path(scratch, "stub.c"), Path(scratch, "stub.map"), Path(scratch, soname)
        source.write_text(PRELUDE + "\n".join(definitions) + "\n")
        nodes.write_text(f"{soname} {{ global: {names}}};\n")
        # libcudnn's version node must exist even if no symbol carries it: the loader checks it. The C++ runtime by file name,
        # because only g++ brings the name that -lstdc++ looks for.
        script = [f"-Wl,--version-script={nodes}"] if names or soname.startswith("libcudnn") else []
        run(
            *("gcc", "-shared", "-fPIC", "-O1", "-w", "-fno-builtin", f"-Wl,-soname,{soname}", *script),
            *("-o", built, source, "-l:libstdc++.so.6"),
        )
        target.unlink(missing_ok=True)
        target.write_bytes(built.read_bytes())
        target.chmod(0o755)
