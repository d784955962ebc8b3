"""Versions that charts name, against versions.yaml; and the capability table, against each KServe that it speaks of."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hack import documents, gobuild, schemas, versions
from tests.harness import EXAMPLES, SCENARIOS, Scenario, render, thaw
from tests.harness.components import MORE, release
from tests.harness.manifests import freeze
from tests.invariants.test_pods import restricted
from tests.unit.mode_cases import on_nodes
from tests.unit.models import catalogue, defined, llm

# KServe's minor version to the pinned module that has it.
MODULES = {"0.19": "kserve-0-19", "0.20": "kserve"}
SERVICES = "llminferenceservices.serving.kserve.io"


CAPABILITIES: dict[str, dict[str, Any]] = defined("llm-common.capabilities")
ACCELERATORS: dict[str, dict[str, Any]] = catalogue("accelerators")
MODELS: dict[str, dict[str, Any]] = catalogue("models")


# --- images -----------------------------------------------------------------------------------------------------------


def reference(image: dict[str, Any]) -> str:
    return f"{image['registry']}/{image['repository']}:{image['tag']}"


@pytest.mark.parametrize("key", ACCELERATORS)
def test_engine_images_of_the_catalogue_are_pinned(key: str) -> None:
    pinned = {image.ref for name, image in versions.images().items() if name.startswith("engine-")}
    assert reference(ACCELERATORS[key]["image"]) in pinned


def test_images_of_the_controller_chart_are_pinned() -> None:
    values = schemas.values("kserve-controller")
    assert reference(values["image"]) == versions.images()["controller"].ref
    assert reference(values["configuration"]["storageInitializer"]["image"]) == versions.images()["storage-initializer"].ref


def test_charts_say_the_kserve_that_they_are_made_for() -> None:
    version = versions.go_modules()["kserve"].version
    applications = {schemas.chart_metadata(chart)["appVersion"] for chart in schemas.charts()}
    assert applications == {version.removeprefix("v")}
    assert schemas.values("llm-stack")["global"]["llm"]["kserveVersion"] == ".".join(version.removeprefix("v").split(".")[:2])


def test_charts_depend_on_each_other_by_their_versions() -> None:
    own = {chart: schemas.chart_metadata(chart)["version"] for chart in (schemas.LIBRARY, *schemas.charts())}
    for chart in schemas.charts():
        for dependency in schemas.chart_metadata(chart)["dependencies"]:
            assert dependency["version"] == own[dependency["name"]], chart
            assert dependency["repository"] == f"file://../{dependency['name']}", chart


# --- catalogue --------------------------------------------------------------------------------------------------------


def test_every_row_of_the_catalogue_has_its_source() -> None:
    for key, row in {**MODELS, **ACCELERATORS}.items():
        assert row["source"], key


@pytest.mark.parametrize("table", ["models", "accelerators"])
def test_rows_of_the_catalogue_have_the_form_that_users_own_rows_have(table: str) -> None:
    bundled = schemas.bundle("llm-stack")
    schema = bundled["definitions"]["global"]["properties"]["llm"]["properties"][table]
    rows = {"models": MODELS, "accelerators": ACCELERATORS}[table]
    jsonschema.Draft7Validator({**schema, "definitions": bundled["definitions"]}).validate(rows)
    assert rows


@pytest.mark.parametrize("key", MODELS)
def test_every_model_of_the_catalogue_renders(key: str) -> None:
    assert (
        render("llm-stack", values=llm(model=key, accelerator="nvidia-b200")).one("LLMInferenceService")["spec"]["model"]["name"]
        == MODELS[key]["servedName"]
    )


# --- capabilities -----------------------------------------------------------------------------------------------------


def test_every_row_has_its_module_or_is_documented_only() -> None:
    assert {minor for minor, row in CAPABILITIES.items() if row["proof"] != "documented"} == set(MODULES)
    assert CAPABILITIES["0.20"]["proof"] == "ran"
    for minor, module in MODULES.items():
        assert versions.go_modules()[module].version.startswith(f"v{minor}.")


def test_what_is_documented_of_0_21_is_what_changed() -> None:
    """Its module cannot be read here: a row that says more than its release notes is a guess."""
    changed = {key for key, value in CAPABILITIES["0.21"].items() if value != CAPABILITIES["0.20"][key]}
    assert changed == {"proof", "rolloutStrategy", "kedaScaling", "picker", "images"}
    # The group of its configuration alone: its picker, llm-d's 0.10, reads the former one too.
    assert {**CAPABILITIES["0.21"]["picker"], "apiVersion": CAPABILITIES["0.20"]["picker"]["apiVersion"]} == CAPABILITIES["0.20"][
        "picker"
    ]
    assert all(set(row) == set(CAPABILITIES["0.20"]) for row in CAPABILITIES.values())


@cache
def module(minor: str) -> Path:
    return gobuild.module_dir(MODULES[minor])


@cache
def definition(minor: str) -> Any:
    file = module(minor) / "config" / "crd" / "full" / "llmisvc" / "serving.kserve.io_llminferenceservices.yaml"
    loaded = documents.load(file.read_text())
    assert loaded["metadata"]["name"] == SERVICES
    return loaded


def spec(minor: str) -> Any:
    """The schema of the spec of an LLMInferenceService."""
    wanted = CAPABILITIES[minor]["apiVersion"].partition("/")[2]
    (schema,) = [
        version["schema"]["openAPIV3Schema"] for version in definition(minor)["spec"]["versions"] if version["name"] == wanted
    ]
    return schema["properties"]["spec"]


@cache
def presets(minor: str) -> dict[str, Any]:
    """By file name, without its frame: `template`, `decode-worker-data-parallel`, `scheduler`."""
    files = (module(minor) / "config" / "llmisvcconfig").glob("config-llm-*.yaml")
    return {file.stem.removeprefix("config-llm-"): documents.load(file.read_text())["spec"] for file in files}


@pytest.mark.parametrize("minor", MODULES)
def test_fields_that_came_later(minor: str) -> None:
    properties = spec(minor)["properties"]
    assert CAPABILITIES[minor]["rolloutStrategy"] is ("rolloutStrategy" in properties)
    assert CAPABILITIES[minor]["kedaScaling"] is ("keda" in properties["scaling"]["properties"])


@pytest.mark.parametrize("minor", MODULES)
def test_images_that_a_mirror_must_hold(minor: str) -> None:
    """All but the engine's, which we give; the latency predictor's are of a preset that no service of ours names."""
    named = {
        "routingSidecar": presets(minor)["decode-template"]["template"]["initContainers"],
        "endpointPicker": presets(minor)["scheduler"]["router"]["scheduler"]["template"]["containers"],
    }
    found = {
        "routingSidecar": next(c["image"] for c in named["routingSidecar"] if c["name"] == "llm-d-routing-sidecar"),
        "endpointPicker": next(c["image"] for c in named["endpointPicker"] if c["name"] == "main"),
        "tokenizer": next(c["image"] for c in named["endpointPicker"] if c["name"] == "tokenizer"),
    }
    assert CAPABILITIES[minor]["images"] == found
    assert len(named["endpointPicker"]) == 2


@pytest.mark.parametrize("minor", MODULES)
def test_whether_the_devices_reach_the_engine(minor: str) -> None:
    (main,) = presets(minor)["template"]["template"]["containers"]
    assert CAPABILITIES[minor]["tensorRendered"] is ("tensor-parallel-size" in main["command"][2])


@pytest.mark.parametrize("minor", MODULES)
@pytest.mark.parametrize("side", ["worker", "decode-worker", "prefill-worker"])
def test_the_command_for_a_group_is_one_that_newer_engines_refuse(minor: str, side: str) -> None:
    """Why an engine on several nodes never runs the preset's: vLLM 0.28 refuses --data-parallel-start-rank 0 (facts/e2e.md)."""
    preset = presets(minor)[f"{side}-data-parallel"]
    sides = preset["prefill"] if side.startswith("prefill") else preset
    for pods in ("template", "worker"):
        (main,) = [container for container in sides[pods]["containers"] if container["name"] == "main"]
        assert "--data-parallel-start-rank $START_RANK" in main["command"][2]


