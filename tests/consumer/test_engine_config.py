"""Rendered engine arguments, given to the real vLLM's own configuration check: the combination, not the single flag.

Each values file with a model of the catalogue is rendered, its engines' words are taken from the service as KServe, the kubelet
and the preset's shell would make them, and vLLM in the engine image's file system makes its configuration of them, with the
model's config.json made from the catalogue's facts. engine_config.py names what is faked where there is no GPU.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import documents, flags
from hack.lab import engine_image
from hack.shell import run
from tests.consumer import engine_config
from tests.consumer.hub_config import hub_config
from tests.consumer.test_catalogue import EVIDENCE
from tests.harness import EXAMPLES, SCENARIOS, Scenario, render
from tests.harness.container import engine_container, run_stub, templated
from tests.unit.models import catalogue

PLATFORMS = {"": "cpu", "nvidia.com/gpu": "cuda", "amd.com/gpu": "rocm"}
MODELS = [scenario for scenario in (*SCENARIOS, *EXAMPLES) if scenario.name != "platform"]
SCRIPT = Path(engine_config.__file__)
# What LeaderWorkerSet puts before a container's own variables, beside the pod's index.
GROUP = {"LWS_LEADER_ADDRESS": "leader", "LWS_GROUP_SIZE": "2"}
# Accepted by the parser, refused by the configuration: beside what deploy-70b renders.
REFUSED = {
    "context": (["--max-model-len", "40000"], r"max_model_len \(40000\) is greater than the derived max_model_len"),
    "scheduler": (
        ["--max-num-batched-tokens", "128", "--no-enable-chunked-prefill"],
        r"max_num_batched_tokens \(128\) is smaller than",
    ),
    "heads": (["--tensor-parallel-size", "3"], r"attention heads \(64\) must be divisible by tensor parallel size \(3\)"),
    "experts": (["--enable-expert-parallel"], r"Number of experts in the model must be greater than 0"),
    "connector": (
        ["--kv-transfer-config", '{"kv_connector":"NoSuchConnector","kv_role":"kv_both"}'],
        r"Unsupported connector type: NoSuchConnector",
    ),
    "devices": (["--tensor-parallel-size", "16"], r"World size \(16\) is larger than the number of available GPUs \(8\)"),
}
# Likewise, beside what is streamed.
NOT_STREAMED = {
    "a format of files": (["--load-format", "safetensors"], r"To load a model from object storage .* 'load_format' must be"),
}


def engines(scenario: Scenario, folder: Path) -> Iterator[dict[str, Any]]:
    """A case of each engine that a values file renders, named `SCENARIO::template` or `::worker`, with `prefill-` before it."""
    values = documents.load(scenario.file.read_text())["global"]["llm"]
    accelerator = catalogue("accelerators")[values["accelerator"]]
    resource = accelerator["resource"]
    spec = render("llm-stack", scenario.file, namespace=scenario.namespace).one("LLMInferenceService")["spec"]
    for prefix, side in (("", spec), ("prefill-", spec.get("prefill", {}))):
        for kind in sorted({"template", "worker"} & set(side)):
            container = engine_container(side[kind])
            model, words, env = _words(container, side.get("parallelism", {}), folder / f"{prefix}{kind}")
            devices = int(container["resources"].get("limits", {}).get(resource, 1))  # a pod sees no others
            yield {
                "id": f"{scenario}::{prefix}{kind}",
                "platform": PLATFORMS[resource],
                "device": {"memory": int(accelerator.get("memoryBytes", 0)), "count": devices},
                "config": hub_config(EVIDENCE[values["model"]]),
                "uri": "" if model == "/mnt/models" else model,
                "env": env,
                "words": words,
            }


def _words(container: Mapping[str, Any], parallelism: Mapping[str, int], folder: Path) -> tuple[str, list[str], dict[str, str]]:
    """The model of `vllm serve MODEL`, the words behind it, and vLLM's own variables."""
    # The preset's command: its own words are constants but for the devices, which KServe renders from the service.
    tensor = f"--tensor-parallel-size {parallelism['tensor']}" if "tensor" in parallelism else ""
    preset = ["bash", "-c", f'eval "exec vllm serve /mnt/models --port 8000 {tensor} $@"', "--"]
    command = [templated(word) for word in container["command"]] if "command" in container else preset
    args = [templated(word) for word in container.get("args", ())]
    env = [{**entry, "value": templated(entry["value"])} if "value" in entry else entry for entry in container["env"]]
    index = "1" if folder.name.endswith("worker") else "0"
    group = [{"name": name, "value": value} for name, value in {**GROUP, "LWS_WORKER_INDEX": index}.items()]
    words, environment = run_stub({"command": command, "args": args, "env": [*group, *env]}, folder)
    assert words[0] == "serve"
    assert words[1] == "/mnt/models" or "://" in words[1]
    own = {entry["name"] for entry in env if entry["name"].startswith("VLLM_") and "valueFrom" not in entry}
    return words[1], words[2:], {name: environment[name] for name in own}


