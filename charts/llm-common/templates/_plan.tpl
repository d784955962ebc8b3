{{/*
The plan: one dictionary that says all that two charts must agree on. Templates print it; they compute nothing.

In: root (the chart's `$`), out (an empty dict, filled in place: `fromYaml` would turn integers into floats).
Out, in `out`:
  errors     list of text: value path, what is wrong, what to set. The plan never crashes; with errors the rest may be partial
  warnings   list of text, shown by NOTES
  derived    list of {what, value, from}, printed by NOTES and by the plan's ConfigMap
  name       of the LLMInferenceService          mode        single-device
  kserveVersion, capabilities                    apiVersion  of the LLMInferenceService
  model      {key, uri, servedName, weightBytes} replicas    integer
  children   {deployment, service, planConfigMap, serviceAccount, testPod, claim}: names as KServe and we make them
  podLabels  labels by which KServe marks the engine's pods
  engine     {image, pullPolicy, words (unquoted), args (quoted for the preset), env (list)}
  storageInitializer {render (whether KServe merges ours), env (list)}
  resources, nodeSelector, tolerations           of the engine pod
  startup    {periodSeconds, failureThreshold}
  port       of the engine's API
  cache      {claim, create, size, accessMode, storageClassName, path}: claim is empty where no cache is used
*/}}
{{- define "llm-common.plan" -}}
{{- $root := required "llm-common.plan: missing root" .root -}}
{{- $out := .out -}}
{{- $values := ($root.Values.global | default dict).llm | default dict -}}
{{- $llm := mustMergeOverwrite (include "llm-common.defaults" $root | fromYaml) (deepCopy $values) -}}
{{- $state := dict "errors" list "warnings" list "derived" list -}}

