"""What fills the claim of weights, what it is given, and what holds the engines back until it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hack import documents, schemas, versions
from hack.paths import CHARTS
from tests.harness import Manifests, notes, render
from tests.harness.components import CACHE_CHART, overlay
from tests.unit.models import (
    GATE,
    QWEN,
    QWEN_URI,
    SCRIPTS,
    UMBRELLA,
    WEIGHTS,
    beside_the_cache,
    cached,
    engine,
    environment,
    llm,
    model,
    own,
    plan,
    service,
)
from tests.unit.test_modes import DRAFT, group, split

TOKEN = {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
OTHER = {"valueFrom": {"secretKeyRef": {"name": "other", "key": "token"}}}
GATED = "llama-3-1-8b-instruct"


def filling(values: dict[str, Any], **keys: Any) -> Manifests:
    """A release of the cache's chart alone, with keys of its own."""
    return render(CACHE_CHART, values={**values, **keys})


def job(values: dict[str, Any], **keys: Any) -> Any:
    """The Job that downloads."""
    return filling(values, **keys).one("Job")


def name(values: dict[str, Any], **keys: Any) -> str:
    """Its name."""
    found: str = job(values, **keys)["metadata"]["name"]
    return found


def pod(values: dict[str, Any], **keys: Any) -> Any:
    """The spec of its pod."""
    return job(values, **keys)["spec"]["template"]["spec"]


def download(values: dict[str, Any], **keys: Any) -> Any:
    """Its container."""
    (container,) = pod(values, **keys)["containers"]
    return container