def of_the_catalogue(scenario: Scenario) -> bool:
    return documents.load(scenario.file.read_text())["global"]["llm"]["model"] in EVIDENCE


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Case to vLLM's answer, of all cases at once: importing vLLM is what takes time."""
    if os.geteuid() != 0:
        pytest.skip("the engine image's file system is unpacked and entered with chroot")
    folder = tmp_path_factory.mktemp("engines")
    cases = [case for s in MODELS if of_the_catalogue(s) for case in engines(s, folder / s.name)]
    base = next(found for found in cases if found["id"] == "deploy-70b::template")
    cases += [{**base, "id": name, "words": [*base["words"], *words]} for name, (words, _) in REFUSED.items()]
    streamed = next(found for found in cases if found["id"] == "streamed::template")
    for name, (words, _) in NOT_STREAMED.items():
        cases.append({**streamed, "id": name, "words": [*streamed["words"], *words]})
    for name, row in EVIDENCE.items():
        cases.append({**base, "id": name, "words": [], "config": hub_config(row)})
    with flags.engine_root() as root:
        shutil.copy(SCRIPT, root / "tmp")
        command = (
            "env",
            *engine_image.CONFIG["Env"],
            "HOME=/tmp",
            "VLLM_LOGGING_LEVEL=ERROR",
            f"/{engine_image.PREFIX}/bin/python",
        )
        done = run("chroot", root, *command, f"/tmp/{SCRIPT.name}", stdin=json.dumps(cases), timeout=600)
    found = json.loads(done.stdout.splitlines()[-1])
    return {asked["id"]: {**answer, "devices": asked["device"]["count"]} for asked, answer in zip(cases, found, strict=True)}


@pytest.mark.parametrize("scenario", [scenario for scenario in MODELS if of_the_catalogue(scenario)], ids=str)
def test_vllm_makes_a_configuration_of_what_is_rendered(answers: dict[str, dict[str, Any]], scenario: Scenario) -> None:
    own = {name: answer for name, answer in answers.items() if name.startswith(f"{scenario}::")}
    assert own
    assert {name: (answer["stage"], answer["error"]) for name, answer in own.items()} == dict.fromkeys(own, ("", ""))


def test_vllm_settles_on_the_devices_of_the_pods(answers: dict[str, dict[str, Any]]) -> None:
    """Ranks are as many as the devices that the pods of a group ask for."""
    found = {name: answer for name, answer in answers.items() if "::" in name and not answer["error"]}
    ranks = {name: answer["tensor"] * answer["data"] for name, answer in found.items()}
    assert ranks == {name: answer["devices"] * answer["nodes"] for name, answer in found.items()}
    assert answers["deploy-70b::template"]["tensor"] == 8


def test_vllm_streams_what_is_rendered_so(answers: dict[str, dict[str, Any]]) -> None:
    """Its own configuration takes the uri for an object store's; the streamer itself is a stand-in."""
    answer = answers["streamed::template"]
    assert (answer["format"], answer["weights"]) == ("runai_streamer", "s3://models/qwen2.5-7b-instruct")
    assert answers["gpu-created-claim::template"]["format"] == "auto"


@pytest.mark.parametrize("name", EVIDENCE)
def test_vllm_reads_a_row_of_the_catalogue(answers: dict[str, dict[str, Any]], name: str) -> None:
    """Its facts are a model that vLLM knows, with the context that the row says."""
    answer = answers[name]
    assert (answer["stage"], answer["error"]) == ("", "")
    row = EVIDENCE[name]
    assert answer["maxModelLen"] == row.get("positions", row["contextLength"])  # a tokenizer, absent here, lowers the first


@pytest.mark.parametrize("name", [*REFUSED, *NOT_STREAMED])
def test_a_combination_that_only_the_configuration_refuses(answers: dict[str, dict[str, Any]], name: str) -> None:
    """The group can fail: the parser takes these words, and vLLM's configuration does not."""
    answer = answers[name]
    assert answer["stage"] == "config", answer
    assert re.search({**REFUSED, **NOT_STREAMED}[name][1], answer["error"]), answer
