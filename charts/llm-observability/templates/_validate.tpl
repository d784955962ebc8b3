{{/* Refuse values that cannot work: the plan's messages and this chart's own. In: root. */}}
{{- define "llm-observability.validate" -}}
{{- $root := .root -}}
{{- $plan := dict -}}
{{- include "llm-common.plan" (dict "root" $root "out" $plan) -}}
{{- $errors := $plan.errors -}}
{{- if not $errors -}}
  {{- if and $root.Values.endpointPicker.enabled (not $plan.router.enabled) -}}
    {{- $errors = append $errors "llm-observability.endpointPicker.enabled: there is no endpoint picker to scrape; set global.llm.router.enabled: true, or endpointPicker.enabled: false" -}}
  {{- end -}}
  {{- if and $root.Values.endpointPicker.tokenSecret.name (not $root.Values.endpointPicker.enabled) -}}
    {{- $errors = append $errors "llm-observability.endpointPicker.tokenSecret.name: is set and nothing asks the endpoint picker; set endpointPicker.enabled: true, or remove it" -}}
  {{- end -}}
  {{- if regexMatch "^(6[1-9]|[7-9][0-9]|[0-9]{3,})s$|^([2-9]|[0-9]{2,})m$" $root.Values.monitors.interval -}}
    {{- $errors = append $errors (printf "llm-observability.monitors.interval: %s is longer than a minute: rates over two minutes have nothing to compare, and after five minutes Prometheus takes an engine for gone; set at most 60s" $root.Values.monitors.interval) -}}
  {{- end -}}
  {{- /* buckets of one's own are not known here */ -}}
  {{- $own := false -}}
  {{- range $plan.workloads -}}{{- if hasKey .args "custom-histogram-buckets" -}}{{- $own = true -}}{{- end -}}{{- end -}}
  {{- range $metric := list "timeToFirstToken" "interTokenLatency" -}}
    {{- $seconds := include "llm-common.number" (get $root.Values.objectives $metric).seconds -}}
    {{- $buckets := include "llm-common.buckets" (dict "root" $root "plan" $plan "metric" $metric) | splitList " " -}}
    {{- if not (or $own (eq $seconds "0") (has $seconds $buckets)) -}}
      {{- $errors = append $errors (printf "llm-observability.objectives.%s.seconds: vLLM does not count what takes %s s apart; set one of %s" $metric $seconds (join ", " $buckets)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- include "llm-common.fail" (dict "errors" $errors) -}}
{{- end }}
