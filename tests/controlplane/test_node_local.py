"""Caches on nodes: what KServe's real webhook and controller make of a service once its cache is there, and before."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack import kserve, localmodels, platform, preflight
from hack.kube import until
from hack.preflight import CONFIGURATION, LOCAL_MODEL
from tests.controlplane import merged
from tests.controlplane.conftest import NAMESPACE
from tests.harness import render, thaw
from tests.harness.components import MORE
from tests.harness.controlplane import ControlPlane
from tests.harness.scenarios import EXAMPLE_VALUES
from tests.unit.models import QWEN_URI

VALUES = EXAMPLE_VALUES / "node-local.yaml"
LABEL = "internal.serving.kserve.io/localmodel"


@pytest.fixture(scope="module")
def local(plane: ControlPlane) -> Iterator[ControlPlane]:
    """KServe's controller with localModel enabled, by the ConfigMap that our chart renders, and a group of nodes."""
    config = ("configmap", CONFIGURATION, "-n", kserve.NAMESPACE)
    before = (plane.cluster.get(*config) or {})["data"]
    chart = render("kserve-controller", values=MORE, namespace=kserve.NAMESPACE)
    text = chart.one("ConfigMap")["data"]["localModel"]
    plane.cluster.apply([thaw(chart.one("LocalModelNodeGroup"))])
    plane.cluster.kubectl("patch", *config, "--type=merge", "-p", json.dumps({"data": {"localModel": text}}))
    yield plane
    plane.cluster.kubectl("delete", "localmodelnodegroup", "gpu-disks")
    restored = {"data": {"localModel": before.get("localModel")}}
    plane.cluster.kubectl("patch", *config, "--type=merge", "-p", json.dumps(restored))


def labels(plane: ControlPlane, name: str) -> dict[str, str]:
    found: dict[str, str] = (plane.cluster.get("llminferenceservice", name, "-n", NAMESPACE) or {})["metadata"].get("labels", {})
    return found


def pod(plane: ControlPlane, name: str) -> Any:
    return merged.wait_deployment(plane, NAMESPACE, name)["spec"]["template"]["spec"]


def mounted(plane: ControlPlane, name: str) -> tuple[str, str, str] | None:
    """Claim, path on it and mount of the engine's model; None where it is on no claim."""
    spec = pod(plane, name)
    claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName") for volume in spec["volumes"]}
    main = next(container for container in spec["containers"] if container["name"] == "main")
    (mount,) = [each for each in main["volumeMounts"] if each["mountPath"] == "/mnt/models"]
    return (claims[mount["name"]], mount["subPath"], mount["mountPath"]) if claims[mount["name"]] else None


def initializers(plane: ControlPlane, name: str) -> list[str]:
    return [container["name"] for container in pod(plane, name).get("initContainers", [])]


def wanted(cache: str, uri: str = QWEN_URI) -> tuple[str, str, str]:
    return f"{cache}-gpu-disks", f"models/{hashlib.sha256(uri.encode()).hexdigest()[:16]}/", "/mnt/models"


def rendered(name: str, **values: Any) -> tuple[Any, list[Any]]:
    """The cache of a release, and what else it has."""
    objects = [thaw(obj) for obj in render("llm-stack", VALUES, name=name, namespace=NAMESPACE, values=values).objects]
    (cache,) = [obj for obj in objects if obj["kind"] == LOCAL_MODEL]
    return cache, [obj for obj in objects if obj is not cache]


def test_a_service_uses_the_cache_that_is_there(local: ControlPlane) -> None:
    cache, others = rendered("nodes")
    local.cluster.apply([cache])
    merged.create(local, others, NAMESPACE, "nodes")
    assert labels(local, "nodes")[LABEL] == cache["metadata"]["name"]
    assert mounted(local, "nodes") == wanted(cache["metadata"]["name"])
    assert initializers(local, "nodes") == []


def test_a_service_before_its_cache_downloads_and_its_deployment_must_go(local: ControlPlane) -> None:
    """The order of Helm, and what NOTES say to do. KServe writes the name of the cache into the Deployment's selector."""
    values = {"global": {"llm": {"models": {"qwen2-5-7b-instruct": {"uri": f"{QWEN_URI}:v1"}}}}}
    cache, others = rendered("early", **values)
    order = [obj["kind"] for obj in render("llm-stack", VALUES, name="early", namespace=NAMESPACE, values=values).objects]
    assert order.index("LLMInferenceService") < order.index(LOCAL_MODEL)
    merged.create(local, others, NAMESPACE, "early")
    until(
        lambda: "finalizers" in (local.cluster.get("llminferenceservice", "early", "-n", NAMESPACE) or {})["metadata"], 20, "none"
    )
    local.cluster.apply([cache])
    assert LABEL not in labels(local, "early")
    assert initializers(local, "early") == ["storage-initializer"]
    assert mounted(local, "early") is None
    change = f"llm-stack.io/cache={cache['metadata']['name']}"
    # The webhook reads caches from a watch.
    until(lambda: _changed(local, "early", change), 20, "the webhook does not see the cache", every=0.5)
    until(lambda: _immutable(local, "early"), 20, "KServe changes the selector")
    assert mounted(local, "early") is None
    local.cluster.kubectl("-n", NAMESPACE, "delete", "deployment", "early-kserve")
    until(lambda: mounted(local, "early") == wanted(cache["metadata"]["name"], f"{QWEN_URI}:v1"), 60, "the pods do not follow")
    assert initializers(local, "early") == []


