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
    {{- else if and $plan.cache.claim $speculative.source (not (include "llm-common.downloadable" $speculative.source)) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.speculative.model: what fills the cache knows hf://, s3://, gs:// and https://, not %s; set another uri in global.llm.models.%s" $speculative.source $speculative.key)) -}}
    {{- else if $plan.cache.claim -}}
      {{- $_ := set $speculative "path" (include "llm-common.cachePath" (dict "folder" "models" "name" $speculative.key "uri" $speculative.source)) -}}
      {{- $_ := set $speculative "uri" (printf "pvc://%s/%s" $plan.cache.claim $speculative.path) -}}
    {{- else if and $speculative.source .llm.cache.nodeGroups -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.speculative.model: %s would have to be downloaded, and KServe's cache on nodes holds the model only; set nodeGroups: [], or a uri on a claim (pvc://claim/path)" $speculative.key)) -}}
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
{{- if and $given .llm.cache.nodeGroups -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.adapters: KServe's cache on nodes holds the model only, so that every pod would download them, and none from a claim with a model that is not cached yet; set global.llm.cache.nodeGroups: [], which keeps them on a claim") -}}
  {{- $given = dict -}}
{{- end -}}
{{- $namespace := .root.Release.Namespace -}}
{{- range $name := keys $given | sortAlpha -}}
  {{- $adapter := get $given $name -}}
  {{- $path := printf "global.llm.adapters.%s" $name -}}
  {{- if has $name (list $model.servedName (printf "publishers/%s/models/%s" $namespace $model.servedName)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: is the served name of the model itself; set another name" $path)) -}}
  {{- end -}}
  {{- $uri := $adapter.uri -}}
  {{- $onClaim := hasPrefix "pvc://" $uri -}}
  {{- $kept := "" -}}
  {{- if and $plan.cache.claim (not $onClaim) -}}
    {{- $kept = include "llm-common.cachePath" (dict "folder" "adapters" "name" $name "uri" $adapter.uri) -}}
    {{- $uri = printf "pvc://%s/%s" $plan.cache.claim $kept -}}
  {{- else if ne $onClaim (hasPrefix "pvc://" $model.uri) -}}
    {{- $other := ternary "a hub" "a claim" $onClaim -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.uri: is %s and the model comes from %s, which KServe cannot mount together; set global.llm.cache.enabled: true, or bring both from one kind of place" $path $uri $other)) -}}
  {{- else if and (not $plan.cache.claim) (not (regexMatch "^(hf|s3|pvc)://" $uri)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.uri: %s is no place from which KServe takes an adapter (hf://, s3:// or pvc://); set global.llm.cache.enabled: true" $path $uri)) -}}
  {{- end -}}
  {{- if and (hasPrefix "pvc://" $uri) (not (regexMatch "^[a-z0-9]([-a-z0-9]{0,52}[a-z0-9])?$" $name)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: is on a claim, and KServe names a volume after it; set a name of at most 54 lower case letters, digits and dashes" $path)) -}}
  {{- end -}}
  {{- $rank = max $rank (int64 ($adapter.rank | default 16)) -}}
  {{- $adapters = append $adapters (dict "name" $name "uri" $uri "source" $adapter.uri "path" $kept) -}}
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
