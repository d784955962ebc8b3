{{/* What a person sees after an install of a model: the plan and the next commands. In: root, plan. */}}
{{- define "llm-common.notes" -}}
{{- $root := .root -}}
{{- $plan := .plan -}}
The plan of {{ $plan.name }} (also in ConfigMap {{ $plan.children.planConfigMap }}):
{{ include "llm-common.planText" $plan }}

Next:
{{- range $plan.workloads }}
  {{- /* an engine of a first install waits for the download */ -}}
  {{- $timeout := add .startup.seconds ($plan.cache.gateSeconds | default 0) }}
  {{- if eq .kind "Deployment" }}
  kubectl -n {{ $root.Release.Namespace }} rollout status deployment/{{ .child }} --timeout={{ $timeout }}s
  {{- else }}
  kubectl -n {{ $root.Release.Namespace }} wait leaderworkerset/{{ .child }} --for=condition=Available --timeout={{ $timeout }}s
  {{- end }}
{{- end }}
  helm test -n {{ $root.Release.Namespace }} {{ $root.Release.Name }} --logs
  kubectl -n {{ $root.Release.Namespace }} port-forward service/{{ $plan.children.service }} {{ $plan.port }}:{{ $plan.port }}
{{- end }}
