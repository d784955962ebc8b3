{{/*
Parts of the plan: how many devices hold one copy of the model, and how much they serve.

Fit, all sizes in bytes on one device:
  weights     weightBytes / tensor. Tensor parallelism splits every large matrix; what it copies is within `overhead`
  kvPerToken  grouped-query attention: 2 (key and value) x layers x max(kvHeads / tensor, 1) x headSize x element;
              multi-head latent attention: layers x (kvLoraRank + qkRopeHeadDim) x element, whole on every device
  element     2 (bfloat16), or 1 with engine argument `kv-cache-dtype: fp8…`
  overhead    2 GB: context, activations, graphs. What is left over when vLLM's own count of tokens for a 72B model on H200 is taken
              off is 2.5 GB in bfloat16 on 4 devices and 4.9 GB in FP8 on one (less certain: its weight bytes are derived); the
              lower side is taken, so that nothing is refused that starts. The count is then 0.4 % and 4.8 % too high
  tokens      (memoryBytes x gpu-memory-utilization - weights - overhead) / kvPerToken
A model starts when one request of its full length fits. Few such requests at once is a warning with the number.
*/}}

{{- define "llm-common.plan.parallel" -}}
{{- $plan := .plan -}}
{{- $model := .model -}}
{{- $accelerator := .accelerator -}}
{{- $given := .llm.engine.args -}}
{{- $wanted := int .llm.parallel.tensor -}}
{{- if hasKey $given "tensor-parallel-size" -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.engine.args.tensor-parallel-size: would disagree with the devices of the pod; set global.llm.parallel.tensor") -}}
{{- end -}}
{{- $heads := int ($model.heads | default 0) -}}
{{- $perNode := int ($accelerator.devicesPerNode | default (ternary 8 1 (not (empty $accelerator.resource)))) -}}
{{- $sizes := list -}}
{{- range $size := list 1 2 4 8 16 -}}
  {{- if and (le $size $perNode) (or (eq $heads 0) (eq (mod $heads $size) 0)) -}}{{- $sizes = append $sizes $size -}}{{- end -}}
{{- end -}}
{{- $fit := dict
      "memory" ($accelerator.memoryBytes | default 0)
      "utilization" (float64 (get $given "gpu-memory-utilization" | default 0.9) | default 0.9)
      "length" (int64 (get $given "max-model-len" | default $model.contextLength | default 0))
      "weightBytes" $plan.model.weightBytes
      "element" (ternary 1 2 (hasPrefix "fp8" (toString (get $given "kv-cache-dtype"))))
      "model" $model -}}
{{- $known := and $fit.memory $fit.length $fit.weightBytes $model.layers (or $model.kvLoraRank (and $model.kvHeads $model.headSize)) -}}
{{- $chosen := $wanted | default 1 -}}
{{- if and $wanted (not (has $wanted $sizes)) $plan.model.source -}}
  {{- $why := printf "is more than the %d devices of one node" $perNode -}}
  {{- if le $wanted $perNode -}}{{- $why = printf "does not divide the model's %d attention heads" $heads -}}{{- end -}}
  {{- if not $accelerator.resource -}}{{- $why = printf "counts devices and %s has none" ($plan.acceleratorKey | default "?") -}}{{- end -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.parallel.tensor: %d %s; set one of %s" $wanted $why (join ", " $sizes))) -}}
{{- else if $known -}}
  {{- $candidates := ternary (list $wanted) $sizes (gt $wanted 0) -}}
  {{- $chosen = 0 -}}
  {{- range $size := $candidates -}}
    {{- if not $chosen -}}
      {{- include "llm-common.fit" (dict "fit" $fit "tensor" $size) -}}
      {{- if ge $fit.tokens $fit.length -}}{{- $chosen = $size -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if not $chosen -}}
    {{- $chosen = last $candidates -}}
    {{- $help := "set a larger accelerator or a smaller model" -}}
    {{- if and $wanted (lt $wanted (int (last $sizes))) -}}{{- $help = printf "set global.llm.parallel.tensor to more, or to 0" -}}{{- end -}}
    {{- if gt $fit.tokens 0 -}}{{- $help = printf "set global.llm.engine.args.max-model-len to at most %d, or %s" (mul 1024 (div $fit.tokens 1024)) (trimPrefix "set " $help) -}}{{- end -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.model: %s does not start on %d x %s: %s GB of weights, 2 GB of overhead and %s GB for one request of %d tokens do not go into %s GB on each device; %s" $plan.model.servedName $chosen $plan.acceleratorKey (include "llm-common.gigabytes" $fit.weights) (include "llm-common.gigabytes" (mul $fit.kvPerToken $fit.length)) $fit.length (include "llm-common.gigabytes" $fit.budget) $help)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan "tensor" (int $chosen) -}}
{{- $_ := set $plan "mode" (ternary "tensor-parallel" "single-device" (gt (int $chosen) 1)) -}}
{{- $from := printf "the smallest number of %s devices that fits" $plan.acceleratorKey -}}
{{- if $wanted -}}{{- $from = "global.llm.parallel.tensor" -}}{{- else if not $known -}}{{- $from = "one device: not enough facts of model or accelerator to tell what fits" -}}{{- end -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "mode" "value" (printf "%s, %d %s per engine" $plan.mode (int $chosen) (ternary "device" "devices" (eq (int $chosen) 1))) "from" $from) -}}
{{- if and $known $chosen (not $plan.errors) -}}
  {{- $requests := div $fit.tokens $fit.length -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "KV cache" "value" (printf "%d tokens per engine: %d requests of %d tokens at once" $fit.tokens $requests $fit.length) "from" (printf "%s GB on each device, less %s GB of weights and 2 GB of overhead" (include "llm-common.gigabytes" $fit.budget) (include "llm-common.gigabytes" $fit.weights))) -}}
  {{- if lt (int $requests) 4 -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "only %d requests of %d tokens fit at once; lower global.llm.engine.args.max-model-len, set kv-cache-dtype: fp8, or raise global.llm.parallel.tensor" $requests $fit.length)) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* What fits on one of `tensor` devices. In: fit {memory, utilization, length, weightBytes, element, model}, tensor.
Adds to fit: weights, kvPerToken, budget, tokens (integers). */}}
{{- define "llm-common.fit" -}}
{{- $fit := .fit -}}
{{- $model := $fit.model -}}
{{- $overhead := 2000000000 -}}
{{- $layers := int64 $model.layers -}}
{{- $perToken := 0 -}}
{{- if $model.kvLoraRank -}}
  {{- $perToken = mul $layers (add (int64 $model.kvLoraRank) (int64 ($model.qkRopeHeadDim | default 0))) $fit.element -}}
{{- else -}}
  {{- $perToken = mul 2 $layers (max 1 (div (int64 $model.kvHeads) .tensor)) (int64 $model.headSize) $fit.element -}}
{{- end -}}
{{- $weights := div $fit.weightBytes .tensor -}}
{{- $budget := mulf $fit.memory $fit.utilization | int64 -}}
{{- $_ := set $fit "weights" $weights -}}
{{- $_ := set $fit "kvPerToken" $perToken -}}
{{- $_ := set $fit "budget" $budget -}}
{{- $_ := set $fit "tokens" (max 0 (div (sub $budget (add $weights $overhead)) $perToken)) -}}
{{- end }}

{{/* Bytes as gigabytes with one decimal. In: bytes. Out: text. */}}
{{- define "llm-common.gigabytes" -}}
{{- printf "%.1f" (divf . 1000000000) -}}
{{- end }}
