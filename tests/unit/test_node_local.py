"""Weights on disks of the nodes: the cache that KServe's own local model controller fills, and the service that uses it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.harness import Manifests, notes, render
from tests.harness.components import CACHE_CHART, overlay
from tests.unit.mode_cases import DRAFT, on_nodes
from tests.unit.models import QWEN_URI, UMBRELLA, alone, engine, llm, model, own, plan, service
from tests.unit.test_modes import group, split

KIND = "LocalModelNamespaceCache"
NODES = {"cache": {"nodeGroups": ["gpu-disks"]}}


def on(values: dict[str, Any]) -> dict[str, Any]:
    """Values of a claim that exists, with a cache on nodes in its place."""
    return overlay(values, {"global": {"llm": {"cache": {"existingClaim": "", **NODES["cache"]}}}})


def filling(values: dict[str, Any], **keys: Any) -> Manifests:
    """A release of the cache's chart alone, with keys of its own."""
    return render(CACHE_CHART, values={**values, **keys})


def test_the_cache_is_the_only_object_of_its_chart() -> None:
    (cache,) = filling(on_nodes(), annotations={"a": "b"}).objects
    assert (cache["apiVersion"], cache["kind"]) == ("serving.kserve.io/v1alpha1", KIND)
    assert cache["metadata"]["name"] == f"demo-models-{hashlib.sha256(QWEN_URI.encode()).hexdigest()[:8]}"
    assert cache["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep", "a": "b"}
    assert cache["spec"] == {"sourceModelUri": QWEN_URI, "modelSize": "20Gi", "nodeGroups": ("gpu-disks",)}


def test_the_account_is_the_one_that_is_named() -> None:
    """Of the namespace of KServe's Jobs: the service's own would not be found there."""
    (cache,) = filling(on_nodes(), serviceAccount={"name": "weights", "annotations": {"role": "a"}}).objects
    assert cache["spec"]["serviceAccountName"] == "weights"


@pytest.mark.parametrize("name", ["annotations", "serviceAccount"])
def test_the_chart_of_the_cache_makes_the_same_as_the_umbrella(name: str) -> None:
    keys = {"annotations": {"a": "b"}} if name == "annotations" else {"serviceAccount": {"name": "weights"}}
    assert (
        model({**on_nodes(), CACHE_CHART: keys}, chart=UMBRELLA).one(KIND)["spec"]
        == filling(on_nodes(), **keys).one(KIND)["spec"]
    )


def test_another_uri_is_another_cache() -> None:
    """A cache's uri cannot be changed."""
    uris = ("hf://org/own", "hf://org/own:v1", "s3://bucket/own")
    caches = [filling(llm(model="own", models={"own": {"uri": uri, "weightBytes": 1}}, **NODES)).one(KIND) for uri in uris]
    assert [cache["spec"]["sourceModelUri"] for cache in caches] == list(uris)
    assert len({cache["metadata"]["name"] for cache in caches}) == len(uris)


@pytest.mark.parametrize(("size", "wanted"), [(1, "10Gi"), (15_231_233_024, "20Gi"), (145_400_000_000, "200Gi")])
def test_the_size_is_that_of_a_claim(size: int, wanted: str) -> None:
    values = own(size, accelerator="cpu", parallel={"tensor": 1})
    assert filling(values).one("PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"] == wanted
    assert filling(own(size, accelerator="cpu", parallel={"tensor": 1}, **NODES)).one(KIND)["spec"]["modelSize"] == wanted


def test_the_service_is_that_without_a_cache_but_for_the_group() -> None:
    """KServe mounts the cache in place of the download, and downloads in each pod where it finds none."""
    found, bare = (alone(values).one("LLMInferenceService") for values in (on_nodes(), llm(cache={"enabled": False})))
    assert found["spec"] == bare["spec"]
    assert found["spec"]["model"]["uri"] == QWEN_URI
    assert found["metadata"]["annotations"] == {"serving.kserve.io/nodegroup": "gpu-disks"}
    assert "annotations" not in bare["metadata"]


def test_the_service_takes_the_first_group() -> None:
    values = on_nodes({"nodeGroups": ["b", "a"]})
    assert alone(values).one("LLMInferenceService")["metadata"]["annotations"] == {"serving.kserve.io/nodegroup": "b"}
    assert filling(values).one(KIND)["spec"]["nodeGroups"] == ("b", "a")


@pytest.mark.parametrize("values", [on(split()), on(group())], ids=["prefill apart", "two nodes"])
def test_no_pod_waits_for_a_claim(values: dict[str, Any]) -> None:
    spec = service(values)
    for side in (spec, spec.get("prefill", {})):
        for part in {"template", "worker"} & set(side):
            assert {container["name"] for container in side[part]["initContainers"]} <= {
                "storage-initializer",
                "llm-d-routing-sidecar",
            }
            assert not any("persistentVolumeClaim" in volume for volume in side[part].get("volumes", ()))


def test_a_draft_model_on_a_claim_is_mounted() -> None:
    values = on_nodes(speculative={"model": DRAFT, "tokens": 3}, models={DRAFT: {"uri": "pvc://drafts/a"}})
    (mount,) = engine(values)["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"]) == ("/mnt/draft", "a")


def test_a_person_is_told_of_the_order() -> None:
    told = (
        "WARNING: KServe gives a service its cache when the service is created, and Helm creates that before "
        "LocalModelNamespaceCache demo-models-58ba5dd6: install with make deploy, which does it in order. For a service that was "
        "there first: kubectl -n llm annotate llminferenceservice demo --overwrite llm-stack.io/cache=demo-models-58ba5dd6, then "
        "delete its Deployments, whose selectors KServe fails to change"
    )
    assert told in notes(UMBRELLA, values=on_nodes(), namespace="llm")
    assert "WARNING" not in notes(UMBRELLA, values=llm())
    assert plan(on_nodes())["node-local cache"] == (
        "LocalModelNamespaceCache demo-models-58ba5dd6, 20Gi on nodes of gpu-disks",
        "15231233024 bytes of weights and global.llm.cache.nodeGroups",
    )
    assert "get localmodelnamespacecache demo-models-58ba5dd6" in notes(CACHE_CHART, values=on_nodes(), namespace="llm")


def test_a_gated_model_needs_a_token_where_the_agents_look() -> None:
    gated = on_nodes(model="llama-3-1-8b-instruct", accelerator="nvidia-h200")
    assert (
        "a token of the hub into a Secret and set model-cache.serviceAccount.name to an account of KServe's job namespace that "
        "has it, and global.llm.cache.env.HF_TOKEN for pods without the cache"
    ) in notes(UMBRELLA, values=gated)
