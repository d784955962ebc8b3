{{/*
Parts of the plan: flow control, by which KServe's endpoint picker holds the requests that no engine can take, also while there is none.

The picker admits a request before it looks for an engine, and a pool without engines counts as full. KServe's own configuration of it
has no flow control, and one of ours replaces that as a whole: so it is the same, of the capability table, and what is added to it.
*/}}
{{- define "llm-common.plan.flowControl" -}}
{{- $plan := .plan -}}
{{- $wanted := .llm.router.flowControl -}}
{{- $seconds := int64 $wanted.defaultRequestTTL -}}
{{- $_ := set $plan.router "config" dict -}}
{{- if and $wanted.enabled (not $plan.router.enabled) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.router.flowControl.enabled: there is no endpoint picker to hold requests; set global.llm.router.enabled: true") -}}
{{- else if and $seconds (not $wanted.enabled) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.router.flowControl.defaultRequestTTL: is set and no request is held; set global.llm.router.flowControl.enabled: true, or remove it") -}}
{{- else if and $wanted.enabled $plan.capabilities -}}
  {{- $picker := $plan.capabilities.picker -}}
  {{- $split := gt (len $plan.workloads) 1 -}}
  {{- $plugins := list -}}
  {{- range ternary (list "disagg-headers-handler" "prefill-filter" "decode-filter") (list "single-profile-handler") $split -}}
    {{- $plugins = append $plugins (dict "type" .) -}}
  {{- end -}}
  {{- $scorers := dict -}}
  {{- $profiles := list -}}
  {{- range $side := $plan.workloads -}}
    {{- $refs := list -}}
    {{- if $split -}}{{- $refs = append $refs (dict "pluginRef" (printf "%s-filter" $side.role)) -}}{{- end -}}
    {{- range $name, $weight := get $picker $side.role -}}
      {{- if or $plan.adapters (ne $name "lora-affinity-scorer") -}}
        {{- $_ := set $scorers $name true -}}
        {{- $refs = append $refs (dict "pluginRef" $name "weight" $weight) -}}
      {{- end -}}
    {{- end -}}
    {{- $profiles = append $profiles (dict "name" (ternary $side.role "default" $split) "plugins" (append $refs (dict "pluginRef" "max-score-picker"))) -}}
  {{- end -}}
  {{- range keys $scorers | sortAlpha -}}{{- $plugins = append $plugins (dict "type" .) -}}{{- end -}}
  {{- $plugins = append $plugins (dict "type" "max-score-picker") -}}
  {{- if $split -}}
    {{- /* what decides stands before the handler that refers to it */ -}}
    {{- $decider := "always-disagg-pd-decider" -}}
    {{- $plugins = concat $plugins (list (dict "type" $decider) (dict "type" "disagg-profile-handler" "parameters" (dict "deciders" (dict "prefill" $decider)))) -}}
  {{- end -}}
  {{- /* said even where there is none: the picker of KServe 0.21 has 60 s of its own, and none is 0 in each version */ -}}
  {{- $_ := set $plan.router "config" (dict
        "apiVersion" $picker.apiVersion "kind" "EndpointPickerConfig" "featureGates" (list "flowControl")
        "flowControl" (dict "defaultRequestTTL" (printf "%ds" $seconds))
        "plugins" $plugins "schedulingProfiles" $profiles) -}}
  {{- $limit := ternary (printf "%d s" $seconds) "as long as client and gateway wait" (gt $seconds 0) -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "flow control" "value" (printf "the endpoint picker holds what engines cannot take, %s" $limit) "from" "global.llm.router.flowControl") -}}
{{- end -}}
{{- end }}
