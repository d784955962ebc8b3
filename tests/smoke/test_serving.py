"""The demo's engine answers: tokens, stream, model list, metrics."""

from __future__ import annotations

import pytest

from hack import demo
from hack.kube import Cluster
from hack.lab import make_model
from tests.smoke import releases
from tests.smoke.engine import Engine


@pytest.mark.parametrize(("prompt", "answer"), make_model.COMPLETIONS.items())
def test_completions_are_what_the_model_was_trained_on(engine: Engine, prompt: str, answer: str) -> None:
    choice = engine.complete(prompt)["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (answer, "stop")


def test_a_chat_streams(engine: Engine) -> None:
    pieces, ended = engine.stream(demo.QUESTION)
    assert ended
    assert len(pieces) > 2
    assert "".join(pieces) == demo.ANSWER


def test_both_served_names_are_listed(engine: Engine) -> None:
    models = engine.models()
    assert [entry["id"] for entry in models] == ["smoke", f"publishers/{demo.NAMESPACE}/models/smoke"]
    assert {entry["root"] for entry in models} == {"/mnt/models"}
    assert models[0]["max_model_len"] == 2048


def test_tokens_are_counted(engine: Engine) -> None:
    before = engine.metric("vllm:generation_tokens_total")
    used = engine.complete("The quick brown")["usage"]["completion_tokens"]
    assert used > 4
    assert engine.metric("vllm:generation_tokens_total") - before >= used


def test_the_kv_cache_has_room_for_as_many_tokens_as_the_fit_counts(engine: Engine) -> None:
    """2 x layers x KV heads x head size x bytes of an element, for each token: charts/llm-common/templates/_plan-fit.tpl."""
    assert engine.cache_tokens() == releases.CACHE_BYTES // make_model.TOKEN_BYTES


def test_helm_test_asks_the_model(cluster: Cluster) -> None:
    told = cluster.helm("test", demo.RELEASE, "-n", demo.NAMESPACE, "--logs")
    assert "completion: " in told
    assert "stream: " in told
    assert "models: smoke" in told


def test_the_metrics_that_the_charts_read_are_exported(engine: Engine) -> None:
    """All but those of KV transfer, which come with a connector (test_disaggregated.py)."""
    assert engine.lacking() == {"transferFailures", "transferTime", "transferredBytes", "expiredTransfers"}
    assert engine.unlike() == set()