{{- /* name */ -}}
{{- $name := $llm.name | default $root.Release.Name -}}
{{- $nameFrom := ternary "global.llm.name" "the release name" (ne $llm.name "") -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.name: %q (from %s) is no DNS-1035 label; set lower case letters, digits and dashes, a letter first and no dash last" $name $nameFrom)) -}}
{{- end -}}
{{- if gt (len $name) 38 -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.name: %q (from %s) has %d characters and KServe appends up to 25; set a name of at most 38" $name $nameFrom (len $name))) -}}
{{- end -}}
{{- $_ := set $out "name" $name -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "name" "value" $name "from" $nameFrom)) -}}
{{- $_ := set $out "children" (dict
      "deployment" (printf "%s-kserve" $name)
      "service" (printf "%s-kserve-workload-svc" $name)
      "planConfigMap" (printf "%s-plan" $name)
      "serviceAccount" $name
      "podDisruptionBudget" $name
      "testPod" (printf "%s-test" $name)) -}}
{{- $_ := set $out "podLabels" (dict "app.kubernetes.io/name" $name "app.kubernetes.io/part-of" "llminferenceservice" "app.kubernetes.io/component" "llminferenceservice-workload") -}}
{{- $_ := set $out "port" 8000 -}}

{{- /* KServe version */ -}}
{{- $table := include "llm-common.capabilities" $root | fromYaml -}}
{{- $_ := set $out "kserveVersion" $llm.kserveVersion -}}
{{- $_ := set $out "capabilities" (get $table $llm.kserveVersion | default dict) -}}
{{- if not (hasKey $table $llm.kserveVersion) -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.kserveVersion: %q is not in the capability table; set one of %s" $llm.kserveVersion (keys $table | sortAlpha | join ", "))) -}}
{{- end -}}
{{- $_ := set $out "apiVersion" ($out.capabilities.apiVersion | default "serving.kserve.io/v1alpha2") -}}

{{- /* model */ -}}
{{- $models := mustMergeOverwrite (include "llm-common.catalogue.models" $root | fromYaml) $llm.models -}}
{{- $model := get $models $llm.model | default dict -}}
{{- $weights := 0 -}}
{{- if not $llm.model -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.model: is empty; set a key of the catalogue (%s) or of global.llm.models" (include "llm-common.catalogue.models" $root | fromYaml | keys | sortAlpha | join ", "))) -}}
{{- else if not (hasKey $models $llm.model) -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.model: %q is neither in the catalogue nor in global.llm.models; set one of %s" $llm.model (keys $models | sortAlpha | join ", "))) -}}
{{- else -}}
  {{- if not $model.uri -}}
    {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.models.%s.uri: is missing; set where the weights are, for example hf://org/model or pvc://claim/path" $llm.model)) -}}
  {{- end -}}
  {{- if not (or $model.weightBytes $model.parameters) -}}
    {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.models.%s.parameters: is missing; set the number of parameters, or weightBytes" $llm.model)) -}}
  {{- end -}}
  {{- $weights = $model.weightBytes | default (mulf ($model.parameters | default 0) 2) | int64 -}}
{{- end -}}
{{- $uri := $model.uri | default "" -}}

{{- /* accelerator */ -}}
{{- $accelerators := mustMergeOverwrite (include "llm-common.catalogue.accelerators" $root | fromYaml) $llm.accelerators -}}
{{- $accelerator := get $accelerators $llm.accelerator | default dict -}}
{{- if not $llm.accelerator -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.accelerator: is empty; set one of %s" (keys $accelerators | sortAlpha | join ", "))) -}}
{{- else if not (hasKey $accelerators $llm.accelerator) -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.accelerator: %q is neither in the catalogue nor in global.llm.accelerators; set one of %s" $llm.accelerator (keys $accelerators | sortAlpha | join ", "))) -}}
{{- end -}}
{{- $_ := set $out "mode" "single-device" -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "mode" "value" $out.mode "from" (printf "one %s device per engine" ($llm.accelerator | default "?")))) -}}
{{- $_ := set $out "replicas" (int64 $llm.replicas) -}}

{{- /* cache: a claim that the engine mounts read-only. pvc:// is filled already. */ -}}
{{- $cache := dict "claim" "" "create" false -}}
{{- if and $llm.cache.enabled (hasPrefix "pvc://" $uri) -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.cache.enabled: %s is on a claim already; set global.llm.cache.enabled: false" $uri)) -}}
{{- else if $llm.cache.enabled -}}
  {{- $path := printf "models/%s" $llm.model -}}
  {{- $create := not $llm.cache.existingClaim -}}
  {{- $claim := $llm.cache.existingClaim | default (printf "%s-models" $name) -}}
  {{- $accessMode := $llm.cache.accessMode | default (ternary "ReadWriteMany" "ReadWriteOnce" (gt $out.replicas 1)) -}}
  {{- if and (gt $out.replicas 1) (or (eq $llm.cache.accessMode "ReadWriteOnce") (eq $llm.cache.accessMode "ReadWriteOncePod")) -}}
    {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.cache.accessMode: %s lets one node mount the weights and global.llm.replicas is %d; set ReadWriteMany, or replicas: 1" $llm.cache.accessMode $out.replicas)) -}}
  {{- end -}}
  {{- $size := $llm.cache.size | default (include "llm-common.claimSize" $weights) -}}
  {{- $cache = dict "claim" $claim "create" $create "size" $size "accessMode" $accessMode "storageClassName" $llm.cache.storageClassName "path" $path -}}
  {{- $uri = printf "pvc://%s/%s" $claim $path -}}
  {{- if $create -}}
    {{- $_ := set $state "derived" (append $state.derived (dict "what" "volume claim" "value" (printf "%s, %s, %s" $claim $size $accessMode) "from" (printf "%d bytes of weights and global.llm.cache" $weights))) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $out "cache" $cache -}}
{{- $_ := set $out.children "claim" $cache.claim -}}
{{- $servedName := $model.servedName | default $llm.model -}}
{{- $_ := set $out "model" (dict "key" $llm.model "uri" $uri "source" ($model.uri | default "") "servedName" $servedName "weightBytes" $weights) -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "model" "value" (printf "%s from %s" $servedName $uri) "from" (printf "global.llm.model %s" $llm.model))) -}}

{{- /* engine */ -}}
{{- $given := include "llm-common.withoutEmpty" $llm.engine.image | fromYaml -}}
{{- $image := deepCopy ($accelerator.image | default dict) -}}
{{- if or $given.repository $given.tag -}}{{- $image = omit $image "digest" -}}{{- end -}}
{{- $image = mustMergeOverwrite $image $given -}}
{{- if has $image.tag (list "latest" "main" "master" "nightly") -}}
  {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.engine.image.tag: %s moves, so that two pods of one release may run different engines; set a version, or a digest alone" $image.tag)) -}}
{{- end -}}
{{- $words := dict "words" list -}}
{{- $args := omit (deepCopy $llm.engine.args) "" -}}
{{- range $flag := $llm.engine.omitArgs -}}
  {{- if hasKey $llm.engine.args $flag -}}
    {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.engine.omitArgs: %s is set in global.llm.engine.args as well; remove it from one of them" $flag)) -}}
  {{- end -}}
{{- end -}}
{{- $derivedArgs := include "llm-common.derivedArgs" (dict "accelerator" $accelerator) | fromYaml -}}
{{- range $flag, $value := $derivedArgs -}}
  {{- if not (or (hasKey $args $flag) (has $flag $llm.engine.omitArgs)) -}}{{- $_ := set $args $flag $value -}}{{- end -}}
{{- end -}}
{{- $lost := "[\\x{7f}-\\x{9f}\\x{fffe}\\x{ffff}]" -}}
{{- range $flag := keys $args | sortAlpha -}}
  {{- if regexMatch $lost (toJson (get $args $flag)) -}}
    {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.engine.args.%s: holds a control character that YAML cannot carry (U+007F to U+009F, U+FFFE, U+FFFF); remove it" $flag)) -}}
  {{- end -}}
  {{- if and (has $flag (list "api-key" "hf-token")) (not (kindIs "bool" (get $args $flag))) -}}
    {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.engine.args.%s: holds a secret in the values; put it into a Secret and set global.llm.engine.env.%s.valueFrom.secretKeyRef" $flag (get (dict "api-key" "VLLM_API_KEY" "hf-token" "HF_TOKEN") $flag))) -}}
  {{- end -}}
  {{- include "llm-common.argumentWords" (dict "flag" $flag "value" (get $args $flag) "into" $words) -}}
{{- end -}}
{{- $quoted := list -}}
{{- range $words.words -}}{{- $quoted = append $quoted (include "llm-common.shellWord" .) -}}{{- end -}}
{{- $env := mustMergeOverwrite (dict "VLLM_NO_USAGE_STATS" "1" "USER" "vllm") (deepCopy ($accelerator.env | default dict)) -}}
{{- if hasPrefix "pvc://" $uri -}}{{- $_ := set $env "HF_HUB_OFFLINE" "1" -}}{{- end -}}
{{- $env = mustMergeOverwrite $env (deepCopy $llm.engine.env) -}}
{{- $envList := list -}}
{{- range $key := keys $env | sortAlpha -}}
  {{- $value := get $env $key -}}
  {{- if kindIs "map" $value -}}
    {{- $envList = append $envList (dict "name" $key "valueFrom" $value.valueFrom) -}}
  {{- else -}}
    {{- if regexMatch "(^|_)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$" $key -}}
      {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.engine.env.%s: holds a secret in the values; put it into a Secret and set valueFrom.secretKeyRef" $key)) -}}
    {{- end -}}
    {{- if regexMatch $lost (toString $value) -}}
      {{- $_ := set $state "errors" (append $state.errors (printf "global.llm.engine.env.%s: holds a control character that YAML cannot carry (U+007F to U+009F, U+FFFE, U+FFFF); remove it" $key)) -}}
    {{- end -}}
    {{- $envList = append $envList (dict "name" $key "value" (replace "{{" "{{`{{`}}" (include "llm-common.scalar" $value))) -}}
  {{- end -}}
{{- end -}}
{{- if regexMatch "hf_[A-Za-z0-9]{20,}" (toJson $values) -}}
  {{- $_ := set $state "errors" (append $state.errors "global.llm: holds what looks like a Hugging Face token; put it into a Secret and set global.llm.engine.env.HF_TOKEN.valueFrom.secretKeyRef") -}}
{{- end -}}
{{- /* KServe's storage initializer, not the engine, talks to the hub */ -}}
{{- $initializer := list -}}
{{- range $envList -}}{{- if regexMatch "^(HF_|(HTTP|HTTPS|NO)_PROXY$)" .name -}}{{- $initializer = append $initializer . -}}{{- end -}}{{- end -}}
{{- $downloads := and $uri (not (hasPrefix "pvc://" $uri)) -}}
{{- if and $downloads $out.capabilities (not $out.capabilities.storageInitializerOverride) -}}
  {{- $_ := set $state "warnings" (append $state.warnings (printf "KServe %s overwrites what a service says about its storage initializer, which downloads %s: restricted Pod Security refuses the pod, and a token must come by the service account's secrets; set global.llm.cache, or run KServe 0.20" $llm.kserveVersion $uri)) -}}
{{- end -}}
{{- $_ := set $out "storageInitializer" (dict "render" (and $downloads ($out.capabilities.storageInitializerOverride | default false)) "env" $initializer) -}}
{{- $_ := set $out "engine" (dict "image" $image "pullPolicy" ($image.pullPolicy | default "IfNotPresent") "words" $words.words "args" $quoted "env" $envList) -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "engine image" "value" (include "llm-common.image" (dict "root" $root "image" $image)) "from" (ternary "global.llm.engine.image" (printf "accelerator %s" $llm.accelerator) (not (empty (omit $given "pullPolicy")))))) -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "engine arguments" "value" (join " " $words.words | default "none") "from" "global.llm.engine.args and the accelerator")) -}}

{{- /* pod: host memory holds the weights once while they load */ -}}
{{- $memory := printf "%dMi" (add 2048 (div $weights 1048576)) -}}
{{- $requests := dict "cpu" "1" "memory" $memory -}}
{{- $resources := dict "requests" $requests -}}
{{- if $accelerator.resource -}}
  {{- $_ := set $requests "cpu" "4" -}}
  {{- $_ := set $requests $accelerator.resource "1" -}}
  {{- $_ := set $resources "limits" (dict $accelerator.resource "1") -}}
{{- end -}}
{{- $_ := set $out "resources" (include "llm-common.resources" ($llm.overrides.resources | default $resources) | fromYaml) -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "engine resources" "value" (toJson $out.resources) "from" (ternary "global.llm.overrides.resources" (printf "accelerator %s and %d bytes of weights" $llm.accelerator $weights) (not (empty $llm.overrides.resources))))) -}}
{{- $_ := set $out "nodeSelector" ($llm.overrides.nodeSelector | default $accelerator.nodeSelector | default dict) -}}
{{- $_ := set $out "tolerations" ($llm.overrides.tolerations | default $accelerator.tolerations | default list) -}}

{{- /* start-up: imports and compilation, then the weights at 100 MB/s, what a network volume gives on a bad day */ -}}
{{- $seconds := int64 $llm.overrides.startupSeconds | default (add 600 (div $weights 100000000)) -}}
{{- $_ := set $out "startup" (dict "periodSeconds" 5 "failureThreshold" (div (add $seconds 4) 5)) -}}
{{- $_ := set $state "derived" (append $state.derived (dict "what" "startup budget" "value" (printf "%d s" $seconds) "from" (ternary "global.llm.overrides.startupSeconds" (printf "600 s and %d bytes of weights at 100 MB/s" $weights) (gt (int64 $llm.overrides.startupSeconds) 0)))) -}}

{{- range $key, $value := $state -}}{{- $_ := set $out $key $value -}}{{- end -}}
{{- end }}

{{/* Arguments that follow from the accelerator. In: accelerator. Out: YAML map, flag to value. */}}
{{- define "llm-common.derivedArgs" -}}
{{- if .accelerator.resource -}}
gpu-memory-utilization: 0.9
{{- else -}}
{}
{{- end -}}
{{- end }}

{{/* Size of a claim for weights: a fifth more, rounded up coarsely so that a corrected fact never shrinks a claim.
In: bytes. Out: quantity. */}}
{{- define "llm-common.claimSize" -}}
{{- $gib := add1 (div (div (mul (int64 .) 6) 5) 1073741824) -}}
{{- $step := ternary 10 50 (lt $gib 100) -}}
{{- printf "%dGi" (mul $step (div (add $gib (sub $step 1)) $step)) -}}
{{- end }}

{{/* A map without its empty texts. In: map. Out: YAML. */}}
{{- define "llm-common.withoutEmpty" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}{{- if $value -}}{{- $_ := set $kept $key $value -}}{{- end -}}{{- end -}}
{{ toYaml $kept }}
{{- end }}

{{/* The plan for a person: what was derived, and from what. In: the plan. Out: text, a line each. */}}
{{- define "llm-common.planText" -}}
{{- range .derived }}
{{ printf "%-18s" .what }} {{ .value }}
{{ printf "%-18s" "" }}   from {{ .from }}
{{- end }}
{{- range .warnings }}
WARNING: {{ . }}
{{- end }}
{{- end }}

{{/* Refuse values that cannot work: every message at once. In: root. */}}
{{- define "llm-common.validate" -}}
{{- $plan := dict -}}
{{- include "llm-common.plan" (dict "root" .root "out" $plan) -}}
{{- include "llm-common.fail" (dict "errors" $plan.errors) -}}
{{- end }}