def _immutable(plane: ControlPlane, name: str) -> bool:
    """Whether the controller failed to give a Deployment a selector with the name of the cache."""
    pattern = rf'"{name}-kserve[^,]* is invalid: spec.selector: Invalid value: [^,]*.*localmodel.*field is immutable'
    return any(re.search(pattern, line.replace("\\", "")) for line in plane.log("llmisvc-controller").splitlines())


def _changed(plane: ControlPlane, name: str, change: str) -> bool:
    plane.cluster.kubectl("-n", NAMESPACE, "annotate", "llminferenceservice", name, "--overwrite", change)
    return LABEL in labels(plane, name)


def test_of_two_caches_of_one_model_the_service_takes_that_of_its_group(local: ControlPlane) -> None:
    uri = {"qwen2-5-7b-instruct": {"uri": f"{QWEN_URI}:v2"}}
    first, _ = rendered("another", **{"global": {"llm": {"models": uri}}})
    second, others = rendered("slow", **{"global": {"llm": {"models": uri, "cache": {"nodeGroups": ["slow-disks"]}}}})
    local.cluster.apply([first, second])
    merged.create(local, others, NAMESPACE, "slow")
    assert labels(local, "slow")[LABEL] == second["metadata"]["name"]


def test_the_uri_of_a_cache_cannot_be_changed(local: ControlPlane) -> None:
    """Why another uri is another cache."""
    cache, _ = rendered("fixed")
    local.cluster.apply([cache])
    cache["spec"]["sourceModelUri"] = "hf://org/other"
    with pytest.raises(Exception, match="StorageUri is immutable"):
        local.cluster.apply([cache])


def test_deploy_creates_the_cache_first_and_helm_takes_it(local: ControlPlane, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(VALUES.read_text() + f"    models: {{qwen2-5-7b-instruct: {{uri: '{QWEN_URI}:v3'}}}}\n")
    release = preflight.objects(own, "deployed", NAMESPACE)
    (made,) = localmodels.create(local.cluster, release, "deployed", NAMESPACE)
    assert localmodels.create(local.cluster, release, "deployed", NAMESPACE) == []
    assert platform.release(local.cluster, "deployed", NAMESPACE, own)
    assert labels(local, "deployed")[LABEL] == made
    assert mounted(local, "deployed") == wanted(made, f"{QWEN_URI}:v3")
    cache = local.cluster.get(LOCAL_MODEL, made, "-n", NAMESPACE) or {}
    assert cache["metadata"]["annotations"]["meta.helm.sh/release-name"] == "deployed"
    local.cluster.helm(
        "upgrade",
        "deployed",
        preflight.CHARTS / "llm-stack",
        "-n",
        NAMESPACE,
        "--values",
        own,
        "--set",
        "global.llm.cache.nodeGroups={gpu-disks,more}",
    )
    assert (local.cluster.get(LOCAL_MODEL, made, "-n", NAMESPACE) or {})["spec"]["nodeGroups"] == ["gpu-disks", "more"]
    local.cluster.helm("uninstall", "deployed", "-n", NAMESPACE)
    assert local.cluster.get(LOCAL_MODEL, made, "-n", NAMESPACE), "it outlives the release"


def test_a_cache_created_by_hand_is_taken_by_helm(local: ControlPlane) -> None:
    """The two commands of docs/model-cache.md."""
    values = ("--values", VALUES, "--set", f"global.llm.models.qwen2-5-7b-instruct.uri={QWEN_URI}:v4", "-n", NAMESPACE)
    chart = preflight.CHARTS / "llm-stack"
    only = "charts/model-cache/templates/cache/localmodelnamespacecache.yaml"
    text = local.cluster.helm("template", "hand", chart, *values, "-s", only)
    local.cluster.kubectl("apply", "--server-side", "--field-manager=helm", "-f", "-", stdin=text)
    local.cluster.helm("install", "hand", chart, *values, "--take-ownership")
    assert labels(local, "hand")[LABEL].startswith("hand-models-")
