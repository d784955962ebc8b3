{{/*
Parts of the plan: where KV cache goes besides the device that computed it. In disaggregated mode from prefill to decode, by NIXL; and
with kvCacheOffloading to host memory and disk. Both at once are one MultiConnector: each alone would turn the other off.
*/}}

{{/* What offloading keeps, in bytes. In: the context with `side`. Adds offloadBytes, disk, diskClaim to the side. */}}
{{- define "llm-common.plan.offloading" -}}
{{- $plan := .plan -}}
{{- $wanted := .llm.kvCacheOffloading -}}
{{- $bytes := int64 0 -}}
{{- if $wanted.cpu -}}
  {{- $bytes = include "llm-common.quantityBytes" $wanted.cpu | int64 -}}
  {{- if eq .side.side "main" -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "KV offloading" "value" (printf "%s of host memory, %s%s" $wanted.cpu $wanted.evictionPolicy (ternary (printf ", then %s" ($wanted.existingClaim | default (printf "%s of disk" $wanted.disk))) "" (or (ne $wanted.disk "") (ne $wanted.existingClaim "")))) "from" "global.llm.kvCacheOffloading") -}}
  {{- end -}}
{{- else if or $wanted.disk $wanted.existingClaim -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.kvCacheOffloading.cpu: is empty and vLLM reaches a disk through host memory only; set how much, for example 16Gi") -}}
{{- end -}}
{{- if and $wanted.disk $wanted.existingClaim -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.kvCacheOffloading.disk: existingClaim stands in its place; remove one of them") -}}
{{- end -}}
{{- if and $wanted.cpu (or (hasKey .side.args "kv-offloading-size") (hasKey .side.args "kv-offloading-backend")) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.engine.args.kv-offloading-size: would replace the connector that global.llm.kvCacheOffloading sets up; remove one of them") -}}
{{- end -}}
{{- $_ := set .side "offloadBytes" $bytes -}}
{{- $_ := set .side "disk" (ternary $wanted.disk "" (gt $bytes 0)) -}}
{{- $_ := set .side "diskClaim" (ternary $wanted.existingClaim "" (gt $bytes 0)) -}}
{{- end }}

{{/* Argument kv-transfer-config of a side, where it needs one. In: context (with side), into (dict of arguments). */}}
{{- define "llm-common.transferConfig" -}}
{{- $side := .context.side -}}
{{- $connectors := list -}}
{{- $role := "kv_both" -}}
{{- if ne $side.role "both" -}}
  {{- $role = ternary "kv_producer" "kv_consumer" (eq $side.role "prefill") -}}
  {{- $connectors = append $connectors (dict "kv_connector" "NixlConnector" "kv_role" $role) -}}
{{- end -}}
{{- if $side.offloadBytes -}}
  {{- $extra := dict "cpu_bytes_to_use" $side.offloadBytes "eviction_policy" .context.llm.kvCacheOffloading.evictionPolicy -}}
  {{- if or $side.disk $side.diskClaim -}}
    {{- $_ := set $extra "spec_name" "TieringOffloadingSpec" -}}
    {{- $_ := set $extra "secondary_tiers" (list (dict "type" "fs" "root_dir" "/mnt/kv-cache")) -}}
  {{- end -}}
  {{- $connectors = append $connectors (dict "kv_connector" "OffloadingConnector" "kv_role" "kv_both" "kv_connector_extra_config" $extra) -}}
{{- end -}}
{{- if eq (len $connectors) 1 -}}{{- $_ := set .into "kv-transfer-config" (first $connectors) -}}{{- end -}}
{{- if eq (len $connectors) 2 -}}
  {{- $_ := set .into "kv-transfer-config" (dict "kv_connector" "MultiConnector" "kv_role" $role "kv_connector_extra_config" (dict "connectors" $connectors)) -}}
{{- end -}}
{{- end }}

{{/* A connector of the user's own must do what the mode needs. In: context (with side), args (all arguments of the side). */}}
{{- define "llm-common.plan.checkTransfer" -}}
{{- $plan := .context.plan -}}
{{- $side := .context.side -}}
{{- $given := get $side.args "kv-transfer-config" -}}
{{- if $given -}}
  {{- $path := ternary "global.llm.prefill.args" "global.llm.engine.args" (and (eq $side.side "prefill") (hasKey .context.llm.prefill.args "kv-transfer-config")) -}}
  {{- $config := $given -}}
  {{- if kindIs "string" $given -}}{{- $config = fromJson $given -}}{{- end -}}
  {{- if ne $side.role "both" -}}
    {{- $wanted := ternary "kv_producer" "kv_consumer" (eq $side.role "prefill") -}}
    {{- if not (has $config.kv_role (list $wanted "kv_both")) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.kv-transfer-config: has kv_role %v and %s needs %s; set that%s" $path ($config.kv_role | default "none") $side.role $wanted (ternary ", or both sides apart in engine.args and prefill.args" "" (eq $path "global.llm.engine.args")))) -}}
    {{- end -}}
    {{- range $other := $plan.workloads -}}
      {{- if ne $other.role $side.role -}}
        {{- $theirs := get $other.args "kv-transfer-config" | default (dict "kv_connector" "NixlConnector") -}}
        {{- if kindIs "string" $theirs -}}{{- $theirs = fromJson $theirs -}}{{- end -}}
        {{- if ne (toString $theirs.kv_connector) (toString $config.kv_connector) -}}
          {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.kv-transfer-config: has kv_connector %v and %s has %v; set the same on both sides" $path ($config.kv_connector | default "none") $other.role $theirs.kv_connector)) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if $side.offloadBytes -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.kv-transfer-config: replaces the connector that global.llm.kvCacheOffloading sets up; remove one of them" $path)) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* A quantity in bytes, rounded up. In: text such as 64Gi. Out: integer as text. */}}
{{- define "llm-common.quantityBytes" -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $factor := get (dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "m" 0.001) $unit | default 1.0 -}}
{{- printf "%.0f" (ceil (mulf (trimSuffix $unit . | float64) $factor)) -}}
{{- end }}
