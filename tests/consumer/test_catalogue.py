"""Every row of the catalogue against its evidence (catalogue.yaml): the architecture as published gives the published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hack import documents
from tests.unit.models import catalogue

EVIDENCE: dict[str, Any] = documents.load((Path(__file__).parent / "catalogue.yaml").read_text())
MODELS = catalogue("models")
ACCELERATORS = catalogue("accelerators")
NAMES = sorted(EVIDENCE)
# Counted from the evidence, not read.
DERIVED = ("expertParameters", "slidingLayers")
ENCODERS = ("XLMRobertaModel", "XLMRobertaForSequenceClassification")
# Architectures whose router has a bias, or a correction, for each expert.
BIASED_ROUTERS = ("DeepseekV3ForCausalLM", "Glm4MoeForCausalLM", "GptOssForCausalLM", "MiniMaxM2ForCausalLM")
# Memory of an accelerator as sold, in GiB (the pages of its row). The driver reports less: firmware and error correction.
SOLD = {
    "nvidia-l4": 24,
    "nvidia-l40s": 48,
    "nvidia-a100-40gb": 40,
    "nvidia-a100-80gb": 80,
    "nvidia-h100-80gb": 80,
    "nvidia-h200": 141,
    "nvidia-b200": 180,
    "amd-mi300x": 192,
    "amd-mi355x": 288,
}


def test_every_row_has_its_evidence_and_the_other_way_round() -> None:
    assert sorted(MODELS) == NAMES
    assert all(row["source"] for row in [*MODELS.values(), *ACCELERATORS.values()])


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_what_was_read(name: str) -> None:
    """What was read stands there as it was; what is counted from it, only where there is something to count."""
    evidence, row = EVIDENCE[name], MODELS[name]
    counted = {}
    if "experts" in evidence:
        counted["expertParameters"] = expert_parameters(evidence)
    if "slidingWindowPattern" in evidence:
        counted["slidingLayers"] = evidence["layers"] - evidence["layers"] // evidence["slidingWindowPattern"]
    facts = {key: value for key, value in row.items() if key != "source"}
    assert facts == {**{key: evidence.get(key) for key in facts if key not in DERIVED}, **counted}
    assert row.get("weightBytes", 2 * evidence["parameters"]) == evidence["weightBytes"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_of_a_model_is_in_its_row(name: str) -> None:
    """No optional fact is forgotten: each is in the row when the evidence has it, and the evidence says where from."""
    evidence, row = EVIDENCE[name], MODELS[name]
    for key in ("toolCallParser", "reasoningParser", "task"):
        assert (key in row) == (key in evidence) == (f"{key}Source" in evidence), key
    assert row.get("gated", False) is evidence.get("gated", False)
    assert ("gated" in evidence) == ("gatedSource" in evidence)
    assert ("slidingWindow" in row) == ("slidingWindow" in evidence) == ("slidingSource" in evidence)
    assert row.get("task") != "generate", "absent stands for it"


# --- parameters -------------------------------------------------------------------------------------------------------


def attention(row: dict[str, Any]) -> int:
    """Parameters of one attention block: projections, their biases and norms."""
    hidden, heads = row["hiddenSize"], row["heads"]
    if row["architecture"] in ENCODERS:
        return int(4 * (hidden * hidden + hidden))
    if "kvLoraRank" in row:
        query, latent, rotary = row["qLoraRank"], row["kvLoraRank"], row["qkRopeHeadDim"]
        plain, value = row["qkNopeHeadDim"], row["vHeadDim"]
        projections = hidden * query + query * heads * (plain + rotary) + hidden * (latent + rotary)
        return int(projections + latent * heads * (plain + value) + heads * value * hidden + query + latent)
    size, queries, keys = row["headSize"], heads * row["headSize"], row["kvHeads"] * row["headSize"]
    extra = {
        "Gemma3ForConditionalGeneration": 2 * size,  # norms of query and key
        "Glm4MoeForCausalLM": queries + 2 * keys + (2 * size if row.get("queryNorm") else 0),
        "GptOssForCausalLM": queries + 2 * keys + hidden + heads,  # biases of all four projections, a sink for each head
        "MiniMaxM2ForCausalLM": queries + keys,
        "Qwen2ForCausalLM": queries + 2 * keys,  # biases of query, key and value
        "Qwen3ForCausalLM": 2 * size,
        "Qwen3MoeForCausalLM": 2 * size,
    }
    return int(2 * hidden * queries + 2 * hidden * keys + extra.get(row["architecture"], 0))


def one_expert(row: dict[str, Any]) -> int:
    """Parameters of one routed expert: three matrices, and gpt-oss's biases."""
    hidden, size = row["hiddenSize"], row.get("moeIntermediateSize", 0)
    return int(3 * hidden * size + (2 * size + hidden if row["architecture"] == "GptOssForCausalLM" else 0))


