"""Fit: how many devices a model takes, what is left for its KV cache, and what is refused because it cannot start."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.harness import helm_fails, notes
from tests.unit.models import catalogue, engine, llm, model, plan, service

BIG = {"model": "qwen2-5-72b-instruct", "accelerator": "nvidia-h100-80gb"}


def tokens(values: Any) -> int:
    """The tokens of KV cache that the plan promises for one engine."""
    found = re.match(r"(\d+) tokens per engine", plan(values)["KV cache"][0])
    assert found
    return int(found[1])


@pytest.mark.parametrize(
    ("keys", "measured"),
    [
        # facts/gpu.md: vLLM's own count on H200 for the shape of Qwen2.5-72B
        ({"parallel": {"tensor": 4}, "engine": {"args": {"gpu-memory-utilization": 0.95}}}, 1_274_576),
        (
            {
                "model": "qwen2-5-72b-instruct-fp8",
                "parallel": {"tensor": 1},
                "engine": {"args": {"gpu-memory-utilization": 0.93, "kv-cache-dtype": "fp8"}},
            },
            366_864,
        ),
    ],
    ids=["bfloat16, 4 devices", "FP8, 1 device"],
)
def test_tokens_agree_with_what_vllm_reports(keys: dict[str, Any], measured: int) -> None:
    """Tolerance: 6 %, three gigabytes of overhead.

    The constant was chosen on these two points: they guard it, they do not prove it.
    """
    found = tokens(llm(**{**BIG, "accelerator": "nvidia-h200", **keys}))
    assert abs(found - measured) / measured < 0.06


@pytest.mark.parametrize(
    ("name", "accelerator", "devices"),
    [
        ("qwen2-5-7b-instruct", "nvidia-l40s", 1),
        ("qwen2-5-72b-instruct", "nvidia-h100-80gb", 4),
        ("qwen2-5-72b-instruct-fp8", "nvidia-h100-80gb", 2),
        ("deepseek-r1", "nvidia-h200", 8),
        ("qwen3-32b", "nvidia-a100-40gb", 4),
    ],
)
def test_the_smallest_number_of_devices_is_taken(name: str, accelerator: str, devices: int) -> None:
    spec = service(llm(model=name, accelerator=accelerator))
    assert spec.get("parallelism", {}).get("tensor", 1) == devices
    (container,) = spec["template"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(devices)


def test_experts_are_cut_over_all_devices_and_attention_over_those_of_a_rank() -> None:
    """DeepSeek-R1 on 8 devices as tensor 2 x data 4: 17.1 GB of 688.6 GB are no experts."""
    row = catalogue("models")["deepseek-r1"]
    experts = row["weightBytes"] * row["expertParameters"] / row["parameters"]
    for tensor, data in ((8, 1), (2, 4)):
        values = llm(model="deepseek-r1", accelerator="nvidia-h200", parallel={"tensor": tensor, "data": data})
        weights = (row["weightBytes"] - experts) / tensor + experts / (tensor * data)
        assert f"less {weights / 1e9:.1f} GB of weights" in plan(values)["KV cache"][1]


def test_layers_with_a_window_keep_a_window() -> None:
    facts = {"uri": "hf://org/own", "parameters": 1, "weightBytes": 10**9, "layers": 40, "kvHeads": 8, "headSize": 128}

    def fitting(**more: int) -> int:
        return tokens(llm(model="own", models={"own": {**facts, "contextLength": 32768, **more}}))

    every = fitting()
    assert fitting(slidingLayers=20, slidingWindow=32768) == every
    assert fitting(slidingLayers=20, slidingWindow=64) == pytest.approx(2 * every, rel=0.01)


@pytest.mark.parametrize(("profile", "layout"), [("latency", (4, 1)), ("throughput", (2, 2))])
def test_a_profile_lays_the_devices_out(profile: str, layout: tuple[int, int]) -> None:
    values = llm(model="qwen2-5-72b-instruct-fp8", accelerator="nvidia-h100-80gb", parallel={"devices": 4, "profile": profile})
    assert service(values)["parallelism"]["tensor"] == layout[0]
    assert ("--data-parallel-size" in engine(values)["args"]) is (layout[1] > 1)


def test_many_devices_get_shared_memory_and_one_keeps_the_presets() -> None:
    (volume,) = service(llm(**BIG))["template"]["volumes"]
    assert (volume["name"], volume["emptyDir"]["medium"], volume["emptyDir"]["sizeLimit"]) == ("dshm", "Memory", "16Gi")
    assert "volumes" not in service(llm())["template"]


def test_an_older_kserve_gets_the_number_as_an_argument() -> None:
    """KServe 0.19 accepts the field and ignores it."""
    old = llm(**BIG, kserveVersion="0.19")
    assert "parallelism" not in service(old)
    assert "--tensor-parallel-size 4" in " ".join(engine(old)["args"])
    assert "--tensor-parallel-size" not in engine(llm(**BIG))["args"]


def test_what_cannot_start_is_refused_with_the_numbers() -> None:
    with helm_fails(
        "global.llm.model: deepseek-ai/DeepSeek-R1 does not start on 8 x nvidia-h100-80gb: 86.1 GB of weights, 2 GB of overhead "
        "and 11.5 GB for one request of 163840 tokens do not go into 77.0 GB on each device; "
        "set a larger accelerator or a smaller model"
    ):
        model(llm(model="deepseek-r1", accelerator="nvidia-h100-80gb"))
    assert service(llm(model="deepseek-r1", accelerator="nvidia-h200"))["parallelism"]["tensor"] == 8


def test_a_request_that_is_too_long_names_the_length_that_fits() -> None:
    values = {
        "model": "qwen2-5-72b-instruct",
        "models": {"qwen2-5-72b-instruct": {"contextLength": 131072}},
        "accelerator": "nvidia-l4",
    }
    with helm_fails(
        "global.llm.model: Qwen/Qwen2.5-72B-Instruct does not start on 8 x nvidia-l4: 18.2 GB of weights, 2 GB of overhead and "
        "2.7 GB for one request of 65536 tokens do not go into 21.7 GB on each device; "
        "set global.llm.engine.args.max-model-len to at most 37888, or a larger accelerator or a smaller model"
    ):
        model(llm(**values, engine={"args": {"max-model-len": 65536}}))
    assert service(llm(**values, engine={"args": {"max-model-len": 37888}}))["parallelism"]["tensor"] == 8


def test_too_few_devices_by_hand() -> None:
    with helm_fails(
        "global.llm.model: Qwen/Qwen2.5-72B-Instruct does not start on 2 x nvidia-h100-80gb: 72.7 GB of weights, 2 GB of "
        "overhead and 5.4 GB for one request of 32768 tokens do not go into 77.0 GB on each device; "
        "set global.llm.engine.args.max-model-len to at most 13312, or global.llm.parallel.tensor to more, or to 0"
    ):
        model(llm(**BIG, parallel={"tensor": 2}))
    assert service(llm(**BIG, parallel={"tensor": 8}))["parallelism"]["tensor"] == 8


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"parallel": {"tensor": 3}}, "3 does not divide the model's 28 attention heads; set one of 1, 2, 4"),
        ({"parallel": {"tensor": 16}}, "16 is more than the 8 devices of one node; set one of 1, 2, 4"),
        ({"accelerator": "cpu", "parallel": {"tensor": 2}}, "2 counts devices and cpu has none; set one of 1"),
        (
            {"parallel": {"tensor": 4}, "accelerators": {"nvidia-l40s": {"devicesPerNode": 2}}},
            "4 is more than the 2 devices of one node; set one of 1, 2",
        ),
    ],
)
def test_a_number_that_cannot_be(keys: dict[str, Any], why: str) -> None:
    with helm_fails(f"global.llm.parallel.tensor: {why}"):
        model(llm(**keys))
    assert service(llm(parallel={"tensor": 2}))["parallelism"]["tensor"] == 2


def test_few_requests_are_a_warning() -> None:
    few = llm(model="llama-3-1-405b-instruct", accelerator="nvidia-h200")
    assert (
        "WARNING: only 3 requests of 131072 tokens fit at once; lower global.llm.engine.args.max-model-len, "
        "set kv-cache-dtype: fp8, or raise global.llm.parallel.tensor"
    ) in notes("llm-stack", values=few)
    assert "WARNING" not in notes("llm-stack", values=llm())


def test_a_model_without_facts_is_not_judged() -> None:
    values = llm(model="own", models={"own": {"uri": "hf://org/own", "parameters": 70_000_000_000}})
    assert plan(values)["mode"] == (
        "single-device, 1 device per engine",
        "one device: not enough facts of model or accelerator to tell what fits",
    )
    assert "KV cache" not in plan(values)
