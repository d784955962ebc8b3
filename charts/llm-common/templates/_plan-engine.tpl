{{/*
Parts of the plan: the accelerator, the engine that runs on it, and the engine's pod.
*/}}

{{- define "llm-common.plan.accelerator" -}}
{{- include "llm-common.plan.row" (dict "context" . "what" "accelerator" "plural" "accelerators") -}}
{{- $_ := set .plan "acceleratorKey" (.llm.accelerator | default "?") -}}
{{- end }}

{{- define "llm-common.plan.engine" -}}
{{- $plan := .plan -}}
{{- $_ := set $plan "engine" dict -}}
{{- include "llm-common.plan.engineImage" . -}}
{{- include "llm-common.plan.engineVersion" . -}}
{{- include "llm-common.plan.engineArguments" . -}}
{{- include "llm-common.plan.engineEnvironment" . -}}
{{- if regexMatch "hf_[A-Za-z0-9]{20,}" (toJson .given) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm: holds what looks like a Hugging Face token; put it into a Secret and set global.llm.engine.env.HF_TOKEN.valueFrom.secretKeyRef") -}}
{{- end -}}
{{- /* KServe's storage initializer, not the engine, talks to the hub */ -}}
{{- $initializer := list -}}
{{- range $plan.engine.env -}}{{- if regexMatch "^(HF_|(HTTP|HTTPS|NO)_PROXY$)" .name -}}{{- $initializer = append $initializer . -}}{{- end -}}{{- end -}}
{{- $downloads := and $plan.model.uri (not (hasPrefix "pvc://" $plan.model.uri)) -}}
{{- $override := $plan.capabilities.storageInitializerOverride | default false -}}
{{- if and $downloads $plan.capabilities (not $override) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "KServe %s overwrites what a service says about its storage initializer, which downloads %s: restricted Pod Security refuses the pod, and a token must come by the service account's secrets; set global.llm.cache, or run KServe 0.20" $plan.kserveVersion $plan.model.uri)) -}}
{{- end -}}
{{- $_ := set $plan "storageInitializer" (dict "render" (and $downloads $override) "env" $initializer) -}}
{{- end }}