def variables(container: Any) -> dict[str, Any]:
    """The environment of a container: name to its text, or to where it comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def asked(values: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """What the download is told to do."""
    found: dict[str, Any] = json.loads(variables(download(values, **keys))["CACHE_SPEC"])
    return found


def gate(template: Any) -> Any:
    """The container of an engine's pod that waits for the weights."""
    (container,) = [each for each in template["initContainers"] if each["name"] == GATE]
    return container


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The environment of the download but for what is the same in all."""
    common = variables(download(llm(accelerator="cpu")))
    return {key: value for key, value in variables(download(values)).items() if key not in common}


# --- what is downloaded, and where to ---------------------------------------------------------------------------------


def test_the_model_its_draft_and_its_adapters_are_downloaded_together() -> None:
    adapters = {"sql": {"uri": "s3://bucket/sql"}, "chat": {"uri": "hf://org/chat:v1"}, "filled": {"uri": "pvc://other/filled"}}
    assert asked(llm(speculative={"model": DRAFT, "tokens": 3}, adapters=adapters)) == {
        "items": [
            {"kind": "model", "uri": QWEN_URI, "path": "models/qwen2-5-7b-instruct/58ba5dd6b2cf"},
            {
                "kind": "model",
                "uri": "hf://Qwen/Qwen2.5-0.5B-Instruct",
                "path": cached("models", DRAFT, "hf://Qwen/Qwen2.5-0.5B-Instruct"),
            },
            {"kind": "adapter", "uri": "hf://org/chat:v1", "path": cached("adapters", "chat", "hf://org/chat:v1")},
            {"kind": "adapter", "uri": "s3://bucket/sql", "path": cached("adapters", "sql", "s3://bucket/sql")},
        ],
        "folders": [],
        "claim": "demo-models",
        "always": False,
        "limits": {"connections": 8, "bytes_per_second": 0, "stall_seconds": 300},
    }


def test_a_draft_model_on_a_claim_is_not_downloaded() -> None:
    values = llm(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts/a"}})
    assert asked(values)["items"] == [{"kind": "model", "uri": QWEN_URI, "path": cached("models", QWEN, QWEN_URI)}]


def test_an_engine_mounts_and_waits_for_what_is_downloaded() -> None:
    values = llm(speculative={"model": DRAFT, "tokens": 3}, adapters={"sql": {"uri": "hf://org/sql"}})
    paths = [item["path"] for item in asked(values)["items"]]
    mounts = {mount["mountPath"]: mount.get("subPath") for mount in engine(values)["volumeMounts"] if mount["name"] == WEIGHTS}
    assert mounts == dict(zip(("/mnt/models", "/mnt/draft", "/mnt/lora/sql"), paths, strict=True))
    assert json.loads(variables(gate(service(values)["template"]))["GATE_PATHS"]) == paths


@pytest.mark.parametrize("uri", ["s3://bucket/own", "gs://bucket/own", "https://example.com/own", "http://example.com/own"])
def test_every_source_is_kept_under_the_key_of_the_model(uri: str) -> None:
    values = llm(model="own", models={"own": {"uri": uri, "weightBytes": 1000}})
    assert asked(values)["items"] == [{"kind": "model", "uri": uri, "path": cached("models", "own", uri)}]
    assert service(values)["model"]["uri"] == f"pvc://demo-models/{cached('models', 'own', uri)}"


def test_another_revision_is_another_folder_and_another_job() -> None:
    """What an engine has mounted never changes under it, and a rollback finds what it had."""
    uris = ("hf://org/own", "hf://org/own:v1", "hf://org/own:v2", "hf://org/other")
    found = [llm(model="own", models={"own": {"uri": uri, "weightBytes": 1000}}) for uri in uris]
    assert [asked(values)["items"][0]["path"] for values in found] == [cached("models", "own", uri) for uri in uris]
    assert len({name(values) for values in found}) == len(uris)


def test_another_revision_of_an_adapter_is_another_folder_and_another_job() -> None:
    found = [llm(adapters={"sql": {"uri": uri}}) for uri in ("hf://org/sql", "hf://org/sql:v1")]
    assert len({asked(values)["items"][1]["path"] for values in found}) == 2
    assert len({name(values) for values in found}) == 2


def test_a_claim_that_exists_is_filled_as_well() -> None:
    values = llm(cache={"existingClaim": "weights"})
    assert asked(values)["claim"] == "weights"
    assert {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}} in pod(values)["volumes"]
    assert filling(values).all("PersistentVolumeClaim") == []


def test_without_a_cache_nothing_is_rendered_and_no_engine_waits() -> None:
    values = llm(cache={"enabled": False})
    assert filling(values).objects == ()
    template = service(values)["template"]
    assert [container["name"] for container in template["initContainers"]] == ["storage-initializer"]
    assert "volumes" not in template
    assert "volumeMounts" not in engine(values)


def test_the_plan_says_what_is_downloaded() -> None:
    path = cached("models", QWEN, QWEN_URI)
    assert plan(llm())["download"] == (
        f"{QWEN_URI} into {path}; at most 4361 s",
        "15231233024 bytes at 20 MB/s, and an hour",
    )
    found = plan(llm(cache={"deadlineSeconds": 60}, adapters={"sql": {"uri": "hf://org/sql"}}))["download"]
    adapter = cached("adapters", "sql", "hf://org/sql")
    assert found == (
        f"{QWEN_URI} into {path}, hf://org/sql into {adapter}; at most 60 s",
        "global.llm.cache.deadlineSeconds",
    )


# --- the Job's name ---------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The cache's chart at another place, to be changed."""
    return Path(shutil.copytree(CHARTS / CACHE_CHART, tmp_path / CACHE_CHART))


def test_the_same_values_give_the_same_job() -> None:
    found = name(llm())
    assert found == render(CACHE_CHART, values=llm(), fresh=True).one("Job")["metadata"]["name"]
    assert found == render(CACHE_CHART, values=llm(), helm="helm3").one("Job")["metadata"]["name"]
    assert found == model(llm(), chart=UMBRELLA).one("Job")["metadata"]["name"]
    assert found.removeprefix("demo-download-") == found[-8:]


def test_a_change_of_the_charts_version_gives_the_same_job(copied: Path) -> None:
    """A Job that is there already and differs cannot be upgraded, and a new one would download for nothing."""
    metadata = documents.load((copied / "Chart.yaml").read_text())
    (copied / "Chart.yaml").write_text(documents.dump({**metadata, "version": "99.0.0"}))
    before, after = job(llm()), render(copied, values=llm()).one("Job")
    assert after["metadata"]["labels"]["helm.sh/chart"] == "model-cache-99.0.0"
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["spec"] == before["spec"]


