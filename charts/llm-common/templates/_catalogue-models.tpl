{{/*
Models as data. Every row names the page it was read from (`source`); users add rows by
`global.llm.models`, field by field over a row of the same key.

Model:        uri (hf://… or pvc://…), servedName, gated (the hub gives the files only to an account that accepted the licence),
              task (embed, score or classify; absent: it generates), parameters (count), weightBytes (as published; default parameters
              x 2, bfloat16), contextLength (tokens), toolCallParser and reasoningParser (vLLM's names for them, where its documentation
              names the model; llama3_json and deepseek_v3… need a chat template of vLLM's examples as well);
              and what the fit needs: layers, heads, kvHeads and headSize (grouped-query attention), or kvLoraRank and qkRopeHeadDim
              (latent attention), neither for an encoder, which keeps no KV cache.
  experts     expertParameters: how many of `parameters` are in routed experts, all layers together. Shared experts are not, a token
              passes them always; what predicts further tokens (DeepSeek, GLM) is in weightBytes only
  windows     slidingLayers of `layers` see the last slidingWindow tokens only: KV bytes of one request of L tokens are
              bytes of a layer and token x ((layers - slidingLayers) x L + slidingLayers x min(L, slidingWindow))
The architecture behind each row, a second source of its counts, and the page of each parser are in tests/consumer/catalogue.yaml.
*/}}

{{- define "llm-common.catalogue.models" -}}
bge-m3:
  uri: hf://BAAI/bge-m3
  servedName: BAAI/bge-m3
  task: embed
  parameters: 567754752
  weightBytes: 2271019008
  contextLength: 8192
  layers: 24
  heads: 16
  source: https://huggingface.co/BAAI/bge-m3/blame/main/onnx/config.json (_name_or_path BAAI/bge-m3)
bge-reranker-v2-m3:
  uri: hf://BAAI/bge-reranker-v2-m3
  servedName: BAAI/bge-reranker-v2-m3
  task: score
  parameters: 567755777
  weightBytes: 2271023108
  contextLength: 8192
  layers: 24
  heads: 16
  source: https://huggingface.co/BAAI/bge-reranker-v2-m3/blob/3f6000f2fe7498b9d817ac6ec0ee451448a2d030/config.json
deepseek-r1:
  uri: hf://deepseek-ai/DeepSeek-R1
  servedName: deepseek-ai/DeepSeek-R1
  parameters: 671000000000
  expertParameters: 653908770816
  weightBytes: 688574839360
  contextLength: 163840
  layers: 61
  heads: 128
  kvLoraRank: 512
  qkRopeHeadDim: 64
  reasoningParser: deepseek_r1
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/deepseek-ai--DeepSeek-R1_config.json
deepseek-r1-distill-llama-8b:
  uri: hf://deepseek-ai/DeepSeek-R1-Distill-Llama-8B
  servedName: deepseek-ai/DeepSeek-R1-Distill-Llama-8B
  parameters: 8030261248
  contextLength: 131072
  layers: 32
  heads: 32
  kvHeads: 8
  headSize: 128
  reasoningParser: deepseek_r1
  source: https://github.com/kaito-project/kaito/blob/056b8280b1a8debf644bc6f4399e913a1f9c7e70/presets/workspace/models/model_catalog.yaml (DeepSeek-R1-Distill-Llama-8B)
deepseek-r1-distill-qwen-14b:
  uri: hf://deepseek-ai/DeepSeek-R1-Distill-Qwen-14B
  servedName: deepseek-ai/DeepSeek-R1-Distill-Qwen-14B
  parameters: 14770033664
  contextLength: 131072
  layers: 48
  heads: 40
  kvHeads: 8
  headSize: 128
  reasoningParser: deepseek_r1
  source: https://github.com/kaito-project/kaito/blob/056b8280b1a8debf644bc6f4399e913a1f9c7e70/presets/workspace/models/model_catalog.yaml (DeepSeek-R1-Distill-Qwen-14B)
deepseek-v3-0324:
  uri: hf://deepseek-ai/DeepSeek-V3-0324
  servedName: deepseek-ai/DeepSeek-V3-0324
  parameters: 671000000000
  expertParameters: 653908770816
  weightBytes: 688574839360
  contextLength: 163840
  layers: 61
  heads: 128
  kvLoraRank: 512
  qkRopeHeadDim: 64
  toolCallParser: deepseek_v3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/deepseek-ai--DeepSeek-V3_config.json
