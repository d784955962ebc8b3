{{/*
Parts of the plan: the model and where its weights are.
*/}}

{{- define "llm-common.plan.model" -}}
{{- $key := .llm.model -}}
{{- include "llm-common.plan.row" (dict "context" . "what" "model" "plural" "models") -}}
{{- if .found -}}
  {{- if not .model.uri -}}
    {{- include "llm-common.plan.tell" (dict "plan" .plan "message" (printf "global.llm.models.%s.uri: is missing; set where the weights are, for example hf://org/model or pvc://claim/path" $key)) -}}
  {{- end -}}
  {{- if not (or .model.weightBytes .model.parameters) -}}
    {{- include "llm-common.plan.tell" (dict "plan" .plan "message" (printf "global.llm.models.%s.parameters: is missing; set the number of parameters, or weightBytes" $key)) -}}
  {{- end -}}
{{- end -}}
{{- /* bfloat16, as published: two bytes a parameter */ -}}
{{- $weights := .model.weightBytes | default (mulf (.model.parameters | default 0) 2) | int64 -}}
{{- $uri := .model.uri | default "" -}}
{{- $_ := set .plan "model" (dict "key" $key "uri" $uri "source" $uri "servedName" (.model.servedName | default $key) "weightBytes" $weights) -}}
{{- $_ := set .plan "replicas" (int64 .llm.replicas) -}}
{{- end }}

{{/* A claim that the engine mounts read-only instead of downloading. pvc:// is filled already. */}}
{{- define "llm-common.plan.cache" -}}
{{- $plan := .plan -}}
{{- $wanted := .llm.cache -}}
{{- $model := $plan.model -}}
{{- $cache := dict "claim" "" "create" false -}}
{{- if and $wanted.enabled (hasPrefix "pvc://" $model.source) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.enabled: %s is on a claim already; set global.llm.cache.enabled: false" $model.source)) -}}
{{- else if $wanted.enabled -}}
  {{- $many := gt $plan.replicas 1 -}}
  {{- if and $many (has $wanted.accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.accessMode: %s lets one node mount the weights and global.llm.replicas is %d; set ReadWriteMany, or replicas: 1" $wanted.accessMode $plan.replicas)) -}}
  {{- end -}}
  {{- range $key := list "size" "storageClassName" -}}
    {{- if and $wanted.existingClaim (get $wanted $key) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.%s: claim %s exists already and keeps its own; remove it, or existingClaim" $key $wanted.existingClaim)) -}}
    {{- end -}}
  {{- end -}}
  {{- $cache = dict
        "claim" ($wanted.existingClaim | default (printf "%s-models" $plan.name))
        "create" (not $wanted.existingClaim)
        "size" ($wanted.size | default (include "llm-common.claimSize" $model.weightBytes))
        "accessMode" ($wanted.accessMode | default (ternary "ReadWriteMany" "ReadWriteOnce" $many))
        "storageClassName" $wanted.storageClassName
        "path" (printf "models/%s" $model.key) -}}
  {{- $_ := set $model "uri" (printf "pvc://%s/%s" $cache.claim $cache.path) -}}
  {{- if $cache.create -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "volume claim" "value" (printf "%s, %s, %s" $cache.claim $cache.size $cache.accessMode) "from" (printf "%d bytes of weights and global.llm.cache" $model.weightBytes)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan "cache" $cache -}}
{{- $_ := set $plan.children "claim" $cache.claim -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "model" "value" (printf "%s from %s" $model.servedName $model.uri) "from" (printf "global.llm.model %s" $model.key)) -}}
{{- end }}

{{/* Size of a claim for weights: a fifth more, rounded up coarsely so that a corrected fact never shrinks a claim.
In: bytes. Out: quantity. */}}
{{- define "llm-common.claimSize" -}}
{{- $gib := add1 (div (div (mul (int64 .) 6) 5) 1073741824) -}}
{{- $step := ternary 10 50 (lt $gib 100) -}}
{{- printf "%dGi" (mul $step (div (add $gib (sub $step 1)) $step)) -}}
{{- end }}
