{{/*
What each KServe minor version can do, one row a version. Templates and validation read it; tests/consumer checks each row
against that version's own resource definitions and presets.

tensorRendered              `parallelism.tensor` reaches the engine's command; before, it is accepted and ignored
apiVersion                  of LLMInferenceService that we render
storageInitializerOverride  `template.initContainers[storage-initializer]` is merged into KServe's init container
*/}}
{{- define "llm-common.capabilities" -}}
"0.19":
  apiVersion: serving.kserve.io/v1alpha2
  tensorRendered: false
  storageInitializerOverride: false
"0.20":
  apiVersion: serving.kserve.io/v1alpha2
  tensorRendered: true
  storageInitializerOverride: true
{{- end }}