@pytest.mark.parametrize(
    "changed",
    [
        llm(engine={"args": {"max-model-len": 4096}}),
        llm(engine={"env": {"VLLM_LOGGING_LEVEL": "DEBUG"}}),
        llm(engine={"image": {"tag": "v0.33.0"}}),
        llm(overrides={"startupSeconds": 60, "sharedMemory": "1Gi"}),
        {**llm(), "annotations": {"a": "b"}},
        {**llm(), "serviceAccount": {"annotations": {"a": "b"}}},
    ],
    ids=["arguments", "environment", "engine", "engine's pod", "annotations", "annotations of the account"],
)
def test_what_does_not_concern_the_download_gives_the_same_job(changed: dict[str, Any]) -> None:
    assert job(changed) == job(llm())


@pytest.mark.parametrize(
    "changed",
    [
        llm(cache={"deadlineSeconds": 60}),
        llm(cache={"verification": "always"}),
        llm(cache={"env": {"HF_TOKEN": TOKEN}}),
        llm(cache={"existingClaim": "weights"}),
        llm(overrides={"nodeSelector": {"pool": "a"}}),
        {**llm(), "image": {"tag": "v0.21.0"}},
        {**llm(), "download": {"connections": 9}},
        {**llm(), "followEngine": False},
        {**llm(), "podAnnotations": {"a": "b"}},
    ],
    ids=["deadline", "verification", "environment", "claim", "node", "image", "connections", "place", "annotations"],
)
def test_what_concerns_the_download_gives_another_job(changed: dict[str, Any]) -> None:
    """The spec of a Job cannot be changed."""
    assert name(changed) != name(llm())


def test_changed_scripts_give_another_job(copied: Path) -> None:
    (copied / "files" / "store.py").write_text("pass\n")
    found = render(copied, values=llm())
    assert found.one("ConfigMap")["data"]["store.py"] == "pass\n"
    assert found.one("Job")["metadata"]["name"] != name(llm())


def test_the_scripts_arrive_as_they_are() -> None:
    found = filling(llm()).one("ConfigMap")["data"]
    files = {path.name: path.read_text() for path in (CHARTS / CACHE_CHART / "files").glob("*.py")}
    assert {key: text.rstrip("\n") for key, text in found.items()} == {key: text.rstrip("\n") for key, text in files.items()}
    assert {"download.py", "gate.py", "store.py"} <= set(found)


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "cache", "seconds"),
    [
        (19_999_999, {}, 3600),
        (20_000_000, {}, 3601),
        (145_400_000_000, {}, 10870),
        (1_342_000_000_000, {}, 70700),
        (145_400_000_000, {"deadlineSeconds": 60}, 60),
        (1, {"deadlineSeconds": 10_000_000}, 10_000_000),
    ],
)
def test_the_download_has_an_hour_and_the_weights_at_20_mb_a_second(size: int, cache: dict[str, int], seconds: int) -> None:
    values = own(size, cache=cache)
    assert pod(values)["activeDeadlineSeconds"] == seconds
    assert type(pod(values)["activeDeadlineSeconds"]) is int
    assert variables(gate(service(values)["template"]))["GATE_SECONDS"] == str(seconds + 600)


def test_a_draft_model_is_downloaded_within_the_same_time() -> None:
    assert pod(own(20_000_000, speculative={"model": DRAFT, "tokens": 3}))["activeDeadlineSeconds"] == 3601 + 49


@pytest.mark.parametrize(
    ("keys", "limits"),
    [
        ({}, (8, 0, 300)),
        ({"connections": 16, "stallSeconds": 60}, (16, 0, 60)),
        ({"bytesPerSecond": "100M"}, (8, 100_000_000, 300)),
        ({"bytesPerSecond": "1Gi"}, (8, 1_073_741_824, 300)),
        ({"bytesPerSecond": "1.5Mi"}, (8, 1_572_864, 300)),
        ({"bytesPerSecond": "5000000000"}, (8, 5_000_000_000, 300)),
    ],
    ids=str,
)
def test_limits_of_the_download(keys: dict[str, Any], limits: tuple[int, int, int]) -> None:
    found = asked(llm(), download=keys)["limits"]
    assert found == dict(zip(("connections", "bytes_per_second", "stall_seconds"), limits, strict=True))
    assert all(type(limit) is int for limit in found.values())


