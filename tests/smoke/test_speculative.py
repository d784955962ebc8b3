"""Speculative decoding with a draft model from the claim: guesses are made and taken, and the text is the model's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack import model
from hack.kube import Cluster
from hack.lab import make_model
from tests.smoke import releases
from tests.smoke.engine import Engine

NAME = "guessed"
# The model guesses for itself: each guess is right.
VALUES = {
    "global": {
        "llm": {
            "models": {"draft": {"uri": f"pvc://{model.CLAIM}/{model.MODEL}", "parameters": 387000}},
            "speculative": {"model": "draft", "tokens": 3},
            "overrides": {"resources": releases.ENGINE},
        }
    }
}


@pytest.fixture(scope="module")
def guessed(cluster: Cluster) -> Iterator[Engine]:
    with releases.serving(cluster, NAME, VALUES) as engine:
        yield engine


@pytest.mark.parametrize(("prompt", "answer"), make_model.COMPLETIONS.items())
def test_guesses_are_taken_and_change_no_text(guessed: Engine, prompt: str, answer: str) -> None:
    before = guessed.metric("vllm:spec_decode_num_accepted_tokens_total")
    assert guessed.complete(prompt)["choices"][0]["text"] == answer
    assert guessed.metric("vllm:spec_decode_num_accepted_tokens_total") > before


def test_the_draft_model_keeps_its_own_kv_cache(guessed: Engine) -> None:
    """As charts/llm-common/templates/_plan-fit.tpl counts it: the bytes of a token for both."""
    assert guessed.cache_tokens() == releases.CACHE_BYTES // (2 * make_model.TOKEN_BYTES)
