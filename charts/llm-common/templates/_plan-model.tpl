{{/*
Parts of the plan: the model and where its weights are.
*/}}

{{- define "llm-common.plan.model" -}}
{{- $key := .llm.model -}}
{{- include "llm-common.plan.row" (dict "context" . "path" "model" "key" .llm.model "table" "models" "into" "model") -}}
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
{{- $_ := set .plan "model" (dict "key" $key "uri" $uri "source" $uri "servedName" (.model.servedName | default $key) "weightBytes" $weights "task" (.model.task | default "generate")) -}}
{{- end }}

{{/* A claim that the engine mounts read-only instead of downloading. pvc:// is filled already. */}}
{{- define "llm-common.plan.cache" -}}
{{- $plan := .plan -}}
{{- $wanted := .llm.cache -}}
{{- $model := $plan.model -}}
{{- $weights := add $model.weightBytes $plan.speculative.weightBytes -}}
{{- $cache := dict "claim" "" "create" false -}}
{{- if and $wanted.enabled (hasPrefix "pvc://" $model.source) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.enabled: %s is on a claim already; set global.llm.cache.enabled: false" $model.source)) -}}
{{- else if $wanted.enabled -}}
  {{- $first := first $plan.workloads -}}
  {{- $why := "" -}}
  {{- if .llm.prefill.enabled -}}{{- $why = "prefill and decode are pods of their own; set ReadWriteMany" -}}
  {{- else if gt $first.nodes 1 -}}{{- $why = printf "global.llm.parallel.nodes is %d; set ReadWriteMany" $first.nodes -}}
  {{- else if gt $first.replicas 1 -}}{{- $why = printf "global.llm.replicas is %d; set ReadWriteMany, or replicas: 1" $first.replicas -}}
  {{- end -}}
  {{- $many := ne $why "" -}}
  {{- if and $many (has $wanted.accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.accessMode: %s lets one node mount the weights and %s" $wanted.accessMode $why)) -}}
  {{- end -}}
  {{- range $key := list "size" "storageClassName" -}}
    {{- if and $wanted.existingClaim (get $wanted $key) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.%s: claim %s exists already and keeps its own; remove it, or existingClaim" $key $wanted.existingClaim)) -}}
    {{- end -}}
  {{- end -}}
  {{- $cache = dict
        "claim" ($wanted.existingClaim | default (printf "%s-models" $plan.name))
        "create" (not $wanted.existingClaim)
        "size" ($wanted.size | default (include "llm-common.claimSize" $weights))
        "accessMode" ($wanted.accessMode | default (ternary "ReadWriteMany" "ReadWriteOnce" $many))
        "storageClassName" $wanted.storageClassName
        "path" (printf "models/%s" $model.key) -}}
  {{- $_ := set $model "uri" (printf "pvc://%s/%s" $cache.claim $cache.path) -}}
  {{- if $cache.create -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "volume claim" "value" (printf "%s, %s, %s" $cache.claim $cache.size $cache.accessMode) "from" (printf "%d bytes of weights and global.llm.cache" $weights)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan "cache" $cache -}}
{{- $_ := set $plan.children "claim" $cache.claim -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "model" "value" (printf "%s from %s" $model.servedName $model.uri) "from" (printf "global.llm.model %s" $model.key)) -}}
{{- end }}

{{/* Speculative decoding: a cheap guess at the next tokens, which the model checks in one step. The guess comes from the prompt (ngram), from
layers of the model itself (mtp), or from a draft model. */}}
{{- define "llm-common.plan.speculative" -}}
{{- $plan := .plan -}}
{{- $wanted := .llm.speculative -}}
{{- $speculative := dict "weightBytes" 0 -}}
{{- $_ := set . "draft" dict -}}
{{- if or $wanted.method $wanted.model $wanted.tokens -}}
  {{- $alone := has $wanted.method (list "ngram" "mtp") -}}
  {{- if not $wanted.tokens -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.speculative.tokens: is 0, so that nothing is guessed; set how many tokens at once, for example 3") -}}
  {{- end -}}
  {{- if and $alone $wanted.model -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.speculative.model: method %s guesses without a draft model; remove one of them" $wanted.method)) -}}
  {{- else if not (or $alone $wanted.model) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.speculative.model: is empty and %s a draft model; set a key of the catalogue or of global.llm.models, or method ngram or mtp" (ternary (printf "method %s needs" $wanted.method) "without a method vLLM needs" (ne $wanted.method "")))) -}}
  {{- else if $wanted.model -}}
    {{- include "llm-common.plan.row" (dict "context" . "path" "speculative.model" "key" $wanted.model "table" "models" "into" "draft") -}}
    {{- $_ := set $speculative "key" $wanted.model -}}
    {{- $_ := set $speculative "source" (.draft.uri | default "") -}}
    {{- $_ := set $speculative "weightBytes" (.draft.weightBytes | default (mulf (.draft.parameters | default 0) 2) | int64) -}}
  {{- end -}}
  {{- $config := dict "num_speculative_tokens" (int64 $wanted.tokens) -}}
  {{- with $wanted.method -}}{{- $_ := set $config "method" . -}}{{- end -}}
  {{- with $wanted.model -}}{{- $_ := set $config "model" "/mnt/draft" -}}{{- end -}}
  {{- $_ := set $speculative "config" $config -}}
{{- end -}}
{{- $_ := set $plan "speculative" $speculative -}}
{{- end }}

{{/* Where the engine mounts the draft model from. */}}
{{- define "llm-common.plan.draft" -}}
{{- $plan := .plan -}}
{{- $speculative := $plan.speculative -}}
{{- if $speculative.config -}}
  {{- $from := "guesses of its own" -}}
  {{- if $speculative.key -}}
    {{- if hasPrefix "pvc://" $speculative.source -}}
      {{- $_ := set $speculative "uri" $speculative.source -}}
    {{- else if $plan.cache.claim -}}
      {{- $_ := set $speculative "uri" (printf "pvc://%s/models/%s" $plan.cache.claim $speculative.key) -}}
    {{- else if $speculative.source -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.speculative.model: %s would have to be downloaded, and KServe downloads the model only; set global.llm.cache.enabled: true, or a uri on a claim (pvc://claim/path)" $speculative.key)) -}}
    {{- end -}}
    {{- $from = printf "draft model %s from %s" $speculative.key ($speculative.uri | default "?") -}}
  {{- end -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "speculation" "value" (printf "%d tokens at once, %s" $speculative.config.num_speculative_tokens $from) "from" "global.llm.speculative") -}}
{{- end -}}
{{- end }}

{{/* LoRA adapters: on the claim beside the model, or where each says. KServe mounts those of a hub and those of claims in ways that
exclude each other (facts of its controller), so that all come from one kind of place, the model's. */}}
{{- define "llm-common.plan.adapters" -}}
{{- $plan := .plan -}}
{{- $model := $plan.model -}}
{{- $adapters := list -}}
{{- $rank := 0 -}}
{{- $given := .llm.adapters -}}
{{- $namespace := .root.Release.Namespace -}}
{{- range $name := keys $given | sortAlpha -}}
  {{- $adapter := get $given $name -}}
  {{- $path := printf "global.llm.adapters.%s" $name -}}
  {{- if has $name (list $model.servedName (printf "publishers/%s/models/%s" $namespace $model.servedName)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: is the served name of the model itself; set another name" $path)) -}}
  {{- end -}}
  {{- $uri := $adapter.uri -}}
  {{- $onClaim := hasPrefix "pvc://" $uri -}}
  {{- if and $plan.cache.claim (not $onClaim) -}}
    {{- $uri = printf "pvc://%s/adapters/%s" $plan.cache.claim $name -}}
  {{- else if ne $onClaim (hasPrefix "pvc://" $model.uri) -}}
    {{- $other := ternary "a hub" "a claim" $onClaim -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.uri: is %s and the model comes from %s, which KServe cannot mount together; set global.llm.cache.enabled: true, or bring both from one kind of place" $path $uri $other)) -}}
  {{- end -}}
  {{- if and (hasPrefix "pvc://" $uri) (not (regexMatch "^[a-z0-9]([-a-z0-9]{0,52}[a-z0-9])?$" $name)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: is on a claim, and KServe names a volume after it; set a name of at most 54 lower case letters, digits and dashes" $path)) -}}
  {{- end -}}
  {{- $rank = max $rank (int64 ($adapter.rank | default 16)) -}}
  {{- $adapters = append $adapters (dict "name" $name "uri" $uri) -}}
{{- end -}}
{{- $maxRank := 0 -}}
{{- /* the ranks that vLLM knows (config/lora.py) */ -}}
{{- range $known := list 1 8 16 32 64 128 256 320 512 -}}
  {{- if and $rank (not $maxRank) (le $rank (int64 $known)) -}}{{- $maxRank = int64 $known -}}{{- end -}}
{{- end -}}
{{- $_ := set $plan "adapters" $adapters -}}
{{- $_ := set $plan "maxRank" $maxRank -}}
{{- if $adapters -}}
  {{- if gt (first $plan.workloads).nodes 1 -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.adapters: KServe writes their arguments for a shell, and an engine on several nodes has none; set global.llm.parallel.nodes: 1") -}}
  {{- end -}}
  {{- $names := list -}}
  {{- range $adapters -}}{{- $names = append $names .name -}}{{- end -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "adapters" "value" (printf "%s, rank up to %d" (join ", " $names) $maxRank) "from" "global.llm.adapters") -}}
{{- end -}}
{{- end }}

{{/* What the engine mounts from claims. KServe gives each adapter on a claim a volume of its own, and a kubelet mounts a claim once in a
pod: with the model on the same claim, or two adapters, the pod would wait for its volumes forever (volumemanager of Kubernetes 1.34).
So each claim is one volume here, with a mount for each thing on it. KServe leaves alone what has a mount of the name that it would
give: the model's volume keeps that name, and each adapter gets an empty volume of that name as well. */}}
{{- define "llm-common.plan.mounts" -}}
{{- $plan := .plan -}}
{{- $wanted := list -}}
{{- $volumes := list -}}
{{- $mounts := list -}}
{{- range $plan.adapters -}}
  {{- if hasPrefix "pvc://" .uri -}}
    {{- $wanted = append $wanted (dict "uri" .uri "path" (printf "/mnt/lora/%s" .name)) -}}
    {{- $volumes = append $volumes (dict "name" (printf "lora-pvc-%s" .name)) -}}
    {{- $mounts = append $mounts (dict "name" (printf "lora-pvc-%s" .name) "mountPath" (printf "/mnt/kserve/%s" .name)) -}}
  {{- end -}}
{{- end -}}
{{- with $plan.speculative.uri -}}{{- $wanted = append $wanted (dict "uri" . "path" "/mnt/draft") -}}{{- end -}}
{{- $names := dict -}}
{{- if and $wanted (hasPrefix "pvc://" $plan.model.uri) -}}
  {{- $wanted = prepend $wanted (dict "uri" $plan.model.uri "path" "/mnt/models") -}}
  {{- $_ := set $names (include "llm-common.claimOf" $plan.model.uri) "kserve-pvc-source" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $wanted -}}
  {{- $claim := include "llm-common.claimOf" .uri -}}
  {{- if not (hasKey $names $claim) -}}{{- $_ := set $names $claim (printf "weights-%d" (len $names)) -}}{{- end -}}
  {{- $name := get $names $claim -}}
  {{- if not (hasKey $seen $name) -}}{{- $volumes = append $volumes (dict "name" $name "claim" $claim) -}}{{- end -}}
  {{- $_ := set $seen $name true -}}
  {{- $mounts = append $mounts (dict "name" $name "mountPath" .path "subPath" (trimPrefix (printf "pvc://%s" $claim) .uri | trimPrefix "/")) -}}
{{- end -}}
{{- $_ := set $plan "volumes" $volumes -}}
{{- $_ := set $plan "mounts" $mounts -}}
{{- if hasPrefix "pvc://" $plan.model.uri -}}{{- $_ := set $names (include "llm-common.claimOf" $plan.model.uri) "" -}}{{- end -}}
{{- $_ := set $plan "weightClaims" (keys $names | sortAlpha) -}}
{{- $offloaded := .llm.kvCacheOffloading.existingClaim -}}
{{- if has $offloaded $plan.weightClaims -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.kvCacheOffloading.existingClaim: %s holds the weights already, and a pod mounts a claim once; set another claim" $offloaded)) -}}
{{- end -}}
{{- end }}

{{/* The claim of pvc://claim/path. */}}
{{- define "llm-common.claimOf" -}}
{{- trimPrefix "pvc://" . | splitList "/" | first -}}
{{- end }}

{{/* Size of a claim for weights: a fifth more, rounded up coarsely so that a corrected fact never shrinks a claim.
In: bytes. Out: quantity. */}}
{{- define "llm-common.claimSize" -}}
{{- $gib := add1 (div (div (mul (int64 .) 6) 5) 1073741824) -}}
{{- $step := ternary 10 50 (lt $gib 100) -}}
{{- printf "%dGi" (mul $step (div (add $gib (sub $step 1)) $step)) -}}
{{- end }}
