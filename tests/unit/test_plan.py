"""What the plan derives, and from what."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hack import paths
from tests.harness import HelmError, notes, render
from tests.harness.components import key
from tests.unit.models import GATE, QWEN, QWEN_URI, cached, engine, environment, llm, model, own, plan, service

GIB = 1024**3


def claim(values: Any, **options: Any) -> Any:
    return model(values, **options).one("PersistentVolumeClaim")


def test_the_plan_is_made_once_for_all_charts(tmp_path: Path) -> None:
    """A second making ends the render. Of templates of one name Helm takes the outer chart's."""
    chart = Path(shutil.copytree(paths.CHARTS / "llm-stack", tmp_path / "llm-stack"))
    begins = '{{- define "llm-common.plan.make" -}}'
    again = '{{- if get .root.Release "made" -}}{{- fail "made again" -}}{{- end -}}{{- $_ := set .root.Release "made" true -}}'
    (own,) = [path for path in (paths.CHARTS / "llm-common" / "templates").glob("*.tpl") if begins in path.read_text()]
    counting = own.read_text().replace(begins, begins + again)
    (chart / "templates" / own.name).write_text(counting)
    assert render(chart, "deploy-autoscaling").objects == render("llm-stack", "deploy-autoscaling").objects
    (chart / "templates" / own.name).write_text(counting.replace("not (and $kept", "not (and false $kept"))
    with pytest.raises(HelmError, match="made again"):
        render(chart, "deploy-autoscaling", fresh=True)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_release_name_names_everything() -> None:
    assert sorted(map(key, model(llm(replicas=2), name="chat").objects)) == [
        "ConfigMap/chat-model-cache",
        "ConfigMap/chat-plan",
        "Job/chat-download",
        "LLMInferenceService/chat",
        "PersistentVolumeClaim/chat-models",
        "Pod/chat-test",
        "PodDisruptionBudget/chat",
        "Role/chat-download",
        "RoleBinding/chat-download",
        "ServiceAccount/chat",
        "ServiceAccount/chat-download",
    ]
    assert plan(llm(), name="chat")["name"] == ("chat", "the release name")


def test_a_given_name_stands_in_for_the_release_name() -> None:
    found = model(llm(name="qwen"), name="release-7")
    assert "LLMInferenceService/qwen" in found.names()
    assert {obj["metadata"]["labels"]["app.kubernetes.io/instance"] for obj in found.objects} == {"release-7"}
    assert plan(llm(name="qwen"))["name"] == ("qwen", "global.llm.name")


def test_the_test_asks_the_service_that_kserve_makes() -> None:
    (container,) = model(llm(name="qwen")).one("Pod")["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env.items() >= {
        ("HOST", "qwen-kserve-workload-svc:8000"),
        ("MODEL", "Qwen/Qwen2.5-7B-Instruct"),
        ("PROMPT", "Hello"),
        ("MAX_TOKENS", "8"),
    }


# --- model ------------------------------------------------------------------------------------------------------------


def test_a_model_of_the_catalogue() -> None:
    spec = service(llm(cache={"enabled": False}))
    assert spec["model"] == {"uri": "hf://Qwen/Qwen2.5-7B-Instruct", "name": "Qwen/Qwen2.5-7B-Instruct"}


def test_single_facts_of_the_catalogue_can_be_replaced() -> None:
    spec = service(llm(models={QWEN: {"servedName": "chat"}}, cache={"enabled": False}))
    assert spec["model"] == {"uri": "hf://Qwen/Qwen2.5-7B-Instruct", "name": "chat"}


def test_a_model_without_a_served_name_is_served_by_its_key() -> None:
    assert service(own())["model"]["name"] == "own"


def test_two_bytes_a_parameter_unless_the_weights_are_known() -> None:
    derived = llm(model="own", models={"own": {"uri": "hf://org/own", "parameters": 3_000_000_000}})
    assert plan(derived)["volume claim"][1] == "6000000000 bytes of weights and global.llm.cache"
    known = llm(model="own", models={"own": {"uri": "hf://org/own", "parameters": 3_000_000_000, "weightBytes": 4_000_000_000}})
    assert plan(known)["volume claim"][1] == "4000000000 bytes of weights and global.llm.cache"


