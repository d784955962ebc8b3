"""LoRA adapters on the model's claim: asked for by name, each answers as it was fitted to, and the model as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack import model
from hack.kube import Cluster
from hack.lab import make_model
from tests.smoke import releases
from tests.smoke.engine import Engine

NAME = "adapted"
VALUES = {
    "global": {
        "llm": {
            "adapters": {
                name: {"uri": f"pvc://{model.CLAIM}/{model.MODEL}/adapters/{name}", "rank": make_model.RANK}
                for name in make_model.ADAPTERS
            },
            "overrides": {"resources": releases.ENGINE},
        }
    }
}


@pytest.fixture(scope="module")
def adapted(cluster: Cluster) -> Iterator[Engine]:
    with releases.serving(cluster, NAME, VALUES) as engine:
        yield engine


@pytest.mark.parametrize(("name", "text"), make_model.ADAPTERS.items())
def test_an_adapter_answers_by_its_name(adapted: Engine, name: str, text: str) -> None:
    assert adapted.complete(make_model.ADAPTED, model=name)["choices"][0]["text"] == text


def test_the_model_answers_as_without_adapters(adapted: Engine) -> None:
    assert adapted.complete(make_model.ADAPTED)["choices"][0]["text"] == make_model.COMPLETIONS[make_model.ADAPTED]


def test_adapters_are_listed_beside_the_model(adapted: Engine) -> None:
    assert {*make_model.ADAPTERS, "smoke"} <= {entry["id"] for entry in adapted.models()}
