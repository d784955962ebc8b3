"""Disaggregated prefill and decode: that KV bytes move from one engine to the other is told by both engines' counters alone.

Without a connector every request is answered as well, with the same text: the prompt is only computed twice.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hack import demo, versions
from hack.kube import Cluster, until
from tests.smoke import releases
from tests.smoke.engine import Engine

NAME = "split"
OWN = f"app.kubernetes.io/name={NAME}"
BLOCK = 128  # tokens; vLLM's on CPUs. Only whole blocks can be found in a cache.
SIDECAR = versions.images()["routing-sidecar"]
VALUES: dict[str, Any] = {
    "global": {
        "llm": {
            "prefill": {"enabled": True, "replicas": 1, "resources": releases.ONE_OF_TWO},
            "engine": {"env": {"NIXL_PTHR_DELAY_US": "1000"}},  # hack/lab/nixl_delay.py
            "overrides": {"resources": releases.ONE_OF_TWO},
        }
    },
    "llm-inference-service": {
        # An older sidecar than KServe's, with other flags: versions.yaml says why.
        "routingSidecar": {
            "image": {
                "registry": SIDECAR.repository.partition("/")[0],
                "repository": SIDECAR.repository.partition("/")[2],
                "tag": SIDECAR.tag,
            },
            "command": ["/app/pd-sidecar", "-port=8000", "-vllm-port=8001", "-connector=nixlv2", "-secure-proxy=false"],
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        }
    },
}
SOURCES = "vllm:prompt_tokens_by_source_total"


@dataclass(frozen=True)
class Pair:
    """Both engines. What is asked of `decode` goes through the routing sidecar, which `header` sends to `prefill` first."""

    decode: Engine
    prefill: Engine
    header: dict[str, str]

    @property
    def split(self) -> Engine:
        """The decode engine, whose prompts the prefill engine computes."""
        return replace(self.decode, headers=self.header)


@dataclass(frozen=True)
class Counted:
    """What both engines count: tokens of prompts by where their KV came from, and bytes moved."""

    received: float
    hits: float
    computed: float
    moved: float
    prefilled: float

    @classmethod
    def of(cls, pair: Pair) -> Counted:
        return cls(
            received=pair.decode.metric(SOURCES, source="external_kv_transfer"),
            hits=pair.decode.metric("vllm:external_prefix_cache_hits_total"),
            computed=pair.decode.metric(SOURCES, source="local_compute"),
            moved=pair.decode.metric("vllm:nixl_bytes_transferred_sum"),
            prefilled=pair.prefill.metric(SOURCES, source="local_compute"),
        )

    def since(self, before: Counted) -> Counted:
        return Counted(**{name: value - getattr(before, name) for name, value in vars(self).items()})


def prompt() -> str:
    """Several blocks that no cache has seen."""
    return f"{uuid.uuid4()} {'Serving large language models on Kubernetes with vLLM. ' * 30}The quick brown"


def assert_kv_is_handed_over(pair: Pair, engine: Engine) -> None:
    """A new prompt, asked of `engine`: computed by prefill, and decode receives all of it but for its last block at most."""
    text, before, counted = prompt(), Counted.of(pair), pair.decode.metric(SOURCES)
    answer = engine.complete(text)
    tokens = answer["usage"]["prompt_tokens"]
    assert tokens > 2 * BLOCK
    until(lambda: pair.decode.metric(SOURCES) == counted + tokens, 10, f"decode has not counted {tokens} tokens")
    change = Counted.of(pair).since(before)
    assert change.computed <= BLOCK, change
    assert tokens - BLOCK <= change.received <= tokens, change
    assert change.hits == change.received, change
    assert change.moved > 0, change
    assert change.prefilled == tokens, change
    assert pair.prefill.complete(text)["choices"][0]["text"] == answer["choices"][0]["text"]


@contextmanager
def connected(cluster: Cluster) -> Iterator[Pair]:
    """Both engines of the release, once they are ready."""
    (decode,) = releases.ready(cluster, f"{OWN},llm-d.ai/role=decode", 1)
    (prefill,) = releases.ready(cluster, f"{OWN},llm-d.ai/role=prefill", 1)
    header = {"x-prefiller-host-port": f"{prefill['status']['podIP']}:{demo.PORT}"}
    with (
        Engine.connect(cluster, demo.NAMESPACE, NAME, decode["metadata"]["name"]) as one,
        Engine.connect(cluster, demo.NAMESPACE, NAME, prefill["metadata"]["name"]) as other,
    ):
        yield Pair(one, other, header)


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[None]:
    with releases.installed(cluster, NAME, VALUES):
        yield


@pytest.fixture
def pair(cluster: Cluster, release: None) -> Iterator[Pair]:
    with connected(cluster) as both:
        yield both


def test_kv_is_handed_over(pair: Pair) -> None:
    assert_kv_is_handed_over(pair, pair.split)


def test_without_the_header_nothing_is_handed_over(pair: Pair) -> None:
    """The same assertions can fail: the prompt is computed by decode itself."""
    with pytest.raises(AssertionError, match=r"received=0\.0"):
        assert_kv_is_handed_over(pair, pair.decode)


def test_a_known_text_and_a_stream(pair: Pair) -> None:
    before = Counted.of(pair)
    assert pair.split.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
    pieces, ended = pair.split.stream(demo.QUESTION)
    assert ended
    assert len(pieces) > 2
    assert "".join(pieces) == demo.ANSWER
    until(lambda: Counted.of(pair).since(before).received > 0, 10, "nothing was handed over", every=1)


def test_the_metrics_of_a_transfer_are_exported(pair: Pair) -> None:
    assert pair.decode.lacking() == set()
    assert pair.decode.unlike("NixlConnector") == set()


@pytest.mark.full
def test_without_a_connector_nothing_is_handed_over(cluster: Cluster, release: None) -> None:
    """What the counters are asked for: everything else is as before, the header, HTTP 200 and the text."""
    service = cluster.get("llminferenceservice", NAME, "-n", demo.NAMESPACE)
    assert service is not None
    for template in (service["spec"]["template"], service["spec"]["prefill"]["template"]):
        arguments = template["containers"][0]["args"]
        position = arguments.index("--kv-transfer-config")
        del arguments[position : position + 2]
    before = releases.pods(cluster, OWN)
    cluster.kubectl("replace", "-f", "-", stdin=json.dumps(service))
    releases.wait_gone(cluster, OWN, before)
    with connected(cluster) as both, pytest.raises(AssertionError, match=r"received=0\.0"):
        assert_kv_is_handed_over(both, both.split)