# --- cache ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (1, "10Gi"),
        (8_900_000_000, "10Gi"),
        (8_950_000_000, "20Gi"),
        (15_220_000_000, "20Gi"),
        (80_000_000_000, "90Gi"),
        (89_000_000_000, "100Gi"),
        (90_000_000_000, "150Gi"),
        (145_400_000_000, "200Gi"),
        (1_342_000_000_000, "1500Gi"),
    ],
)
def test_claim_sizes_are_rounded_up_coarsely(size: int, wanted: str) -> None:
    found = claim(own(size))["spec"]["resources"]["requests"]["storage"]
    assert found == wanted
    assert int(found.removesuffix("Gi")) * GIB > size * 1.2


def test_a_corrected_fact_never_shrinks_a_claim() -> None:
    sizes = [
        int(claim(own(weights))["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
        for weights in range(10**9, 220 * 10**9, 24 * 10**9)
    ]
    assert sizes == sorted(sizes)
    assert all(size % (10 if size < 100 else 50) == 0 for size in sizes)


def test_a_created_claim_holds_the_model_under_its_key() -> None:
    assert service(llm())["model"]["uri"] == f"pvc://demo-models/{cached('models', QWEN, QWEN_URI)}"
    assert claim(llm())["spec"] == {"accessModes": ("ReadWriteOnce",), "resources": {"requests": {"storage": "20Gi"}}}
    assert claim(llm())["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_a_claim_cannot_be_given_away_by_an_annotation() -> None:
    values = {**llm(), "model-cache": {"annotations": {"helm.sh/resource-policy": "delete", "a": "b"}}}
    assert claim(values)["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "a": "b"}


def test_an_existing_claim_is_used_and_not_rendered() -> None:
    found = model(llm(cache={"existingClaim": "weights"}))
    assert found.all("PersistentVolumeClaim") == []
    assert found.one("LLMInferenceService")["spec"]["model"]["uri"] == f"pvc://weights/{cached('models', QWEN, QWEN_URI)}"
    assert "volume claim" not in plan(llm(cache={"existingClaim": "weights"}))


@pytest.mark.parametrize(("replicas", "mode"), [(1, "ReadWriteOnce"), (2, "ReadWriteMany"), (5, "ReadWriteMany")])
def test_the_access_mode_follows_the_replicas(replicas: int, mode: str) -> None:
    assert claim(llm(replicas=replicas))["spec"]["accessModes"] == (mode,)


def test_a_claim_as_the_user_wants_it() -> None:
    found = claim(llm(cache={"size": "7Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"}))["spec"]
    assert found == {
        "accessModes": ("ReadWriteMany",),
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "7Gi"}},
    }


def test_without_a_cache_the_model_is_downloaded() -> None:
    found = model(llm(cache={"enabled": False}))
    assert found.all("PersistentVolumeClaim") == []
    assert found.one("LLMInferenceService")["spec"]["model"]["uri"] == "hf://Qwen/Qwen2.5-7B-Instruct"


def test_the_cache_chart_alone_agrees_with_the_service_chart_alone() -> None:
    cache = claim(llm(), chart="model-cache")
    assert service(llm(), chart="llm-inference-service")["model"]["uri"].startswith(f"pvc://{cache['metadata']['name']}/")


# --- pod --------------------------------------------------------------------------------------------------------------


def test_a_gpu_engine_gets_one_device_and_memory_for_its_weights() -> None:
    assert engine(own(10 * GIB))["resources"] == {
        "limits": {"nvidia.com/gpu": "1"},
        "requests": {"cpu": "4", "memory": "12288Mi", "nvidia.com/gpu": "1"},
    }


def test_a_cpu_engine_gets_no_device() -> None:
    assert engine(own(GIB, accelerator="cpu"))["resources"] == {"requests": {"cpu": "1", "memory": "3072Mi"}}


def test_resources_can_be_replaced_whole() -> None:
    values = llm(accelerator="cpu", overrides={"resources": {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}}})
    assert engine(values)["resources"] == {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}}
    assert plan(values)["engine resources"][1] == "global.llm.overrides.resources"


