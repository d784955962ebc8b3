{{/*
Parts of the plan: what fits on the devices. All sizes in bytes on one device:
  weights     (weightBytes - experts) / tensor + experts / (tensor x data), experts = weightBytes x expertParameters / parameters.
              Tensor parallelism splits every large matrix; what it copies is within `overhead`
  perLayer    of KV cache for one token: grouped-query attention: 2 (key and value) x max(kvHeads / tensor, 1) x headSize x element;
              multi-head latent attention: (kvLoraRank + qkRopeHeadDim) x element, whole on every device
  element     2 (bfloat16), or 1 with engine argument `kv-cache-dtype: fp8…`
  request     of L tokens: perLayer x ((layers - slidingLayers) x L + slidingLayers x min(L, slidingWindow - 1 + 2 x batched tokens));
              vLLM reserves a window for what two steps may write (one with `no-async-scheduling`). A draft model adds its own weights /
              tensor and perLayer x layers x L
  overhead    context, activations, sampling, CUDA graphs. Two numbers, from vLLM 0.32 on H100 and H200 (tests/unit/test_fit.py):
              floor, the least that was seen: 2 GB with vLLM's defaults for large devices (1024 sequences, 8192 batched tokens), 1 GB
              with those for others (256, 2048), 0.6 GB with arguments that shrink it, and 0.8 GB more for tensor > 1; and what is
              expected: 2.2 GB (1.4 GB up to 256 sequences) + 0.13 GB for each 1024 batched tokens beyond 8192 + 30 MB of graphs x
              layers / tensor (none with enforce-eager) + 0.8 GB for tensor > 1
  tokens      of an engine: data x L x (memoryBytes x gpu-memory-utilization - weights - overhead) / request
A model is refused when one request of its full length does not fit with the floor. What a person is told, and the choice of a layout,
are of the expected overhead; few requests of full length at once is a warning with the number.
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
{{- $arguments := $side.paths.args -}}
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
{{- /* vLLM's defaults follow the device (EngineArgs.get_batch_defaults) */ -}}
{{- $large := and (ge (int64 $fit.memory) 75161927680) (not (contains "a100" $plan.acceleratorKey)) -}}
{{- $batched := ternary (ternary 16384 8192 (ge (int64 $fit.memory) 171798691840)) 2048 $large -}}
{{- $batched = include "llm-common.tokens" (get $args "max-num-batched-tokens") | int64 | default (int64 $batched) -}}
{{- $sequences := include "llm-common.tokens" (get $args "max-num-seqs") | int64 | default (ternary 1024 256 $large) -}}
{{- $eager := eq (toString (get $args "enforce-eager")) "true" -}}
{{- $shrunk := or $eager (hasKey $args "max-num-seqs") (hasKey $args "max-num-batched-tokens") (hasKey $args "compilation-config") -}}
{{- $_ := set $fit "written" (mul $batched (ternary 1 2 (eq (toString (get $args "async-scheduling")) "false"))) -}}
{{- $_ := set $fit "floor" (ternary 600000000 (ternary 2000000000 1000000000 $large) $shrunk) -}}
{{- $_ := set $fit "expected" (add (ternary 2200000000 1400000000 (gt (int $sequences) 256)) (mul 130000 (max 0 (sub $batched 8192)))) -}}
{{- $_ := set $fit "graphs" (ternary 0 (mul 30000000 (int64 ($model.layers | default 0))) $eager) -}}
{{- $known := and .judge $fit.memory $fit.length $weightBytes $model.layers (or $model.kvLoraRank (and $model.kvHeads $model.headSize)) -}}
{{- $chosen := int64 (first .candidates) -}}
{{- $data := .data -}}
{{- $total := .total -}}
{{- $profile := $side.wanted.profile -}}
{{- $ranks := $data -}}
{{- if $known -}}
  {{- $expected := 0 -}}
  {{- $possible := 0 -}}
  {{- range $size := .candidates -}}
    {{- if not $expected -}}
      {{- include "llm-common.fit" (dict "fit" $fit "tensor" $size "data" $data "total" $total "profile" $profile) -}}
      {{- if ge $fit.tokens $fit.length -}}{{- $expected = $size -}}{{- end -}}
      {{- if ge $fit.most $fit.length -}}{{- $possible = $size -}}{{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $chosen = $expected | default $possible | default (last .candidates) | int64 -}}
  {{- include "llm-common.fit" (dict "fit" $fit "tensor" $chosen "data" $data "total" $total "profile" $profile) -}}
  {{- $ranks = $fit.ranks -}}
  {{- if not (or $expected $possible) -}}
    {{- $help := "set a larger accelerator or a smaller model" -}}
    {{- if and .asked (lt .asked (int64 (last .sizes))) -}}{{- $help = printf "set %s.tensor to more, or to 0" $parallel -}}{{- end -}}
    {{- if $fit.sure -}}{{- $help = printf "set %s.max-model-len to at most %d, or %s" $arguments $fit.sure (trimPrefix "set " $help) -}}{{- end -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.model: %s does not start on %d x %s: %s GB of weights, %s GB of overhead and %s GB for one request of %d tokens do not go into %s GB on each device; %s" $plan.model.servedName (mul $chosen $ranks) $plan.acceleratorKey (include "llm-common.gigabytes" $fit.weights) (include "llm-common.gigabytes" $fit.least) (include "llm-common.gigabytes" $fit.request) $fit.length (include "llm-common.gigabytes" $fit.budget) $help)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $side "tensor" $chosen -}}
{{- /* what an engine computes at once: as many as vLLM admits, or as its cache holds of requests of 4096 tokens */ -}}
{{- $_ := set $side "sequences" (mul (max 1 $ranks) $sequences) -}}
{{- $_ := set $side "batchedTokens" $batched -}}
{{- $_ := set $side "slots" $side.sequences -}}
{{- if and $known $fit.length -}}
  {{- $_ := set $side "slots" (min $side.sequences (max 1 (div (mul $ranks $fit.tokens) (min 4096 $fit.length)))) -}}
{{- end -}}
{{- $_ := set $side "queue" (max 1 (div (int64 $side.slots) 8)) -}}
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
  {{- $_ := set $side "cacheFrom" (printf "%s GB on each device, less %s GB of weights and about %s GB of overhead" (include "llm-common.gigabytes" $fit.budget) (include "llm-common.gigabytes" $fit.weights) (include "llm-common.gigabytes" $fit.overhead)) -}}
  {{- if lt $fit.tokens $fit.length -}}
    {{- $_ := set $side "cacheWarning" (printf "the engine may not start: about %d tokens fit and one request has %d; set %s.max-model-len to at most %d, kv-cache-dtype: fp8, or more %s.tensor" $fit.tokens $fit.length $arguments $fit.sure $parallel) -}}
  {{- else if lt (int $requests) 4 -}}
    {{- $_ := set $side "cacheWarning" (printf "only %d requests of %d tokens fit at once; lower %s.max-model-len, set kv-cache-dtype: fp8, or raise %s.tensor" $requests $fit.length $arguments $parallel) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* What fits on one device of a rank. In: fit {memory, utilization, length, weightBytes, expertBytes, element, model, draft, draftBytes,
written, floor, expected, graphs}, tensor, data, total, profile. Adds to fit, integers: ranks, weights, request, budget, overhead (as
expected), least (the floor), tokens (of one data-parallel rank, as expected), most (with the floor), sure (a length that starts: the
expected overhead was up to 1.2 GB too low). */}}
{{- define "llm-common.fit" -}}
{{- $fit := .fit -}}
{{- $model := $fit.model -}}
{{- $tensor := .tensor -}}
{{- $ranks := include "llm-common.ranks" (pick . "tensor" "data" "total" "profile") | int64 -}}
{{- $perLayer := 0 -}}
{{- if $model.kvLoraRank -}}
  {{- $perLayer = mul (add (int64 $model.kvLoraRank) (int64 ($model.qkRopeHeadDim | default 0))) $fit.element -}}
{{- else -}}
  {{- $perLayer = mul 2 (max 1 (div (int64 $model.kvHeads) $tensor)) (int64 $model.headSize) $fit.element -}}
{{- end -}}
{{- $sliding := int64 ($model.slidingLayers | default 0) -}}
{{- $window := min $fit.length (add (int64 ($model.slidingWindow | default 0)) -1 $fit.written) -}}
{{- $request := mul $perLayer (add (mul (sub (int64 $model.layers) $sliding) $fit.length) (mul $sliding $window)) -}}
{{- with $fit.draft.kvHeads -}}
  {{- $request = add $request (mul 2 (max 1 (div (int64 .) $tensor)) (int64 $fit.draft.headSize) $fit.element (int64 $fit.draft.layers) $fit.length) -}}
{{- end -}}
{{- $weights := add (div $fit.draftBytes $tensor) (div (sub $fit.weightBytes $fit.expertBytes) $tensor) (div $fit.expertBytes (mul $tensor (max 1 $ranks))) -}}
{{- $budget := mulf $fit.memory $fit.utilization | int64 -}}
{{- $several := ternary 800000000 0 (gt $tensor 1) -}}
{{- $_ := set $fit "ranks" $ranks -}}
{{- $_ := set $fit "weights" $weights -}}
{{- $_ := set $fit "request" $request -}}
{{- $_ := set $fit "budget" $budget -}}
{{- $_ := set $fit "least" (add $fit.floor $several) -}}
{{- $_ := set $fit "overhead" (add $fit.expected (div $fit.graphs $tensor) $several) -}}
{{- range $tokens, $overhead := dict "most" $fit.least "tokens" $fit.overhead "sure" (add $fit.overhead 1250000000) -}}
  {{- $free := max 0 (sub $budget (add $weights $overhead)) -}}
  {{- $_ := set $fit $tokens (div (mul $free $fit.length) (max 1 $request)) -}}
{{- end -}}
{{- $_ := set $fit "sure" (mul 1024 (div $fit.sure 1024)) -}}
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
