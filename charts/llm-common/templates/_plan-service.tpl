{{/*
Parts of the plan: the service's name and what KServe makes of it.
*/}}

{{- define "llm-common.plan.name" -}}
{{- $plan := .plan -}}
{{- $name := .llm.name | default .root.Release.Name -}}
{{- $from := ternary "global.llm.name" "the release name" (ne .llm.name "") -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.name: %q (from %s) is no DNS-1035 label; set lower case letters, digits and dashes, a letter first and no dash last" $name $from)) -}}
{{- end -}}
{{- if gt (len $name) 38 -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.name: %q (from %s) has %d characters and KServe appends up to 25; set a name of at most 38" $name $from (len $name))) -}}
{{- end -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "name" "value" $name "from" $from) -}}
{{- $_ := set $plan "name" $name -}}
{{- $_ := set $plan "children" (dict
      "deployment" (printf "%s-kserve" $name)
      "service" (printf "%s-kserve-workload-svc" $name)
      "planConfigMap" (printf "%s-plan" $name)
      "serviceAccount" $name
      "podDisruptionBudget" $name
      "testPod" (printf "%s-test" $name)) -}}
{{- $_ := set $plan "podLabels" (dict
      "app.kubernetes.io/name" $name
      "app.kubernetes.io/part-of" "llminferenceservice"
      "app.kubernetes.io/component" "llminferenceservice-workload") -}}
{{- $_ := set $plan "port" 8000 -}}
{{- end }}

{{- define "llm-common.plan.kserve" -}}
{{- $version := .llm.kserveVersion -}}
{{- $table := include "llm-common.capabilities" .root | fromYaml -}}
{{- if not (hasKey $table $version) -}}
  {{- include "llm-common.plan.tell" (dict "plan" .plan "message" (printf "global.llm.kserveVersion: %q is not in the capability table; set one of %s" $version (keys $table | sortAlpha | join ", "))) -}}
{{- end -}}
{{- $row := get $table $version | default dict -}}
{{- $_ := set .plan "kserveVersion" $version -}}
{{- $_ := set .plan "capabilities" $row -}}
{{- $_ := set .plan "apiVersion" $row.apiVersion -}}
{{- end }}
