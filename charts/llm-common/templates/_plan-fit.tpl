{{/*
Parts of the plan: what fits on the devices. All sizes in bytes on one device:
  weights     (weightBytes - experts) / tensor + experts / (tensor x data), experts = weightBytes x expertParameters / parameters.
              Tensor parallelism splits every large matrix; what it copies is within `overhead`
  perLayer    of KV cache for one token: grouped-query attention: 2 (key and value) x max(kvHeads / tensor, 1) x headSize x element;
              multi-head latent attention: (kvLoraRank + qkRopeHeadDim) x element, whole on every device
  element     2 (bfloat16), or 1 with engine argument `kv-cache-dtype: fp8…`
  request     of L tokens: perLayer x ((layers - slidingLayers) x L + slidingLayers x min(L, slidingWindow)); a draft model adds its
              own weights / tensor and perLayer x layers x L
  overhead    2 GB: context, activations, graphs. What is left over when vLLM's own count of tokens for a 72B model on H200 is taken
              off is 2.5 GB in bfloat16 on 4 devices and 4.9 GB in FP8 on one (less certain: its weight bytes are derived); the
              lower side is taken, so that nothing is refused that starts. The count is then 0.4 % and 4.8 % too high
  tokens      of an engine: data x L x (memoryBytes x gpu-memory-utilization - weights - overhead) / request
A model starts when one request of its full length fits. Few such requests at once is a warning with the number.
*/}}

