"""What vLLM's own configuration makes of engine arguments. Runs where vLLM is installed, by itself, and needs nothing else:

    python3 engine_config.py < CASES > ANSWERS

Cases: a JSON list of {platform: cpu, cuda or rocm, device: {memory, count}, config: the model's config.json, uri: of an
object store in place of files, or empty, env, words}.
Answers, on the last line: a JSON list of {stage: what refused (parser, config) or "", error: text, and, where nothing did, sizes
as vLLM settled them}. Each platform is a process of its own, forked after the imports that all have in common; the first, on the
CPU platform, looks at the model classes, which cannot be imported on the others, and vLLM's own cache of what it saw serves them.

vLLM's CPU build runs on a machine without GPUs. What stands in for a GPU machine, and nothing else:
  cuda  NonNvmlCudaPlatform, with capability 9.0, memory and count of the case's devices; the compiled modules
        _C_stable_libtorch, _vllm_fa2_C and _vllm_fa3_C, empty (asked for their presence, never called here); _custom_ops'
        cutlass_…support… questions, answered by yes; Triton's Config, which modules read when they are imported
  all   the module runai_model_streamer: what an object store has is the case's config.json
  rocm  the module amdsmi: gfx942, memory and count of the case's devices
No weights, no tokenizer, no hub: a configuration is made and no engine.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Case = dict[str, Any]
Answer = dict[str, Any]
DEVICE = {"memory": 0, "count": 1}  # of the present case
STORE: dict[str, Any] = {"config": {}}  # likewise


def cuda() -> None:
    """Make vLLM believe in NVIDIA GPUs."""
    for name in ("vllm._C_stable_libtorch", "vllm.vllm_flash_attn._vllm_fa2_C", "vllm.vllm_flash_attn._vllm_fa3_C"):
        sys.modules[name] = types.ModuleType(name)
    from vllm import platforms
    from vllm.platforms.cuda import NonNvmlCudaPlatform
    from vllm.platforms.interface import DeviceCapability

    class Faked(NonNvmlCudaPlatform):
        get_device_capability = classmethod(lambda cls, device_id=0: DeviceCapability(9, 0))
        get_device_name = classmethod(lambda cls, device_id=0: "faked")
        get_device_total_memory = classmethod(lambda cls, device_id=0: DEVICE["memory"])
        device_count = classmethod(lambda cls: DEVICE["count"])
        num_compute_units = classmethod(lambda cls, device_id=0: 132)
        is_fully_connected = classmethod(lambda cls, ids: True)

    platforms._current_platform = Faked()
    from vllm import _custom_ops
    from vllm.triton_utils import triton

    triton.Config = lambda kwargs, **options: types.SimpleNamespace(kwargs=kwargs, **options)
    for name in dir(_custom_ops):
        if name.startswith("cutlass_") and "support" in name:
            setattr(_custom_ops, name, lambda *_: True)


def rocm() -> None:
    """Make vLLM believe in AMD GPUs."""
    library = types.ModuleType("amdsmi")
    library.AmdSmiException = RuntimeError
    library.AmdSmiMemoryType = types.SimpleNamespace(VRAM=0)
    library.amdsmi_init = library.amdsmi_shut_down = lambda *_: None
    library.amdsmi_get_processor_handles = lambda: list(range(DEVICE["count"]))
    library.amdsmi_get_gpu_asic_info = lambda _: {"target_graphics_version": "gfx942", "device_id": "0x74a1"}
    library.amdsmi_get_gpu_memory_total = lambda *_: DEVICE["memory"]
    library.amdsmi_get_gpu_device_uuid = str
    library.amdsmi_topo_get_link_type = lambda *_: {"hops": 1, "type": 2}
    library.amdsmi_topo_get_numa_node_number = lambda _: 0
    sys.modules["amdsmi"] = library
    from vllm import platforms
    from vllm.platforms.rocm import RocmPlatform

    class Faked(RocmPlatform):
        device_count = classmethod(lambda cls: DEVICE["count"])

    platforms._current_platform = Faked()


def streamer() -> None:
    """Run:ai Model Streamer, which is not in the CPU image: of an object store it brings the case's config.json."""
    library = types.ModuleType("runai_model_streamer")
    library.list_safetensors = lambda path="": []
    library.pull_files = lambda _uri, folder, *_: Path(folder, "config.json").write_text(json.dumps(STORE["config"]))
    sys.modules["runai_model_streamer"] = library