def configured(minor: str, adapters: bool) -> list[Any]:
    """The endpoint picker's configurations in the source of the controller, for prefill apart and without."""
    source = (module(minor) / "pkg" / "controller" / "v1alpha2" / "llmisvc" / "scheduler.go").read_text()
    body = source.partition("\nfunc schedulerConfigText(")[2].partition("\n}\n")[0]
    found = []
    for text in re.findall(r"`\n(apiVersion: .*?)`", body, flags=re.S):
        # In place of the first %s the plugin, of each other its entry in a profile.
        plugin, *entries = text.split("%s")
        lora = "- type: lora-affinity-scorer\n" if adapters else ""
        entry = "  - pluginRef: lora-affinity-scorer\n    weight: 4\n" if adapters else ""
        found.append(documents.load(plugin + (lora + entry.join(entries) if entries else "")))
    return found


def unordered(configuration: Any) -> Any:
    """Without the order, which says nothing here, of plugins and of those of a profile."""
    profiles = {
        one["name"]: sorted(one["plugins"], key=lambda ref: ref["pluginRef"]) for one in configuration["schedulingProfiles"]
    }
    plugins = sorted(configuration["plugins"], key=lambda plugin: plugin["type"])
    return {**configuration, "plugins": plugins, "schedulingProfiles": profiles}


