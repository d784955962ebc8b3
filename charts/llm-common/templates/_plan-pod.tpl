{{/*
Parts of the plan: what the pods of a side ask of their nodes.
*/}}

{{/* In: the context with `side`. */}}
{{- define "llm-common.plan.pod" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $overrides := .llm.overrides -}}
{{- $devices := $side.devices -}}
{{- $weights := add $plan.model.weightBytes $plan.speculative.weightBytes -}}
{{- /* one process per device exchanges tensors through /dev/shm, which counts as the pod's memory; the preset's 1Gi is for one.
vLLM keeps offloaded KV cache there as well (v1/kv_offload/cpu/shared_offload_region.py) */ -}}
{{- $offloadGib := div (add $side.offloadBytes 1073741823) 1073741824 -}}
{{- $sharedGib := ternary (mul 4 $devices) (ternary 1 0 (gt $offloadGib 0)) (gt $devices 1) | add $offloadGib -}}
{{- $least := add (ternary 1 0 (gt $devices 1)) $offloadGib -}}
{{- $shared := ternary (printf "%dGi" $sharedGib) "" (gt $sharedGib 0) -}}
{{- if $overrides.sharedMemory -}}
  {{- $shared = $overrides.sharedMemory -}}
  {{- $sharedGib = div (add (include "llm-common.quantityBytes" $shared | int64) 1073741823) 1073741824 -}}
  {{- if lt $sharedGib $least -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.overrides.sharedMemory: %s is smaller than the %dGi that %d devices and %dGi of offloaded KV cache exchange there; set at least that, or leave it empty" $shared $least $devices $offloadGib)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $side "sharedMemory" $shared -}}
{{- /* host memory holds a pod's part of the weights once while they load, and 2 GiB for each process */ -}}
{{- $mebibytes := add (mul 2048 $devices) (mul 1024 $sharedGib) (div (div $weights $side.nodes) 1048576) -}}
{{- $requests := dict "cpu" "1" "memory" (printf "%dMi" $mebibytes) -}}
{{- $limits := dict -}}
{{- if .accelerator.resource -}}
  {{- $_ := set $requests "cpu" (toString (mul 4 $devices)) -}}
  {{- $_ := set $requests .accelerator.resource (toString $devices) -}}
  {{- $_ := set $limits .accelerator.resource (toString $devices) -}}
{{- end -}}
{{- if .llm.rdma.resource -}}
  {{- $count := toString (int64 .llm.rdma.count | default $devices) -}}
  {{- $_ := set $requests .llm.rdma.resource $count -}}
  {{- $_ := set $limits .llm.rdma.resource $count -}}
{{- end -}}
{{- $resources := dict "requests" $requests -}}
{{- if $limits -}}{{- $_ := set $resources "limits" $limits -}}{{- end -}}
{{- $given := ternary $overrides.resources .llm.prefill.resources (eq $side.side "main") -}}
{{- if and $given .accelerator.resource -}}
  {{- $asked := get ($given.limits | default dict) .accelerator.resource | default (get ($given.requests | default dict) .accelerator.resource) -}}
  {{- if ne (include "llm-common.scalar" ($asked | default "no")) (toString $devices) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: asks for %s %s and the layout uses %d in a pod; set limits.%s: %d, or %s" $side.paths.resources (include "llm-common.scalar" ($asked | default "no")) .accelerator.resource $devices .accelerator.resource $devices $side.paths.parallel)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $side "resources" (include "llm-common.resources" ($given | default $resources) | fromYaml) -}}
{{- $from := ternary (printf "accelerator %s and %d bytes of weights" .llm.accelerator $weights) $side.paths.resources (empty $given) -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" (ternary "engine resources" "prefill resources" (eq $side.side "main")) "value" (toJson $side.resources) "from" $from) -}}
{{- $_ := set $side "nodeSelector" ($overrides.nodeSelector | default .accelerator.nodeSelector | default dict) -}}
{{- $_ := set $side "tolerations" ($overrides.tolerations | default .accelerator.tolerations | default list) -}}
{{- $groups := list -}}
{{- range .accelerator.supplementalGroups -}}{{- $groups = append $groups (int64 .) -}}{{- end -}}
{{- $_ := set $side "supplementalGroups" $groups -}}
{{- /* start-up: imports and compilation, then the weights at 100 MB/s, what a network volume gives on a bad day */ -}}
{{- $seconds := int64 $overrides.startupSeconds | default (add 600 (div $weights 100000000)) -}}
{{- $tries := div (add $seconds 4) 5 -}}
{{- $_ := set $side "startup" (dict "periodSeconds" 5 "failureThreshold" $tries "seconds" (mul 5 $tries)) -}}
{{- $from = ternary (printf "600 s and %d bytes of weights at 100 MB/s" $weights) "global.llm.overrides.startupSeconds" (empty $overrides.startupSeconds) -}}
{{- if eq $side.side "main" -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "startup budget" "value" (printf "%d s" $seconds) "from" $from) -}}
{{- end -}}
{{- end }}