def look_at(architectures: set[str]) -> None:
    """Have vLLM look at model classes and remember what it saw; in this process, as there is no CUDA to keep uninitialized."""
    from vllm.model_executor.models import registry

    registry._run_in_subprocess = lambda function: function()
    for name in architectures:
        with suppress(Exception):  # the case itself will tell
            registry.ModelRegistry.models[name].inspect_model_cls()


def answers(platform: str, cases: list[Case], architectures: set[str]) -> list[Answer]:
    """All cases of one platform, in a process whose vLLM has not been imported yet."""
    DEVICE.update(cases[0]["device"] if cases else {})
    streamer()
    {"cpu": lambda: look_at(architectures), "cuda": cuda, "rocm": rocm}[platform]()
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    command = ServeSubcommand()
    parser = command.subparser_init(FlexibleArgumentParser(prog="vllm").add_subparsers(dest="subparser"))
    return [answer(command, parser, case) for case in cases]


def answer(command: Any, parser: Any, case: Case) -> Answer:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    DEVICE.update(case["device"])
    STORE["config"] = case["config"]
    before = dict(os.environ)
    os.environ.update(case["env"])
    stage = "parser"
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "config.json").write_text(json.dumps(case["config"]))
            arguments = parser.parse_args([case.get("uri") or folder, *case["words"]])
            arguments.model = arguments.model_tag
            command.validate(arguments)
            stage = "config"
            made = AsyncEngineArgs.from_cli_args(arguments).create_engine_config(
                UsageContext.OPENAI_API_SERVER, headless=arguments.headless
            )
    except (SystemExit, Exception) as error:
        return {"stage": stage, "error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    finally:
        os.environ.clear()
        os.environ.update(before)
    parallel = made.parallel_config
    return {
        "stage": "",
        "error": "",
        "maxModelLen": made.model_config.max_model_len,
        "tensor": parallel.tensor_parallel_size,
        "data": parallel.data_parallel_size,
        "nodes": parallel.nnodes,
        "format": str(made.load_config.load_format),
        "weights": str(getattr(made.model_config, "model_weights", "")),
        "executor": str(parallel.distributed_executor_backend),
    }


def forked(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Start a function in a forked process; what comes back waits for its result. (A pool would want /dev/shm.)"""
    fork = multiprocessing.get_context("fork")
    source, sink = fork.Pipe(duplex=False)
    fork.Process(target=lambda: sink.send(function(*arguments))).start()
    sink.close()
    return source.recv


def main() -> None:
    """Answer the cases of standard input."""
    import torch  # noqa: F401 (most of what vLLM's import takes; forked processes have it already)
    import transformers  # noqa: F401

    cases: list[Case] = json.load(sys.stdin)
    of: dict[str, list[Case]] = {"cpu": [], "cuda": [], "rocm": []}
    for case in cases:
        of[case["platform"]].append(case)
    architectures = {name for case in cases for name in case["config"]["architectures"]}
    found = {"cpu": forked(answers, "cpu", of["cpu"], architectures)()}
    others = {name: forked(answers, name, of[name], set()) for name in ("cuda", "rocm") if of[name]}
    found |= {name: result() for name, result in others.items()}
    in_order = {name: iter(result) for name, result in found.items()}
    print(json.dumps([next(in_order[case["platform"]]) for case in cases]))


if __name__ == "__main__":
    main()