@pytest.mark.parametrize("minor", MODULES)
@pytest.mark.parametrize("adapters", [False, True], ids=["", "adapters"])
@pytest.mark.parametrize("split", [True, False], ids=["prefill apart", ""])
def test_what_holds_requests_is_else_kserves_own_configuration(minor: str, adapters: bool, split: bool) -> None:
    keys: dict[str, Any] = {"adapters": {"sql": {"uri": "hf://a/b"}} if adapters else {}, "prefill": {"enabled": split}}
    router = {"enabled": True, "flowControl": {"enabled": True}}
    service = thaw(render("llm-stack", values=llm(kserveVersion=minor, router=router, **keys)).one("LLMInferenceService"))
    ours = service["spec"]["router"]["scheduler"]["config"]["inline"]
    added = {key: ours.pop(key) for key in ("featureGates", "flowControl")}
    assert added == {"featureGates": ["flowControl"], "flowControl": {"defaultRequestTTL": "0s"}}
    assert unordered(ours) == unordered(configured(minor, adapters)[not split])


@pytest.mark.parametrize("minor", MODULES)
def test_the_api_version_is_served_and_stored(minor: str) -> None:
    group, _, wanted = CAPABILITIES[minor]["apiVersion"].partition("/")
    crd = definition(minor)
    assert crd["spec"]["group"] == group
    (version,) = [version for version in crd["spec"]["versions"] if version["name"] == wanted]
    assert version["served"]
    assert version["storage"]


@pytest.mark.parametrize("minor", MODULES)
def test_whether_the_storage_initializer_is_merged(minor: str) -> None:
    """Behaviour of the controller: it keeps the container of a service to merge it, or throws it away."""
    folder = module(minor) / "pkg" / "controller" / "v1alpha2" / "llmisvc"
    source = (folder / "workload_storage.go").read_text()
    kept = "extractAndStripStorageInitializer(" in source and "MergeContainerWithPatch(*initContainer, *userOverride)" in source
    thrown_away = "stripPriorControllerStorageInitializer(" in source
    assert kept != thrown_away, "this KServe does it in a third way: read workload_storage.go"
    assert CAPABILITIES[minor]["storageInitializerOverride"] is kept


def fields(schema: Any, value: Any, path: str = "") -> list[str]:
    """Where a rendered value leaves a CRD's schema: the API server would drop the field or refuse the object."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string"):
        return []
    if hasattr(value, "items"):
        if "additionalProperties" in schema:
            return [
                wrong for key, item in value.items() for wrong in fields(schema["additionalProperties"], item, f"{path}.{key}")
            ]
        known = schema.get("properties", {})
        wrong = [f"{path}.{key}: unknown" for key in value if key not in known]
        return wrong + [
            found for key, item in value.items() if key in known for found in fields(known[key], item, f"{path}.{key}")
        ]
    if isinstance(value, tuple):
        return [wrong for item in value for wrong in fields(schema["items"], item, f"{path}[]")]
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    return [] if isinstance(value, types[schema["type"]]) else [f"{path}: {value!r} is no {schema['type']}"]


# --- caches on nodes --------------------------------------------------------------------------------------------------


def local_model(minor: str, plural: str) -> Any:
    """The schema of an object of KServe's local models."""
    file = module(minor) / "config" / "crd" / "full" / "localmodel" / f"serving.kserve.io_{plural}.yaml"
    (version,) = documents.load(file.read_text())["spec"]["versions"]
    assert (version["name"], version["served"]) == ("v1alpha1", True)
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize("minor", MODULES)
def test_caches_on_nodes_are_known_to_that_version(minor: str) -> None:
    """So that the capability table needs no column: the definitions know what we render, and the webhook looks for it."""
    values = {**on_nodes(kserveVersion=minor), "model-cache": {"serviceAccount": {"name": "weights"}}}
    found = render("llm-stack", values=values)
    cache, node_group = (
        found.one("LocalModelNamespaceCache"),
        render("kserve-controller", values=MORE, namespace="kserve").one("LocalModelNodeGroup"),
    )
    assert fields(local_model(minor, "localmodelnamespacecaches"), cache["spec"], "spec") == []
    assert set(local_model(minor, "localmodelnamespacecaches")["required"]) <= set(cache["spec"])
    assert fields(local_model(minor, "localmodelnodegroups"), node_group["spec"], "spec") == []
    assert set(local_model(minor, "localmodelnodegroups")["required"]) <= set(node_group["spec"])
    defaulter = (module(minor) / "pkg" / "webhook" / "admission" / "llminferenceservice" / "defaulter.go").read_text()
    assert "v1alpha1.LocalModelNamespaceCacheList{}" in defaulter
    constants = (module(minor) / "pkg" / "constants" / "constants.go").read_text()
    assert re.search(r'NodeGroupAnnotationKey += KServeAPIGroupName \+ "/nodegroup"', constants)
    assert set(found.one("LLMInferenceService")["metadata"]["annotations"]) == {"serving.kserve.io/nodegroup"}


