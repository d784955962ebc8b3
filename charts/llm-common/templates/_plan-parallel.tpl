{{/*
Parts of the plan: how the devices of one engine are laid out.

  tensor    devices that cut every matrix between them          data      ranks that each hold the attention weights and share requests
  nodes     pods of one engine                                  devices   of one pod: tensor x data / nodes
Experts are cut, or with `expert` spread, over all tensor x data devices (vLLM, fused_moe/config.py).
*/}}

{{/* In: the context with `side`, whose layout is filled in. */}}
{{- define "llm-common.plan.layout" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $path := $side.paths.parallel -}}
{{- $accelerator := .accelerator -}}
{{- $wanted := $side.wanted -}}
{{- $nodes := int64 $wanted.nodes -}}
{{- $data := int64 $wanted.data -}}
{{- $total := int64 $wanted.devices -}}
{{- $profile := $wanted.profile -}}
{{- $asked := int64 $wanted.tensor -}}
{{- $heads := int64 (.model.heads | default 0) -}}
{{- $perNode := int64 ($accelerator.devicesPerNode | default (ternary 8 1 (not (empty $accelerator.resource)))) -}}
{{- $most := mul $perNode $nodes -}}
{{- $wrong := "" -}}
{{- if and $profile (not $total) -}}
  {{- $wrong = printf "%s.profile: is %s and there is nothing to lay out; set %s.devices" $path $profile $path -}}
{{- else if and $profile (or $asked (ne $data 1)) -}}
  {{- $wrong = printf "%s.profile: is %s and would choose tensor and data, which are set as well; remove profile, or tensor and data" $path $profile -}}
{{- else if and $total (not $profile) (not $asked) (ne $data 0) -}}
  {{- $asked = div $total $data -}}
{{- end -}}
{{- if and (not $data) (not $total) -}}
  {{- $wrong = printf "%s.data: is 0 and there are no devices to share; set it, or %s.devices" $path $path -}}
  {{- $data = 1 -}}
{{- end -}}
{{- /* sizes that tensor parallelism may have, and the data parallelism that goes with each */ -}}
{{- $sizes := list -}}
{{- $fitting := list -}}
{{- range $power := list 1 2 4 8 16 32 64 128 -}}
  {{- $size := int64 $power -}}
  {{- if and (le $size $most) (or (eq $heads 0) (eq (mod $heads $size) 0)) -}}
    {{- $sizes = append $sizes $size -}}
    {{- $product := mul $size (include "llm-common.ranks" (dict "tensor" $size "data" $data "total" $total "profile" $profile) | int64) -}}
    {{- if and (gt $product 0) (eq (mod $product $nodes) 0) (le $product $most) (or (not $total) (eq $product $total)) -}}
      {{- $fitting = append $fitting $size -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq $profile "latency" -}}{{- $fitting = empty $fitting | ternary list (list (last $fitting)) -}}{{- end -}}
{{- $known := ne $plan.model.source "" -}}
{{- if and (not $wrong) $known -}}
  {{- $ranks := include "llm-common.ranks" (dict "tensor" (max 1 $asked) "data" $data "total" $total "profile" $profile) | int64 -}}
  {{- $product := mul (max 1 $asked) (max 1 $ranks) -}}
  {{- if and (gt $asked 1) (not $accelerator.resource) -}}
    {{- $wrong = printf "%s.tensor: %d counts devices and %s has none; set one of %s" $path $asked $plan.acceleratorKey "1" -}}
  {{- else if and $asked (gt $asked $most) -}}
    {{- $wrong = printf "%s.tensor: %d is more than the %d devices of %s; set one of %s" $path $asked $most (ternary "one node" (printf "%d nodes" $nodes) (eq $nodes 1)) (join ", " $sizes) -}}
  {{- else if and $asked $heads (ne (mod $heads $asked) 0) -}}
    {{- $wrong = printf "%s.tensor: %d does not divide the model's %d attention heads; set one of %s" $path $asked $heads (join ", " $sizes) -}}
  {{- else if and $asked $total (ne $product $total) -}}
    {{- $wrong = printf "%s.devices: is %d and tensor %d x data %d is %d; set devices: %d, or 0" $path $total $asked $ranks $product $product -}}
  {{- else if and $asked (ne (mod $product $nodes) 0) -}}
    {{- $wrong = printf "%s.nodes: tensor %d x data %d is %d, which %d nodes cannot share evenly; set tensor and data so that %d divides their product" $path $asked $ranks $product $nodes $nodes -}}
  {{- else if and $asked (gt $product $most) -}}
    {{- $wrong = printf "%s.data: tensor %d x data %d is %d, more than the %d devices of %s; set data to at most %d, or more nodes" $path $asked $ranks $product $most (ternary "one node" (printf "%d nodes" $nodes) (eq $nodes 1)) (div $most $asked) -}}
  {{- else if and (not $asked) (empty $fitting) -}}
    {{- $wrong = printf "%s: no tensor x data fills %d nodes of %d %s with data %d%s; set tensor and data so that their product is nodes x devices of a pod" $path $nodes $perNode (ternary "device" "devices" (eq $perNode 1)) $data (ternary (printf " and devices %d" $total) "" (gt $total 0)) -}}
  {{- end -}}
{{- end -}}
{{- if $wrong -}}{{- include "llm-common.plan.tell" (dict "plan" $plan "message" $wrong) -}}{{- end -}}
{{- if $wanted.expert -}}
  {{- if and .model.layers (not .model.expertParameters) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.expert: %s has no experts to spread; set false, or expertParameters in an entry of your own in global.llm.models" $path $plan.model.servedName)) -}}
  {{- end -}}
{{- end -}}
{{- $candidates := ternary (list (max 1 $asked)) (ternary (list (int64 1)) $fitting (empty $fitting)) (or (gt $asked 0) (ne $wrong "")) -}}
{{- include "llm-common.plan.fit" (dict "context" . "candidates" $candidates "sizes" $sizes "asked" $asked "data" $data "total" $total "judge" (eq $wrong "")) -}}
{{- $chosen := int64 $side.tensor -}}
{{- $ranks := max 1 (include "llm-common.ranks" (dict "tensor" $chosen "data" $data "total" $total "profile" $profile) | int64) -}}
{{- $_ := set $side "data" $ranks -}}
{{- $_ := set $side "nodes" $nodes -}}
{{- $_ := set $side "expert" $wanted.expert -}}
{{- $_ := set $side "devices" (max 1 (div (mul $chosen $ranks) $nodes)) -}}
{{- /* KServe counts a group's pods as data / dataLocal; tensor parallelism across nodes is no field of it */ -}}
{{- $whole := and (ge $ranks $nodes) (eq (mod $ranks $nodes) 0) -}}
{{- $_ := set $side "groupData" (ternary $ranks $nodes $whole) -}}
{{- $_ := set $side "groupLocal" (ternary (div $ranks $nodes) 1 $whole) -}}
{{- include "llm-common.plan.child" . -}}
{{- end }}

{{/* Data-parallel ranks beside a size of tensor: as given, or what is left of a number of devices. In: tensor, data, total, profile. */}}
{{- define "llm-common.ranks" -}}
{{- ternary (div .total .tensor) .data (and (gt .total 0) (or (ne .profile "") (eq .data 0))) -}}
{{- end }}

{{/* The mode, from all sides. */}}
{{- define "llm-common.plan.mode" -}}
{{- $plan := .plan -}}
{{- $main := first $plan.workloads -}}
{{- $mode := "single-device" -}}
{{- if gt $main.tensor 1 -}}{{- $mode = "tensor-parallel" -}}{{- end -}}
{{- if gt $main.data 1 -}}{{- $mode = "data-parallel" -}}{{- end -}}
{{- $groups := false -}}
{{- range $plan.workloads -}}{{- if gt .nodes 1 -}}{{- $groups = true -}}{{- end -}}{{- end -}}
{{- if $groups -}}{{- $mode = "multi-node" -}}{{- end -}}
{{- if .llm.prefill.enabled -}}{{- $mode = ternary "multi-node disaggregated" "disaggregated" $groups -}}{{- end -}}
{{- $_ := set $plan "mode" $mode -}}
{{- range $side := $plan.workloads -}}
  {{- $layout := include "llm-common.layoutText" $side -}}
  {{- if eq $side.role "decode" -}}{{- $layout = printf "%s to decode" $layout -}}{{- end -}}
  {{- if eq $side.side "main" -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "mode" "value" (printf "%s, %s" $mode $layout) "from" $side.layoutFrom) -}}
  {{- else -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" $side.side "value" (printf "%d %s, %s" $side.replicas (ternary "engine" "engines" (eq $side.replicas 1)) $layout) "from" $side.layoutFrom) -}}
  {{- end -}}
  {{- if and $side.cacheText (not $plan.errors) -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" (printf "%sKV cache" $side.words) "value" $side.cacheText "from" $side.cacheFrom) -}}
    {{- with $side.cacheWarning -}}{{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" .) -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- if $groups -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "command" "value" "our own for a group of pods" "from" (printf "KServe %s, whose preset starts no vLLM from %v on" $plan.kserveVersion ($plan.capabilities.workerCommandBelow | default "?"))) -}}
{{- end -}}
{{- if eq (len $plan.workloads) 2 -}}
  {{- $prefill := last $plan.workloads -}}
  {{- if and (ne (mod $main.tensor $prefill.tensor) 0) (ne (mod $prefill.tensor $main.tensor) 0) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.prefill.parallel.tensor: %d and decode's %d do not divide each other, which the transfer of the KV cache needs; set one to a multiple of the other" $prefill.tensor $main.tensor)) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* A side's layout for a person. In: side. */}}
{{- define "llm-common.layoutText" -}}
{{- $count := mul .tensor .data -}}
{{- printf "%d %s per engine" $count (ternary "device" "devices" (eq $count 1)) -}}
{{- if gt .nodes 1 }} on {{ .nodes }} nodes{{ end -}}
{{- if or (gt .data 1) (gt .nodes 1) }} (tensor {{ .tensor }} x data {{ .data }}{{ if .expert }}, experts spread{{ end }}){{ else if .expert }} (experts spread){{ end -}}
{{- end }}
