"""Every refusal: its exact message, and a neighbour that passes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hack.paths import CHARTS
from tests.harness import HelmError, helm_fails, render
from tests.harness.components import overlay
from tests.schema.leaves import place
from tests.unit import test_autoscaling, test_observability
from tests.unit.mode_cases import MODE_CASES
from tests.unit.models import Case, alone, catalogue, llm, model

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsT"
SECRET = {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
PLATFORM = {
    "llm-inference-service": {"enabled": False},
    "kserve-controller": {"enabled": True, "presets": {"enabled": False}, "certificates": {"certManager": {"enabled": True}}},
    "global": {"llm": {"cache": {"enabled": False}}},
}
NOTHING = {"llm-inference-service": {"enabled": False}, "global": {"llm": {"cache": {"enabled": False}}}}


def no_label(name: str) -> str:
    return (
        f'global.llm.name: "{name}" (from global.llm.name) is no DNS-1035 label; '
        "set lower case letters, digits and dashes, a letter first and no dash last"
    )


def known(kind: str, *own: str) -> str:
    """The keys that a message offers: the catalogue's and one's own."""
    return ", ".join(sorted([*catalogue(kind), *own]))


MODELS, ACCELERATORS = known("models"), known("accelerators")


def moving(tag: str) -> str:
    return (
        f"global.llm.engine.image.tag: {tag} moves, so that two pods of one release may run different images; "
        "set a version, or a digest alone"
    )


def own(**facts: Any) -> dict[str, Any]:
    return llm(model="own", models={"own": facts}, cache={"enabled": False})


def kept(**facts: Any) -> dict[str, Any]:
    """The same with a cache."""
    return llm(model="own", models={"own": facts})


def accelerators(**rows: Any) -> dict[str, Any]:
    return llm(accelerators=rows)


KV_CACHE_DTYPES = (
    "one of auto, bfloat16, float16, fp8, fp8_ds_mla, fp8_e4m3, fp8_e5m2, fp8_inc, fp8_per_token_head, int4_per_token_head, "
    "int8_per_token_head, nvfp4, nvfp4_4over6, nvfp4_ds_mla, turboquant_3bit_nc, turboquant_4bit_nc, turboquant_k3v4_nc, "
    "turboquant_k8v4, ultraquant_4bit"
)
UNKNOWN = "remove it, or set global.llm.engine.version to what the image holds"
# vLLM's version, flag, a value that is refused, the message behind the path, and one that is accepted (a map: arguments).
ARGUMENTS: tuple[tuple[str, str, Any, str, Any], ...] = (
    ("0.32", "max_model_len", 1, "is spelled with underscores; set max-model-len", {"max-model-len": 1}),
    ("0.99", "max_model_len", 1, "is spelled with underscores; set max-model-len", {"no-such-flag": 1}),
    (
        "0.32",
        "kv_transfer_config.kv_role",
        "kv_both",
        "is spelled with underscores; set kv-transfer-config.kv_role",
        {"kv-transfer-config.kv_role": "kv_both"},
    ),
    ("0.32", "no-such-flag", 1, f"is no flag of vLLM 0.32; {UNKNOWN}", {"seed": 1}),
    ("0.32", "no-such-flag.part", 1, f"is no flag of vLLM 0.32; {UNKNOWN}", {"kv-transfer-config.kv_role": "kv_both"}),
    ("0.32", "calculate-kv-scales", True, f"is no flag of vLLM 0.32, which 0.25 has; {UNKNOWN}", {"enforce-eager": True}),
    (
        "0.25",
        "device-memory-utilization",
        0.9,
        f"is no flag of vLLM 0.25, which 0.31, 0.32, 0.33 has; {UNKNOWN}",
        {"gpu-memory-utilization": 0.9},
    ),
    (
        "0.32",
        "prefill-context-parallel",
        2,
        "is no flag of vLLM 0.32; set prefill-context-parallel-size",
        {"decode-context-parallel-size": 1},
    ),
    (
        "0.32",
        "no-enable-prefix-caching",
        True,
        "is how vLLM 0.32 negates a flag; set enable-prefix-caching, to true or false",
        {"enable-prefix-caching": False},
    ),
    (
        "0.33",
        "disable-log-requests",
        True,
        "is how vLLM 0.33 negates a flag; set enable-log-requests, to true or false",
        {"enable-log-requests": False},
    ),
    (
        "0.33",
        "no-enable-log-requests",
        True,
        "is how vLLM 0.33 negates a flag; set enable-log-requests, to true or false",
        {"enable-log-requests": True},
    ),
    ("0.32", "disable-log-requests", True, "is no flag of vLLM 0.32; set enable-log-requests", {"enable-log-requests": False}),
    ("0.32", "disable-log-stats", False, "is false, and vLLM 0.32 has no negation of it; remove it, or set true", True),
    (
        "0.32",
        "max-model-len.part",
        1,
        "vLLM 0.32 takes no JSON for max-model-len, so that it has no parts; set max-model-len",
        {"hf-overrides.part": 1},
    ),
    *(
        (version, flag, refused, f"is {is_}, and vLLM {version} takes {wants}; set that", accepted)
        for version, flag, refused, is_, wants, accepted in (
            ("0.32", "enforce-eager", "yes", "a text", "true or false", True),
            ("0.32", "disable-log-stats", 1, "a number", "true or false", True),
            ("0.32", "max-num-seqs", "many", "a text", "an integer", "16"),
            ("0.32", "max-num-seqs", 1.5, "a number", "an integer", 16),
            ("0.32", "max-num-seqs", True, "true", "an integer", 1048576),
            ("0.32", "max-num-seqs", False, "false", "an integer", 0),
            ("0.32", "max-num-seqs", "None", "a text", "an integer", {"max-num-queued-reqs": "None"}),
            ("0.32", "max-num-seqs", [16], "a list", "an integer", 16),
            ("0.32", "max-num-seqs", {"a": 1}, "a map", "an integer", 16),
            ("0.32", "gpu-memory-utilization", "high", "a text", "a number", "9e-1"),
            ("0.32", "gpu-memory-utilization", True, "true", "a number", 0.9),
            ("0.32", "kv-cache-memory-bytes", "64MB", "a text", "an integer, also as 64k or 2M", "64M"),
            ("0.32", "kv-cache-memory-bytes", "1.5M", "a text", "an integer, also as 64k or 2M", "1.5m"),
            ("0.32", "kv-cache-memory-bytes", "auto", "a text", "an integer, also as 64k or 2M", 67108864),
            ("0.32", "max-model-len", "long", "a text", "an integer, also as 64k or 2M, or auto", "auto"),
            ("0.32", "dtype", "int8", "a text", "one of auto, bfloat16, float, float16, float32, half", "bfloat16"),
            ("0.32", "dtype", ["auto"], "a list", "one of auto, bfloat16, float, float16, float32, half", "auto"),
            ("0.32", "max-lora-rank", 7, "a number", "one of 1, 8, 16, 32, 64, 128, 256, 320, 512", 8),
            ("0.32", "chat-template", {"a": 1}, "a map", "a text", "{{ x }}"),
            ("0.32", "chat-template", ["a"], "a list", "a text", 7),
            ("0.32", "served-model-name", [{"a": 1}], "a list", "a text, or a list of such", ["a", 7]),
            ("0.32", "served-model-name", True, "true", "a text, or a list of such", "a"),
            ("0.32", "cudagraph-capture-sizes", [1, "x"], "a list", "an integer, or a list of such", [1, "2"]),
            ("0.32", "kv-transfer-config", "NixlConnector", "a text", "JSON (a map)", '{"kv_role": "kv_both"}'),
            (
                "0.32",
                "kv-transfer-config",
                ["a"],
                "a list",
                "JSON (a map)",
                {"kv-transfer-config": {"kv_role": "kv_both"}},
            ),
            ("0.32", "limit-mm-per-prompt", "image=2", "a text", "JSON (a map or a list)", {"limit-mm-per-prompt": {"image": 2}}),
            ("0.32", "hf-overrides", ["a"], "a list", "a text or JSON (a map)", {"hf-overrides": {"a": 1}}),
            ("0.32", "hf-token", False, "false", "a text, or true", True),
            ("0.25", "mm-encoder-attn-dtype", "None", "a text", "one of fp8", "fp8"),
            ("0.32", "kv-cache-dtype", "fp4", "a text", KV_CACHE_DTYPES, "fp8"),
            ("0.33", "kv-cache-dtype", False, "false", "a text", "fp4"),
        )
    ),
)


CASES = (
    *MODE_CASES,
    Case("name with a dot", no_label("a.b"), llm(name="a.b"), llm(name="a-b")),
    Case("name with a leading digit", no_label("7b"), llm(name="7b"), llm(name="b7")),
    Case("name in upper case", no_label("Qwen"), llm(name="Qwen"), llm(name="qwen")),
    Case("name with a dash last", no_label("qwen-"), llm(name="qwen-"), llm(name="q")),
    Case(
        "name over the limit",
        f'global.llm.name: "{"n" * 39}" (from global.llm.name) has 39 characters and KServe appends up to 25; '
        "set a name of at most 38",
        llm(name="n" * 39),
        llm(name="n" * 38),
    ),
    Case(
        "unknown KServe",
        'global.llm.kserveVersion: "0.99" is not in the capability table; set one of 0.19, 0.20, 0.21',
        llm(kserveVersion="0.99"),
        llm(kserveVersion="0.19"),
    ),
    *(
        Case(
            f"KServe {version}",
            f'global.llm.kserveVersion: "{version}" has other presets and ignores part of what is rendered; upgrade KServe, then '
            "set one of 0.19, 0.20, 0.21",
            llm(kserveVersion=version),
            llm(kserveVersion="0.20"),
        )
        for version in ("0.17", "0.18")
    ),
    Case(
        "no model",
        f"global.llm.model: is empty; set one of {MODELS}, or a key of your own in global.llm.models",
        llm(model=""),
        llm(),
    ),
    Case(
        "unknown model",
        'global.llm.model: "qwen" is neither in the catalogue nor in global.llm.models; set one of ' + known("models", "own"),
        llm(model="qwen", models={"own": {"uri": "hf://a/b", "parameters": 1}}),
        llm(model="own", models={"own": {"uri": "hf://a/b", "parameters": 1}}),
    ),
    Case(
        "model without uri",
        "global.llm.models.own.uri: is missing; set where the weights are, for example hf://org/model or pvc://claim/path",
        own(parameters=1),
        own(parameters=1, uri="hf://a/b"),
    ),
    Case(
        "model without a size",
        "global.llm.models.own.parameters: is missing; set the number of parameters, or weightBytes",
        own(uri="hf://a/b"),
        own(uri="hf://a/b", weightBytes=1),
    ),
    Case(
        "no accelerator",
        f"global.llm.accelerator: is empty; set one of {ACCELERATORS}, or a key of your own in global.llm.accelerators",
        llm(accelerator=""),
        llm(accelerator="cpu"),
    ),
    Case(
        "unknown accelerator",
        f'global.llm.accelerator: "h100" is neither in the catalogue nor in global.llm.accelerators; set one of {ACCELERATORS}',
        llm(accelerator="h100"),
        llm(accelerator="h100", accelerators={"h100": {"image": {"repository": "a/b", "tag": "v1"}}}),
    ),
    Case(
        "cache of a filled claim",
        "global.llm.cache.enabled: pvc://claim/path is on a claim already; set global.llm.cache.enabled: false",
        kept(uri="pvc://claim/path", parameters=1),
        own(uri="pvc://claim/path", parameters=1),
    ),
    Case(
        "cache of an image",
        "global.llm.cache.enabled: oci://registry.example.com/org/model:v1 is an image, which nodes keep by themselves; "
        "set global.llm.cache.enabled: false",
        kept(uri="oci://registry.example.com/org/model:v1", parameters=1),
        own(uri="oci://registry.example.com/org/model:v1", parameters=1),
    ),
    *(
        Case(
            f"cache of {scheme}",
            f"global.llm.cache.enabled: what fills the cache knows hf://, s3://, gs:// and https://, not {scheme}://a/b; "
            "set another uri, or global.llm.cache.enabled: false to leave it to KServe",
            kept(uri=f"{scheme}://a/b", parameters=1),
            accepted,
        )
        for scheme, accepted in (
            ("hdfs", own(uri="hdfs://a/b", parameters=1)),
            ("s3a", kept(uri="s3://a/b", parameters=1)),
            ("gcs", kept(uri="gs://a/b", parameters=1)),
            ("xhttps", kept(uri="https://a/b", parameters=1)),
            ("httpsx", kept(uri="http://a/b", parameters=1)),
        )
    ),
    Case(
        "a password in a uri",
        "global.llm.models: the uri of models/own/4750f12b1e4a holds a password in the values; set one without",
        kept(uri="https://user:pw@example.com/own", parameters=1),
        kept(uri="https://example.com/own", parameters=1),
    ),
    Case(
        "the public hub without a network",
        "global.llm.offline: hf://Qwen/Qwen2.5-7B-Instruct would be asked of huggingface.co; set global.llm.cache.env.HF_ENDPOINT"
        " to a hub of the network, or another uri",
        llm(offline=True),
        llm(offline=True, cache={"env": {"HF_ENDPOINT": "http://hub.example.com"}}),
    ),
    Case(
        "a draft model from elsewhere",
        "global.llm.speculative.model: what fills the cache knows hf://, s3://, gs:// and https://, not hdfs://a/b; "
        "set another uri in global.llm.models.draft",
        llm(speculative={"model": "draft", "tokens": 3}, models={"draft": {"uri": "hdfs://a/b", "parameters": 1}}),
        llm(speculative={"model": "draft", "tokens": 3}, models={"draft": {"uri": "s3://a/b", "parameters": 1}}),
    ),
    *(
        Case(
            f"an adapter of {scheme} without a cache",
            f"global.llm.adapters.sql.uri: {scheme}://a/b is no place from which KServe takes an adapter (hf://, s3:// or "
            "pvc://); set global.llm.cache.enabled: true",
            llm(adapters={"sql": {"uri": f"{scheme}://a/b"}}, cache={"enabled": False}),
            llm(adapters={"sql": {"uri": "s3://a/b"}}, cache={"enabled": False}),
        )
        for scheme in ("gs", "https", "http")
    ),
    Case(
        "a variable of the download's own",
        "global.llm.cache.env.CACHE_SPEC: is the chart's own; remove it",
        llm(cache={"env": {"CACHE_SPEC": "{}"}}),
        llm(cache={"env": {"CACHE": "{}"}}),
    ),
    Case(
        "what is compiled, without a cache",
        "global.llm.cache.compilation: is kept on the cache's claim, and there is none; set global.llm.cache.enabled: true with "
        "a uri that is downloaded, or compilation: false",
        llm(cache={"enabled": False, "compilation": True}),
        llm(cache={"compilation": True}),
    ),
    Case(
        "an image of the download that moves",
        "model-cache.image.tag: latest moves, so that two pods of one release may run different images; set a version, or a "
        "digest alone",
        {**llm(), "model-cache": {"image": {"tag": "latest"}}},
        {**llm(), "model-cache": {"image": {"tag": "v0.20.1"}}},
    ),
    *(
        Case(
            f"{mode} under two replicas",
            f"global.llm.cache.accessMode: {mode} lets one node mount the weights and global.llm.replicas is 2; "
            "set ReadWriteMany, or replicas: 1",
            llm(replicas=2, cache={"accessMode": mode, "existingClaim": claim}),
            llm(replicas=replicas, cache={"accessMode": other, "existingClaim": claim}),
        )
        for mode, replicas, other, claim in (
            ("ReadWriteOnce", 2, "ReadWriteMany", ""),
            ("ReadWriteOnce", 1, "ReadWriteOnce", "weights"),
            ("ReadWriteOncePod", 2, "ReadWriteMany", "weights"),
        )
    ),
    *(
        Case(
            f"ReadOnlyMany under {replicas} replicas",
            "global.llm.cache.accessMode: ReadOnlyMany cannot be filled; set ReadWriteMany, or serve a claim that is filled "
            "already by a uri pvc://claim/path",
            llm(replicas=replicas, cache={"accessMode": "ReadOnlyMany", "existingClaim": claim}),
            llm(replicas=replicas, cache={"accessMode": "ReadWriteMany", "existingClaim": claim}),
        )
        for replicas, claim in ((1, ""), (2, "weights"))
    ),
    Case(
        "ReadWriteOncePod under one replica",
        "global.llm.cache.accessMode: ReadWriteOncePod admits one pod, and the download is a pod beside the engine's; "
        "set ReadWriteOnce",
        llm(cache={"accessMode": "ReadWriteOncePod"}),
        llm(cache={"accessMode": "ReadWriteOnce"}),
    ),
    Case(
        "devices that do not divide the heads",
        "global.llm.parallel.tensor: 3 does not divide the model's 28 attention heads; set one of 1, 2, 4",
        llm(parallel={"tensor": 3}),
        llm(parallel={"tensor": 2}),
    ),
    Case(
        "a model that cannot start",
        "global.llm.model: Qwen/Qwen2.5-72B-Instruct does not start on 1 x nvidia-l40s: 145.4 GB of weights, 1.0 GB of "
        "overhead and 10.7 GB for one request of 32768 tokens do not go into 43.5 GB on each device; "
        "set global.llm.parallel.tensor to more, or to 0",
        llm(model="qwen2-5-72b-instruct", parallel={"tensor": 1}),
        llm(model="qwen2-5-72b-instruct"),
    ),
    Case(
        "devices as an engine argument",
        "global.llm.engine.args.tensor-parallel-size: would disagree with the devices of the pod; set global.llm.parallel.tensor",
        llm(engine={"args": {"tensor-parallel-size": 2}}),
        llm(parallel={"tensor": 2}),
    ),
    Case(
        "argument set and left out",
        "global.llm.engine.omitArgs: gpu-memory-utilization is set in global.llm.engine.args as well; remove it from one of them",
        llm(engine={"args": {"gpu-memory-utilization": 0.5}, "omitArgs": ["gpu-memory-utilization"]}),
        llm(engine={"args": {"max-model-len": 1}, "omitArgs": ["gpu-memory-utilization"]}),
    ),
    Case(
        "argument without values",
        "global.llm.engine.args.served-model-name: is an empty list; set its values, or remove the key",
        llm(engine={"args": {"served-model-name": []}}),
        llm(engine={"args": {"served-model-name": ["a"]}}),
    ),
    *(
        Case(
            f"{key} of an existing claim",
            f"global.llm.cache.{key}: claim weights exists already and keeps its own; remove it, or existingClaim",
            llm(cache={"existingClaim": "weights", key: value}),
            llm(cache={key: value}),
        )
        for key, value in (("size", "30Gi"), ("storageClassName", "fast"))
    ),
    *(
        Case(f"tag {tag}", moving(tag), llm(engine={"image": {"tag": tag}}), llm(engine={"image": {"tag": f"{tag}-2026"}}))
        for tag in ("latest", "main", "master", "nightly")
    ),
    *(
        Case(
            f"{name} typed into values of the {part}",
            f"global.llm.{part}.env.{name}: holds a secret in the values; put it into a Secret and set valueFrom.secretKeyRef",
            llm(**{part: {"env": {name: "geheim"}}}),
            llm(**{part: {"env": {name: SECRET}}}),
        )
        for part in ("engine", "cache")
        for name in (
            "HF_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "VLLM_API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "DB_PASSWORD",
            "TOKEN",
            "MY_SECRET",
        )
    ),
    *(
        Case(
            f"character {ord(lost):x} in the cache's env",
            "global.llm.cache.env.A: holds a control character that cannot arrive "
            "(U+0000, U+007F to U+009F, U+FFFE, U+FFFF); remove it",
            llm(cache={"env": {"A": f"a{lost}b"}}),
            llm(cache={"env": {"A": f"a{accepted}b"}}),
        )
        for lost, accepted in (("\0", "\\u0000"), ("\x7f", "\n"), ("\x85", "\xa0"), ("\ufffe", "\ufffd"))
    ),
    *(
        Case(
            f"{flag} typed into values",
            f"global.llm.engine.args.{flag}: holds a secret in the values; put it into a Secret and set "
            f"global.llm.engine.env.{name}.valueFrom.secretKeyRef",
            llm(engine={"args": {flag: "geheim"}}),
            llm(engine={"env": {name: SECRET}}),
        )
        for flag, name in (("api-key", "VLLM_API_KEY"), ("hf-token", "HF_TOKEN"))
    ),
    *(
        Case(
            f"character {ord(lost):x} in an {where[:3]}",
            f"global.llm.engine.{where}: holds a control character that cannot arrive "
            "(U+0000, U+007F to U+009F, U+FFFE, U+FFFF); remove it",
            llm(engine=overlay(place(tuple(where.split(".")), f"a{lost}b"), {"version": "0.99"})),
            llm(engine=overlay(place(tuple(where.split(".")), f"a{kept}b"), {"version": "0.99"})),
        )
        for lost, kept, where in (
            ("\0", "\\u0000", "args.flag"),
            ("\0", "\\u0000", "env.A"),
            ("\x7f", "\x1f", "args.flag"),
            ("\x85", "\xa0", "args.flag"),
            ("\ufffe", "\ufffd", "args.flag"),
            ("\x7f", "\n", "env.A"),
        )
    ),
    Case(
        "a hub token in another place",
        "global.llm: holds what looks like a Hugging Face token; put it into a Secret and set "
        "global.llm.engine.env.HF_TOKEN.valueFrom.secretKeyRef",
        llm(engine={"args": {"served-model-name": [TOKEN]}}),
        llm(engine={"args": {"served-model-name": ["hf_model"]}}),
    ),
    *(
        Case(
            f"{flag}: {refused!r:.20} on vLLM {version}",
            f"global.llm.engine.args.{flag}: {message}",
            llm(engine={"version": version, "args": {flag: refused}}),
            llm(engine={"version": version, "args": accepted if isinstance(accepted, dict) else {flag: accepted}}),
        )
        for version, flag, refused, message, accepted in ARGUMENTS
    ),
    Case(
        "two planes in one release",
        "kserve-controller.enabled: the controller and a model cannot be one release, because the controller's webhook must "
        "serve before the model can be created; install the controller with values/platform.yaml first, then the model with "
        "kserve-controller.enabled: false",
        overlay(llm(), {"kserve-controller": PLATFORM["kserve-controller"]}),
        PLATFORM,
        "kserve",
    ),
    Case(
        "nothing enabled",
        "llm-inference-service.enabled: nothing is enabled; set llm-inference-service.enabled or kserve-controller.enabled",
        NOTHING,
        overlay(NOTHING, PLATFORM),
        "kserve",
    ),
    Case(
        "a cache without a model",
        "global.llm.cache.enabled: there is no model in this release to cache; set global.llm.cache.enabled: false, "
        "or install chart model-cache alone",
        overlay(PLATFORM, {"global": {"llm": {"cache": {"enabled": True}}}}),
        PLATFORM,
        "kserve",
    ),
    *(
        Case(
            f"label {label}",
            f"llm-inference-service.labels.{label}: is the chart's own; set another label",
            {**llm(), "llm-inference-service": {"labels": {label: "x"}}},
            {**llm(), "llm-inference-service": {"labels": {"kueue.x-k8s.io/queue-name": "x"}}},
        )
        for label in ("app.kubernetes.io/name", "helm.sh/chart")
    ),
    *(
        Case(
            f"pod label {label}",
            f"llm-inference-service.podLabels.{label}: is KServe's own, by which it finds the engine's pods; set another label",
            {**llm(), "llm-inference-service": {"podLabels": {label: "x"}}},
            {**llm(), "llm-inference-service": {"podLabels": {f"example.com/{label.rpartition('/')[2]}": "x"}}},
        )
        for label in ("app.kubernetes.io/name", "kserve.io/component", "serving.kserve.io/x", "llm-d.ai/role")
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_refused_with_one_message(case: Case) -> None:
    with helm_fails(case.message):
        alone(case.refused, namespace=case.namespace)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_neighbour_passes(case: Case) -> None:
    assert alone(case.accepted, namespace=case.namespace).objects


def test_every_message_of_the_templates_has_a_case() -> None:
    """Each refusal that a template can print is the beginning of some case's message, up to its first placeholder."""
    printed = []
    for path in (*(CHARTS / "llm-common" / "templates").glob("*.tpl"), *CHARTS.glob("llm-*/templates/zz-validate/**/*.yaml")):
        for line in path.read_text().splitlines():
            told = "llm-common.plan.tell" in line and "include" in line and '"to" "warnings"' not in line
            if "append $errors" in line or "$wrong = printf" in line or (told and '"message" $wrong)' not in line):
                (text, *_) = re.findall(
                    r'"((?:%s(?:\.[%A-Za-z-]+)*: |(?:[a-z-]+\.)*(?:global|llm-inference|llm-observability|kserve))[^"]*)"', line
                )
                printed.append(text)
    assert len(printed) > 15
    shapes = [re.sub(r"%[qsdv]", "\0", text) for text in printed]
    shapes = [re.escape(shape).replace("\0", ".*") for shape in shapes]
    unreached = [
        shape
        for shape in shapes
        if not any(re.fullmatch(shape, case.message) for case in (*CASES, *test_autoscaling.CASES, *test_observability.REFUSED))
    ]
    # The release's own name is refused with the same message as global.llm.name.
    assert unreached == []