@pytest.mark.parametrize(("keys", "tries"), [({}, 6), ({"backoffLimit": 0}, 0), ({"backoffLimit": 20}, 20)], ids=str)
def test_tries(keys: dict[str, int], tries: int) -> None:
    assert job(llm(), download=keys)["spec"]["backoffLimit"] == tries


def test_what_no_try_would_change_ends_the_job_and_a_drained_node_counts_for_nothing() -> None:
    rules = job(llm())["spec"]["podFailurePolicy"]["rules"]
    assert rules == (
        {"action": "Ignore", "onPodConditions": ({"type": "DisruptionTarget", "status": "True"},)},
        {"action": "FailJob", "onExitCodes": {"containerName": "download", "operator": "In", "values": (3, 4, 5)}},
    )
    assert pod(llm())["restartPolicy"] == "Never"


@pytest.mark.parametrize(
    ("values", "keys", "resources"),
    [
        (llm(), {}, {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}),
        (own(145_400_000_000), {}, {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}),
        (
            llm(overrides={"downloadMemory": "2Gi"}),
            {},
            {"requests": {"cpu": "250m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
        ),
        (
            llm(overrides={"downloadMemory": "2Gi"}),
            {"resources": {"requests": {"cpu": 2}, "limits": {"memory": 1073741824}}},
            {"requests": {"cpu": "2"}, "limits": {"memory": "1073741824"}},
        ),
    ],
    ids=["derived", "derived of much", "memory", "whole"],
)
def test_resources_of_the_download(values: dict[str, Any], keys: dict[str, Any], resources: dict[str, Any]) -> None:
    """Its memory does not grow with the model."""
    assert download(values, **keys)["resources"] == resources


# --- environment ------------------------------------------------------------------------------------------------------


def test_the_environment_of_the_download() -> None:
    found = variables(download(llm()))
    assert {name: value for name, value in found.items() if name != "CACHE_SPEC"} == {
        "CACHE_ROOT": "/volume",
        "HOME": "/tmp",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "JOB_NAME": {"fieldRef": {"fieldPath": "metadata.labels['llm-stack.io/job']"}},
        "JOB_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    }


def test_what_the_engine_is_told_of_hub_and_proxy_holds_for_the_download() -> None:
    env = {
        "HF_TOKEN": TOKEN,
        "HF_ENDPOINT": "https://hub.example.com",
        "HF_HUB_OFFLINE": "1",
        "HTTP_PROXY": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": "10.0.0.0/8",
        "VLLM_LOGGING_LEVEL": "DEBUG",
        "MY_HF_ENDPOINT": "x",
    }
    assert given(llm(engine={"env": env})) == {
        "HF_TOKEN": TOKEN["valueFrom"],
        "HF_ENDPOINT": "https://hub.example.com",
        "HTTP_PROXY": "http://proxy:3128",
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": "10.0.0.0/8",
    }


def test_what_an_accelerator_is_told_of_the_proxy_holds_too() -> None:
    rows = {"nvidia-l40s": {"env": {"HTTPS_PROXY": "http://a", "NO_PROXY": "b", "NCCL_DEBUG": "INFO"}}}
    assert given(llm(accelerators=rows, engine={"env": {"NO_PROXY": "c"}})) == {"HTTPS_PROXY": "http://a", "NO_PROXY": "c"}


def test_the_caches_own_environment_wins_and_reaches_no_engine() -> None:
    engines = {"HF_TOKEN": OTHER, "HF_ENDPOINT": "https://hub.example.com"}
    own_env = {"HF_TOKEN": TOKEN, "HF_ENDPOINT": "https://mirror.example.com", "AWS_REGION": "eu-central-1", "SIZE": 1048576}
    values = llm(engine={"env": engines}, cache={"env": own_env})
    assert given(values) == {
        "HF_TOKEN": TOKEN["valueFrom"],
        "HF_ENDPOINT": "https://mirror.example.com",
        "AWS_REGION": "eu-central-1",
        "SIZE": "1048576",
    }
    assert environment(values) == {
        **environment(llm()),
        "HF_TOKEN": OTHER["valueFrom"],
        "HF_ENDPOINT": "https://hub.example.com",
    }
    assert gate(service(values)["template"]) == gate(service(llm())["template"])


def test_a_source_of_a_variable_is_replaced_whole() -> None:
    """A variable has one source: that of the engine beside that of the cache would be refused by the API server."""
    engines = {"HF_TOKEN": {"valueFrom": {"secretKeyRef": {"name": "hub", "key": "token", "optional": True}}}}
    mounted = {"HF_TOKEN": {"valueFrom": {"configMapKeyRef": {"name": "hub", "key": "other"}}}}
    assert given(llm(engine={"env": engines}, cache={"env": mounted}))["HF_TOKEN"] == mounted["HF_TOKEN"]["valueFrom"]
    assert given(llm(engine={"env": engines}, cache={"env": {"HF_TOKEN": OTHER}}))["HF_TOKEN"] == OTHER["valueFrom"]


@pytest.mark.parametrize(
    ("keys", "variable", "value"),
    [
        ({"engine": {"env": {"HF_HUB_DISABLE_TELEMETRY": "0"}}}, "HF_HUB_DISABLE_TELEMETRY", "0"),
        ({"cache": {"env": {"HOME": "/volume"}}}, "HOME", "/volume"),
        ({"cache": {"env": {"SSL_CERT_FILE": "/own"}}}, "SSL_CERT_FILE", "/own"),
    ],
    ids=["of the engine", "of the download", "of the authority"],
)
def test_a_variable_stands_once(keys: dict[str, Any], variable: str, value: str) -> None:
    """A server-side apply, as Helm 4 does it, refuses a name that stands twice."""
    env = download(llm(**keys), caBundle={"configMap": "company-ca"})["env"]
    assert [entry.get("value") for entry in env if entry["name"] == variable] == [value]


def test_values_of_the_download_are_no_templates() -> None:
    """KServe's templating sees the service alone."""
    assert given(llm(cache={"env": {"A": "{{ x }}"}})) == {"A": "{{ x }}"}


# --- place ------------------------------------------------------------------------------------------------------------


def test_the_download_runs_where_the_engine_may() -> None:
    """The volume is made in the zone of the first pod that uses it."""
    found, wanted = pod(llm()), service(llm())["template"]
    assert (found["nodeSelector"], found["tolerations"]) == (wanted["nodeSelector"], wanted["tolerations"])
    assert found["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L40S"}
    placed = pod(llm(overrides={"nodeSelector": {"pool": "a"}, "tolerations": [{"operator": "Exists"}]}))
    assert (placed["nodeSelector"], placed["tolerations"]) == ({"pool": "a"}, ({"operator": "Exists"},))
    assert {"nodeSelector", "tolerations"} & set(pod(llm(accelerator="cpu"))) == set()


def test_a_volume_of_one_node_is_filled_where_its_engine_is() -> None:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {
            "matchLabels": {
                "app.kubernetes.io/name": "demo",
                "app.kubernetes.io/part-of": "llminferenceservice",
                "app.kubernetes.io/component": "llminferenceservice-workload",
            }
        },
    }
    assert pod(llm())["affinity"] == {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": (term,)}}


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (llm(), {"followEngine": False}),
        (llm(replicas=2), {}),
        (llm(cache={"accessMode": "ReadWriteMany"}), {}),
        (group(), {}),
        (split(), {}),
    ],
    ids=["not wanted", "two replicas", "access mode", "two nodes", "prefill apart"],
)
def test_a_volume_of_many_nodes_is_filled_anywhere(values: dict[str, Any], keys: dict[str, Any]) -> None:
    assert "affinity" not in pod(values, **keys)


def test_the_downloads_pod() -> None:
    made = job(llm(), podAnnotations={"a": "b"}, priorityClassName="batch")
    own, template = {"llm-stack.io/job": made["metadata"]["name"]}, made["spec"]["template"]
    assert (made["spec"]["manualSelector"], made["spec"]["selector"]) == (True, {"matchLabels": own})
    assert template["metadata"]["labels"] == {
        "app.kubernetes.io/name": "demo",
        "app.kubernetes.io/instance": "demo",
        "app.kubernetes.io/component": "download",
        **own,
    }, "no label by which KServe, a budget or a policy would take it for an engine"
    checksum = template["metadata"]["annotations"]["checksum/scripts"]
    assert template["metadata"]["annotations"] == {"checksum/scripts": checksum, "a": "b"}
    assert template["spec"]["priorityClassName"] == "batch"
    assert "priorityClassName" not in pod(llm())
    assert template["spec"]["securityContext"] == service(llm())["template"]["securityContext"], "the engine reads what it writes"


# --- whom it trusts, and as whom it runs ------------------------------------------------------------------------------


def test_certificates_of_ones_own() -> None:
    bundle = {"configMap": "company-ca", "key": "bundle.pem"}
    container, path = download(llm(), caBundle=bundle), "/certificates/ca.crt"
    trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE"), path)
    assert variables(container) == {**variables(download(llm())), **trusted}
    assert container["volumeMounts"] == (
        *download(llm())["volumeMounts"],
        {"name": "certificates", "mountPath": "/certificates", "readOnly": True},
    )
    items = ({"key": "bundle.pem", "path": "ca.crt"},)
    assert pod(llm(), caBundle=bundle)["volumes"] == (
        {"name": "weights", "persistentVolumeClaim": {"claimName": "demo-models"}},
        {"name": "scripts", "configMap": {"name": "demo-model-cache"}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "certificates", "configMap": {"name": "company-ca", "items": items}},
    )
    assert [volume["name"] for volume in pod(llm())["volumes"]] == ["weights", "scripts", "tmp"]


def test_the_account_of_the_download() -> None:
    found = filling(llm(), serviceAccount={"annotations": {"role": "a"}})
    account = found.one("ServiceAccount")
    assert (account["metadata"]["name"], account["metadata"]["annotations"]) == ("demo-download", {"role": "a"})
    assert account["automountServiceAccountToken"] is False
    assert found.one("RoleBinding")["subjects"] == ({"kind": "ServiceAccount", "name": "demo-download", "namespace": "llm"},)
    assert pod(llm())["serviceAccountName"] == "demo-download"
    assert pod(llm())["automountServiceAccountToken"] is True


def test_an_account_that_exists() -> None:
    found = filling(llm(), serviceAccount={"name": "weights"})
    assert found.all("ServiceAccount") == []
    binding = found.one("RoleBinding")
    assert binding["subjects"] == ({"kind": "ServiceAccount", "name": "weights", "namespace": "llm"},)
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "demo-download"}
    assert found.one("Role")["metadata"]["name"] == "demo-download"
    assert pod(llm(), serviceAccount={"name": "weights"})["serviceAccountName"] == "weights"


