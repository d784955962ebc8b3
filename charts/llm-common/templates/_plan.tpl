{{/*
The plan: one dictionary that says all that two charts must agree on. Templates print it; they compute nothing.

In: root (the chart's `$`), out (an empty dict, filled in place: `fromYaml` would turn integers into floats).
Out, in `out`:
  errors     list of text: value path, what is wrong, what to set. The plan never crashes; with errors the rest may be partial
  warnings   list of text, shown by NOTES
  derived    list of {what, value, from}, printed by NOTES and by the plan's ConfigMap
  name       of the LLMInferenceService
  mode       single-device, tensor-parallel, data-parallel, multi-node, disaggregated or multi-node disaggregated
  children   {service, planConfigMap, serviceAccount, testPod, claim}: as KServe and we make them
  port       of the served API           metricsPorts  of the engines themselves
  scrapeAnnotations  whether engine pods carry the annotations by which a Prometheus without operator finds them
  kserveVersion, capabilities (row of the table)              apiVersion  of the LLMInferenceService
  model      {key, uri (as the engine gets it), source, servedName, weightBytes, task (generate, embed, score or classify)}
  adapters   list of {name, uri (as the engine gets it), source, path (in the cache, or empty)}        maxRank  of them, as vLLM takes it
  speculative  {config (of vLLM, or none), weightBytes, and of a draft model: key, source, uri, path}
  volumes    list of {name, claim or none}        mounts  list of {name, mountPath, subPath}: what is mounted from claims of weights,
             where KServe alone would not do        weightClaims  names of all claims of weights
  cache      {claim, create, size, accessMode, storageClassName, path, downloads (list of {kind, uri, path}), folders (for what engines
             write), deadlineSeconds, gateSeconds, memory, always (read all files at every start), env (of the
             download), local}: claim is empty where no cache is used, or KServe's own on nodes: local {name, uri, size, nodeGroups,
             nodeGroup (the one of the service)}, else empty
  storageInitializer  {render, env, memory}: what KServe's downloading container gets
  streaming  whether engines read the weights from the object store themselves
  engine     {image, pullPolicy, version (of vLLM, MAJOR.MINOR)}
  router     {enabled, and of the endpoint picker: child (its Deployment), podLabels, metricsPort, config (of flow control, or none)}
  presetImages  {routingSidecar, endpointPicker, tokenizer}: those of KServe's presets under the mirror, where there is one
  drain      {preStopSeconds, graceSeconds} of every engine pod        rolloutStrategy  of KServe, or none
  scaling    {enabled, byKServe (no ScaledObject of ours: spec.scaling), authentication (KEDA's parameter to {name, key} of a Secret)}
  workloads  list: the engine, or in disaggregated mode decode, then prefill. Each:
    side        main or prefill              role   both, decode or prefill              words   for what is derived: "", "prefill "
    paths       {parallel, replicas, resources, args, autoscaling}  value paths, for messages
    wanted, args, scaling  the user's values of this side: parallel, args and autoscaling
    child       name of the Deployment or LeaderWorkerSet      kind      podLabels  by which KServe marks its pods (the
                leader's, in a group)          components  the values of label app.kubernetes.io/component of all its pods
    name        of our own objects of this side: PodDisruptionBudget, PodMonitor
    replicas, tensor, data, nodes, devices (of one pod), integers; expert
    groupData, groupLocal  KServe's parallelism.data and dataLocal, by which it counts the pods of a group
    port        of vLLM itself
    command     empty where the preset's is kept; else the exec form
    containerArgs, workerArgs  as a container gets them      argumentWords  before any quoting, for a person
    env         list                          resources    sharedMemory (size of /dev/shm, empty for the preset's)
    compilePath  folder of the cache for what is compiled
    disk, diskClaim  where offloaded KV cache goes behind host memory
    nodeSelector, tolerations, supplementalGroups          startup  {periodSeconds, failureThreshold, seconds}
    sequences   requests that an engine computes at once at most     slots   of 4096 tokens, with the cache that it has
    queue       requests that may wait for it: an eighth of the slots           batchedTokens  of one step at most
    startSeconds  in which an engine usually starts       scaledObject  its name, by whoever makes it
    autoscaling  {minReplicas, maxReplicas, pollingInterval, cooldownPeriod, triggers, behavior, and where set: fallback,
                paused}, KEDA's terms; empty where the count is fixed: then `replicas`, else that is the largest
    fixed, mostFrom  `replicas` of the values, and the value path of the largest

Each part is one define that takes the context {root, plan, llm (with defaults), given (without)} and adds to the plan; parts of one
side get `side` as well. The rows of model and accelerator stay in the context: what others need of them is in the plan.
*/}}
{{- define "llm-common.plan" -}}
{{- $root := required "llm-common.plan: missing root" .root -}}
{{- /* `.Release` is one and the same for all templates of all charts: made for the first of them, kept there for those
  with the same globals */ -}}
{{- $kept := get $root.Release "llm-common.plan" | default dict -}}
{{- if not (and $kept (deepEqual $kept.global $root.Values.global)) -}}
  {{- $kept = dict "global" $root.Values.global "plan" dict -}}
  {{- include "llm-common.plan.make" (dict "root" $root "plan" $kept.plan) -}}
  {{- $_ := set $root.Release "llm-common.plan" $kept -}}
{{- end -}}
{{- $out := .out -}}
{{- range $part, $value := $kept.plan -}}{{- $_ := set $out $part $value -}}{{- end -}}
{{- end }}