def expert_parameters(row: dict[str, Any]) -> int:
    """Parameters of all routed experts, all layers together; the shared ones are none."""
    return int((row["layers"] - row["firstDenseLayers"]) * row["experts"] * one_expert(row))


def image_tower(tower: dict[str, Any], hidden: int) -> int:
    """Parameters of a SigLIP tower and its projection to the language model."""
    width, inner, patch = tower["hiddenSize"], tower["intermediateSize"], tower["patchSize"]
    block = 4 * (width * width + width) + 2 * width * inner + width + inner + 4 * width
    embeddings = 3 * patch**2 * width + width + (tower["imageSize"] // patch) ** 2 * width
    return int(tower["layers"] * block + embeddings + 2 * width + width * hidden + width)


def encoder(row: dict[str, Any]) -> int:
    """Parameters of an XLM-RoBERTa: a pooler, or a head with one label."""
    hidden, inner = row["hiddenSize"], row["intermediateSize"]
    embeddings = (row["vocabSize"] + row["positions"] + 1) * hidden + 2 * hidden
    head = hidden * hidden + hidden + (hidden + 1 if row["architecture"] == "XLMRobertaForSequenceClassification" else 0)
    return int(embeddings + row["layers"] * (attention(row) + 2 * hidden * inner + inner + hidden + 4 * hidden) + head)


def sparse(row: dict[str, Any]) -> int:
    """Parameters of one sparse layer but for its routed experts: shared experts and router."""
    hidden, experts = row["hiddenSize"], row.get("experts", 0)
    bias = experts if row["architecture"] in BIASED_ROUTERS else 0
    return int(row.get("sharedExperts", 0) * 3 * hidden * row.get("moeIntermediateSize", 0) + hidden * experts + bias)


def parameters(row: dict[str, Any]) -> int:
    """The parameter count that the architecture facts give."""
    if row["architecture"] in ENCODERS:
        return encoder(row)
    hidden, layers = row["hiddenSize"], row["layers"]
    embeddings = row["vocabSize"] * hidden * (1 if row["tieWordEmbeddings"] else 2)
    norms = 4 if row["architecture"] == "Gemma3ForConditionalGeneration" else 2
    blocks = layers * (attention(row) + norms * hidden) + hidden
    dense = row["firstDenseLayers"] if "experts" in row else layers
    feed_forward = dense * 3 * hidden * row.get("intermediateSize", 0) + (layers - dense) * sparse(row)
    routed = expert_parameters(row) if "experts" in row else 0
    tower = image_tower(row["visionTower"], hidden) if "visionTower" in row else 0
    return int(embeddings + blocks + feed_forward + routed + tower)


@pytest.mark.parametrize("name", NAMES)
def test_the_count_is_the_published_one(name: str) -> None:
    """Against the row's own count, and against a second source within what that source rounds to."""
    row = EVIDENCE[name]
    assert parameters(row) == pytest.approx(row["parameters"], rel=5e-3)
    second = row["secondSource"]
    assert parameters(row) == pytest.approx(second["parameters"], rel=second["tolerance"])


@pytest.mark.parametrize("name", [name for name in NAMES if "activeParameters" in EVIDENCE[name]])
def test_the_experts_at_rest_are_what_is_not_active(name: str) -> None:
    """The published count of active parameters is all but the resting experts, for some publishers without the embeddings."""
    row = EVIDENCE[name]
    resting = expert_parameters(row) * (row["experts"] - row["expertsPerToken"]) // row["experts"]
    active, embeddings = parameters(row) - resting, 2 * row["vocabSize"] * row["hiddenSize"]
    assert 0.97 * (active - embeddings) < row["activeParameters"] < 1.03 * active


@pytest.mark.parametrize("name", [name for name in NAMES if "checkpointParameters" in EVIDENCE[name]])
def test_a_checkpoint_has_one_layer_more(name: str) -> None:
    """The one that predicts a further token: a sparse layer, a projection of two states, norms and its own embeddings."""
    row = EVIDENCE[name]
    hidden = row["hiddenSize"]
    layer = attention(row) + 2 * hidden + sparse(row) + row["experts"] * one_expert(row)
    further = row["nextTokenLayers"] * (layer + 2 * hidden * hidden + 3 * hidden + 2 * row["vocabSize"] * hidden)
    assert parameters(row) + further == pytest.approx(row["checkpointParameters"], rel=1e-4)


@pytest.mark.parametrize("name", [name for name in NAMES if EVIDENCE[name]["dtype"] == "mxfp4"])
def test_the_bytes_of_four_bit_weights(name: str) -> None:
    """Matrices of the experts in 4 bits and a byte for each 32 of them; their biases and the rest in two bytes."""
    row = EVIDENCE[name]
    matrices = row["layers"] * row["experts"] * 3 * row["hiddenSize"] * row["moeIntermediateSize"]
    assert row["weightBytes"] == matrices * 17 // 32 + 2 * (row["parameters"] - matrices)


# --- KV cache ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if "headSize" in EVIDENCE[name]])
def test_heads_come_in_groups(name: str) -> None:
    assert EVIDENCE[name]["heads"] % EVIDENCE[name]["kvHeads"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_a_kv_cache_needs_is_in_the_row(name: str) -> None:
    """Latent attention or grouped queries; an encoder keeps nothing."""
    row = MODELS[name]
    latent, grouped = {"kvLoraRank", "qkRopeHeadDim"} <= set(row), {"kvHeads", "headSize"} <= set(row)
    assert latent + grouped == (EVIDENCE[name]["architecture"] not in ENCODERS)
    if "slidingWindow" in row:
        assert 0 < row["slidingLayers"] < row["layers"]
        assert row["slidingWindow"] < row["contextLength"]


@pytest.mark.parametrize("name", [name for name in NAMES if "kvBytesPerToken" in EVIDENCE[name]])
def test_bytes_of_a_token_are_what_another_catalogue_counts(name: str) -> None:
    """KAITO's generator, in bfloat16; it counts sliding layers as if they saw everything."""
    row = MODELS[name]
    if "kvLoraRank" in row:
        found = row["layers"] * (row["kvLoraRank"] + row["qkRopeHeadDim"]) * 2
    else:
        found = 2 * row["layers"] * row["kvHeads"] * row["headSize"] * 2
    assert found == EVIDENCE[name]["kvBytesPerToken"]["bytes"]


# --- accelerators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [key for key in ACCELERATORS if ACCELERATORS[key]["resource"]])
def test_a_driver_reports_a_little_less_than_is_sold(key: str) -> None:
    """By no more than 6.5 %: a size in decimal gigabytes would be 6.9 % less."""
    row = ACCELERATORS[key]
    assert 0.935 < row["memoryBytes"] / (SOLD[key] * 2**30) <= 1
    assert f"{SOLD[key]} GB" in row["source"]


@pytest.mark.parametrize("key", ACCELERATORS)
def test_a_row_speaks_of_one_vendor(key: str) -> None:
    """Resource, node label, taint and image belong together; AMD's device nodes need groups, NVIDIA's do not."""
    row = ACCELERATORS[key]
    assert ("rocm" in row["image"]["repository"]) == (row["resource"] == "amd.com/gpu") == bool(row.get("supplementalGroups"))
    assert {label.partition("/")[0] for label in row.get("nodeSelector", {})} == {row["resource"].partition("/")[0]} - {""}
    assert [toleration["key"] for toleration in row.get("tolerations", [])] == ([row["resource"]] if row["resource"] else [])