def test_a_mirror_holds_the_image_of_the_download() -> None:
    values = llm()
    values["global"] |= {"imageRegistry": "mirror.example.com/hub/", "imagePullSecrets": ["a", "b", "a"]}
    assert download(values)["image"] == "mirror.example.com/hub/kserve/storage-initializer:v0.20.0"
    assert pod(values)["imagePullSecrets"] == ({"name": "a"}, {"name": "b"})
    assert gate(service(values)["template"])["image"] == "mirror.example.com/hub/vllm/vllm-openai:v0.32.0"
    assert "imagePullSecrets" not in pod(llm())


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ({}, "docker.io/kserve/storage-initializer:v0.20.0"),
        ({"registry": "r.example.com", "repository": "own/own", "tag": "v1"}, "r.example.com/own/own:v1"),
        ({"digest": "sha256:" + "0" * 64}, "docker.io/kserve/storage-initializer@sha256:" + "0" * 64),
    ],
    ids=["default", "own", "digest"],
)
def test_the_image_of_the_download(image: dict[str, str], wanted: str) -> None:
    container = download(llm(), image={**image, "pullPolicy": "Always"})
    assert (container["image"], container["imagePullPolicy"]) == (wanted, "Always")
    assert container["command"] == ("python3", "/model-cache/download.py")


