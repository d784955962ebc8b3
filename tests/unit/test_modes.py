"""What each mode derives: the layout, the command of a group, who hands KV cache to whom, and what the pods get for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.harness import notes
from tests.harness.components import overlay
from tests.unit.models import (
    GATE,
    QWEN,
    QWEN_URI,
    SCRIPTS,
    beside_the_cache,
    cached,
    catalogue,
    chart,
    engine,
    environment,
    llm,
    model,
    plan,
    service,
)

H100 = "nvidia-h100-80gb"


def big(**keys: Any) -> dict[str, Any]:
    """A dense 70B model on H100."""
    return llm(model="llama-3-3-70b-instruct-fp8", accelerator=H100, cache={"existingClaim": "weights"}, **keys)


def group(**keys: Any) -> dict[str, Any]:
    """An engine on two nodes."""
    return big(**overlay({"parallel": {"tensor": 4, "data": 2, "nodes": 2}}, keys))


def split(**keys: Any) -> dict[str, Any]:
    """Prefill and decode apart."""
    return big(**overlay({"prefill": {"enabled": True}, "router": {"enabled": True}}, keys))


def words(container: Any) -> list[str]:
    """The arguments, each with what belongs to it: `--a b` and `--a=b` are one text."""
    joined: list[str] = []
    for word in container["args"]:
        if re.match(r"--|\{\{", word) or not joined:
            joined.append(word)
        else:
            joined[-1] += f" {word}"
    return joined


def transfer(container: Any) -> dict[str, Any]:
    """The connector that an engine is given; rendered for a shell, in single quotes."""
    arguments = container["args"]
    found: dict[str, Any] = json.loads(arguments[arguments.index("--kv-transfer-config") + 1].strip("'").replace('\\"', '"'))
    return found


# --- layout -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parallel", "mode"),
    [
        ({}, "tensor-parallel, 2 devices per engine"),
        ({"tensor": 4}, "tensor-parallel, 4 devices per engine"),
        ({"devices": 4}, "tensor-parallel, 4 devices per engine"),
        ({"tensor": 2, "data": 2}, "data-parallel, 4 devices per engine (tensor 2 x data 2)"),
        ({"devices": 8, "data": 2}, "data-parallel, 8 devices per engine (tensor 4 x data 2)"),
        ({"devices": 8, "tensor": 4, "data": 0}, "data-parallel, 8 devices per engine (tensor 4 x data 2)"),
        ({"devices": 8, "data": 0}, "data-parallel, 8 devices per engine (tensor 2 x data 4)"),
        ({"devices": 4, "profile": "latency"}, "tensor-parallel, 4 devices per engine"),
        ({"devices": 4, "profile": "throughput"}, "data-parallel, 4 devices per engine (tensor 2 x data 2)"),
        ({"nodes": 2, "data": 2}, "multi-node, 4 devices per engine on 2 nodes (tensor 2 x data 2)"),
        ({"nodes": 2, "tensor": 16}, "multi-node, 16 devices per engine on 2 nodes (tensor 16 x data 1)"),
    ],
    ids=str,
)
def test_the_layout(parallel: dict[str, Any], mode: str) -> None:
    assert plan(big(parallel=parallel))["mode"][0] == mode


def test_experts_are_spread_over_all_devices() -> None:
    experts = {"tensor": 2, "data": 2, "expert": True}
    values = llm(model="qwen3-30b-a3b", accelerator=H100, parallel=experts)
    assert plan(values)["mode"][0] == "data-parallel, 4 devices per engine (tensor 2 x data 2, experts spread)"
    assert {"--enable-expert-parallel", "--data-parallel-size"} <= set(engine(values)["args"])


@pytest.mark.parametrize(
    ("parallel", "wanted"),
    [
        ({"nodes": 2, "data": 2}, {"tensor": 2, "data": 2, "dataLocal": 1}),
        ({"nodes": 2, "data": 4}, {"tensor": 2, "data": 4, "dataLocal": 2}),
        # One rank over two nodes is no field of KServe: the number of pods is all that these two say.
        ({"nodes": 2, "tensor": 16}, {"tensor": 16, "data": 2, "dataLocal": 1}),
        ({"tensor": 2, "data": 2}, {"tensor": 2}),
        ({"tensor": 1, "data": 2}, None),
    ],
    ids=str,
)
def test_kserve_counts_pods_by_data_and_local(parallel: dict[str, Any], wanted: dict[str, int] | None) -> None:
    values = big(parallel=parallel) if parallel["tensor" if "tensor" in parallel else "data"] != 1 else llm(parallel=parallel)
    assert service(values).get("parallelism") == wanted


# --- the command of a group -------------------------------------------------------------------------------------------


def leader(values: dict[str, Any]) -> list[str]:
    return words(engine(values))


def test_a_group_runs_vllm_without_a_shell() -> None:
    assert engine(group())["command"] == ("vllm", "serve", "/mnt/models")
    assert "command" not in engine(big())


def test_a_person_is_told_why_the_preset_is_not_kept() -> None:
    assert plan(group())["command"] == (
        "our own for a group of pods",
        "KServe 0.20, whose preset starts no vLLM from 0.28 on",
    )
    assert "command" not in plan(big())


def test_a_group_serves_both_names() -> None:
    name = "meta-llama/Llama-3.3-70B-Instruct"
    assert f"--served-model-name {name} publishers/llm/models/{name}" in leader(group())


def test_a_group_serves_the_port_of_its_service() -> None:
    assert "--port 8000" in leader(group())
    assert "--port 8001" in leader(group(prefill={"enabled": True}, router={"enabled": True}))


def test_a_group_serves_tls_where_kserve_does() -> None:
    on, off, end = "{{ if .GlobalConfig.EnableTLS }}", "{{ else }}", "{{ end }}"
    assert f"{on}--enable-ssl-refresh{off}--no-enable-ssl-refresh{end}" in leader(group())
    assert f"--ssl-certfile={on}/var/run/kserve/tls/tls.crt{off}{end}" in leader(group())
    assert f"--ssl-keyfile={on}/var/run/kserve/tls/tls.key{off}{end}" in leader(group())


def test_a_group_drains_as_long_as_its_pods_live() -> None:
    assert "--shutdown-timeout 600" in leader(group(drainSeconds=600))
    assert service(group(drainSeconds=600))["template"]["terminationGracePeriodSeconds"] == 620


def test_a_group_logs_no_probes() -> None:
    assert "--disable-access-log-for-endpoints /health,/metrics,/ping" in leader(group())


def test_a_group_lays_itself_out_by_what_its_set_tells_each_pod() -> None:
    wanted = {
        *("--tensor-parallel-size 4", "--data-parallel-size 2", "--nnodes 2"),
        *("--node-rank $(LWS_WORKER_INDEX)", "--master-addr $(LWS_LEADER_ADDRESS)"),
    }
    assert wanted <= set(leader(group()))
    assert environment(group())["VLLM_HOST_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_only_workers_are_headless() -> None:
    spec = service(group())
    (worker,) = spec["worker"]["containers"]
    assert worker["args"] == (*engine(group())["args"], "--headless")
    assert worker["command"] == engine(group())["command"]
    assert "startupProbe" not in worker
    assert "startupProbe" in engine(group())


def test_own_arguments_of_a_group_are_quoted_for_no_shell() -> None:
    args = {"chat-template": "it's $(HOME) {{ x }}", "override-generation-config": {"a": 'b"c'}}
    found = engine(group(engine={"args": args}))["args"]
    assert found[found.index("--chat-template") + 1] == "it's $$(HOME) {{`{{`}} x }}"
    assert found[found.index("--override-generation-config") + 1] == '{"a":"b\\"c"}'


def test_a_group_keeps_restricted_pod_security() -> None:
    for pods in ("template", "worker"):
        (container,) = service(group())[pods]["containers"]
        assert container["securityContext"] == {"capabilities": {"add": ("NET_BIND_SERVICE",)}}


def test_one_budget_for_all_pods_of_a_group() -> None:
    budget = model(group(replicas=2)).one("PodDisruptionBudget")["spec"]
    (expression,) = budget["selector"]["matchExpressions"]
    assert expression["values"] == ("llminferenceservice-workload-leader", "llminferenceservice-workload-worker")


# --- prefill and decode -----------------------------------------------------------------------------------------------


def test_both_sides_have_agreeing_connectors() -> None:
    spec = service(split())
    assert transfer(spec["template"]["containers"][0]) == {"kv_connector": "NixlConnector", "kv_role": "kv_consumer"}
    assert transfer(spec["prefill"]["template"]["containers"][0]) == {"kv_connector": "NixlConnector", "kv_role": "kv_producer"}


def test_both_sides_say_where_they_can_be_reached() -> None:
    spec = service(split())
    for template in (spec["template"], spec["prefill"]["template"]):
        assert {"name": "VLLM_NIXL_SIDE_CHANNEL_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}} in template[
            "containers"
        ][0]["env"]
    assert "VLLM_NIXL_SIDE_CHANNEL_HOST" not in environment(big())


def test_each_side_has_its_own_size_and_arguments() -> None:
    values = split(
        replicas=3,
        parallel={"tensor": 4},
        engine={"args": {"max-model-len": 8192, "block-size": 32}},
        prefill={"replicas": 2, "parallel": {"tensor": 2}, "args": {"max-model-len": 4096}},
    )
    spec = service(values)
    prefill = spec["prefill"]
    assert (spec["replicas"], spec["parallelism"]["tensor"]) == (3, 4)
    assert (prefill["replicas"], prefill["parallelism"]["tensor"]) == (2, 2)
    assert {"--max-model-len 8192", "--block-size 32"} <= set(words(spec["template"]["containers"][0]))
    assert {"--max-model-len 4096", "--block-size 32"} <= set(words(prefill["template"]["containers"][0]))
    assert prefill["template"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert model(values).names().count("PodDisruptionBudget/demo-prefill") == 1


def test_only_decode_has_a_sidecar() -> None:
    spec = service(split())
    assert [container["name"] for container in spec["template"]["initContainers"]] == [GATE, "llm-d-routing-sidecar"]
    assert [container["name"] for container in spec["prefill"]["template"]["initContainers"]] == [GATE]
    assert [container["name"] for container in service(big())["template"]["initContainers"]] == [GATE]


def test_a_sidecar_of_ones_own() -> None:
    image = {"registry": "r.example.com", "repository": "own/sidecar", "tag": "v1", "pullPolicy": "Always"}
    values = chart(split(), routingSidecar={"image": image, "command": ["/sidecar", "--port=8000"]})
    (sidecar,) = beside_the_cache(service(values)["template"]["initContainers"])
    assert sidecar["image"] == "r.example.com/own/sidecar:v1"
    assert sidecar["imagePullPolicy"] == "Always"
    assert sidecar["command"] == ("/sidecar", "--port=8000")


def test_without_a_router_a_person_is_told_that_nothing_chooses() -> None:
    told = "WARNING: nothing chooses a prefill engine"
    assert told in notes("llm-stack", values=split(router={"enabled": False}))
    assert told not in notes("llm-stack", values=split())


def test_sides_over_several_nodes() -> None:
    values = split(parallel={"tensor": 4, "data": 2, "nodes": 2}, prefill={"parallel": {"tensor": 4, "nodes": 2, "data": 2}})
    assert plan(values)["mode"][0] == ("multi-node disaggregated, 8 devices per engine on 2 nodes (tensor 4 x data 2) to decode")
    spec = service(values)
    for side in (spec, spec["prefill"]):
        assert side["parallelism"] == {"tensor": 4, "data": 2, "dataLocal": 1}
        assert side["worker"]["containers"][0]["args"][-1] == "--headless"


def test_a_mirror_holds_the_sidecar_and_the_picker_too() -> None:
    values = split()
    values["global"]["imageRegistry"] = "mirror.example.com"
    spec = service(values)
    (sidecar,) = beside_the_cache(spec["template"]["initContainers"])
    picker, tokenizer = spec["router"]["scheduler"]["template"]["containers"]
    assert sidecar["image"] == "mirror.example.com/llm-d/llm-d-router-disagg-sidecar:v0.9.0"
    assert picker["image"] == "mirror.example.com/llm-d/llm-d-router-endpoint-picker:v0.9.0"
    assert tokenizer == {"name": "tokenizer", "image": "mirror.example.com/llm-d/llm-d-uds-tokenizer:vllm-v0.19.1"}


def test_requests_are_held_by_a_configuration_that_is_there_for_it_alone() -> None:
    flow = {"enabled": True, "flowControl": {"enabled": True, "defaultRequestTTL": 300}}
    found = service(llm(router=flow))["router"]["scheduler"]["config"]["inline"]
    assert (found["featureGates"], found["flowControl"]) == (("flowControl",), {"defaultRequestTTL": "300s"})
    # Without a limit that is said too: the picker of KServe 0.21 has one of its own.
    unlimited = service(split(router={"flowControl": {"enabled": True}}))["router"]["scheduler"]["config"]["inline"]
    assert unlimited["flowControl"] == {"defaultRequestTTL": "0s"}
    plugins = [plugin["type"] for plugin in unlimited["plugins"]]
    assert plugins.index("always-disagg-pd-decider") < plugins.index("disagg-profile-handler")  # which looks for it when made
    for values in (llm(router={"enabled": True}), split()):
        assert "config" not in service(values)["router"]["scheduler"]


# --- offloading -------------------------------------------------------------------------------------------------------


def test_offloaded_cache_lives_in_shared_memory_and_counts_as_the_pods() -> None:
    values = llm(kvCacheOffloading={"cpu": "16Gi", "evictionPolicy": "arc"})
    extra = {"cpu_bytes_to_use": 16 * 1024**3, "eviction_policy": "arc"}
    assert transfer(engine(values)) == {
        "kv_connector": "OffloadingConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": extra,
    }
    (volume,) = beside_the_cache(service(values)["template"]["volumes"])
    assert volume == {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "17Gi"}}
    grown = [int(engine(each)["resources"]["requests"]["memory"].removesuffix("Mi")) for each in (values, llm())]
    assert grown[0] - grown[1] == 17 * 1024


@pytest.mark.parametrize(
    ("keys", "volume"),
    [
        ({"disk": "100Gi"}, {"name": "kv-cache", "emptyDir": {"sizeLimit": "100Gi"}}),
        ({"existingClaim": "kv"}, {"name": "kv-cache", "persistentVolumeClaim": {"claimName": "kv"}}),
    ],
    ids=str,
)
def test_a_disk_stands_behind_host_memory(keys: dict[str, str], volume: dict[str, Any]) -> None:
    values = llm(kvCacheOffloading={"cpu": "16Gi", **keys})
    extra = transfer(engine(values))["kv_connector_extra_config"]
    assert extra["spec_name"] == "TieringOffloadingSpec"
    assert extra["secondary_tiers"] == [{"type": "fs", "root_dir": "/mnt/kv-cache"}]
    assert volume in service(values)["template"]["volumes"]
    assert beside_the_cache(engine(values)["volumeMounts"]) == [{"name": "kv-cache", "mountPath": "/mnt/kv-cache"}]


def test_offloading_and_transfer_are_one_connector() -> None:
    """Each alone would turn the other off."""
    found = transfer(engine(split(kvCacheOffloading={"cpu": "16Gi"})))
    assert (found["kv_connector"], found["kv_role"]) == ("MultiConnector", "kv_consumer")
    inner = found["kv_connector_extra_config"]["connectors"]
    assert [each["kv_connector"] for each in inner] == ["NixlConnector", "OffloadingConnector"]


# --- fabric -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accelerator", "resource", "transports"),
    [
        (H100, "nvidia.com/gpu", "rc,sm,self,cuda_copy,cuda_ipc"),
        ("amd-mi300x", "amd.com/gpu", "rc,sm,self,rocm_copy,rocm_ipc"),
    ],
)
def test_rdma_by_platform(accelerator: str, resource: str, transports: str) -> None:
    values = overlay(split(parallel={"tensor": 2}, rdma={"resource": "rdma/ib"}), llm(accelerator=accelerator))
    values["global"]["llm"]["model"] = "llama-3-3-70b-instruct-fp8"
    container = engine(values)
    assert environment(values)["UCX_TLS"] == transports
    assert container["resources"]["limits"] == {resource: "2", "rdma/ib": "2"}
    counted = overlay(values, {"global": {"llm": {"rdma": {"count": 1}}}})
    assert engine(counted)["resources"]["limits"]["rdma/ib"] == "1"
    assert "UCX_TLS" not in environment(split())


# --- adapters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ranks", "most"), [([16], 16), ([4], 8), ([8, 64], 64), ([100], 128), ([500], 512)], ids=str)
def test_vllm_knows_some_ranks_only(ranks: list[int], most: int) -> None:
    adapters = {f"a{index}": {"uri": f"hf://org/a{index}", "rank": rank} for index, rank in enumerate(ranks)}
    lora = service(llm(adapters=adapters))["model"]["lora"]
    assert (lora["maxRank"], lora["maxAdapters"]) == (most, len(ranks))


def test_adapters_lie_beside_the_model() -> None:
    adapters = {"sql": {"uri": "hf://org/sql"}}
    (kept,) = service(llm(adapters=adapters))["model"]["lora"]["adapters"]
    assert kept == {"name": "sql", "uri": f"pvc://demo-models/{cached('adapters', 'sql', 'hf://org/sql')}"}
    (fetched,) = service(llm(adapters=adapters, cache={"enabled": False}))["model"]["lora"]["adapters"]
    assert fetched == {"name": "sql", "uri": "hf://org/sql"}


# --- speculative decoding ---------------------------------------------------------------------------------------------

DRAFT = "qwen2-5-0-5b-instruct"
QWEN_PATH, DRAFT_PATH = cached("models", QWEN, QWEN_URI), cached("models", DRAFT, "hf://Qwen/Qwen2.5-0.5B-Instruct")


def speculation(container: Any) -> dict[str, Any]:
    arguments = container["args"]
    found: dict[str, Any] = json.loads(arguments[arguments.index("--speculative-config") + 1].strip("'"))
    return found


def mounted(values: dict[str, Any]) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Volumes but the gate's, with their claims ("" for an empty one), and mounts of claims: path to volume and path on it."""
    template = service(values)["template"]
    volumes = [volume for volume in template["volumes"] if volume["name"] != SCRIPTS]
    claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName", "") for volume in volumes}
    mounts = {mount["mountPath"]: (mount["name"], mount.get("subPath", "")) for mount in engine(values)["volumeMounts"]}
    assert all(mount["readOnly"] for mount in engine(values)["volumeMounts"])
    assert len({claim for claim in claims.values() if claim}) == len([claim for claim in claims.values() if claim])
    return claims, mounts


