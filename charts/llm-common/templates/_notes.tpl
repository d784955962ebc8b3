{{/* What a person sees after an install of a model: the plan and the next commands. In: root, plan. */}}
{{- define "llm-common.notes" -}}
{{- $root := .root -}}
{{- $plan := .plan -}}
The plan of {{ $plan.name }} (also in ConfigMap {{ $plan.children.planConfigMap }}):
{{ include "llm-common.planText" $plan }}

Next:
  kubectl -n {{ $root.Release.Namespace }} rollout status deployment/{{ $plan.children.deployment }} --timeout={{ mul $plan.startup.periodSeconds $plan.startup.failureThreshold }}s
  helm test -n {{ $root.Release.Namespace }} {{ $root.Release.Name }} --logs
  kubectl -n {{ $root.Release.Namespace }} port-forward service/{{ $plan.children.service }} {{ $plan.port }}:{{ $plan.port }}
{{- end }}