def test_the_image_of_the_download_is_that_of_the_pinned_kserve() -> None:
    image, pinned = schemas.values(CACHE_CHART)["image"], versions.images()["storage-initializer"]
    assert f"{image['registry']}/{image['repository']}:{image['tag']}" == pinned.ref
    assert image["digest"] == (pinned.digest or "")
    assert image["tag"] == versions.go_modules()["kserve"].version


# --- a model that is not for everybody --------------------------------------------------------------------------------


TOLD = (
    "WARNING: hf://meta-llama/Llama-3.1-8B-Instruct is given only to those who accepted its licence; put a token of the hub "
    "into a Secret and set global.llm.cache.env.HF_TOKEN.valueFrom.secretKeyRef"
)


@pytest.mark.parametrize("cache", [{}, {"existingClaim": "weights"}, {"enabled": False}], ids=str)
def test_a_gated_model_without_a_token_is_warned_of(cache: dict[str, Any]) -> None:
    gated = llm(model=GATED, accelerator="nvidia-h200", cache=cache)
    assert notes(UMBRELLA, values=gated).count("WARNING") == 1
    assert TOLD in notes(UMBRELLA, values=gated)
    for part in ("cache", "engine"):
        token = {"global": {"llm": {part: {"env": {"HF_TOKEN": TOKEN}}}}}
        assert "WARNING" not in notes(UMBRELLA, values=overlay(gated, token))


