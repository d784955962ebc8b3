"""Weights that vLLM reads from an object store: its command, and what KServe is told not to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import render
from tests.harness.components import overlay
from tests.harness.container import run_stub, templated
from tests.unit.mode_cases import DRAFT, bare, streamed
from tests.unit.models import UMBRELLA, engine, environment, model, plan, service
from tests.unit.test_modes import group

URI = "s3://bucket/qwen"


def argv(container: Any, folder: Any, **env: str) -> list[str]:
    """What vLLM gets, but for TLS, which KServe decides."""
    given = {
        "command": [templated(word) for word in container["command"]],
        "args": [templated(word) for word in container["args"]],
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    words = run_stub(given, folder)[0]
    return [word for word in words if word not in ("--no-enable-ssl-refresh", "--ssl-certfile=", "--ssl-keyfile=")]


def test_the_command_has_what_the_preset_says_and_the_uri(tmp_path: Any) -> None:
    assert argv(engine(streamed()), tmp_path) == [
        *("serve", URI),
        *("--served-model-name", "Qwen/Qwen2.5-7B-Instruct", "publishers/llm/models/Qwen/Qwen2.5-7B-Instruct"),
        *("--port", "8000"),
        *("--disable-access-log-for-endpoints", "/health,/metrics,/ping"),
        *("--shutdown-timeout", "40"),
        *("--gpu-memory-utilization", "0.9"),
        *("--load-format", "runai_streamer"),
    ]


@pytest.mark.parametrize("version", ["0.19", "0.20", "0.21"])
def test_the_devices_are_in_the_command(tmp_path: Any, version: str) -> None:
    """KServe's own field reaches the preset's command only."""
    values = streamed(kserveVersion=version, parallel={"tensor": 2, "data": 2}, accelerator="nvidia-h100-80gb")
    words = argv(engine(values), tmp_path)
    assert words[words.index("--tensor-parallel-size") + 1] == "2"
    assert words.count("--tensor-parallel-size") == words.count("--data-parallel-size") == 1


def test_an_engine_on_several_nodes_streams_too(tmp_path: Any) -> None:
    values = overlay(
        group(), {"global": {"llm": {"cache": {"enabled": False, "existingClaim": ""}, "streaming": {"enabled": True}}}}
    )
    key = values["global"]["llm"]["model"]
    values = overlay(values, {"global": {"llm": {"models": {key: {"uri": URI}}}}})
    spec = service(values)
    for part in ("template", "worker"):
        (container,) = spec[part]["containers"]
        words = argv(container, tmp_path / part, LWS_WORKER_INDEX="1", LWS_LEADER_ADDRESS="leader")
        assert words[:6] == ["serve", URI, "--node-rank", "1", "--master-addr", "leader"]
        assert words[words.index("--load-format") + 1] == "runai_streamer"
        assert ("--headless" in words) == (part == "worker")


def test_both_sides_stream(tmp_path: Any) -> None:
    spec = service(streamed(prefill={"enabled": True}))
    ports = []
    for name, side in (("decode", spec), ("prefill", spec["prefill"])):
        (container,) = side["template"]["containers"]
        words = argv(container, tmp_path / name)
        assert (words[:2], words[words.index("--load-format") + 1]) == (["serve", URI], "runai_streamer")
        ports.append(words[words.index("--port") + 1])
    assert ports == ["8001", "8000"]


def test_kserve_neither_downloads_nor_mounts() -> None:
    spec, without = service(streamed()), service(bare())
    assert spec["storageInitializer"] == {"enabled": False}
    assert "storageInitializer" not in without
    assert spec["model"]["uri"] == URI
    assert "initContainers" not in spec["template"]
    assert [container["name"] for container in without["template"]["initContainers"]] == ["storage-initializer"]
    assert not {"volumes"} & set(spec["template"])
    assert "volumeMounts" not in spec["template"]["containers"][0]
    release = model(streamed(), chart=UMBRELLA)
    assert {obj["kind"] for obj in release.objects} == {"LLMInferenceService", "ServiceAccount", "ConfigMap", "Pod"}
    assert render("model-cache", values=streamed()).objects == ()


def test_a_draft_model_on_a_claim_is_mounted() -> None:
    values = streamed(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts/a"}})
    (mount,) = engine(values)["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"]) == ("/mnt/draft", "a")


def test_credentials_are_the_engines_environment() -> None:
    secret = {"secretKeyRef": {"name": "bucket", "key": "id"}}
    values = streamed(engine={"env": {"AWS_ACCESS_KEY_ID": {"valueFrom": secret}}})
    assert environment(values)["AWS_ACCESS_KEY_ID"] == secret
    assert "HF_HUB_OFFLINE" not in environment(values)


def test_the_plan_says_so_and_nothing_of_a_download() -> None:
    found = plan(streamed())
    assert found["streaming"] == (
        "vLLM reads s3://bucket/qwen itself; the engine image must have Run:ai Model Streamer",
        "global.llm.streaming.enabled",
    )
    assert "download memory" not in found
    assert "streaming" not in plan(bare())


def test_another_format_of_streaming_is_the_users() -> None:
    values = streamed(
        engine={"args": {"load-format": "runai_streamer_sharded", "model-loader-extra-config": {"distributed": True}}}
    )
    args = engine(values)["args"]
    assert args[args.index("--load-format") + 1] == "runai_streamer_sharded"
    assert args[args.index("--model-loader-extra-config") + 1] == '{"distributed":true}'


def test_files_of_a_claim_are_read_by_fastsafetensors() -> None:
    """An argument like any other: it needs no switch."""
    values = overlay(bare(cache={"enabled": True}), {"global": {"llm": {"engine": {"args": {"load-format": "fastsafetensors"}}}}})
    assert engine(values)["args"][-2:] == ("--load-format", "fastsafetensors")
