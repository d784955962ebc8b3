"""A model's config.json, as on the Hub, from the architecture facts of its row in catalogue.yaml."""

from __future__ import annotations

from typing import Any

TYPES = {
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "LlamaForCausalLM": "llama",
    "MiniMaxM2ForCausalLM": "minimax_m2",
    "MistralForCausalLM": "mistral",
    "MixtralForCausalLM": "mixtral",
    "Phi3ForCausalLM": "phi3",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
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
}
EXPERTS = {"DeepseekV3ForCausalLM": "n_routed_experts", "Qwen3MoeForCausalLM": "num_experts"}
FP8 = {"num_bits": 8, "type": "float", "symmetric": True}
QUANTIZATION: dict[str, dict[str, Any]] = {
    "fp8": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
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
    architecture = row["architecture"]
    config = {
        "architectures": [architecture],
        "model_type": TYPES[architecture],
        "torch_dtype": "bfloat16",
        **{name: row[key] for key, name in KEYS.items() if key in row},
    }
    if "experts" in row:
        config[EXPERTS.get(architecture, "num_local_experts")] = row["experts"]
    if architecture in ("MixtralForCausalLM", "MiniMaxM2ForCausalLM"):  # they name their experts' size so
        config["intermediate_size"] = config.pop("moe_intermediate_size")
    if "quantization" in row:
        config["quantization_config"] = QUANTIZATION[row["quantization"].partition(",")[0].split()[0]]
    return config
