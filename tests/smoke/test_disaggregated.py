"""Disaggregated prefill and decode: that KV bytes move from one engine to the other is told by both engines' counters alone.

Without a connector every request is answered as well, with the same text: the prompt is only computed twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from hack import demo
from hack.kube import Cluster, until
from tests.smoke import pods
from tests.smoke.engine import Engine

NAME = "split"
BLOCK = 128  # tokens; vLLM's on CPUs. Only whole blocks can be found in a cache.
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


@pytest.fixture(scope="module")
def pair(cluster: Cluster) -> Iterator[Pair]:
    own = f"app.kubernetes.io/name={NAME}"
    (decode,) = pods.ready(cluster, demo.NAMESPACE, f"{own},llm-d.ai/role=decode", 1)
    (prefill,) = pods.ready(cluster, demo.NAMESPACE, f"{own},llm-d.ai/role=prefill", 1)
    header = {"x-prefiller-host-port": f"{prefill['status']['podIP']}:{demo.PORT}"}
    with (
        Engine.connect(cluster, demo.NAMESPACE, NAME, decode["metadata"]["name"]) as one,
        Engine.connect(cluster, demo.NAMESPACE, NAME, prefill["metadata"]["name"]) as other,
    ):
        yield Pair(one, other, header)


def test_kv_is_handed_over(pair: Pair) -> None:
    assert_kv_is_handed_over(pair, pair.split)


def test_without_the_header_nothing_is_handed_over(pair: Pair) -> None:
    """The same assertions can fail: the prompt is computed by decode itself."""
    with pytest.raises(AssertionError, match="received=0.0"):
        assert_kv_is_handed_over(pair, pair.decode)


def test_a_known_text_and_a_stream(pair: Pair) -> None:
    before = Counted.of(pair)
    assert pair.split.complete("The quick brown")["choices"][0]["text"] == " fox jumps over the lazy dog."
    pieces, ended = pair.split.stream(demo.QUESTION)
    assert ended
    assert len(pieces) > 2
    assert "".join(pieces) == demo.ANSWER
    until(lambda: Counted.of(pair).since(before).received > 0, 10, "nothing was handed over", every=1)