# --- the release's own name -------------------------------------------------------------------------------------------


def test_a_release_name_that_kserve_cannot_use() -> None:
    with helm_fails(
        'global.llm.name: "my.model" (from the release name) is no DNS-1035 label; '
        "set lower case letters, digits and dashes, a letter first and no dash last"
    ):
        model(llm(), name="my.model")
    assert model(llm(name="my-model"), name="my.model").objects


def test_helm_itself_refuses_upper_case() -> None:
    with pytest.raises(HelmError, match="invalid release name"):
        model(llm(), name="Demo")


# --- several at once, in every chart ----------------------------------------------------------------------------------

SEVERAL = llm(name="7b", model="", accelerator="", kserveVersion="9.9", engine={"image": {"tag": "latest"}})
MESSAGES = (
    no_label("7b"),
    'global.llm.kserveVersion: "9.9" is not in the capability table; set one of 0.19, 0.20, 0.21',
    f"global.llm.model: is empty; set one of {MODELS}, or a key of your own in global.llm.models",
    f"global.llm.accelerator: is empty; set one of {ACCELERATORS}, or a key of your own in global.llm.accelerators",
    moving("latest"),
)


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize("chart", ["llm-stack", "llm-inference-service", "model-cache"])
def test_all_refusals_come_at_once(chart: str, helm: str) -> None:
    with helm_fails(*MESSAGES):
        render(chart, values=SEVERAL, helm=helm)