def test_a_draft_model_is_mounted_beside_the_model() -> None:
    values = llm(speculative={"model": DRAFT, "tokens": 3})
    assert speculation(engine(values)) == {"model": "/mnt/draft", "num_speculative_tokens": 3}
    claims, mounts = mounted(values)
    assert claims == {"kserve-pvc-source": "demo-models"}
    assert mounts == {
        "/mnt/models": ("kserve-pvc-source", QWEN_PATH),
        "/mnt/draft": ("kserve-pvc-source", DRAFT_PATH),
    }
    assert plan(values)["speculation"][0] == f"3 tokens at once, draft model {DRAFT} from pvc://demo-models/{DRAFT_PATH}"


def test_a_draft_model_on_a_claim_of_its_own() -> None:
    claims, mounts = mounted(llm(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts"}}))
    assert claims == {"kserve-pvc-source": "demo-models", "weights-1": "drafts"}
    assert mounts["/mnt/draft"] == ("weights-1", "")


def test_a_draft_model_beside_a_model_that_is_downloaded() -> None:
    values = llm(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts/a"}}, cache={"enabled": False})
    assert mounted(values) == ({"weights-0": "drafts"}, {"/mnt/draft": ("weights-0", "a")})


def test_adapters_on_claims_are_mounts_of_one_volume_and_kserve_adds_none() -> None:
    claims, mounts = mounted(llm(adapters={"a": {"uri": "hf://org/a"}, "b": {"uri": "pvc://other/b"}}))
    assert claims == {"lora-pvc-a": "", "lora-pvc-b": "", "kserve-pvc-source": "demo-models", "weights-1": "other"}
    assert mounts == {
        "/mnt/kserve/a": ("lora-pvc-a", ""),
        "/mnt/kserve/b": ("lora-pvc-b", ""),
        "/mnt/models": ("kserve-pvc-source", QWEN_PATH),
        "/mnt/lora/a": ("kserve-pvc-source", cached("adapters", "a", "hf://org/a")),
        "/mnt/lora/b": ("weights-1", "b"),
    }


def test_a_draft_model_takes_its_part_of_everything() -> None:
    plain = plan(llm())
    found = plan(llm(speculative={"model": DRAFT, "tokens": 3}))
    draft = 2 * catalogue("models")[DRAFT]["parameters"]
    weights = [int(text["volume claim"][1].split(" ")[0]) for text in (plain, found)]
    assert weights[1] - weights[0] == draft
    tokens = [int(text["KV cache"][0].split(" ")[0]) for text in (plain, found)]
    assert tokens[1] < tokens[0]
    assert found["startup budget"][1] == f"600 s and {weights[1]} bytes of weights at 100 MB/s"


def test_a_model_can_guess_alone() -> None:
    values = llm(speculative={"method": "ngram", "tokens": 5})
    assert speculation(engine(values)) == {"method": "ngram", "num_speculative_tokens": 5}
    assert mounted(values) == ({"kserve-pvc-source": "demo-models"}, {"/mnt/models": ("kserve-pvc-source", QWEN_PATH)})
    assert plan(values)["speculation"][0] == "5 tokens at once, guesses of its own"


# --- rollout ----------------------------------------------------------------------------------------------------------


def test_a_rollout_of_ones_own_where_kserve_has_it() -> None:
    values = split(kserveVersion="0.21", rolloutStrategy={"maxSurge": 0, "maxUnavailable": "50%"})
    for side in (service(values), service(values)["prefill"]):
        assert side["rolloutStrategy"] == {"maxSurge": 0, "maxUnavailable": "50%"}
    assert plan(values)["restart"] == ("maxSurge 0, maxUnavailable 50%", "global.llm.rolloutStrategy")
    assert "rolloutStrategy" not in service(split(kserveVersion="0.21"))


@pytest.mark.parametrize(
    ("values", "devices"),
    [
        (big(parallel={"tensor": 4}), 4),
        (big(parallel={"tensor": 4}, replicas=5), 8),
        (split(parallel={"tensor": 4}, prefill={"replicas": 2, "parallel": {"tensor": 2}}), 6),
        (group(), 0),
        (llm(accelerator="cpu"), 0),
    ],
    ids=["one", "a quarter of five", "both sides", "a group stops first", "no devices"],
)
def test_the_plan_says_what_a_restart_needs(values: dict[str, Any], devices: int) -> None:
    needed = f"needs {devices} free nvidia.com/gpu besides: the new engine starts before the old one stops (UPGRADING.md)"
    assert plan(values).get("restart", ("",))[0] == (needed if devices else "")


# --- features ---------------------------------------------------------------------------------------------------------


def test_features_set_the_models_own_parsers() -> None:
    values = llm(model="glm-4-5-air", accelerator="nvidia-b200", features={"toolCalling": True, "reasoning": True})
    assert {"--enable-auto-tool-choice", "--tool-call-parser glm45", "--reasoning-parser glm45"} <= set(words(engine(values)))
    assert not [word for word in engine(llm()).get("args", ()) if "parser" in word]


@pytest.mark.parametrize("task", ["embed", "score", "classify"])
def test_the_helm_test_asks_what_the_model_does(task: str) -> None:
    def asked(values: dict[str, Any]) -> Any:
        (container,) = model(values).one("Pod")["spec"]["containers"]
        return {entry["name"]: entry["value"] for entry in container["env"]}["TASK"]

    assert asked(llm(models={"qwen2-5-7b-instruct": {"task": task}})) == task
    assert asked(llm()) == "generate"


def test_a_gated_model_without_a_token_is_warned_of() -> None:
    gated = llm(model="llama-3-1-8b-instruct", cache={"enabled": False})
    told = (
        "WARNING: hf://meta-llama/Llama-3.1-8B-Instruct is given only to those who accepted its licence; put a token of the hub "
        "into a Secret and set global.llm.cache.env.HF_TOKEN.valueFrom.secretKeyRef"
    )
    token = {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
    assert told in notes("llm-stack", values=gated)
    assert told not in notes(
        "llm-stack", values=overlay(gated, llm(model="llama-3-1-8b-instruct", engine={"env": {"HF_TOKEN": token}}))
    )


# --- day 2 ------------------------------------------------------------------------------------------------------------


def test_every_engine_pod_gets_what_day_two_needs() -> None:
    volume = {"mountPath": "/etc/own", "source": {"configMap": {"name": "own"}}}
    day_two = {
        "priorityClassName": "serving",
        "schedulerName": "volcano",
        "runtimeClassName": "nvidia",
        "doNotEvict": True,
        "extraVolumes": {"own": volume},
    }
    spec = service(chart(split(parallel={"tensor": 4, "data": 2, "nodes": 2}), **day_two))
    for pods in (spec["template"], spec["worker"], spec["prefill"]["template"]):
        assert (pods["priorityClassName"], pods["schedulerName"], pods["runtimeClassName"]) == ("serving", "volcano", "nvidia")
        assert {"name": "own", "configMap": {"name": "own"}} in pods["volumes"]
        assert {"name": "own", "mountPath": "/etc/own", "readOnly": True} in pods["containers"][0]["volumeMounts"]
    kept = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
    assert spec["annotations"] == spec["prefill"]["annotations"] == kept


def test_a_policy_admits_the_gateway_the_pods_of_the_service_and_its_test() -> None:
    peers = {"gateway": {"namespaceSelector": {"matchLabels": {"team": "gateway"}}}}
    values = chart(split(), networkPolicy={"enabled": True, "from": peers, "metricsFrom": peers})
    policy = model(values).one("NetworkPolicy")["spec"]
    own = {"app.kubernetes.io/name": "demo", "app.kubernetes.io/part-of": "llminferenceservice"}
    assert policy["policyTypes"] == ("Ingress",)
    (expression,) = policy["podSelector"]["matchExpressions"]
    assert policy["podSelector"]["matchLabels"] == own
    assert expression["values"] == ("llminferenceservice-workload", "llminferenceservice-workload-prefill")
    among, served, measured = policy["ingress"]
    assert among["from"][0] == {"podSelector": {"matchLabels": own}}
    assert served == {"from": (peers["gateway"],), "ports": ({"port": 8000, "protocol": "TCP"},)}
    assert [each["port"] for each in measured["ports"]] == [8000, 8001]
