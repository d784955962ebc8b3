{{/* Name of the engine pods' service account. In: root, plan. Out: text. */}}
{{- define "llm-inference-service.serviceAccountName" -}}
{{- .root.Values.serviceAccount.name | default .plan.children.serviceAccount -}}
{{- end }}
