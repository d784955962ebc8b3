{{/*
Models as data. Every row names the page it was read from (`source`); users add rows by
`global.llm.models`, field by field over a row of the same key.

Model:        uri (hf://… or pvc://…), servedName, parameters (count), weightBytes (as published; default parameters x 2, bfloat16),
              contextLength (tokens), and what the fit needs: layers, heads, kvHeads and headSize (grouped-query attention), or
              kvLoraRank and qkRopeHeadDim (latent attention). The architecture behind each row, and a second source of its
              parameter count, are in tests/consumer/catalogue.yaml.
*/}}

{{- define "llm-common.catalogue.models" -}}
deepseek-r1:
  uri: hf://deepseek-ai/DeepSeek-R1
  servedName: deepseek-ai/DeepSeek-R1
  parameters: 671000000000
  weightBytes: 688574839360
  contextLength: 163840
  layers: 61
  heads: 128
  kvLoraRank: 512
  qkRopeHeadDim: 64
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/deepseek-ai--DeepSeek-R1_config.json
llama-3-1-405b-instruct:
  uri: hf://meta-llama/Llama-3.1-405B-Instruct
  servedName: meta-llama/Llama-3.1-405B-Instruct
  parameters: 405853388800
  contextLength: 131072
  layers: 126
  heads: 128
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/meta-llama--Meta-Llama-3.1-405B_config.json
llama-3-1-70b-instruct-fp8:
  uri: hf://nvidia/Llama-3.1-70B-Instruct-FP8
  servedName: meta-llama/Llama-3.1-70B-Instruct
  parameters: 70553706496
  weightBytes: 72656371712
  contextLength: 131072
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/nvidia--Llama-3.1-70B-Instruct-FP8_config.json
llama-3-1-70b-instruct:
  uri: hf://meta-llama/Llama-3.1-70B-Instruct
  servedName: meta-llama/Llama-3.1-70B-Instruct
  parameters: 70553706496
  contextLength: 131072
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/meta-llama--Meta-Llama-3.1-70B_config.json
llama-3-1-8b-instruct:
  uri: hf://meta-llama/Llama-3.1-8B-Instruct
  servedName: meta-llama/Llama-3.1-8B-Instruct
  parameters: 8030261248
  contextLength: 131072
  layers: 32
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Llama-3.1-8B, repo meta-llama/Llama-3.1-8B-Instruct (via unsloth's copy))
llama-3-2-1b-instruct:
  uri: hf://meta-llama/Llama-3.2-1B-Instruct
  servedName: meta-llama/Llama-3.2-1B-Instruct
  parameters: 1235814400
  contextLength: 131072
  layers: 16
  heads: 32
  kvHeads: 8
  headSize: 64
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/llama3_2_1b.json
llama-3-3-70b-instruct-fp8:
  uri: hf://RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic
  servedName: meta-llama/Llama-3.3-70B-Instruct
  parameters: 70553706496
  weightBytes: 72669806592
  contextLength: 131072
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Llama-3.3-70B, repo meta-llama/Llama-3.3-70B-Instruct (via unsloth's copy))
llama-3-3-70b-instruct:
  uri: hf://meta-llama/Llama-3.3-70B-Instruct
  servedName: meta-llama/Llama-3.3-70B-Instruct
  parameters: 70553706496
  contextLength: 131072
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Llama-3.3-70B, repo meta-llama/Llama-3.3-70B-Instruct (via unsloth's copy))
minimax-m2-5:
  uri: hf://MiniMaxAI/MiniMax-M2.5
  servedName: MiniMaxAI/MiniMax-M2.5
  parameters: 228689764864
  weightBytes: 230024081408
  contextLength: 196608
  layers: 62
  heads: 48
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/MiniMaxAI--MiniMax-M2.5_config.json
mistral-7b-instruct-v0-3:
  uri: hf://mistralai/Mistral-7B-Instruct-v0.3
  servedName: mistralai/Mistral-7B-Instruct-v0.3
  parameters: 7248023552
  contextLength: 32768
  layers: 32
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Mistral-7B-v0.3, repo mistralai/Mistral-7B-Instruct-v0.3)
mixtral-8x7b-instruct-v0-1:
  uri: hf://mistralai/Mixtral-8x7B-Instruct-v0.1
  servedName: mistralai/Mixtral-8x7B-Instruct-v0.1
  parameters: 46702792704
  contextLength: 32768
  layers: 32
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/mistralai--Mixtral-8x7B-v0.1_config.json
phi-4:
  uri: hf://microsoft/phi-4
  servedName: microsoft/phi-4
  parameters: 14659507200
  contextLength: 16384
  layers: 40
  heads: 40
  kvHeads: 10
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Phi-4, repo microsoft/phi-4; architecture from https://github.com/kaito-project/kaito/blob/056b8280b1a8debf644bc6f4399e913a1f9c7e70/presets/workspace/models/model_catalog.yaml)
qwen2-5-0-5b-instruct:
  uri: hf://Qwen/Qwen2.5-0.5B-Instruct
  servedName: Qwen/Qwen2.5-0.5B-Instruct
  parameters: 494032768
  contextLength: 32768
  layers: 24
  heads: 14
  kvHeads: 2
  headSize: 64
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_0.5b.json
qwen2-5-1-5b-instruct:
  uri: hf://Qwen/Qwen2.5-1.5B-Instruct
  servedName: Qwen/Qwen2.5-1.5B-Instruct
  parameters: 1543714304
  contextLength: 32768
  layers: 28
  heads: 12
  kvHeads: 2
  headSize: 128
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_1.5b.json
qwen2-5-32b-instruct:
  uri: hf://Qwen/Qwen2.5-32B-Instruct
  servedName: Qwen/Qwen2.5-32B-Instruct
  parameters: 32763876352
  contextLength: 32768
  layers: 64
  heads: 40
  kvHeads: 8
  headSize: 128
  source: https://huggingface.co/predibase/Qwen2.5-32B-Instruct-FP8/blob/main/config.json (_name_or_path Qwen/Qwen2.5-32B-Instruct)
qwen2-5-3b-instruct:
  uri: hf://Qwen/Qwen2.5-3B-Instruct
  servedName: Qwen/Qwen2.5-3B-Instruct
  parameters: 3085938688
  contextLength: 32768
  layers: 36
  heads: 16
  kvHeads: 2
  headSize: 128
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_3b.json
qwen2-5-72b-instruct-fp8:
  uri: hf://RedHatAI/Qwen2.5-72B-Instruct-FP8-dynamic
  servedName: Qwen/Qwen2.5-72B-Instruct
  parameters: 72706203648
  weightBytes: 75213479936
  contextLength: 32768
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Qwen2.5-72B, repo Qwen/Qwen2.5-72B-Instruct)
qwen2-5-72b-instruct:
  uri: hf://Qwen/Qwen2.5-72B-Instruct
  servedName: Qwen/Qwen2.5-72B-Instruct
  parameters: 72706203648
  contextLength: 32768
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Qwen2.5-72B, repo Qwen/Qwen2.5-72B-Instruct)
qwen2-5-7b-instruct:
  uri: hf://Qwen/Qwen2.5-7B-Instruct
  servedName: Qwen/Qwen2.5-7B-Instruct
  parameters: 7615616512
  contextLength: 32768
  layers: 28
  heads: 28
  kvHeads: 4
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Qwen2.5-7B, repo Qwen/Qwen2.5-7B-Instruct)
qwen2-5-coder-32b-instruct:
  uri: hf://Qwen/Qwen2.5-Coder-32B-Instruct
  servedName: Qwen/Qwen2.5-Coder-32B-Instruct
  parameters: 32763876352
  contextLength: 32768
  layers: 64
  heads: 40
  kvHeads: 8
  headSize: 128
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_32b.json (shape) and https://github.com/kaito-project/kaito/blob/056b8280b1a8debf644bc6f4399e913a1f9c7e70/presets/workspace/models/model_catalog.yaml (architecture, 32768, 5120, 64, 40, 8)
qwen3-0-6b:
  uri: hf://Qwen/Qwen3-0.6B
  servedName: Qwen/Qwen3-0.6B
  parameters: 596049920
  contextLength: 40960
  layers: 28
  heads: 16
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-0.6B_config.json
qwen3-235b-a22b-fp8:
  uri: hf://Qwen/Qwen3-235B-A22B-FP8
  servedName: Qwen/Qwen3-235B-A22B
  parameters: 235093634560
  weightBytes: 236445455360
  contextLength: 40960
  layers: 94
  heads: 64
  kvHeads: 4
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-235B-A22B-FP8_config.json
qwen3-235b-a22b:
  uri: hf://Qwen/Qwen3-235B-A22B
  servedName: Qwen/Qwen3-235B-A22B
  parameters: 235093634560
  contextLength: 40960
  layers: 94
  heads: 64
  kvHeads: 4
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-235B-A22B_config.json
qwen3-30b-a3b-fp8:
  uri: hf://Qwen/Qwen3-30B-A3B-FP8
  servedName: Qwen/Qwen3-30B-A3B
  parameters: 30532122624
  weightBytes: 31174545408
  contextLength: 40960
  layers: 48
  heads: 32
  kvHeads: 4
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-30B-A3B-FP8_config.json
qwen3-30b-a3b:
  uri: hf://Qwen/Qwen3-30B-A3B
  servedName: Qwen/Qwen3-30B-A3B
  parameters: 30532122624
  contextLength: 40960
  layers: 48
  heads: 32
  kvHeads: 4
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-30B-A3B_config.json
qwen3-32b-fp8:
  uri: hf://Qwen/Qwen3-32B-FP8
  servedName: Qwen/Qwen3-32B
  parameters: 32762123264
  weightBytes: 34326243328
  contextLength: 40960
  layers: 64
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-32B-FP8_config.json
qwen3-32b:
  uri: hf://Qwen/Qwen3-32B
  servedName: Qwen/Qwen3-32B
  parameters: 32762123264
  contextLength: 40960
  layers: 64
  heads: 64
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-32B_config.json
qwen3-4b:
  uri: hf://Qwen/Qwen3-4B
  servedName: Qwen/Qwen3-4B
  parameters: 4022468096
  contextLength: 40960
  layers: 36
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen3_4b.json
qwen3-8b:
  uri: hf://Qwen/Qwen3-8B
  servedName: Qwen/Qwen3-8B
  parameters: 8190735360
  contextLength: 40960
  layers: 36
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-8B_config.json
qwen3-coder-480b-a35b-instruct:
  uri: hf://Qwen/Qwen3-Coder-480B-A35B-Instruct
  servedName: Qwen/Qwen3-Coder-480B-A35B-Instruct
  parameters: 480000000000
  contextLength: 262144
  layers: 62
  heads: 96
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-Coder-480B-A35B-Instruct_config.json
{{- end }}
