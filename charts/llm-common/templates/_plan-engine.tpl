{{/*
Parts of the plan: the accelerator, the engine that runs on it, its arguments and environment.
*/}}

{{- define "llm-common.plan.accelerator" -}}
{{- include "llm-common.plan.row" (dict "context" . "path" "accelerator" "key" .llm.accelerator "table" "accelerators" "into" "accelerator") -}}
{{- $_ := set .plan "acceleratorKey" (.llm.accelerator | default "?") -}}
{{- end }}

{{- define "llm-common.plan.engine" -}}
{{- $plan := .plan -}}
{{- $_ := set $plan "engine" dict -}}
{{- include "llm-common.plan.engineImage" . -}}
{{- include "llm-common.plan.engineVersion" . -}}
{{- if regexMatch "hf_[A-Za-z0-9]{20,}" (toJson .given) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm: holds what looks like a Hugging Face token; put it into a Secret and set global.llm.engine.env.HF_TOKEN.valueFrom.secretKeyRef") -}}
{{- end -}}
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

{{/* Flags that other values own, with what to set instead. vLLM takes the last of two equal flags, which would be the user's: each
would win silently over what pods, probes and Services say. Read from KServe's presets and vLLM's parser. Out: YAML map. */}}
{{- define "llm-common.ownedFlags" -}}
model: names other weights than those that are mounted, and vLLM ignores it; set global.llm.model
config: is a file of flags past every check; set global.llm.engine.args
port: is where KServe's Service and probes ask; remove it
host: is where KServe's probes ask; remove it
uds: would leave no port for KServe's probes; remove it
grpc: would serve gRPC where KServe's probes ask for HTTP; remove it
grpc-port: would serve gRPC beside what KServe's Service leads to; remove it
root-path: moves the paths that probes and routes ask for; remove it
ssl-certfile: is KServe's, whose own configuration switches TLS for probes and Service as well; remove it
ssl-keyfile: is KServe's, whose own configuration switches TLS for probes and Service as well; remove it
enable-ssl-refresh: is KServe's, whose own configuration switches TLS for probes and Service as well; remove it
ssl-ca-certs: asks clients for a certificate, which the kubelet's probes do not have; remove it
ssl-cert-reqs: asks clients for a certificate, which the kubelet's probes do not have; remove it
tensor-parallel-size: would disagree with the devices of the pod; set global.llm.parallel.tensor
pipeline-parallel-size: has no preset in any KServe, so that its devices would idle; set global.llm.parallel.tensor, data or nodes
prefill-context-parallel-size: multiplies the devices beyond those of the pod; set global.llm.parallel.tensor
data-parallel-size: would disagree with the devices of the pod; set global.llm.parallel.data
data-parallel-size-local: follows from the layout; set global.llm.parallel.data and nodes
data-parallel-rank: follows from the layout; set global.llm.parallel.data and nodes
data-parallel-start-rank: follows from the layout; set global.llm.parallel.data and nodes
data-parallel-address: follows from the layout; set global.llm.parallel.data and nodes
data-parallel-rpc-port: follows from the layout; set global.llm.parallel.data and nodes
data-parallel-external-lb: would serve one rank only behind the Service; set global.llm.replicas
data-parallel-hybrid-lb: would serve one node only behind the Service; set global.llm.replicas
data-parallel-multi-port-external-lb: opens ports that no Service leads to; set global.llm.replicas
enable-expert-parallel: would disagree with the fit; set global.llm.parallel.expert
nnodes: follows from the layout; set global.llm.parallel.nodes
node-rank: follows from the layout; set global.llm.parallel.nodes
master-addr: follows from the layout; set global.llm.parallel.nodes
master-port: follows from the layout; set global.llm.parallel.nodes
headless: follows from the layout; set global.llm.parallel.nodes
device-ids: is the device plugin's choice; remove it
download-dir: is where nothing is downloaded to; set global.llm.cache
shutdown-timeout: follows from the pod's grace period; set global.llm.drainSeconds
{{- end }}

{{/* The arguments of a side. In: the context with `side`. */}}
{{- define "llm-common.plan.engineArguments" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $context := . -}}
{{- $given := $side.args -}}
{{- $own := .llm.prefill.args -}}
{{- $omitted := .llm.engine.omitArgs -}}
{{- $derived := dict -}}
{{- include "llm-common.derivedArgs" (dict "context" . "into" $derived) -}}
{{- range $flag := $omitted -}}
  {{- if hasKey $given $flag -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.omitArgs: %s is set in global.llm.engine.args as well; remove it from one of them" $flag)) -}}
  {{- else if has $flag (list "kv-transfer-config" "data-parallel-size" "tensor-parallel-size" "enable-expert-parallel") -}}
    {{- if hasKey $derived $flag -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.omitArgs: %s is what mode %s consists of; remove it" $flag $plan.mode)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $args := deepCopy $given -}}
{{- range $flag, $value := $derived -}}
  {{- if not (or (hasKey $args $flag) (has $flag $omitted)) -}}{{- $_ := set $args $flag $value -}}{{- end -}}
{{- end -}}
{{- $owned := include "llm-common.ownedFlags" . | fromYaml -}}
{{- $secrets := dict "api-key" "VLLM_API_KEY" "hf-token" "HF_TOKEN" -}}
{{- $words := dict "words" list -}}
{{- $flags := .flags -}}
{{- range $flag := keys $args | sortAlpha -}}
  {{- $value := get $args $flag -}}
  {{- $path := ternary "global.llm.prefill.args" "global.llm.engine.args" (and (eq $side.side "prefill") (hasKey $own $flag)) -}}
  {{- $base := splitList "." $flag | first -}}
  {{- if and (hasKey $given $flag) (hasKey $owned $base) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: %s" $path $flag (get $owned $base | replace "global.llm.parallel" (ternary "global.llm.prefill.parallel" "global.llm.parallel" (hasPrefix "global.llm.prefill" $path))))) -}}
  {{- end -}}
  {{- if and $plan.adapters (has $base (list "enable-lora" "lora-modules" "max-lora-rank" "max-loras")) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is derived from global.llm.adapters, and would switch off what KServe makes of them; set adapters and their rank there" $path $flag)) -}}
  {{- end -}}
  {{- if and (hasKey $given $flag) (eq $base "speculative-config") $plan.speculative.config -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is derived from global.llm.speculative, whose draft model it would lose; set it there, or leave that empty" $path $flag)) -}}
  {{- end -}}
  {{- if and (has $base (list "distributed-executor-backend" "data-parallel-backend")) (eq (toString $value) "ray") -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is ray, and no Ray runs in KServe's pods; set mp, or remove it" $path $flag)) -}}
  {{- end -}}
  {{- if and (eq $flag "served-model-name") (eq $side.side "main") -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s.served-model-name replaces both names that KServe serves, by which routes and helm test ask (%s); set global.llm.models.%s.servedName" $path $plan.model.servedName $plan.model.key)) -}}
  {{- end -}}
  {{- if and (contains "." $flag) (hasKey $derived $base) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is a part of %s, which the plan derives as a whole; set the whole map" $path $flag $base)) -}}
  {{- end -}}
  {{- if include "llm-common.holdsLost" $value -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: holds a control character that cannot arrive (U+0000, U+007F to U+009F, U+FFFE, U+FFFF); remove it" $path $flag)) -}}
  {{- end -}}
  {{- if and (hasKey $secrets $flag) (not (kindIs "bool" $value)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: holds a secret in the values; put it into a Secret and set global.llm.engine.env.%s.valueFrom.secretKeyRef" $path $flag (get $secrets $flag))) -}}
  {{- end -}}
  {{- if and (kindIs "slice" $value) (empty $value) (ne "json" (include "llm-common.flagKind" (dict "flags" $flags "name" $flag))) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is an empty list; set its values, or remove the key" $path $flag)) -}}
  {{- end -}}
  {{- include "llm-common.plan.argument" (dict "plan" $plan "flags" $flags "path" $path "name" $flag "value" $value "into" $words) -}}
{{- end -}}
{{- include "llm-common.plan.checkTransfer" (dict "context" $context "args" $args) -}}
{{- $_ := set $side "argumentWords" $words.words -}}
{{- $_ := set $side "command" list -}}
{{- if or (gt $side.nodes 1) $plan.streaming -}}
  {{- include "llm-common.plan.execForm" . -}}
{{- else -}}
  {{- $quoted := list -}}
  {{- range $words.words -}}{{- $quoted = append $quoted (include "llm-common.shellWord" .) -}}{{- end -}}
  {{- $_ := set $side "containerArgs" $quoted -}}
{{- end -}}
{{- $from := "global.llm.engine.args and the accelerator" -}}
{{- if eq $side.side "prefill" -}}{{- $from = "global.llm.engine.args, global.llm.prefill.args and the accelerator" -}}{{- end -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" (ternary "engine arguments" "prefill arguments" (eq $side.side "main")) "value" (join " " $words.words | default "none") "from" $from) -}}
{{- end }}

{{/* Arguments that follow from accelerator, layout and mode. In: context (with side), into (dict, flag to value; numbers stay numbers).
The number of devices is KServe's field where its preset renders it, else an argument. On several nodes they are in the command. */}}
{{- define "llm-common.derivedArgs" -}}
{{- $args := .into -}}
{{- $side := .context.side -}}
{{- $plan := .context.plan -}}
{{- $model := .context.model -}}
{{- $features := .context.llm.features -}}
{{- if .context.accelerator.resource -}}{{- $_ := set $args "gpu-memory-utilization" 0.9 -}}{{- end -}}
{{- if eq $side.nodes 1 -}}
  {{- if and (gt $side.tensor 1) (or $plan.streaming (not $plan.capabilities.tensorRendered)) -}}{{- $_ := set $args "tensor-parallel-size" $side.tensor -}}{{- end -}}
  {{- if gt $side.data 1 -}}{{- $_ := set $args "data-parallel-size" $side.data -}}{{- end -}}
  {{- if $side.expert -}}{{- $_ := set $args "enable-expert-parallel" true -}}{{- end -}}
{{- end -}}
{{- range $feature, $key := dict "toolCalling" "toolCallParser" "reasoning" "reasoningParser" -}}
  {{- if get $features $feature -}}
    {{- $flag := kebabcase $key -}}
    {{- $parser := get $model $key -}}
    {{- if $parser -}}
      {{- $_ := set $args $flag $parser -}}
    {{- else if not (hasKey $side.args $flag) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.features.%s: the catalogue names no parser for %s; set global.llm.models.%s.%s, or global.llm.engine.args.%s" $feature $plan.model.servedName $plan.model.key $key $flag)) -}}
    {{- end -}}
    {{- if eq $feature "toolCalling" -}}{{- $_ := set $args "enable-auto-tool-choice" true -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- with $plan.speculative.config -}}{{- $_ := set $args "speculative-config" . -}}{{- end -}}
{{- if $plan.streaming -}}{{- $_ := set $args "load-format" "runai_streamer" -}}{{- end -}}
{{- include "llm-common.transferConfig" . -}}
{{- end }}

{{/* Our own command for an engine on several nodes, and for one that reads its weights from an object store, where the preset says /mnt/models:
without a shell, so that every word arrives as it is. What KServe's preset would have added stands here: both served names, port, access log,
drain, TLS by KServe's own switch, layout. LeaderWorkerSet gives each pod of a group its index and the leader's address, which the kubelet
puts in; from them vLLM works out the ranks of a node. */}}
{{- define "llm-common.plan.execForm" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $served := $plan.model.servedName -}}
{{- $words := list "--served-model-name" $served (printf "publishers/%s/models/%s" .root.Release.Namespace $served) "--port" (toString $side.port) "--disable-access-log-for-endpoints" "/health,/metrics,/ping" "--shutdown-timeout" (toString (int64 .llm.drainSeconds)) -}}
{{- $ranks := list -}}
{{- if gt $side.nodes 1 -}}
  {{- $words = concat $words (list "--tensor-parallel-size" (toString $side.tensor) "--data-parallel-size" (toString $side.data) "--nnodes" (toString $side.nodes)) -}}
  {{- if $side.expert -}}{{- $words = append $words "--enable-expert-parallel" -}}{{- end -}}
  {{- $ranks = list "--node-rank" "$(LWS_WORKER_INDEX)" "--master-addr" "$(LWS_LEADER_ADDRESS)" -}}
{{- end -}}
{{- $quoted := list -}}
{{- range concat $words $side.argumentWords -}}{{- $quoted = append $quoted (include "llm-common.execWord" .) -}}{{- end -}}
{{- $refresh := include "llm-common.tlsChoice" (dict "on" "--enable-ssl-refresh" "off" "--no-enable-ssl-refresh") -}}
{{- $certificate := include "llm-common.tlsChoice" (dict "on" "/var/run/kserve/tls/tls.crt" "off" "") -}}
{{- $key := include "llm-common.tlsChoice" (dict "on" "/var/run/kserve/tls/tls.key" "off" "") -}}
{{- $ours := concat $ranks (list $refresh (printf "--ssl-certfile=%s" $certificate) (printf "--ssl-keyfile=%s" $key)) -}}
{{- $_ := set $side "command" (list "vllm" "serve" (ternary $plan.model.source "/mnt/models" $plan.streaming)) -}}
{{- $_ := set $side "containerArgs" (concat $ours $quoted) -}}
{{- $_ := set $side "workerArgs" (concat $ours $quoted (list "--headless")) -}}
{{- end }}

{{/* Text that depends on whether KServe serves TLS, which its own templating decides. In: on, off. */}}
{{- define "llm-common.tlsChoice" -}}
{{ "{{" }} if .GlobalConfig.EnableTLS }}{{ .on }}{{ "{{" }} else }}{{ .off }}{{ "{{" }} end }}
{{- end }}

{{/* The environment of a side. In: the context with `side`. */}}
{{- define "llm-common.plan.engineEnvironment" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $env := mustMergeOverwrite (dict "VLLM_NO_USAGE_STATS" "1" "USER" "vllm") (deepCopy (.accelerator.env | default dict)) -}}
{{- if hasPrefix "pvc://" $plan.model.uri -}}{{- $_ := set $env "HF_HUB_OFFLINE" "1" -}}{{- end -}}
{{- if .llm.offline -}}
  {{- range list "HF_HUB_OFFLINE" "TRANSFORMERS_OFFLINE" "HF_DATASETS_OFFLINE" "HF_HUB_DISABLE_TELEMETRY" "DO_NOT_TRACK" -}}{{- $_ := set $env . "1" -}}{{- end -}}
{{- end -}}
{{- $podIP := dict "valueFrom" (dict "fieldRef" (dict "fieldPath" "status.podIP")) -}}
{{- if ne $side.role "both" -}}{{- $_ := set $env "VLLM_NIXL_SIDE_CHANNEL_HOST" $podIP -}}{{- end -}}
{{- if gt $side.nodes 1 -}}{{- $_ := set $env "VLLM_HOST_IP" $podIP -}}{{- end -}}
{{- if .llm.rdma.resource -}}
  {{- $_ := set $env "UCX_TLS" (ternary "rc,sm,self,rocm_copy,rocm_ipc" "rc,sm,self,cuda_copy,cuda_ipc" (hasPrefix "amd.com/" (.accelerator.resource | default ""))) -}}
{{- end -}}
{{- /* what vLLM, torch and Triton compile belongs to one image, model and layout */ -}}
{{- $_ := set $side "compilePath" "" -}}
{{- if and .llm.cache.compilation .llm.cache.nodeGroups -}}{{- /* refused with the cache */ -}}
{{- else if and .llm.cache.compilation (not $plan.cache.claim) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.cache.compilation: is kept on the cache's claim, and there is none; set global.llm.cache.enabled: true with a uri that is downloaded, or compilation: false") -}}
{{- else if .llm.cache.compilation -}}
  {{- $what := dict "image" (include "llm-common.image" (dict "root" .root "image" $plan.engine.image)) "model" $plan.model.source "layout" (pick $side "tensor" "data" "nodes" "expert") -}}
  {{- $_ := set $side "compilePath" (printf "compiled/%s/%s" $plan.model.key (toJson $what | sha256sum | trunc 12)) -}}
  {{- range $name, $folder := dict "VLLM_CACHE_ROOT" "vllm" "TORCHINDUCTOR_CACHE_DIR" "inductor" "TRITON_CACHE_DIR" "triton" -}}
    {{- $_ := set $env $name (printf "/mnt/compiled/%s" $folder) -}}
  {{- end -}}
{{- end -}}
{{- range $name, $value := .llm.engine.env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- if and $side.command (hasKey $env "KSERVE_INFER_ROCE") -}}
  {{- $who := ternary "an engine on several nodes" "an engine that streams" (gt $side.nodes 1) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.engine.env.KSERVE_INFER_ROCE: is read by the script of KServe's preset, which %s does not run; set NCCL_IB_HCA, NCCL_IB_GID_INDEX, UCX_NET_DEVICES and NVSHMEM_HCA_LIST to the devices of the nodes" $who)) -}}
{{- end -}}
{{- if hasKey $env "VLLM_ADDITIONAL_ARGS" -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.engine.env.VLLM_ADDITIONAL_ARGS: goes through a shell and past every check; set global.llm.engine.args") -}}
{{- end -}}
{{- $_ := set $side "env" (include "llm-common.plan.environment" (dict "plan" $plan "path" "global.llm.engine.env" "env" $env "templated" true) | fromYamlArray) -}}
{{- end }}

{{/* Environment as a container has it. In: plan, path (of the values), env (name to text, number or valueFrom), own (those of `env` that
stand at that path and are checked here; absent: all), templated (whether it passes through KServe's templating). Out: YAML list. */}}
{{- define "llm-common.plan.environment" -}}
{{- $context := . -}}
{{- $own := ternary .own .env (hasKey . "own") -}}
{{- $list := list -}}
{{- range $name := keys .env | sortAlpha -}}
  {{- $value := get $context.env $name -}}
  {{- if kindIs "map" $value -}}
    {{- $list = append $list (dict "name" $name "valueFrom" $value.valueFrom) -}}
  {{- else -}}
    {{- if and (hasKey $own $name) (regexMatch "(^|_)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$" $name) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $context.plan "message" (printf "%s.%s: holds a secret in the values; put it into a Secret and set valueFrom.secretKeyRef" $context.path $name)) -}}
    {{- end -}}
    {{- if and (hasKey $own $name) (include "llm-common.holdsLost" $value) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $context.plan "message" (printf "%s.%s: holds a control character that cannot arrive (U+0000, U+007F to U+009F, U+FFFE, U+FFFF); remove it" $context.path $name)) -}}
    {{- end -}}
    {{- $text := include "llm-common.scalar" $value -}}
    {{- if $context.templated -}}{{- $text = include "llm-common.templateLiteral" $text -}}{{- end -}}
    {{- $list = append $list (dict "name" $name "value" $text) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $list -}}
{{- end }}
