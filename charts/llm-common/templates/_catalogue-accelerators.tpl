{{/*
Accelerators as data. Every row names the page it was read from (`source`); users add rows by `global.llm.accelerators`, field by
field over a row of the same key.

Accelerator:  resource (device plugin's resource name, empty for CPU), memoryBytes (of one device, as CUDA reports it to vLLM where that was
              measured, else as the driver does, which is 0.5 to 0.7 GB more),
              devicesPerNode, image (engine image that serves it), env, nodeSelector, tolerations, supplementalGroups (groups by which
              an engine that is not root opens the device nodes).
Image tags equal versions.yaml (tests/consumer/test_versions.py).

AMD's device plugin passes /dev/kfd and /dev/dri/render* with the owner that they have on the node. video is 44 on every Debian and
Ubuntu; render gets its number when the node is set up, 104, 109 or 110 as a rule
(https://github.com/ROCm/ROCm-docker/issues/90, https://github.com/ROCm/k8s-device-plugin/issues/39): `stat -c %g /dev/kfd` on the
node tells. A taint is the cluster's own choice; its key is the resource, as Kubernetes' ExtendedResourceToleration expects it.
*/}}

{{- define "llm-common.catalogue.accelerators" -}}
cpu:
  resource: ""
  image: {registry: docker.io, repository: vllm/vllm-openai-cpu, tag: v0.32.0}
  env:
    # With the default `auto` every engine on a node pins its worker to the same core.
    VLLM_CPU_OMP_THREADS_BIND: nobind
  source: vLLM 0.32.0, CPU platform
nvidia-l4:
  resource: nvidia.com/gpu
  memoryBytes: 24152899584
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-L4
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://thundergolfer.com/blog/nvidia-gpu-memory-capacity (24 GB; 23,034 MiB)
nvidia-l40s:
  resource: nvidia.com/gpu
  memoryBytes: 48305799168
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-L40S
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://thundergolfer.com/blog/nvidia-gpu-memory-capacity (48 GB; 46,068 MiB)
nvidia-a100-40gb:
  resource: nvidia.com/gpu
  memoryBytes: 42949672960
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-A100-SXM4-40GB
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://thundergolfer.com/blog/nvidia-gpu-memory-capacity (40 GB; 40,960 MiB)
nvidia-a100-80gb:
  resource: nvidia.com/gpu
  memoryBytes: 85899345920
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://thundergolfer.com/blog/nvidia-gpu-memory-capacity (80 GB; 81,920 MiB)
nvidia-h100-80gb:
  resource: nvidia.com/gpu
  memoryBytes: 85017493504
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://thundergolfer.com/blog/nvidia-gpu-memory-capacity (80 GB; 81,559 MiB); memory - torch.cuda under vLLM 0.32
nvidia-h200:
  resource: nvidia.com/gpu
  memoryBytes: 150109880320
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-H200
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://raw.githubusercontent.com/mlcommons/inference_results_v4.1/main/closed/NVIDIA/systems/H200-SXM-141GBx8_TRT_MaxQ.json (141 GB, 8 a node); memory - torch.cuda under vLLM 0.32
nvidia-b200:
  resource: nvidia.com/gpu
  memoryBytes: 192265846784
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai, tag: v0.32.0}
  nodeSelector:
    nvidia.com/gpu.product: NVIDIA-B200
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  source: https://acecloud.ai/blog/nvidia-b200-vs-h200-h100-a100 (quotes the DGX B200 data sheet - 1,440 GB over 8 GPUs, 180 GB each); NVIDIA's own page was not readable
amd-mi300x:
  resource: amd.com/gpu
  memoryBytes: 206141652992
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai-rocm, tag: v0.31.0}
  nodeSelector:
    amd.com/gpu.product-name: AMD_Instinct_MI300X_OAM
  tolerations:
    - {key: amd.com/gpu, operator: Exists, effect: NoSchedule}
  supplementalGroups: [44, 104, 109, 110]
  source: https://raw.githubusercontent.com/mlcommons/inference_results_v4.1/main/closed/AMD/systems/8xMI300X_2xEPYC-9374F.json (192 GB, 8 a node); driver - https://github.com/ROCm/legacy-rocm-build/issues/4750; label - https://github.com/ROCm/k8s-device-plugin/blob/ed7646843003e8f0b6a0630346f01bb4d1ecff2e/docs/user-guide/installation.md
amd-mi355x:
  resource: amd.com/gpu
  memoryBytes: 309220868096
  devicesPerNode: 8
  image: {registry: docker.io, repository: vllm/vllm-openai-rocm, tag: v0.31.0}
  nodeSelector:
    amd.com/gpu.device-id: "75a3"
  tolerations:
    - {key: amd.com/gpu, operator: Exists, effect: NoSchedule}
  supplementalGroups: [44, 104, 109, 110]
  source: https://raw.githubusercontent.com/mlcommons/inference_results_v6.1/main/closed/Crusoe/systems/512xMI355X_Crusoe_GPT.json (288 GB, 8 a node); driver - rocm-smi in a public file (look-up id 65900087870); label - https://github.com/ROCm/k8s-device-plugin/blob/ed7646843003e8f0b6a0630346f01bb4d1ecff2e/cmd/k8s-node-labeller/amdgpu.ids
{{- end }}
