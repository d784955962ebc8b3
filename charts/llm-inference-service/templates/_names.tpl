{{/* Name of the engine pods' service account. In: root, plan. Out: text. */}}
{{- define "llm-inference-service.serviceAccountName" -}}
{{- .root.Values.serviceAccount.name | default .plan.children.serviceAccount -}}
{{- end }}

{{/* Annotations of the service: the user's, and of which nodes' disks KServe is to take the weights. In: root, plan. Out: YAML map. */}}
{{- define "llm-inference-service.annotations" -}}
{{- $annotations := deepCopy .root.Values.annotations -}}
{{- with .plan.cache.local -}}{{- $_ := set $annotations "serving.kserve.io/nodegroup" .nodeGroup -}}{{- end -}}
{{- toYaml $annotations -}}
{{- end }}