@pytest.mark.parametrize(
    ("given", "text"), [(2, "2"), (0.5, "0.5"), (8589934592, "8589934592"), ("1000m", "1000m"), ("1Gi", "1Gi")]
)
def test_amounts_are_texts_as_written(given: Any, text: str) -> None:
    """A large number would get an exponent; Go's own form is KServe's webhook's business."""
    values = llm(accelerator="cpu", overrides={"resources": {"limits": {"memory": given}}})
    assert engine(values)["resources"]["limits"]["memory"] == text


def test_where_engines_run() -> None:
    given = service(llm(accelerator="nvidia-h100-80gb"))["template"]
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert given["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert given["tolerations"] == (toleration,)
    own_place = {"nodeSelector": {"pool": "a"}, "tolerations": [{"operator": "Exists"}]}
    replaced = service(llm(accelerator="nvidia-h100-80gb", overrides=own_place))["template"]
    assert replaced["nodeSelector"] == {"pool": "a"}
    assert replaced["tolerations"] == ({"operator": "Exists"},)
    assert "nodeSelector" not in service(llm(accelerator="cpu"))["template"]


def test_an_accelerator_of_ones_own() -> None:
    accelerators = {
        "mi300x": {
            "resource": "amd.com/gpu",
            "image": {"registry": "docker.io", "repository": "vllm/vllm-openai-rocm", "tag": "v0.32.0", "pullPolicy": "Never"},
            "env": {"HIP_FORCE_DEV_KERNARG": 1},
        }
    }
    container = engine(llm(accelerator="mi300x", accelerators=accelerators))
    assert container["image"] == "docker.io/vllm/vllm-openai-rocm:v0.32.0"
    assert container["imagePullPolicy"] == "Never"
    assert container["resources"]["limits"] == {"amd.com/gpu": "1"}
    assert {"name": "HIP_FORCE_DEV_KERNARG", "value": "1"} in container["env"]


@pytest.mark.parametrize(
    ("size", "threshold"),
    [(100_000_000, 121), (1, 120), (500_000_000, 121), (600_000_000, 122), (145_400_000_000, 411)],
)
def test_the_startup_budget_is_600_s_and_the_weights_at_100_mb_a_second(size: int, threshold: int) -> None:
    assert engine(own(size))["startupProbe"] == {"periodSeconds": 5, "failureThreshold": threshold}
    assert plan(own(size))["startup budget"] == (f"{600 + size // 10**8} s", f"600 s and {size} bytes of weights at 100 MB/s")


@pytest.mark.parametrize(("seconds", "threshold"), [(1, 1), (5, 1), (6, 2), (1800, 360)])
def test_the_startup_budget_can_be_replaced(seconds: int, threshold: int) -> None:
    values = llm(overrides={"startupSeconds": seconds})
    assert engine(values)["startupProbe"] == {"periodSeconds": 5, "failureThreshold": threshold}
    assert plan(values)["startup budget"] == (f"{seconds} s", "global.llm.overrides.startupSeconds")


def test_several_engines_are_spread_and_disrupted_one_at_a_time() -> None:
    found = model(llm(replicas=3))
    budget = found.one("PodDisruptionBudget")["spec"]
    labels = {
        "app.kubernetes.io/name": "demo",
        "app.kubernetes.io/part-of": "llminferenceservice",
        "app.kubernetes.io/component": "llminferenceservice-workload",
    }
    component = labels["app.kubernetes.io/component"]
    expression = {"key": "app.kubernetes.io/component", "operator": "In", "values": (component,)}
    common = {key: value for key, value in labels.items() if value != component}
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": common, "matchExpressions": (expression,)}}
    spec = found.one("LLMInferenceService")["spec"]
    assert spec["replicas"] == 3
    (spread,) = spec["template"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == {"matchLabels": labels}
    single = model(llm())
    assert single.all("PodDisruptionBudget") == []
    assert "topologySpreadConstraints" not in single.one("LLMInferenceService")["spec"]["template"]


def test_the_budget_can_be_left_out() -> None:
    values = {**llm(replicas=2), "llm-inference-service": {"podDisruptionBudget": {"enabled": False}}}
    assert model(values).all("PodDisruptionBudget") == []


# --- image ------------------------------------------------------------------------------------------------------------

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ({}, "docker.io/vllm/vllm-openai:v0.32.0"),
        ({"tag": "v0.33.0"}, "docker.io/vllm/vllm-openai:v0.33.0"),
        ({"registry": "r.example.com"}, "r.example.com/vllm/vllm-openai:v0.32.0"),
        ({"registry": "r.example.com/", "repository": "a/b"}, "r.example.com/a/b:v0.32.0"),
        ({"digest": DIGEST}, f"docker.io/vllm/vllm-openai@{DIGEST}"),
        ({"tag": "v0.33.0", "digest": DIGEST}, f"docker.io/vllm/vllm-openai@{DIGEST}"),
    ],
)
def test_the_engine_image(image: dict[str, str], wanted: str) -> None:
    assert engine(llm(engine={"image": image}))["image"] == wanted
    assert plan(llm(engine={"image": image}))["engine image"] == (
        wanted,
        "global.llm.engine.image" if image else "accelerator nvidia-l40s",
    )