{{/* Chooses the side's `tensor`. In: context (with side), candidates (sizes of tensor, ascending), sizes (all that could be), asked,
data, total, judge (false where the layout is wrong already). Adds to the side: tensor, layoutFrom, cacheText, cacheFrom,
cacheWarning. */}}
{{- define "llm-common.plan.fit" -}}
{{- $plan := .context.plan -}}
{{- $side := .context.side -}}
{{- $model := .context.model -}}
{{- $accelerator := .context.accelerator -}}
{{- $args := $side.args -}}
{{- $parallel := $side.paths.parallel -}}
{{- $arguments := ternary "global.llm.engine.args" "global.llm.prefill.args" (eq $side.side "main") -}}
{{- $weightBytes := $plan.model.weightBytes -}}
{{- /* `quantization: fp8` over weights of two bytes: vLLM casts them while it loads */ -}}
{{- if and (eq (toString (get $args "quantization")) "fp8") (gt (float64 $weightBytes) (mulf 1.9 ($model.parameters | default $weightBytes))) -}}
  {{- $weightBytes = int64 $model.parameters -}}
{{- end -}}
{{- /* what is no number is refused with the arguments */ -}}
{{- $utilization := get $args "gpu-memory-utilization" -}}
{{- $utilization = ternary 0.9 (float64 $utilization) (or (kindIs "bool" $utilization) (empty $utilization)) | default 0.9 -}}
{{- $fit := dict
      "memory" ($accelerator.memoryBytes | default 0)
      "utilization" $utilization
      "length" (include "llm-common.tokens" (get $args "max-model-len") | int64 | default (int64 ($model.contextLength | default 0)))
      "weightBytes" $weightBytes
      "expertBytes" (ternary 0 (mulf $weightBytes (divf ($model.expertParameters | default 0) ($model.parameters | default 1)) | int64) (empty $model.parameters))
      "element" (ternary 1 2 (hasPrefix "fp8" (toString (get $args "kv-cache-dtype"))))
      "model" $model "draft" .context.draft "draftBytes" $plan.speculative.weightBytes -}}
{{- /* the driver and the context of CUDA or HIP take a part that vLLM asks for in vain: it then says "Free memory on device" */ -}}
{{- $highest := 1.0 -}}
{{- if $fit.memory -}}{{- $highest = divf (floor (mulf 100 (subf 1 (divf 1000000000 $fit.memory)))) 100 -}}{{- end -}}
{{- if and $accelerator.resource (gt $utilization $highest) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.gpu-memory-utilization: %v leaves less than 1 GB of %s's %s GB for driver and context; set at most %v" $arguments $utilization $plan.acceleratorKey (include "llm-common.gigabytes" $fit.memory) $highest)) -}}
{{- end -}}
{{- if and $model.contextLength (gt $fit.length (int64 $model.contextLength)) (not (hasKey $args "hf-overrides")) (not (hasKey .context.llm.engine.env "VLLM_ALLOW_LONG_MAX_MODEL_LEN")) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.max-model-len: %d is beyond the %d tokens of %s; set at most that, or hf-overrides with a rope scaling" $arguments $fit.length (int64 $model.contextLength) $plan.model.servedName)) -}}
{{- end -}}
{{- $known := and .judge $fit.memory $fit.length $weightBytes $model.layers (or $model.kvLoraRank (and $model.kvHeads $model.headSize)) -}}
{{- $chosen := int64 (first .candidates) -}}
{{- $data := .data -}}
{{- $total := .total -}}
{{- $ranks := $data -}}
{{- if $known -}}
  {{- $found := 0 -}}
  {{- range $size := .candidates -}}
    {{- if not $found -}}
      {{- $ranks = $data -}}
      {{- if and $total (or $side.wanted.profile (eq $data 0)) -}}{{- $ranks = div $total $size -}}{{- end -}}
      {{- include "llm-common.fit" (dict "fit" $fit "tensor" $size "data" $ranks) -}}
      {{- if ge $fit.tokens $fit.length -}}{{- $found = $size -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $chosen = $found | default (last .candidates) | int64 -}}
  {{- if not $found -}}
    {{- $help := "set a larger accelerator or a smaller model" -}}
    {{- if and .asked (lt .asked (int64 (last .sizes))) -}}{{- $help = printf "set %s.tensor to more, or to 0" $parallel -}}{{- end -}}
    {{- if gt $fit.tokens 1023 -}}{{- $help = printf "set %s.max-model-len to at most %d, or %s" $arguments (mul 1024 (div $fit.tokens 1024)) (trimPrefix "set " $help) -}}{{- end -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.model: %s does not start on %d x %s: %s GB of weights, 2 GB of overhead and %s GB for one request of %d tokens do not go into %s GB on each device; %s" $plan.model.servedName (mul $chosen $ranks) $plan.acceleratorKey (include "llm-common.gigabytes" $fit.weights) (include "llm-common.gigabytes" $fit.request) $fit.length (include "llm-common.gigabytes" $fit.budget) $help)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $side "tensor" $chosen -}}
{{- $from := printf "the smallest number of %s devices that fits" $plan.acceleratorKey -}}
{{- if $side.wanted.profile -}}{{- $from = printf "%s.profile %s of %d %s devices" $parallel $side.wanted.profile $total $plan.acceleratorKey -}}
{{- else if .asked -}}{{- $from = printf "%s.tensor" $parallel -}}
{{- else if not $known -}}{{- $from = "one device: not enough facts of model or accelerator to tell what fits" -}}
{{- end -}}
{{- $_ := set $side "layoutFrom" $from -}}
{{- $_ := set $side "cacheText" "" -}}
{{- if $known -}}
  {{- $requests := mul $ranks (div $fit.tokens $fit.length) -}}
  {{- $_ := set $side "cacheText" (printf "%d tokens per engine: %d requests of %d tokens at once" (mul $ranks $fit.tokens) $requests $fit.length) -}}
  {{- $_ := set $side "cacheFrom" (printf "%s GB on each device, less %s GB of weights and 2 GB of overhead" (include "llm-common.gigabytes" $fit.budget) (include "llm-common.gigabytes" $fit.weights)) -}}
  {{- if lt (int $requests) 4 -}}
    {{- $_ := set $side "cacheWarning" (printf "only %d requests of %d tokens fit at once; lower %s.max-model-len, set kv-cache-dtype: fp8, or raise %s.tensor" $requests $fit.length $arguments $parallel) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* What fits on one device of a rank. In: fit {memory, utilization, length, weightBytes, expertBytes, element, model, draft, draftBytes}, tensor,
data.
Adds to fit: weights, request, budget, tokens (of one data-parallel rank), integers. */}}
{{- define "llm-common.fit" -}}
{{- $fit := .fit -}}
{{- $model := $fit.model -}}
{{- $tensor := .tensor -}}
{{- $overhead := 2000000000 -}}
{{- $perLayer := 0 -}}
{{- if $model.kvLoraRank -}}
  {{- $perLayer = mul (add (int64 $model.kvLoraRank) (int64 ($model.qkRopeHeadDim | default 0))) $fit.element -}}
{{- else -}}
  {{- $perLayer = mul 2 (max 1 (div (int64 $model.kvHeads) .tensor)) (int64 $model.headSize) $fit.element -}}
{{- end -}}
{{- $sliding := int64 ($model.slidingLayers | default 0) -}}
{{- $window := min $fit.length (int64 ($model.slidingWindow | default 0)) -}}
{{- $request := mul $perLayer (add (mul (sub (int64 $model.layers) $sliding) $fit.length) (mul $sliding $window)) -}}
{{- with $fit.draft.kvHeads -}}
  {{- $request = add $request (mul 2 (max 1 (div (int64 .) $tensor)) (int64 $fit.draft.headSize) $fit.element (int64 $fit.draft.layers) $fit.length) -}}
{{- end -}}
{{- $weights := add (div $fit.draftBytes .tensor) (div (sub $fit.weightBytes $fit.expertBytes) .tensor) (div $fit.expertBytes (mul .tensor .data)) -}}
{{- $budget := mulf $fit.memory $fit.utilization | int64 -}}
{{- $_ := set $fit "weights" $weights -}}
{{- $_ := set $fit "request" $request -}}
{{- $_ := set $fit "budget" $budget -}}
{{- $free := max 0 (sub $budget (add $weights $overhead)) -}}
{{- $_ := set $fit "tokens" (div (mul $free $fit.length) (max 1 $request)) -}}
{{- end }}

{{/* A number of tokens as vLLM reads it: 1k is 1000 and 1K 1024. In: number or text. Out: integer as text, 0 for what is none. */}}
{{- define "llm-common.tokens" -}}
{{- $unit := regexFind "[kKmMgG]$" (toString .) -}}
{{- $factor := get (dict "k" 1000.0 "K" 1024.0 "m" 1000000.0 "M" 1048576.0 "g" 1000000000.0 "G" 1073741824.0) $unit | default 1.0 -}}
{{- printf "%.0f" (mulf (trimSuffix $unit (toString .) | float64) $factor) -}}
{{- end }}

{{/* Bytes as gigabytes with one decimal. In: bytes. Out: text. */}}
{{- define "llm-common.gigabytes" -}}
{{- printf "%.1f" (divf . 1000000000) -}}
{{- end }}