@pytest.mark.parametrize("minor", MODULES)
def test_the_agents_know_the_sources_that_a_cache_on_nodes_may_have(minor: str) -> None:
    """What a Job of the agents runs is KServe's storage initializer, which takes a web address for one file or archive."""
    storage = (module(minor) / "python" / "storage" / "kserve_storage" / "kserve_storage.py").read_text()
    prefixes = dict(re.findall(r'^_(\w+)_PREFIX = "(\w+://)"$', storage, flags=re.M))
    assert {prefixes[name] for name in ("GCS", "S3", "HF")} == {"gs://", "s3://", "hf://"}
    for name in ("GCS", "S3", "HF"):
        assert f"uri.startswith(_{name}_PREFIX)" in storage
    assert "def _download_from_uri(uri, out_dir" in storage


def as_rendered(scenario: Scenario, minor: str) -> Any:
    values = {"global": {"llm": {"kserveVersion": minor}, "imagePullSecrets": ["a"], "imageRegistry": "mirror.example.com"}}
    return release(scenario, values=values).one("LLMInferenceService")


@pytest.mark.parametrize("minor", MODULES)
@pytest.mark.parametrize("scenario", [each for each in (*SCENARIOS, *EXAMPLES) if each.name != "platform"], ids=str)
def test_every_field_that_we_render_is_known_to_that_version(scenario: Scenario, minor: str) -> None:
    service = as_rendered(scenario, minor)
    assert service["apiVersion"] == CAPABILITIES[minor]["apiVersion"]
    assert fields(spec(minor), service["spec"], "spec") == []


@pytest.mark.parametrize("minor", MODULES)
def test_the_check_sees_unknown_fields_and_wrong_types(minor: str) -> None:
    spoiled = freeze({"replica": 1, "template": {"containers": [{"name": 1}]}})
    assert fields(spec(minor), spoiled, "spec") == [
        "spec.replica: unknown",
        "spec.template.containers[].name: 1 is no string",
    ]


@pytest.mark.parametrize("minor", MODULES)
def test_the_presets_of_that_version_are_what_we_build_on(minor: str) -> None:
    """One engine container `main`, restricted together with our pod, whose command ends in the `eval` that we quote for."""
    file = module(minor) / "config" / "llmisvcconfig" / "config-llm-template.yaml"
    preset = documents.load(file.read_text())
    assert preset["metadata"]["name"] == "kserve-config-llm-template"
    assert preset["apiVersion"] == CAPABILITIES[minor]["apiVersion"]
    (main,) = preset["spec"]["template"]["containers"]
    assert main["name"] == "main"
    assert main["command"][:2] == ["/bin/bash", "-c"]
    assert main["command"][3] == "--"
    assert re.search(r'eval "exec vllm serve /mnt/models .*\$@"\n?$', main["command"][2], flags=re.S)
    assert main["ports"][0]["containerPort"] == 8000
    assert {mount["mountPath"] for mount in main["volumeMounts"]} >= {"/home", "/tmp", "/dev/shm"}
    spec = render("llm-stack", values=llm(kserveVersion=minor)).one("LLMInferenceService")["spec"]["template"]
    (ours,) = spec["containers"]
    assert restricted(spec, {**main, **ours}) == []