def test_a_model_without_facts_says_both() -> None:
    with helm_fails(
        "global.llm.models.own.uri: is missing; set where the weights are, for example hf://org/model or pvc://claim/path",
        "global.llm.models.own.parameters: is missing; set the number of parameters, or weightBytes",
    ):
        model(own())


def test_planes_and_cache_come_together() -> None:
    with helm_fails(
        "llm-inference-service.enabled: nothing is enabled; set llm-inference-service.enabled or kserve-controller.enabled",
        "global.llm.cache.enabled: there is no model in this release to cache; set global.llm.cache.enabled: false, "
        "or install chart model-cache alone",
    ):
        model({"llm-inference-service": {"enabled": False}})


def test_defaults_alone_ask_for_a_model_and_an_accelerator() -> None:
    with helm_fails(MESSAGES[2], MESSAGES[3]):
        model({})


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize(
    "values",
    [
        llm(engine={"env": {"HF_TOKEN": TOKEN}}),
        llm(engine={"env": {"HF_TOKEN": {"value": TOKEN}}}),
        llm(engine={"env": {"ANYTHING": TOKEN}}),
        llm(engine={"args": {"hf-token": TOKEN}}),
        llm(engine={"args": {"override-generation-config": {"deep": [TOKEN]}}}),
        llm(engine={"args": {"max-model-len": TOKEN, "dtype": TOKEN, "kv-transfer-config": TOKEN}}),
        llm(accelerators={"nvidia-l40s": {"env": {"X": TOKEN}}}),
        llm(models={"own": {"servedName": TOKEN}}),
        llm(cache={"env": {"HF_TOKEN": TOKEN}}),
        llm(cache={"env": {"ANYTHING": TOKEN}}),
    ],
    ids=["env", "env value", "other env", "flag", "json", "wrong kind", "accelerator", "model", "cache", "other of the cache"],
)
def test_a_token_is_refused_and_never_repeated(values: dict[str, Any], helm: str) -> None:
    with pytest.raises(HelmError) as refused:
        model(values, helm=helm)
    assert refused.value.messages
    assert TOKEN not in refused.value.stderr


def test_a_flag_that_reads_the_stored_token_passes() -> None:
    """`--hf-token` without a value takes the one that the environment or a file gives."""
    spec = model(llm(engine={"args": {"hf-token": True}})).one("LLMInferenceService")["spec"]
    assert "--hf-token" in spec["template"]["containers"][0]["args"]