def test_an_own_tag_wins_over_the_accelerators_digest() -> None:
    pinned = {"nvidia-l40s": {"image": {"digest": DIGEST}}}
    assert engine(llm(accelerators=pinned))["image"] == f"docker.io/vllm/vllm-openai@{DIGEST}"
    assert engine(llm(accelerators=pinned, engine={"image": {"tag": "v1"}}))["image"] == "docker.io/vllm/vllm-openai:v1"


@pytest.mark.parametrize(("policy", "wanted"), [("", "IfNotPresent"), ("Always", "Always")])
def test_the_pull_policy(policy: str, wanted: str) -> None:
    found = model(llm(engine={"image": {"pullPolicy": policy}}))
    assert found.one("LLMInferenceService")["spec"]["template"]["containers"][0]["imagePullPolicy"] == wanted
    assert found.one("Pod")["spec"]["containers"][0]["imagePullPolicy"] == wanted


def test_a_mirror_stands_in_for_every_registry() -> None:
    values = llm()
    values["global"] |= {"imageRegistry": "mirror.example.com/hub/", "imagePullSecrets": ["a", "b", "a"]}
    found = model(values)
    image = "mirror.example.com/hub/vllm/vllm-openai:v0.32.0"
    secrets = ({"name": "a"}, {"name": "b"})
    template = found.one("LLMInferenceService")["spec"]["template"]
    assert template["containers"][0]["image"] == image
    assert template["imagePullSecrets"] == secrets
    pod = found.one("Pod")["spec"]
    assert pod["containers"][0]["image"] == image
    assert pod["imagePullSecrets"] == secrets
    assert found.one("ServiceAccount", "demo")["imagePullSecrets"] == secrets


# --- environment ------------------------------------------------------------------------------------------------------

TOKEN = {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}


