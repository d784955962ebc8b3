"""Every row of the catalogue against its evidence (catalogue.yaml): the architecture as published gives the published count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.models import catalogue

EVIDENCE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "catalogue.yaml").read_text())
MODELS = catalogue("models")
NAMES = sorted(EVIDENCE)
NOT_IN_THE_CHART = {"source"}


def test_every_row_has_its_evidence_and_the_other_way_round() -> None:
    assert sorted(MODELS) == NAMES
    assert all(row["source"] for row in [*MODELS.values(), *catalogue("accelerators").values()])


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_what_was_read(name: str) -> None:
    evidence = EVIDENCE[name]
    facts = {key: value for key, value in MODELS[name].items() if key not in NOT_IN_THE_CHART}
    assert facts == {key: evidence[key] for key in facts}
    assert MODELS[name].get("weightBytes", 2 * evidence["parameters"]) == evidence["weightBytes"]


def attention(row: dict[str, Any]) -> int:
    """Parameters of one attention block: projections, their biases and norms."""
    hidden, heads = row["hiddenSize"], row["heads"]
    if "kvLoraRank" in row:
        query, latent, rotary = row["qLoraRank"], row["kvLoraRank"], row["qkRopeHeadDim"]
        plain, value = row["qkNopeHeadDim"], row["vHeadDim"]
        projections = hidden * query + query * heads * (plain + rotary) + hidden * (latent + rotary)
        return int(projections + latent * heads * (plain + value) + heads * value * hidden + query + latent)
    size, queries, keys = row["headSize"], heads * row["headSize"], row["kvHeads"] * row["headSize"]
    extra = {
        "Qwen2ForCausalLM": queries + 2 * keys,  # biases of query, key and value
        "Qwen3ForCausalLM": 2 * size,  # norms of query and key
        "Qwen3MoeForCausalLM": 2 * size,
        "MiniMaxM2ForCausalLM": queries + keys,
    }
    return int(2 * hidden * queries + 2 * hidden * keys + extra.get(row["architecture"], 0))


def parameters(row: dict[str, Any]) -> int:
    """The parameter count that the architecture facts give."""
    hidden, layers = row["hiddenSize"], row["layers"]
    embeddings = row["vocabSize"] * hidden * (1 if row["tieWordEmbeddings"] else 2)
    blocks = layers * (attention(row) + 2 * hidden) + hidden
    experts = row.get("experts", 0)
    dense = row.get("firstDenseLayers", 0) if experts else layers
    feed_forward = dense * 3 * hidden * row.get("intermediateSize", 0)
    bias = experts if row["architecture"] in ("DeepseekV3ForCausalLM", "MiniMaxM2ForCausalLM") else 0  # of the router
    each = 3 * hidden * row.get("moeIntermediateSize", 0)
    sparse = (layers - dense) * ((experts + row.get("sharedExperts", 0)) * each + hidden * experts + bias)
    return int(embeddings + blocks + feed_forward + sparse + row.get("parametersNotRecomputed", 0))


@pytest.mark.parametrize("name", NAMES)
def test_the_count_is_the_published_one(name: str) -> None:
    """Against the row's own count, and against a second source within what that source rounds to."""
    row = EVIDENCE[name]
    assert parameters(row) == pytest.approx(row["parameters"], rel=5e-3)
    second = row["secondSource"]
    assert parameters(row) == pytest.approx(second["parameters"], rel=second["tolerance"])


@pytest.mark.parametrize("name", [name for name in NAMES if "headSize" in EVIDENCE[name]])
def test_heads_come_in_groups(name: str) -> None:
    assert EVIDENCE[name]["heads"] % EVIDENCE[name]["kvHeads"] == 0