def test_a_gated_model_from_elsewhere_needs_no_token() -> None:
    elsewhere = {GATED: {"uri": "s3://bucket/llama"}}
    assert "WARNING" not in notes(UMBRELLA, values=llm(model=GATED, accelerator="nvidia-h200", models=elsewhere))


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_an_engine_waits_for_its_weights() -> None:
    template = service(llm())["template"]
    assert template["initContainers"] == (
        {
            "name": "model-cache-gate",
            "image": "docker.io/vllm/vllm-openai:v0.32.0",
            "imagePullPolicy": "IfNotPresent",
            "command": ("python3", "/model-cache/gate.py"),
            "env": (
                {"name": "GATE_ROOT", "value": "/volume"},
                {"name": "GATE_PATHS", "value": f'["{cached("models", QWEN, QWEN_URI)}"]'},
                {"name": "GATE_FOLDERS", "value": "[]"},
                {"name": "GATE_SECONDS", "value": "4961"},
                {"name": "GATE_VERIFY", "value": "changed"},
                {
                    "name": "GATE_REPAIR",
                    "value": "to download what is wrong again: kubectl -n llm delete job -l "
                    "app.kubernetes.io/name=demo,app.kubernetes.io/component=download, then helm upgrade",
                },
            ),
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ("ALL",)},
            },
            "volumeMounts": (
                {"name": "kserve-pvc-source", "mountPath": "/volume", "readOnly": True},
                {"name": "model-cache-scripts", "mountPath": "/model-cache", "readOnly": True},
            ),
        },
    )
    assert template["volumes"] == (
        {"name": "model-cache-scripts", "configMap": {"name": "demo-model-cache"}},
        {"name": "kserve-pvc-source", "persistentVolumeClaim": {"claimName": "demo-models"}},
    )
    assert beside_the_cache((*template["initContainers"], *template["volumes"])) == []


def test_the_job_that_a_person_is_told_to_delete_is_the_download() -> None:
    labels = job(llm(name="chat"))["metadata"]["labels"]
    told = variables(gate(service(llm(name="chat"))["template"]))["GATE_REPAIR"].split(" -l ")[1].split(", ")[0]
    assert dict(each.split("=") for each in told.split(",")).items() <= labels.items()


@pytest.mark.parametrize(("verification", "always"), [("changed", False), ("always", True)])
def test_how_much_is_read_again(verification: str, always: bool) -> None:
    values = llm(cache={"verification": verification})
    assert asked(values)["always"] is always
    assert variables(gate(service(values)["template"]))["GATE_VERIFY"] == verification


@pytest.mark.parametrize("version", ["0.19", "0.20", "0.21"])
def test_every_kserve_lets_an_engine_wait(version: str) -> None:
    assert gate(service(llm(kserveVersion=version))["template"]) == gate(service(llm())["template"])