def test_the_environment_of_an_engine() -> None:
    assert environment(llm()) == {"HF_HUB_OFFLINE": "1", "USER": "vllm", "VLLM_NO_USAGE_STATS": "1"}
    assert environment(llm(cache={"enabled": False})) == {"USER": "vllm", "VLLM_NO_USAGE_STATS": "1"}
    assert environment(llm(accelerator="cpu"))["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_own_environment_wins() -> None:
    given = {"VLLM_NO_USAGE_STATS": "0", "VLLM_CPU_OMP_THREADS_BIND": "0-3", "SIZE": 1048576, "HF_TOKEN": TOKEN}
    found = environment(llm(accelerator="cpu", engine={"env": given}))
    assert found["VLLM_NO_USAGE_STATS"] == "0"
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"
    assert found["SIZE"] == "1048576"
    assert found["HF_TOKEN"] == TOKEN["valueFrom"]


# --- storage initializer ----------------------------------------------------------------------------------------------


def test_what_downloads_gets_the_token_and_the_proxy() -> None:
    env = {
        "HF_TOKEN": TOKEN,
        "HF_ENDPOINT": "https://hub.example.com",
        "HTTPS_PROXY": "http://proxy:3128",
        "VLLM_LOGGING_LEVEL": "DEBUG",
    }
    (initializer,) = service(llm(cache={"enabled": False}, engine={"env": env}))["template"]["initContainers"]
    assert initializer["name"] == "storage-initializer"
    assert [entry["name"] for entry in initializer["env"]] == [
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HF_XET_HIGH_PERFORMANCE",
        "HTTPS_PROXY",
    ]
    assert initializer["env"][1] == {"name": "HF_TOKEN", "valueFrom": TOKEN["valueFrom"]}
    assert initializer["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ("ALL",)}}


@pytest.mark.parametrize(
    ("weights", "overrides", "memory"),
    [
        (774_000, {}, "3Gi"),
        (5_000_000_000, {}, "7Gi"),
        (145_000_000_000, {}, "10Gi"),
        (145_000_000_000, {"downloadMemory": "20Gi"}, "20Gi"),
    ],
)
def test_what_downloads_has_memory_for_what_it_holds(weights: int, overrides: dict[str, str], memory: str) -> None:
    """hf_xet holds up to 8 GB, not the model: xet-core's download_buffer_limit without its preset for high performance."""
    values = own(weights, cache={"enabled": False}, overrides=overrides, accelerator="nvidia-h200", parallel={"tensor": 8})
    (initializer,) = service(values)["template"]["initContainers"]
    assert initializer["resources"] == {"requests": {"memory": memory}, "limits": {"memory": memory}}
    assert {"name": "HF_XET_HIGH_PERFORMANCE", "value": "0"} in initializer["env"]
    assert plan(values)["download memory"][0] == memory


def test_the_endpoint_picker_downloads_a_tokenizer_only() -> None:
    values = own(
        145_000_000_000,
        cache={"enabled": False},
        router={"enabled": True},
        accelerator="nvidia-h200",
        parallel={"tensor": 8},
    )
    (initializer,) = service(values)["router"]["scheduler"]["template"]["initContainers"]
    assert initializer["resources"]["limits"] == {"memory": "2Gi"}


def test_kserve_downloads_nothing_from_a_claim() -> None:
    assert [container["name"] for container in service(llm())["template"]["initContainers"]] == [GATE]
    filled = llm(model="own", models={"own": {"uri": "pvc://claim/path", "weightBytes": 1000}}, cache={"enabled": False})
    assert "initContainers" not in service(filled)["template"]


def test_a_kserve_that_overwrites_the_initializer_is_warned_of() -> None:
    values = llm(kserveVersion="0.19", cache={"enabled": False})
    assert "initContainers" not in service(values)["template"]
    warning = (
        "WARNING: KServe 0.19 overwrites what a service says about its storage initializer, which downloads "
        "hf://Qwen/Qwen2.5-7B-Instruct: restricted Pod Security refuses the pod, and a token must come by the service account's "
        "secrets; set global.llm.cache, or run KServe 0.20"
    )
    assert warning in notes("llm-stack", values=values)
    assert "WARNING" not in notes("llm-stack", values=llm(kserveVersion="0.19"))
    assert "WARNING" not in notes("llm-stack", values=llm(cache={"enabled": False}))


# --- service account, labels ------------------------------------------------------------------------------------------


def test_the_service_account() -> None:
    own_account = {**llm(), "llm-inference-service": {"serviceAccount": {"name": "engines", "annotations": {"role": "a"}}}}
    found = model(own_account)
    assert found.one("ServiceAccount", "engines")["metadata"]["annotations"] == {"role": "a"}
    assert sorted(obj["metadata"]["name"] for obj in found.all("ServiceAccount")) == ["demo-download", "engines"]
    assert found.one("LLMInferenceService")["spec"]["template"]["serviceAccountName"] == "engines"
    existing = model({**llm(), "llm-inference-service": {"serviceAccount": {"create": False, "name": "engines"}}})
    assert [obj["metadata"]["name"] for obj in existing.all("ServiceAccount")] == ["demo-download"]
    assert existing.one("LLMInferenceService")["spec"]["template"]["serviceAccountName"] == "engines"


def test_annotations_of_engines_are_data_for_kserves_templating() -> None:
    values = {**llm(), "llm-inference-service": {"podAnnotations": {"a": "{{ .X }} $(id)"}, "annotations": {"a": "{{ .X }}"}}}
    found = model(values).one("LLMInferenceService")
    assert found["spec"]["annotations"] == {"a": "{{`{{`}} .X }} $(id)"}
    assert found["metadata"]["annotations"] == {"a": "{{ .X }}"}


def test_labels_and_annotations_of_engines_and_of_the_service_are_apart() -> None:
    chart = {"annotations": {"a": "1"}, "podAnnotations": {"b": "2"}, "podLabels": {"c": "3"}, "labels": {"d": "4"}}
    found = model({**llm(), "llm-inference-service": chart}).one("LLMInferenceService")
    assert found["metadata"]["annotations"] == {"a": "1"}
    assert found["metadata"]["labels"]["d"] == "4"
    assert found["spec"]["annotations"] == {"b": "2"}
    assert found["spec"]["labels"] == {"c": "3"}


# --- what a person reads ----------------------------------------------------------------------------------------------


def test_notes_print_the_plan_and_the_next_commands() -> None:
    text = notes("llm-stack", values=llm(name="chat"), name="release", namespace="team")
    assert text.startswith("The plan of chat (also in ConfigMap chat-plan):\n")
    for what, (value, source) in plan(llm(name="chat"), name="release").items():
        assert f"{what:<18} {value}\n" in text
        assert f"from {source}\n" in text
    assert "  kubectl -n team rollout status deployment/chat-kserve --timeout=5716s\n" in text
    assert "  helm test -n team release --logs\n" in text
    assert "  kubectl -n team port-forward service/chat-kserve-workload-svc 8000:8000\n" in text


def test_the_plan_says_what_was_derived() -> None:
    assert set(plan(llm())) == {
        *("name", "mode", "KV cache", "restart", "volume claim", "model", "download"),
        *("engine image", "engine version", "engine arguments", "engine resources", "startup budget"),
    }
    assert plan(llm())["mode"] == (
        "single-device, 1 device per engine",
        "the smallest number of nvidia-l40s devices that fits",
    )
    assert plan(llm(engine={"args": {"max-model-len": 4096}}))["engine arguments"] == (
        "--gpu-memory-utilization 0.9 --max-model-len 4096",
        "global.llm.engine.args and the accelerator",
    )


def test_notes_of_the_platform_say_what_comes_next() -> None:
    text = notes("llm-stack", "platform", namespace="kserve")
    assert text.startswith("The platform plane is installed.")
    assert "helm install NAME charts/llm-stack" in text


def test_notes_of_single_charts() -> None:
    cache = notes("model-cache", values=llm(), namespace="team")
    assert f"Weights of demo are served from claim demo-models, path {cached('models', QWEN, QWEN_URI)}." in cache
    assert "kubectl -n team delete pvc demo-models" in cache
    assert "delete pvc" not in notes("model-cache", values=llm(cache={"existingClaim": "weights"}))
    assert "Nothing is cached" in notes("model-cache", values=llm(cache={"enabled": False}))
    assert notes("llm-inference-service", values=llm()).startswith("The plan of demo ")
