{{/*
What each KServe minor version can do, one row a version. Templates and validation read it; tests/consumer checks each row
against that version's own resource definitions and presets, as far as `proof` says.

proof                       `ran` with that version's controller, `definitions`: its resource definitions and presets were read,
                            `documented`: read from release notes and source of a later commit
apiVersion                  of LLMInferenceService that we render
tensorRendered              `parallelism.tensor` reaches the engine's command; before, it is accepted and ignored
storageInitializerOverride  `template.initContainers[storage-initializer]` is merged into KServe's init container
workerCommandBelow          vLLM from this version on does not start with the command of KServe's multi-node presets
                            (`--data-parallel-start-rank 0` on the leader): we always render our own there
rolloutStrategy             `rolloutStrategy` is a field: a rollout without a spare device
kedaScaling                 `scaling.keda` is a field
picker                      KServe's own configuration of the endpoint picker: its apiVersion, and by role what scores, with weights
images                      that the presets name and a mirror must hold; `tokenizer` stands beside the endpoint picker
*/}}
{{- define "llm-common.capabilities" -}}
"0.19":
  proof: definitions
  apiVersion: serving.kserve.io/v1alpha2
  tensorRendered: false
  storageInitializerOverride: false
  workerCommandBelow: "0.28"
  rolloutStrategy: false
  kedaScaling: false
  picker:
    apiVersion: inference.networking.x-k8s.io/v1alpha1
    both: {queue-scorer: 2, prefix-cache-scorer: 3}
    prefill: {queue-scorer: 2, prefix-cache-scorer: 3}
    decode: {queue-scorer: 2, prefix-cache-scorer: 3}
  images:
    routingSidecar: ghcr.io/llm-d/llm-d-routing-sidecar:v0.7.1
    endpointPicker: ghcr.io/llm-d/llm-d-inference-scheduler:v0.7.1
    tokenizer: ghcr.io/llm-d/llm-d-uds-tokenizer:v0.7.1
"0.20":
  proof: ran
  apiVersion: serving.kserve.io/v1alpha2
  tensorRendered: true
  storageInitializerOverride: true
  workerCommandBelow: "0.28"
  rolloutStrategy: false
  kedaScaling: false
  picker:
    apiVersion: inference.networking.x-k8s.io/v1alpha1
    both: {queue-scorer: 2, kv-cache-utilization-scorer: 2, prefix-cache-scorer: 3, no-hit-lru-scorer: 2, lora-affinity-scorer: 4}
    prefill: {prefix-cache-scorer: 3, queue-scorer: 2, kv-cache-utilization-scorer: 2, lora-affinity-scorer: 4}
    decode: {active-request-scorer: 2, prefix-cache-scorer: 3, lora-affinity-scorer: 4}
  images:
    routingSidecar: ghcr.io/llm-d/llm-d-router-disagg-sidecar:v0.9.0
    endpointPicker: ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.9.0
    tokenizer: ghcr.io/llm-d/llm-d-uds-tokenizer:vllm-v0.19.1
"0.21":
  proof: documented
  apiVersion: serving.kserve.io/v1alpha2
  tensorRendered: true
  storageInitializerOverride: true
  workerCommandBelow: "0.28"
  rolloutStrategy: true
  kedaScaling: true
  picker:
    apiVersion: llm-d.ai/v1alpha1
    both: {queue-scorer: 2, kv-cache-utilization-scorer: 2, prefix-cache-scorer: 3, no-hit-lru-scorer: 2, lora-affinity-scorer: 4}
    prefill: {prefix-cache-scorer: 3, queue-scorer: 2, kv-cache-utilization-scorer: 2, lora-affinity-scorer: 4}
    decode: {active-request-scorer: 2, prefix-cache-scorer: 3, lora-affinity-scorer: 4}
  images:
    routingSidecar: ghcr.io/llm-d/llm-d-router-disagg-sidecar:v0.10.0
    endpointPicker: ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.10.0
{{- end }}