{{/* The plan made. In: root, plan (an empty dict, filled in place). */}}
{{- define "llm-common.plan.make" -}}
{{- $root := .root -}}
{{- $plan := .plan -}}
{{- range list "errors" "warnings" "derived" -}}{{- $_ := set $plan . list -}}{{- end -}}
{{- $given := ($root.Values.global | default dict).llm | default dict -}}
{{- $llm := mustMergeOverwrite (include "llm-common.defaults" $root | fromYaml) (deepCopy $given) -}}
{{- $context := dict "root" $root "plan" $plan "llm" $llm "given" $given -}}
{{- include "llm-common.plan.name" $context -}}
{{- include "llm-common.plan.kserve" $context -}}
{{- include "llm-common.plan.model" $context -}}
{{- include "llm-common.plan.accelerator" $context -}}
{{- include "llm-common.plan.speculative" $context -}}
{{- include "llm-common.plan.workloads" $context -}}
{{- range $side := $plan.workloads -}}
  {{- $_ := set $context "side" $side -}}
  {{- include "llm-common.plan.layout" $context -}}
{{- end -}}
{{- include "llm-common.plan.mode" $context -}}
{{- include "llm-common.plan.router" $context -}}
{{- include "llm-common.plan.rollout" $context -}}
{{- include "llm-common.plan.cache" $context -}}
{{- include "llm-common.plan.streaming" $context -}}
{{- include "llm-common.plan.draft" $context -}}
{{- include "llm-common.plan.adapters" $context -}}
{{- include "llm-common.plan.flowControl" $context -}}
{{- include "llm-common.plan.mounts" $context -}}
{{- include "llm-common.plan.engine" $context -}}
{{- range $side := $plan.workloads -}}
  {{- $_ := set $context "side" $side -}}
  {{- include "llm-common.plan.offloading" $context -}}
  {{- include "llm-common.plan.engineArguments" $context -}}
  {{- include "llm-common.plan.engineEnvironment" $context -}}
  {{- include "llm-common.plan.pod" $context -}}
  {{- include "llm-common.plan.autoscaling" $context -}}
{{- end -}}
{{- include "llm-common.plan.scaling" $context -}}
{{- include "llm-common.plan.download" $context -}}
{{- end }}

{{/* Add a message. In: plan, to (errors or warnings; default errors), message. */}}
{{- define "llm-common.plan.tell" -}}
{{- $list := .to | default "errors" -}}
{{- $_ := set .plan $list (append (get .plan $list) .message) -}}
{{- end }}

{{/* Add a line of what was derived. In: plan, what, value, from. */}}
{{- define "llm-common.plan.derive" -}}
{{- $_ := set .plan "derived" (append .plan.derived (pick . "what" "value" "from")) -}}
{{- end }}

{{/* The row of a catalogue table that a value names, user's rows laid over ours.
In: context, path (of the value under global.llm), key (the value), table (models or accelerators), into. Puts the row into the context
under `into`, and whether there is one under `found`; an error when there is none. */}}
{{- define "llm-common.plan.row" -}}
{{- $context := .context -}}
{{- $key := .key -}}
{{- /* only the row that is named is parsed: the whole table would be a third of a render */ -}}
{{- $text := include (printf "llm-common.catalogue.%s" .table) $context.root -}}
{{- $table := dict -}}
{{- range regexFindAll "(?m)^[a-z0-9][a-z0-9-]*:$" $text -1 -}}{{- $_ := set $table (trimSuffix ":" .) dict -}}{{- end -}}
{{- $table = mustMergeOverwrite $table (regexFind (printf "(?m)^%s:\n( .*\n?)+" (regexQuoteMeta $key)) $text | fromYaml) (get $context.llm .table) -}}
{{- $known := keys $table | sortAlpha | join ", " -}}
{{- if not $key -}}
  {{- include "llm-common.plan.tell" (dict "plan" $context.plan "message" (printf "global.llm.%s: is empty; set one of %s, or a key of your own in global.llm.%s" .path $known .table)) -}}
{{- else if not (hasKey $table $key) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $context.plan "message" (printf "global.llm.%s: %q is neither in the catalogue nor in global.llm.%s; set one of %s" .path $key .table $known)) -}}
{{- end -}}
{{- $_ := set $context "found" (hasKey $table $key) -}}
{{- $_ := set $context .into (get $table $key | default dict) -}}
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
