{{/*
Models and accelerators as data. Every row names the page it was read from (`source`); users add rows by
`global.llm.models` and `global.llm.accelerators`, field by field over a row of the same key.

Model:        uri (hf:// or pvc://…), servedName, parameters (count), weightBytes (default: parameters x 2, bfloat16).
Accelerator:  resource (device plugin's resource name, empty for CPU), memoryBytes (of one device), image (engine image that
              serves it), env, nodeSelector, tolerations.
Image tags equal versions.yaml (tests/consumer/test_versions.py).
*/}}

{{- define "llm-common.catalogue.models" -}}
qwen2-5-7b-instruct:
  uri: hf://Qwen/Qwen2.5-7B-Instruct
  servedName: Qwen/Qwen2.5-7B-Instruct
  parameters: 7610000000
  source: https://huggingface.co/Qwen/Qwen2.5-7B-Instruct-GGUF (7.61B parameters)
{{- end }}

{{- define "llm-common.catalogue.accelerators" -}}
cpu:
  resource: ""
  image: {registry: docker.io, repository: vllm/vllm-openai-cpu, tag: v0.32.0}
  env:
    # With the default `auto` every engine on a node pins its worker to the same core.
    VLLM_CPU_OMP_THREADS_BIND: nobind
  source: vLLM 0.32.0, CPU platform
nvidia-l40s:
  resource: nvidia.com/gpu
  memoryBytes: 48000000000
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://docs.nvidia.com/nim/large-language-models/1.6.0/supported-models.html (L40S, 48 GB)
nvidia-h100-80gb:
  resource: nvidia.com/gpu
  memoryBytes: 80000000000
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    # https://pkg.go.dev/github.com/NVIDIA/cluster-readiness-engine@v0.6.0/pkg/gpu names this product label
    nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://docs.nvidia.com/nim/large-language-models/1.6.0/supported-models.html (H100, 80 GB)
{{- end }}