@pytest.mark.parametrize(
    ("values", "pods"),
    [
        (llm(), 1),
        (llm(replicas=3), 1),
        (split(), 2),
        (group(), 2),
        (split(parallel={"tensor": 4, "data": 2, "nodes": 2}, prefill={"parallel": {"tensor": 4, "data": 2, "nodes": 2}}), 4),
    ],
    ids=["one", "three", "prefill apart", "two nodes", "both"],
)
def test_every_pod_of_an_engine_waits(values: dict[str, Any], pods: int) -> None:
    spec = service(values)
    templates = [side[part] for side in (spec, spec.get("prefill", {})) for part in ("template", "worker") if part in side]
    assert len(templates) == pods
    for template in templates:
        assert gate(template) == gate(spec["template"])
        assert template["initContainers"][0]["name"] == GATE, "before a sidecar, which would run while it waits"
        assert [volume["name"] for volume in template["volumes"][:2]] == [SCRIPTS, WEIGHTS]
        (mount,) = [each for each in template["containers"][0]["volumeMounts"] if each["name"] == WEIGHTS]
        assert (mount["mountPath"], mount["readOnly"]) == ("/mnt/models", True)
        assert f"pvc://{template['volumes'][1]['persistentVolumeClaim']['claimName']}/{mount['subPath']}" == spec["model"]["uri"]


def test_the_endpoint_picker_waits_for_nothing() -> None:
    """It downloads a tokenizer by itself."""
    assert "initContainers" not in service(split())["router"]["scheduler"]["template"]


# --- what cannot be ---------------------------------------------------------------------------------------------------


# --- what is compiled -------------------------------------------------------------------------------------------------


def compiled(**keys: Any) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Folder on the claim, mount and environment of what an engine compiles."""
    main = engine(llm(cache={"compilation": True}, **keys))
    (mount,) = [mount for mount in main["volumeMounts"] if mount["mountPath"] == "/mnt/compiled"]
    env = {entry["name"]: entry.get("value") for entry in main["env"]}
    return mount["subPath"], mount, {key: value for key, value in env.items() if str(value).startswith("/mnt/compiled/")}


def test_what_is_compiled_is_kept_on_the_claim() -> None:
    folder, mount, env = compiled()
    assert folder.startswith(f"compiled/{QWEN}/")
    assert mount == {"name": WEIGHTS, "mountPath": "/mnt/compiled", "subPath": folder}
    assert env == {
        "VLLM_CACHE_ROOT": "/mnt/compiled/vllm",
        "TORCHINDUCTOR_CACHE_DIR": "/mnt/compiled/inductor",
        "TRITON_CACHE_DIR": "/mnt/compiled/triton",
    }
    values = llm(cache={"compilation": True})
    assert asked(values)["folders"] == [folder]
    assert json.loads(variables(gate(service(values)["template"]))["GATE_FOLDERS"]) == [folder]


def test_another_image_model_or_layout_compiles_apart() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"engine": {"image": {"tag": "v0.31.0"}}},
        {"models": {QWEN: {"uri": f"{QWEN_URI}:v1"}}},
        {"parallel": {"tensor": 2}},
        {"parallel": {"data": 2}},
    ]
    assert len({compiled(**change)[0] for change in changes}) == len(changes)
    assert compiled()[0] == compiled(engine={"args": {"max-num-seqs": 8}})[0]


def test_what_is_of_the_download_alone_restarts_no_engine() -> None:
    """UPGRADING.md says which values restart what."""
    before = service(llm())
    for keys in ({"cache": {"env": {"A": "b"}}}, {"overrides": {"downloadMemory": "2Gi"}}):
        assert service(llm(**keys)) == before
        assert name(llm(**keys)) != name(llm())
    assert service(llm(cache={"verification": "always"})) != before


# --- without a network ------------------------------------------------------------------------------------------------


def test_offline_engines_ask_nobody() -> None:
    values = llm(offline=True, cache={"env": {"HF_ENDPOINT": "http://hub"}})
    env = variables(engine(values))
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    assert [env.get(name) for name in (*names, "VLLM_NO_USAGE_STATS")] == ["1"] * 6
    assert given(values) == {"HF_ENDPOINT": "http://hub"}
    assert {name for name in names if name in variables(engine(llm()))} == {"HF_HUB_OFFLINE"}


def test_offline_images_come_from_a_mirror() -> None:
    warning = (
        "WARNING: global.llm.offline is on and images come from public registries; set global.imageRegistry to a mirror, unless "
        "nodes have them"
    )
    values = llm(offline=True, cache={"env": {"HF_ENDPOINT": "http://hub"}})
    assert warning in notes(UMBRELLA, values=values)
    assert warning not in notes(UMBRELLA, values=overlay(values, {"global": {"imageRegistry": "mirror.example.com"}}))