{{- define "llm-common.plan.engineImage" -}}
{{- $given := include "llm-common.withoutEmpty" .llm.engine.image | fromYaml -}}
{{- $image := deepCopy (.accelerator.image | default dict) -}}
{{- /* a digest belongs to the image that it was written for */ -}}
{{- if or $given.repository $given.tag -}}{{- $image = omit $image "digest" -}}{{- end -}}
{{- $image = mustMergeOverwrite $image $given -}}
{{- $plan := .plan -}}
{{- with include "llm-common.movingTag" $image -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.image.tag: %s" .)) -}}
{{- end -}}
{{- $_ := set $plan.engine "image" $image -}}
{{- $_ := set $plan.engine "pullPolicy" ($image.pullPolicy | default "IfNotPresent") -}}
{{- $from := ternary "global.llm.engine.image" (printf "accelerator %s" .llm.accelerator) (not (empty (omit $given "pullPolicy"))) -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "engine image" "value" (include "llm-common.image" (dict "root" .root "image" $image)) "from" $from) -}}
{{- end }}

{{- define "llm-common.plan.engineArguments" -}}
{{- $plan := .plan -}}
{{- $given := .llm.engine.args -}}
{{- $omitted := .llm.engine.omitArgs -}}
{{- range $flag := $omitted -}}
  {{- if hasKey $given $flag -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.omitArgs: %s is set in global.llm.engine.args as well; remove it from one of them" $flag)) -}}
  {{- end -}}
{{- end -}}
{{- $args := deepCopy $given -}}
{{- range $flag, $value := include "llm-common.derivedArgs" . | fromYaml -}}
  {{- if not (or (hasKey $args $flag) (has $flag $omitted)) -}}{{- $_ := set $args $flag $value -}}{{- end -}}
{{- end -}}
{{- $secrets := dict "api-key" "VLLM_API_KEY" "hf-token" "HF_TOKEN" -}}
{{- $words := dict "words" list -}}
{{- $flags := .flags -}}
{{- range $flag := keys $args | sortAlpha -}}
  {{- $value := get $args $flag -}}
  {{- if include "llm-common.holdsLost" $value -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.args.%s: holds a control character that cannot arrive (U+0000, U+007F to U+009F, U+FFFE, U+FFFF); remove it" $flag)) -}}
  {{- end -}}
  {{- if and (hasKey $secrets $flag) (not (kindIs "bool" $value)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.args.%s: holds a secret in the values; put it into a Secret and set global.llm.engine.env.%s.valueFrom.secretKeyRef" $flag (get $secrets $flag))) -}}
  {{- end -}}
  {{- if and (kindIs "slice" $value) (empty $value) (ne "json" (include "llm-common.flagKind" (dict "flags" $flags "name" $flag))) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.args.%s: is an empty list; set its values, or remove the key" $flag)) -}}
  {{- end -}}
  {{- include "llm-common.plan.argument" (dict "plan" $plan "flags" $flags "path" "global.llm.engine.args" "name" $flag "value" $value "into" $words) -}}
{{- end -}}
{{- $quoted := list -}}
{{- range $words.words -}}{{- $quoted = append $quoted (include "llm-common.shellWord" .) -}}{{- end -}}
{{- $_ := set $plan.engine "words" $words.words -}}
{{- $_ := set $plan.engine "args" $quoted -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "engine arguments" "value" (join " " $words.words | default "none") "from" "global.llm.engine.args and the accelerator") -}}
{{- end }}

{{/* Arguments that follow from accelerator and layout. In: the context. Out: YAML map, flag to value.
The number of devices is KServe's field where its preset renders it, else an argument. */}}
{{- define "llm-common.derivedArgs" -}}
{{- $args := dict -}}
{{- if .accelerator.resource -}}{{- $_ := set $args "gpu-memory-utilization" 0.9 -}}{{- end -}}
{{- if and (gt .plan.tensor 1) (not .plan.capabilities.tensorRendered) -}}{{- $_ := set $args "tensor-parallel-size" .plan.tensor -}}{{- end -}}
{{ toYaml $args }}
{{- end }}

{{- define "llm-common.plan.engineEnvironment" -}}
{{- $plan := .plan -}}
{{- $env := mustMergeOverwrite (dict "VLLM_NO_USAGE_STATS" "1" "USER" "vllm") (deepCopy (.accelerator.env | default dict)) -}}
{{- if hasPrefix "pvc://" $plan.model.uri -}}{{- $_ := set $env "HF_HUB_OFFLINE" "1" -}}{{- end -}}
{{- $env = mustMergeOverwrite $env (deepCopy .llm.engine.env) -}}
{{- $list := list -}}
{{- range $name := keys $env | sortAlpha -}}
  {{- $value := get $env $name -}}
  {{- if kindIs "map" $value -}}
    {{- $list = append $list (dict "name" $name "valueFrom" $value.valueFrom) -}}
  {{- else -}}
    {{- if regexMatch "(^|_)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$" $name -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.env.%s: holds a secret in the values; put it into a Secret and set valueFrom.secretKeyRef" $name)) -}}
    {{- end -}}
    {{- if include "llm-common.holdsLost" $value -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.env.%s: holds a control character that cannot arrive (U+0000, U+007F to U+009F, U+FFFE, U+FFFF); remove it" $name)) -}}
    {{- end -}}
    {{- $list = append $list (dict "name" $name "value" (include "llm-common.templateLiteral" (include "llm-common.scalar" $value))) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan.engine "env" $list -}}
{{- end }}

{{- define "llm-common.plan.pod" -}}
{{- $plan := .plan -}}
{{- $overrides := .llm.overrides -}}
{{- $weights := $plan.model.weightBytes -}}
{{- /* one process per device exchanges tensors through /dev/shm, which counts as the pod's memory; the preset's 1Gi is for one */ -}}
{{- $sharedGib := ternary (mul 4 $plan.tensor) 0 (gt $plan.tensor 1) -}}
{{- $_ := set $plan "sharedMemory" (ternary (printf "%dGi" $sharedGib) "" (gt $sharedGib 0)) -}}
{{- /* host memory holds the weights once while they load, and 2 GiB for each process */ -}}
{{- $mebibytes := add (mul 2048 $plan.tensor) (mul 1024 $sharedGib) (div $weights 1048576) -}}
{{- $requests := dict "cpu" "1" "memory" (printf "%dMi" $mebibytes) -}}
{{- $resources := dict "requests" $requests -}}
{{- if .accelerator.resource -}}
  {{- $devices := toString $plan.tensor -}}
  {{- $_ := set $requests "cpu" (toString (mul 4 $plan.tensor)) -}}
  {{- $_ := set $requests .accelerator.resource $devices -}}
  {{- $_ := set $resources "limits" (dict .accelerator.resource $devices) -}}
{{- end -}}
{{- $_ := set $plan "resources" (include "llm-common.resources" ($overrides.resources | default $resources) | fromYaml) -}}
{{- $from := ternary (printf "accelerator %s and %d bytes of weights" .llm.accelerator $weights) "global.llm.overrides.resources" (empty $overrides.resources) -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "engine resources" "value" (toJson $plan.resources) "from" $from) -}}
{{- $_ := set $plan "nodeSelector" ($overrides.nodeSelector | default .accelerator.nodeSelector | default dict) -}}
{{- $_ := set $plan "tolerations" ($overrides.tolerations | default .accelerator.tolerations | default list) -}}
{{- /* start-up: imports and compilation, then the weights at 100 MB/s, what a network volume gives on a bad day */ -}}
{{- $seconds := int64 $overrides.startupSeconds | default (add 600 (div $weights 100000000)) -}}
{{- $_ := set $plan "startup" (dict "periodSeconds" 5 "failureThreshold" (div (add $seconds 4) 5)) -}}
{{- $from = ternary (printf "600 s and %d bytes of weights at 100 MB/s" $weights) "global.llm.overrides.startupSeconds" (empty $overrides.startupSeconds) -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "startup budget" "value" (printf "%d s" $seconds) "from" $from) -}}
{{- end }}
