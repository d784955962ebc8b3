"""What KServe's real controller makes of our services: its child objects are goldens, and the engine's command is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import render, thaw
from tests.harness.container import engine_container, run_stub
from tests.harness.controlplane import ControlPlane

HOSTILE = {
    "kv-transfer-config": {"kv_connector": "NixlConnector", "kv_role": "kv_both", "size": 1048576, "text": "a 'b' \"c\""},
    "chat-template": "{{ messages }} {% for %} {{{x}}} }}",
    "revision": "it's $HOME $(HOME) $$(HOME) $$ ${HOME} `id` $(id)",
    "served-model-name": ["a b", "c;d", "e&f", "g>h", "(i)", "*", "~", "#", "!x", "\\n\\", "new\nline", "ünïcode", "{1,2}", "-x"],
    "max-model-len": 2048,
    "enforce-eager": True,
    "enable-prefix-caching": False,
    "gpu-memory-utilization": 0.95,
    "hf-config-path": "",
}


@pytest.mark.parametrize("name", merged.NAMES)
def test_children_are_as_reviewed(plane: ControlPlane, name: str) -> None:
    found = merged.children(plane, name, NAMESPACE)
    assert any(file.startswith(("deployment-", "leaderworkerset-")) for file in found)
    merged.compare(merged.GOLDENS / name, found)


def test_no_golden_is_left_over() -> None:
    assert sorted(path.name for path in merged.GOLDENS.iterdir()) == sorted(merged.NAMES)


def engine_arguments(deployment: dict[str, Any], tmp_path: Path) -> list[str]:
    """The words that vLLM would get from the merged container."""
    return run_stub(engine_container(deployment["spec"]["template"]["spec"]), tmp_path)[0]


def test_arguments_reach_vllm_byte_for_byte(plane: ControlPlane, tmp_path: Path) -> None:
    """Through KServe's templating, the kubelet's expansion and the preset's `eval`, in the real merged pod."""
    values = {"global": {"llm": {"engine": {"args": HOSTILE}}}}
    release = render("llm-stack", "demo", name="hostile", namespace=NAMESPACE, values=values)
    deployment = merged.create(plane, [thaw(obj) for obj in release.objects], NAMESPACE, "hostile")
    words = engine_arguments(deployment, tmp_path)
    given = words[words.index("--chat-template") :]
    assert given == [
        *("--chat-template", HOSTILE["chat-template"]),
        *("--dtype", "float32"),
        "--no-enable-prefix-caching",
        "--enforce-eager",
        *("--gpu-memory-utilization", "0.95"),
        *("--hf-config-path", ""),
        *("--kv-cache-memory-bytes", "64M"),
        *("--kv-transfer-config", json.dumps(HOSTILE["kv-transfer-config"], separators=(",", ":"), sort_keys=True)),
        *("--max-model-len", "2048"),
        *("--max-num-seqs", "16"),
        *("--revision", HOSTILE["revision"]),
        *("--served-model-name", *HOSTILE["served-model-name"]),
    ]


def test_kserve_turns_the_devices_into_the_engines_flag(plane: ControlPlane, tmp_path: Path) -> None:
    """`parallelism.tensor` was ignored before KServe 0.20; here the merged command is run."""
    release = render("llm-stack", "deploy-70b", name="devices", namespace=NAMESPACE)
    deployment = merged.create(plane, [thaw(obj) for obj in release.objects], NAMESPACE, "devices")
    words = engine_arguments(deployment, tmp_path)
    assert words[words.index("--tensor-parallel-size") + 1] == "8"
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["dshm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "32Gi"}


def test_the_preset_keeps_what_it_is_there_for(plane: ControlPlane, tmp_path: Path) -> None:
    """Model path, both served names, port and drain come from KServe's own command, which we do not replace."""
    release = render("llm-stack", "demo", name="preset", namespace=NAMESPACE)
    deployment = merged.create(plane, [thaw(obj) for obj in release.objects], NAMESPACE, "preset")
    words = engine_arguments(deployment, tmp_path)
    assert words[:5] == ["serve", "/mnt/models", "--served-model-name", "smoke", f"publishers/{NAMESPACE}/models/smoke"]
    assert words[5:7] == ["--port", "8000"]
    assert "--shutdown-timeout" in words