deepseek-v3-1:
  uri: hf://deepseek-ai/DeepSeek-V3.1
  servedName: deepseek-ai/DeepSeek-V3.1
  parameters: 671000000000
  expertParameters: 653908770816
  weightBytes: 688574839360
  contextLength: 163840
  layers: 61
  heads: 128
  kvLoraRank: 512
  qkRopeHeadDim: 64
  toolCallParser: deepseek_v31
  reasoningParser: deepseek_v3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/nvidia--DeepSeek-V3.1-NVFP4_config.json
gemma-3-12b-it:
  uri: hf://google/gemma-3-12b-it
  servedName: google/gemma-3-12b-it
  parameters: 12187325040
  contextLength: 131072
  layers: 48
  heads: 16
  kvHeads: 8
  headSize: 256
  slidingWindow: 1024
  slidingLayers: 40
  gated: true
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Gemma-3-12B, repo google/gemma-3-12b-it)
gemma-3-27b-it:
  uri: hf://google/gemma-3-27b-it
  servedName: google/gemma-3-27b-it
  parameters: 27432406640
  contextLength: 131072
  layers: 62
  heads: 32
  kvHeads: 16
  headSize: 128
  slidingWindow: 1024
  slidingLayers: 52
  gated: true
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Gemma-3-27B, repo google/gemma-3-27b-it)
gemma-3-4b-it:
  uri: hf://google/gemma-3-4b-it
  servedName: google/gemma-3-4b-it
  parameters: 4300079472
  contextLength: 131072
  layers: 34
  heads: 8
  kvHeads: 4
  headSize: 256
  slidingWindow: 1024
  slidingLayers: 29
  gated: true
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Gemma-3-4B, repo google/gemma-3-4b-it)
glm-4-5:
  uri: hf://zai-org/GLM-4.5
  servedName: zai-org/GLM-4.5
  parameters: 352797829024
  expertParameters: 335963750400
  weightBytes: 716675582592
  contextLength: 131072
  layers: 92
  heads: 96
  kvHeads: 8
  headSize: 128
  toolCallParser: glm45
  reasoningParser: glm45
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (GLM-4.5, repo zai-org/GLM-4.5)
glm-4-5-air:
  uri: hf://zai-org/GLM-4.5-Air
  servedName: zai-org/GLM-4.5-Air
  parameters: 106852251264
  expertParameters: 99656663040
  weightBytes: 220937649664
  contextLength: 131072
  layers: 46
  heads: 96
  kvHeads: 8
  headSize: 128
  toolCallParser: glm45
  reasoningParser: glm45
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (GLM-4.5-Air, repo zai-org/GLM-4.5-Air)
gpt-oss-120b:
  uri: hf://openai/gpt-oss-120b
  servedName: openai/gpt-oss-120b
  parameters: 116829156672
  expertParameters: 114701598720
  weightBytes: 65248815744
  contextLength: 131072
  layers: 36
  heads: 64
  kvHeads: 8
  headSize: 64
  slidingWindow: 128
  slidingLayers: 18
  toolCallParser: openai
  reasoningParser: openai_gptoss
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/openai--gpt-oss-120b_config.json
gpt-oss-20b:
  uri: hf://openai/gpt-oss-20b
  servedName: openai/gpt-oss-20b
  parameters: 20914757184
  expertParameters: 19116933120
  weightBytes: 13761264768
  contextLength: 131072
  layers: 24
  heads: 64
  kvHeads: 8
  headSize: 64
  slidingWindow: 128
  slidingLayers: 12
  toolCallParser: openai
  reasoningParser: openai_gptoss
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/openai--gpt-oss-20b_config.json
kimi-k2-instruct:
  uri: hf://moonshotai/Kimi-K2-Instruct
  servedName: moonshotai/Kimi-K2-Instruct
  parameters: 1026408235864
  expertParameters: 1014686023680
  weightBytes: 1029173210640
  contextLength: 131072
  layers: 61
  heads: 64
  kvLoraRank: 512
  qkRopeHeadDim: 64
  toolCallParser: kimi_k2
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/moonshotai--Kimi-K2-Instruct_config.json
llama-3-1-405b-instruct:
  uri: hf://meta-llama/Llama-3.1-405B-Instruct
  servedName: meta-llama/Llama-3.1-405B-Instruct
  parameters: 405853388800
  contextLength: 131072
  layers: 126
  heads: 128
  kvHeads: 8
  headSize: 128
  toolCallParser: llama3_json
  gated: true
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/meta-llama--Meta-Llama-3.1-405B_config.json
llama-3-1-70b-instruct:
  uri: hf://meta-llama/Llama-3.1-70B-Instruct
  servedName: meta-llama/Llama-3.1-70B-Instruct
  parameters: 70553706496
  contextLength: 131072
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  toolCallParser: llama3_json
  gated: true
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/meta-llama--Meta-Llama-3.1-70B_config.json
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
  toolCallParser: llama3_json
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/nvidia--Llama-3.1-70B-Instruct-FP8_config.json
llama-3-1-8b-instruct:
  uri: hf://meta-llama/Llama-3.1-8B-Instruct
  servedName: meta-llama/Llama-3.1-8B-Instruct
  parameters: 8030261248
  contextLength: 131072
  layers: 32
  heads: 32
  kvHeads: 8
  headSize: 128
  toolCallParser: llama3_json
  gated: true
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
  toolCallParser: llama3_json
  gated: true
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/llama3_2_1b.json
llama-3-2-3b-instruct:
  uri: hf://meta-llama/Llama-3.2-3B-Instruct
  servedName: meta-llama/Llama-3.2-3B-Instruct
  parameters: 3212749824
  contextLength: 131072
  layers: 28
  heads: 24
  kvHeads: 8
  headSize: 128
  toolCallParser: llama3_json
  gated: true
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/llama3_2_3b.json
llama-3-3-70b-instruct:
  uri: hf://meta-llama/Llama-3.3-70B-Instruct
  servedName: meta-llama/Llama-3.3-70B-Instruct
  parameters: 70553706496
  contextLength: 131072
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  gated: true
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Llama-3.3-70B, repo meta-llama/Llama-3.3-70B-Instruct (via unsloth's copy))
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
minimax-m2-5:
  uri: hf://MiniMaxAI/MiniMax-M2.5
  servedName: MiniMaxAI/MiniMax-M2.5
  parameters: 228689764864
  expertParameters: 224680476672
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
  toolCallParser: mistral
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Mistral-7B-v0.3, repo mistralai/Mistral-7B-Instruct-v0.3)
mistral-nemo-instruct-2407:
  uri: hf://mistralai/Mistral-Nemo-Instruct-2407
  servedName: mistralai/Mistral-Nemo-Instruct-2407
  parameters: 12247782400
  contextLength: 131072
  layers: 40
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Mistral-Nemo-12B, repo mistralai/Mistral-Nemo-Instruct-2407)
mixtral-8x22b-instruct-v0-1:
  uri: hf://mistralai/Mixtral-8x22B-Instruct-v0.1
  servedName: mistralai/Mixtral-8x22B-Instruct-v0.1
  parameters: 140620634112
  expertParameters: 135291469824
  contextLength: 65536
  layers: 56
  heads: 48
  kvHeads: 8
  headSize: 128
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/mistralai--Mixtral-8x22B-v0.1_config.json
mixtral-8x7b-instruct-v0-1:
  uri: hf://mistralai/Mixtral-8x7B-Instruct-v0.1
  servedName: mistralai/Mixtral-8x7B-Instruct-v0.1
  parameters: 46702792704
  expertParameters: 45097156608
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
phi-4-mini-instruct:
  uri: hf://microsoft/Phi-4-mini-instruct
  servedName: microsoft/Phi-4-mini-instruct
  parameters: 3836021760
  contextLength: 131072
  layers: 32
  heads: 24
  kvHeads: 8
  headSize: 128
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Phi-4-mini, repo microsoft/Phi-4-mini-instruct)
qwen2-5-0-5b-instruct:
  uri: hf://Qwen/Qwen2.5-0.5B-Instruct
  servedName: Qwen/Qwen2.5-0.5B-Instruct
  parameters: 494032768
  contextLength: 32768
  layers: 24
  heads: 14
  kvHeads: 2
  headSize: 64
  toolCallParser: hermes
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
  toolCallParser: hermes
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_1.5b.json
qwen2-5-14b-instruct:
  uri: hf://Qwen/Qwen2.5-14B-Instruct
  servedName: Qwen/Qwen2.5-14B-Instruct
  parameters: 14770033664
  contextLength: 32768
  layers: 48
  heads: 40
  kvHeads: 8
  headSize: 128
  toolCallParser: hermes
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_14b.json
qwen2-5-32b-instruct:
  uri: hf://Qwen/Qwen2.5-32B-Instruct
  servedName: Qwen/Qwen2.5-32B-Instruct
  parameters: 32763876352
  contextLength: 32768
  layers: 64
  heads: 40
  kvHeads: 8
  headSize: 128
  toolCallParser: hermes
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
  toolCallParser: hermes
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen2.5_3b.json
qwen2-5-72b-instruct:
  uri: hf://Qwen/Qwen2.5-72B-Instruct
  servedName: Qwen/Qwen2.5-72B-Instruct
  parameters: 72706203648
  contextLength: 32768
  layers: 80
  heads: 64
  kvHeads: 8
  headSize: 128
  toolCallParser: hermes
  source: https://github.com/debaditc/kvfit/blob/bd4ccabf914323ee9831bc4dfae6bff777aa7966/src/kvfit/data/models.json (Qwen2.5-72B, repo Qwen/Qwen2.5-72B-Instruct)
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
  toolCallParser: hermes
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
  toolCallParser: hermes
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
  toolCallParser: hermes
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
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-0.6B_config.json
qwen3-1-7b:
  uri: hf://Qwen/Qwen3-1.7B
  servedName: Qwen/Qwen3-1.7B
  parameters: 1720574976
  contextLength: 40960
  layers: 28
  heads: 16
  kvHeads: 8
  headSize: 128
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-1.7B_config.json
qwen3-235b-a22b:
  uri: hf://Qwen/Qwen3-235B-A22B
  servedName: Qwen/Qwen3-235B-A22B
  parameters: 235093634560
  expertParameters: 227096395776
  contextLength: 40960
  layers: 94
  heads: 64
  kvHeads: 4
  headSize: 128
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-235B-A22B_config.json
qwen3-235b-a22b-fp8:
  uri: hf://Qwen/Qwen3-235B-A22B-FP8
  servedName: Qwen/Qwen3-235B-A22B
  parameters: 235093634560
  expertParameters: 227096395776
  weightBytes: 236445455360
  contextLength: 40960
  layers: 94
  heads: 64
  kvHeads: 4
  headSize: 128
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-235B-A22B-FP8_config.json
qwen3-30b-a3b:
  uri: hf://Qwen/Qwen3-30B-A3B
  servedName: Qwen/Qwen3-30B-A3B
  parameters: 30532122624
  expertParameters: 28991029248
  contextLength: 40960
  layers: 48
  heads: 32
  kvHeads: 4
  headSize: 128
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-30B-A3B_config.json
qwen3-30b-a3b-fp8:
  uri: hf://Qwen/Qwen3-30B-A3B-FP8
  servedName: Qwen/Qwen3-30B-A3B
  parameters: 30532122624
  expertParameters: 28991029248
  weightBytes: 31174545408
  contextLength: 40960
  layers: 48
  heads: 32
  kvHeads: 4
  headSize: 128
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-30B-A3B-FP8_config.json
qwen3-32b:
  uri: hf://Qwen/Qwen3-32B
  servedName: Qwen/Qwen3-32B
  parameters: 32762123264
  contextLength: 40960
  layers: 64
  heads: 64
  kvHeads: 8
  headSize: 128
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-32B_config.json
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
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-32B-FP8_config.json
qwen3-4b:
  uri: hf://Qwen/Qwen3-4B
  servedName: Qwen/Qwen3-4B
  parameters: 4022468096
  contextLength: 40960
  layers: 36
  heads: 32
  kvHeads: 8
  headSize: 128
  reasoningParser: qwen3
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
  reasoningParser: qwen3
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-8B_config.json
qwen3-coder-30b-a3b-instruct:
  uri: hf://Qwen/Qwen3-Coder-30B-A3B-Instruct
  servedName: Qwen/Qwen3-Coder-30B-A3B-Instruct
  parameters: 30532122624
  expertParameters: 28991029248
  contextLength: 262144
  layers: 48
  heads: 32
  kvHeads: 4
  headSize: 128
  toolCallParser: qwen3_xml
  source: https://github.com/ztxz16/fastllm, Qwen3-Coder-30B-A3B-Instruct/README.md (a copy of the model card) and https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-30B-A3B_config.json
qwen3-coder-480b-a35b-instruct:
  uri: hf://Qwen/Qwen3-Coder-480B-A35B-Instruct
  servedName: Qwen/Qwen3-Coder-480B-A35B-Instruct
  parameters: 480000000000
  expertParameters: 468084326400
  contextLength: 262144
  layers: 62
  heads: 96
  kvHeads: 8
  headSize: 128
  toolCallParser: qwen3_xml
  source: https://github.com/ai-dynamo/aiconfigurator/blob/095f58a51c4ca8e61b66ec108d86f223f8d559ce/aic-core/src/aiconfigurator_core/model_configs/Qwen--Qwen3-Coder-480B-A35B-Instruct_config.json
qwen3-embedding-8b:
  uri: hf://Qwen/Qwen3-Embedding-8B
  servedName: Qwen/Qwen3-Embedding-8B
  task: embed
  parameters: 8188515328
  contextLength: 40960
  layers: 36
  heads: 32
  kvHeads: 8
  headSize: 128
  source: https://github.com/sgl-project/ome/blob/17b77edad23bae262e0c9adb7f12039397a5d33d/pkg/hfutil/modelconfig/testdata/qwen3_embedding_8b.json
{{- end }}
