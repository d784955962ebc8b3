"""A model's config.json, as on the Hub, from the architecture facts of its row in catalogue.yaml."""

from __future__ import annotations

from typing import Any

TYPES = {
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "Gemma3ForCausalLM": "gemma3_text",
    "Glm4MoeForCausalLM": "glm4_moe",
    "GptOssForCausalLM": "gpt_oss",
    "LlamaForCausalLM": "llama",
    "MiniMaxM2ForCausalLM": "minimax_m2",
    "MistralForCausalLM": "mistral",
    "MixtralForCausalLM": "mixtral",
    "Phi3ForCausalLM": "phi3",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "XLMRobertaForSequenceClassification": "xlm-roberta",
    "XLMRobertaModel": "xlm-roberta",
}
KEYS = {
    "hiddenSize": "hidden_size",
    "intermediateSize": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kvHeads": "num_key_value_heads",
    "headSize": "head_dim",
    "vocabSize": "vocab_size",
    "tieWordEmbeddings": "tie_word_embeddings",
    "contextLength": "max_position_embeddings",
    "expertsPerToken": "num_experts_per_tok",
    "moeIntermediateSize": "moe_intermediate_size",
    "sharedExperts": "n_shared_experts",
    "firstDenseLayers": "first_k_dense_replace",
    "kvLoraRank": "kv_lora_rank",
    "qLoraRank": "q_lora_rank",
    "qkRopeHeadDim": "qk_rope_head_dim",
    "qkNopeHeadDim": "qk_nope_head_dim",
    "vHeadDim": "v_head_dim",
    "nextTokenLayers": "num_nextn_predict_layers",
    "queryNorm": "use_qk_norm",
    "slidingWindow": "sliding_window",
}
EXPERTS = {
    "DeepseekV3ForCausalLM": "n_routed_experts",
    "Glm4MoeForCausalLM": "n_routed_experts",
    "Qwen3MoeForCausalLM": "num_experts",
}
# These call the size of an expert what others call the size of the feed-forward network.
EXPERTS_ONLY = ("GptOssForCausalLM", "MiniMaxM2ForCausalLM", "MixtralForCausalLM")
# The language part of a model that sees as well: the engine image has no torchvision, which the rest of it imports.
LANGUAGE_PART = {"Gemma3ForConditionalGeneration": "Gemma3ForCausalLM"}
FP8 = {"num_bits": 8, "type": "float", "symmetric": True}
QUANTIZATION: dict[str, dict[str, Any]] = {
    "fp8": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
    "mxfp4": {"quant_method": "mxfp4"},
    "modelopt": {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "ignore": ["lm_head"]},
    "compressed-tensors": {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "ignore": ["lm_head"],
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {**FP8, "strategy": "channel", "dynamic": False},
                "input_activations": {**FP8, "strategy": "token", "dynamic": True},
            }
        },
    },
}


def hub_config(row: dict[str, Any]) -> dict[str, Any]:
    """config.json of a row; KeyError for an architecture or a quantization that stands in no table here."""
    architecture = LANGUAGE_PART.get(row["architecture"], row["architecture"])
    config = {
        "architectures": [architecture],
        "model_type": TYPES[architecture],
        "torch_dtype": "bfloat16",
        **{name: row[key] for key, name in KEYS.items() if key in row},
    }
    if "experts" in row:
        config[EXPERTS.get(architecture, "num_local_experts")] = row["experts"]
    if architecture in EXPERTS_ONLY:
        config["intermediate_size"] = config.pop("moe_intermediate_size")
    if "positions" in row:  # more of them than tokens of a request: the first ones stand for padding
        config |= {"max_position_embeddings": row["positions"], "position_embedding_type": "absolute"}
    if "slidingWindowPattern" in row:
        pattern = row["slidingWindowPattern"]
        full = [(layer + 1) % pattern == 0 for layer in range(row["layers"])]
        config["layer_types"] = ["full_attention" if whole else "sliding_attention" for whole in full]
    if "quantization" in row:
        config["quantization_config"] = QUANTIZATION[row["quantization"].partition(",")[0].split()[0]]
    return config
