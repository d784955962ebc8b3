"""A model that embeds, behind an API key from a Secret: `helm test` asks it for what it does, with the key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from hack import demo
from hack.console import StepFailed
from hack.demo import PORT, request
from hack.kube import Cluster
from hack.lab import make_model
from tests.smoke import releases

NAME = "vectors"
KEY = "a key of the test's own"
VALUES = {
    "global": {
        "llm": {
            "models": {"smoke": {"task": "embed"}},
            "engine": {
                "args": {"runner": "pooling", "convert": "embed"},
                "env": {"VLLM_API_KEY": {"valueFrom": {"secretKeyRef": {"name": NAME, "key": "key"}}}},
            },
            "overrides": {"resources": releases.ENGINE},
        }
    }
}


@pytest.fixture(scope="module")
def port(cluster: Cluster) -> Iterator[int]:
    """The engine's port on this machine."""
    metadata = {"name": NAME, "namespace": demo.NAMESPACE}
    cluster.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": KEY}}])
    try:
        with releases.installed(cluster, NAME, VALUES):
            releases.ready(cluster, f"app.kubernetes.io/name={NAME},kserve.io/component=workload", 1)
            with cluster.port_forward(demo.NAMESPACE, f"service/{NAME}-kserve-workload-svc", PORT) as forwarded:
                yield forwarded
    finally:
        cluster.kubectl("-n", demo.NAMESPACE, "delete", "secret", NAME)


def test_vectors_have_the_models_width(port: int) -> None:
    asked = {"model": "smoke", "input": ["The quick brown", "fox"]}
    answer = json.load(request(port, "/v1/embeddings", asked, {"Authorization": f"Bearer {KEY}"}))
    assert [len(entry["embedding"]) for entry in answer["data"]] == [make_model.HIDDEN] * 2


def test_without_the_key_nothing_is_answered(port: int) -> None:
    with pytest.raises(StepFailed, match="HTTP 401"):
        request(port, "/v1/embeddings", {"model": "smoke", "input": "fox"})


def test_helm_test_asks_for_a_vector_with_the_key(cluster: Cluster, port: int) -> None:
    assert f"embed: {make_model.HIDDEN} numbers" in cluster.helm("test", NAME, "-n", demo.NAMESPACE, "--logs")
