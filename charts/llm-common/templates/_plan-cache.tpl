{{/*
Parts of the plan: the volume that keeps the weights, what fills it, and what of it the engine mounts.
*/}}

{{/* A claim that is filled once, and mounted read-only by every engine. pvc:// is filled already. */}}
{{- define "llm-common.plan.cache" -}}
{{- $plan := .plan -}}
{{- $wanted := .llm.cache -}}
{{- $model := $plan.model -}}
{{- $weights := add $model.weightBytes $plan.speculative.weightBytes -}}
{{- $cache := dict "claim" "" "create" false "local" dict -}}
{{- if $wanted.nodeGroups -}}
  {{- include "llm-common.plan.nodeLocal" (dict "root" .root "plan" $plan "llm" .llm "cache" $cache) -}}
{{- else if and $wanted.enabled (hasPrefix "pvc://" $model.source) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.enabled: %s is on a claim already; set global.llm.cache.enabled: false" $model.source)) -}}
{{- else if and $wanted.enabled (hasPrefix "oci://" $model.source) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.enabled: %s is an image, which nodes keep by themselves; set global.llm.cache.enabled: false" $model.source)) -}}
{{- else if and $wanted.enabled $model.source (not (include "llm-common.downloadable" $model.source)) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.enabled: what fills the cache knows hf://, s3://, gs:// and https://, not %s; set another uri, or global.llm.cache.enabled: false to leave it to KServe" $model.source)) -}}
{{- else if $wanted.enabled -}}
  {{- $first := first $plan.workloads -}}
  {{- $why := "" -}}
  {{- if .llm.prefill.enabled -}}{{- $why = "prefill and decode are pods of their own; set ReadWriteMany" -}}
  {{- else if gt $first.nodes 1 -}}{{- $why = printf "global.llm.parallel.nodes is %d; set ReadWriteMany" $first.nodes -}}
  {{- else if gt $first.replicas 1 -}}{{- $why = printf "%s is %d; set ReadWriteMany, or %s: 1" $first.mostFrom $first.replicas (splitList "." $first.mostFrom | last) -}}
  {{- end -}}
  {{- $many := ne $why "" -}}
  {{- if and $many (has $wanted.accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.accessMode: %s lets one node mount the weights and %s" $wanted.accessMode $why)) -}}
  {{- end -}}
  {{- if eq $wanted.accessMode "ReadOnlyMany" -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.cache.accessMode: ReadOnlyMany cannot be filled; set ReadWriteMany, or serve a claim that is filled already by a uri pvc://claim/path") -}}
  {{- end -}}
  {{- if and (not $many) (eq $wanted.accessMode "ReadWriteOncePod") -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.cache.accessMode: ReadWriteOncePod admits one pod, and the download is a pod beside the engine's; set ReadWriteOnce") -}}
  {{- end -}}
  {{- range $key := list "size" "storageClassName" -}}
    {{- if and $wanted.existingClaim (get $wanted $key) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.%s: claim %s exists already and keeps its own; remove it, or existingClaim" $key $wanted.existingClaim)) -}}
    {{- end -}}
  {{- end -}}
  {{- $cache = dict
        "claim" ($wanted.existingClaim | default (printf "%s-models" $plan.name))
        "create" (not $wanted.existingClaim)
        "local" dict
        "size" ($wanted.size | default (include "llm-common.claimSize" $weights))
        "accessMode" ($wanted.accessMode | default (ternary "ReadWriteMany" "ReadWriteOnce" $many))
        "storageClassName" $wanted.storageClassName
        "path" (include "llm-common.cachePath" (dict "folder" "models" "name" $model.key "uri" $model.source)) -}}
  {{- $_ := set $model "uri" (printf "pvc://%s/%s" $cache.claim $cache.path) -}}
  {{- if $cache.create -}}
    {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "volume claim" "value" (printf "%s, %s, %s" $cache.claim $cache.size $cache.accessMode) "from" (printf "%d bytes of weights and global.llm.cache" $weights)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan "cache" $cache -}}
{{- $_ := set $plan.children "claim" $cache.claim -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "model" "value" (printf "%s from %s" $model.servedName $model.uri) "from" (printf "global.llm.model %s" $model.key)) -}}
{{- end }}

{{/* KServe's own cache on disks of nodes: one object, which KServe's local model controller and agents fill. The service keeps its uri; KServe's
webhook finds the cache by it and mounts that in its place, from the service's creation on: the cache's name becomes part of the selectors of
its Deployments, which cannot change (tests/controlplane/test_node_local.py). The uri of a cache cannot be changed (CRD), so that another is another cache.
In: root, plan, llm, cache (filled in place). */}}
{{- define "llm-common.plan.nodeLocal" -}}
{{- $plan := .plan -}}
{{- $model := $plan.model -}}
{{- $wanted := .llm.cache -}}
{{- $path := "global.llm.cache.nodeGroups" -}}
{{- $known := regexMatch "^(hf|s3|gs)://" $model.source -}}
{{- if not $wanted.enabled -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: is set and the cache is not enabled; set global.llm.cache.enabled: true, or remove it" $path)) -}}
{{- else if and $model.source (not $known) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: KServe's agents download folders from hf://, s3:// and gs://, not %s; set another uri, or nodeGroups: []" $path $model.source)) -}}
{{- end -}}
{{- $defaults := (include "llm-common.defaults" .root | fromYaml).cache -}}
{{- range $key := list "existingClaim" "size" "storageClassName" "accessMode" "deadlineSeconds" "verification" "compilation" -}}
  {{- if ne (toJson (get $wanted $key)) (toJson (get $defaults $key)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.%s: is of a volume claim, and with nodeGroups KServe keeps the weights on disks of nodes; remove it, or nodeGroups" $key)) -}}
  {{- end -}}
{{- end -}}
{{- if and $wanted.enabled $known -}}
  {{- $name := printf "%s-models-%s" $plan.name (sha256sum $model.source | trunc 8) -}}
  {{- $local := dict "name" $name "uri" $model.source "size" (include "llm-common.claimSize" $model.weightBytes) "nodeGroups" $wanted.nodeGroups "nodeGroup" (first $wanted.nodeGroups) -}}
  {{- $_ := set .cache "local" $local -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "node-local cache" "value" (printf "LocalModelNamespaceCache %s, %s on nodes of %s" $name $local.size (join ", " $local.nodeGroups)) "from" (printf "%d bytes of weights and %s" $model.weightBytes $path)) -}}
  {{- $namespace := .root.Release.Namespace -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "KServe gives a service its cache when the service is created, and Helm creates that before LocalModelNamespaceCache %s: install with make deploy, which does it in order. For a service that was there first: kubectl -n %s annotate llminferenceservice %s --overwrite llm-stack.io/cache=%s, then delete its Deployments, whose selectors KServe fails to change" $name $namespace $plan.name $name)) -}}
{{- end -}}
{{- end }}

{{/* Weights that no disk keeps: vLLM reads them from an object store, with Run:ai Model Streamer. KServe's storage initializer is switched off, and
with it go its init container and the mount of the model, of the engines and of the endpoint picker. */}}
{{- define "llm-common.plan.streaming" -}}
{{- $plan := .plan -}}
{{- $model := $plan.model -}}
{{- $_ := set $plan "streaming" .llm.streaming.enabled -}}
{{- if .llm.streaming.enabled -}}
  {{- if .llm.cache.enabled -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.streaming.enabled: the cache would download what is streamed; set global.llm.cache.enabled: false") -}}
  {{- end -}}
  {{- /* vLLM 0.32, transformers_utils/runai_utils.py; it takes upper case as well, KServe's own code does not */ -}}
  {{- if and $model.source (not (regexMatch "^(s3|gs|az)://" $model.source)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.streaming.enabled: vLLM streams from s3://, gs:// and az://, not %s; set another uri in global.llm.models.%s, or streaming.enabled: false" $model.source $model.key)) -}}
  {{- end -}}
  {{- if .llm.adapters -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.adapters: KServe takes none without its storage initializer, which streaming switches off; set global.llm.streaming.enabled: false, or remove them") -}}
  {{- end -}}
  {{- if .llm.router.enabled -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.router.enabled: the endpoint picker's tokenizer reads the model's files, which only KServe's storage initializer brings and streaming switches off; set global.llm.streaming.enabled: false, or router.enabled: false") -}}
  {{- end -}}
  {{- if has "load-format" .llm.engine.omitArgs -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.engine.omitArgs: load-format is how weights are streamed; remove it") -}}
  {{- end -}}
  {{- range $path, $args := dict "global.llm.engine.args" .llm.engine.args "global.llm.prefill.args" .llm.prefill.args -}}
    {{- $format := get $args "load-format" | default "auto" -}}
    {{- /* config/vllm.py: auto becomes runai_streamer */ -}}
    {{- if not (has $format (list "auto" "runai_streamer" "runai_streamer_sharded" "modelexpress")) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.load-format: %v reads files, and streaming has none; set runai_streamer or runai_streamer_sharded, or remove it" $path $format)) -}}
    {{- end -}}
  {{- end -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "streaming" "value" (printf "vLLM reads %s itself; the engine image must have Run:ai Model Streamer" $model.source) "from" "global.llm.streaming.enabled") -}}
{{- end -}}
{{- end }}

{{/* Whether the download knows a uri. Out: text, or nothing. */}}
{{- define "llm-common.downloadable" -}}
{{- if regexMatch "^(hf|s3|gs|https?)://" . }}yes{{ end -}}
{{- end }}

{{/* Where a thing is kept on the claim: another source or revision is another folder, so that what an engine has mounted never changes and
a rollback finds what it had. In: folder (models or adapters), name, uri. Out: text. */}}
{{- define "llm-common.cachePath" -}}
{{- printf "%s/%s/%s" .folder .name (sha256sum .uri | trunc 12) -}}
{{- end }}

{{/* What fills the claim, and what holds the engines back until it did. */}}
{{- define "llm-common.plan.download" -}}
{{- $plan := .plan -}}
{{- $cache := $plan.cache -}}
{{- $downloads := list -}}
{{- if $cache.claim -}}
  {{- $downloads = append $downloads (dict "kind" "model" "uri" $plan.model.source "path" $cache.path) -}}
  {{- with $plan.speculative -}}
    {{- if .path -}}{{- $downloads = append $downloads (dict "kind" "model" "uri" .source "path" .path) -}}{{- end -}}
  {{- end -}}
  {{- range $plan.adapters -}}
    {{- if .path -}}{{- $downloads = append $downloads (dict "kind" "adapter" "uri" .source "path" .path) -}}{{- end -}}
  {{- end -}}
  {{- $bytes := add $plan.model.weightBytes $plan.speculative.weightBytes -}}
  {{- /* an hour, and the weights at 20 MB/s: a slow line, not a broken one, which is noticed sooner */ -}}
  {{- $seconds := int64 .llm.cache.deadlineSeconds | default (add 3600 (div $bytes 20000000)) -}}
  {{- $_ := set $cache "deadlineSeconds" $seconds -}}
  {{- $_ := set $cache "gateSeconds" (add 600 $seconds) -}}
  {{- $_ := set $cache "memory" (.llm.overrides.downloadMemory | default "512Mi") -}}
  {{- range $downloads -}}
    {{- if regexMatch "^https?://[^/]*@" .uri -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.models: the uri of %s holds a password in the values; set one without" .path)) -}}
    {{- end -}}
  {{- end -}}
  {{- $texts := list -}}
  {{- range $downloads -}}{{- $texts = append $texts (printf "%s into %s" .uri .path) -}}{{- end -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "download" "value" (printf "%s; at most %d s" (join ", " $texts) $seconds) "from" (ternary (printf "%d bytes at 20 MB/s, and an hour" $bytes) "global.llm.cache.deadlineSeconds" (empty .llm.cache.deadlineSeconds))) -}}
  {{- $_ := set $plan.children "cacheScripts" (printf "%s-model-cache" $plan.name) -}}
{{- end -}}
{{- $_ := set $cache "downloads" $downloads -}}
{{- $folders := list -}}
{{- range $plan.workloads -}}{{- if .compilePath -}}{{- $folders = append $folders .compilePath -}}{{- end -}}{{- end -}}
{{- $_ := set $cache "folders" (uniq $folders) -}}
{{- $_ := set $cache "always" (eq .llm.cache.verification "always") -}}
{{- /* who downloads talks to the hub, through the engine's proxy, unless told otherwise */ -}}
{{- $env := dict -}}
{{- range list (.accelerator.env | default dict) .llm.engine.env -}}
  {{- range $name, $value := . -}}
    {{- if and (regexMatch "^(HF_|(HTTP|HTTPS|NO)_PROXY$)" $name) (ne $name "HF_HUB_OFFLINE") -}}{{- $_ := set $env $name $value -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- range $name, $value := .llm.cache.env -}}
  {{- $_ := set $env $name $value -}}
  {{- if regexMatch "^(CACHE_(ROOT|SPEC)|JOB_(NAME|NAMESPACE)|PYTHONUNBUFFERED)$" $name -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.cache.env.%s: is the chart's own; remove it" $name)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $cache "env" (include "llm-common.plan.environment" (dict "plan" $plan "path" "global.llm.cache.env" "env" $env "own" .llm.cache.env) | fromYamlArray) -}}
{{- if .llm.offline -}}
  {{- $sources := list $plan.model.source -}}
  {{- with $plan.speculative.source -}}{{- $sources = append $sources . -}}{{- end -}}
  {{- range $plan.adapters -}}{{- $sources = append $sources .source -}}{{- end -}}
  {{- range $sources -}}
    {{- if and (hasPrefix "hf://" .) (not (hasKey $env "HF_ENDPOINT")) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.offline: %s would be asked of huggingface.co; set global.llm.cache.env.HF_ENDPOINT to a hub of the network, or another uri" .)) -}}
    {{- end -}}
  {{- end -}}
  {{- if not (.root.Values.global | default dict).imageRegistry -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" "global.llm.offline is on and images come from public registries; set global.imageRegistry to a mirror, unless nodes have them") -}}
  {{- end -}}
{{- end -}}
{{- range list (dict "row" .model "source" $plan.model.source) (dict "row" .draft "source" ($plan.speculative.source | default "")) -}}
  {{- if and .row.gated (hasPrefix "hf://" .source) (not (hasKey $env "HF_TOKEN")) -}}
    {{- $set := ternary "set global.llm.cache.env.HF_TOKEN.valueFrom.secretKeyRef" "set model-cache.serviceAccount.name to an account of KServe's job namespace that has it, and global.llm.cache.env.HF_TOKEN for pods without the cache" (empty $cache.local) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s is given only to those who accepted its licence; put a token of the hub into a Secret and %s" .source $set)) -}}
  {{- end -}}
{{- end -}}
{{- include "llm-common.plan.storageInitializer" (set . "downloadEnv" $env) -}}
{{- end }}

{{/* What KServe downloads with, where no claim keeps the weights. */}}
{{- define "llm-common.plan.storageInitializer" -}}
{{- $plan := .plan -}}
{{- $downloads := and $plan.model.uri (not $plan.streaming) (not (hasPrefix "pvc://" $plan.model.uri)) (not (hasPrefix "oci://" $plan.model.uri)) -}}
{{- $override := $plan.capabilities.storageInitializerOverride | default false -}}
{{- if and $downloads $plan.capabilities (not $override) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "KServe %s overwrites what a service says about its storage initializer, which downloads %s: restricted Pod Security refuses the pod, and a token must come by the service account's secrets; set global.llm.cache, or run KServe 0.20" $plan.kserveVersion $plan.model.uri)) -}}
{{- end -}}
{{- /* KServe downloads with hf_xet, which holds what has arrived and is not yet written: up to 8 GB, and with KServe's own setting,
HF_XET_HIGH_PERFORMANCE, up to 64 GB (xet-core, config/groups/reconstruction.rs); besides, 1 GB that it reads ahead and 1 GiB of Python. */ -}}
{{- $memory := .llm.overrides.downloadMemory | default (printf "%dGi" (add 2 (div (add (min $plan.model.weightBytes 8000000000) 1073741823) 1073741824))) -}}
{{- $env := mustMergeOverwrite (dict "HF_XET_HIGH_PERFORMANCE" "0") .downloadEnv -}}
{{- $list := include "llm-common.plan.environment" (dict "plan" $plan "path" "global.llm.cache.env" "env" $env "own" dict "templated" true) | fromYamlArray -}}
{{- if and $downloads $override -}}
  {{- $from := ternary (printf "%d bytes of weights, of which the downloader holds 8 GB at most" $plan.model.weightBytes) "global.llm.overrides.downloadMemory" (empty .llm.overrides.downloadMemory) -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "download memory" "value" $memory "from" $from) -}}
{{- end -}}
{{- $_ := set $plan "storageInitializer" (dict "render" (and $downloads $override) "env" $list "memory" $memory) -}}
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
{{- /* the gate reads the whole volume of a cache */ -}}
{{- if and (or $wanted $plan.cache.claim) (hasPrefix "pvc://" $plan.model.uri) -}}
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
