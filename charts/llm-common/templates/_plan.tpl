{{/*
The plan: one dictionary that says all that two charts must agree on. Templates print it; they compute nothing.

In: root (the chart's `$`), out (an empty dict, filled in place: `fromYaml` would turn integers into floats).
Out, in `out`:
  errors     list of text: value path, what is wrong, what to set. The plan never crashes; with errors the rest may be partial
  warnings   list of text, shown by NOTES
  derived    list of {what, value, from}, printed by NOTES and by the plan's ConfigMap
  name       of the LLMInferenceService          mode        single-device or tensor-parallel
  children   {deployment, service, planConfigMap, serviceAccount, podDisruptionBudget, testPod, claim}: as KServe and we make them
  podLabels  labels by which KServe marks the engine's pods
  port       of the engine's API
  kserveVersion, capabilities (row of the table)              apiVersion  of the LLMInferenceService
  model      {key, uri (as the engine gets it), source, servedName, weightBytes}
  replicas, tensor (devices per engine)          integers
  cache      {claim, create, size, accessMode, storageClassName, path}: claim is empty where no cache is used
  storageInitializer  {render, env}: what KServe's downloading container gets
  engine     {image, pullPolicy, version (of vLLM, MAJOR.MINOR), words (unquoted), args (quoted for the preset), env (list)}
  resources, nodeSelector, tolerations           of the engine pod
  startup    {periodSeconds, failureThreshold}
  sharedMemory  size of /dev/shm, empty where the preset's is enough

Each part is one define that takes the context {root, plan, llm (with defaults), given (without)} and adds to the plan. The rows of
model and accelerator stay in the context: what others need of them is in the plan.
*/}}
{{- define "llm-common.plan" -}}
{{- $root := required "llm-common.plan: missing root" .root -}}
{{- $plan := .out -}}
{{- range list "errors" "warnings" "derived" -}}{{- $_ := set $plan . list -}}{{- end -}}
{{- $given := ($root.Values.global | default dict).llm | default dict -}}
{{- $llm := mustMergeOverwrite (include "llm-common.defaults" $root | fromYaml) (deepCopy $given) -}}
{{- $context := dict "root" $root "plan" $plan "llm" $llm "given" $given -}}
{{- include "llm-common.plan.name" $context -}}
{{- include "llm-common.plan.kserve" $context -}}
{{- include "llm-common.plan.model" $context -}}
{{- include "llm-common.plan.accelerator" $context -}}
{{- include "llm-common.plan.parallel" $context -}}
{{- include "llm-common.plan.cache" $context -}}
{{- include "llm-common.plan.engine" $context -}}
{{- include "llm-common.plan.pod" $context -}}
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
In: context, what (the key under global.llm: model), plural (models). Puts the row into the context under `what`, and whether there is one under `found`; an error when there is none. */}}
{{- define "llm-common.plan.row" -}}
{{- $context := .context -}}
{{- $key := get $context.llm .what -}}
{{- $table := mustMergeOverwrite (include (printf "llm-common.catalogue.%s" .plural) $context.root | fromYaml) (get $context.llm .plural) -}}
{{- $known := keys $table | sortAlpha | join ", " -}}
{{- if not $key -}}
  {{- include "llm-common.plan.tell" (dict "plan" $context.plan "message" (printf "global.llm.%s: is empty; set one of %s, or a key of your own in global.llm.%s" .what $known .plural)) -}}
{{- else if not (hasKey $table $key) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $context.plan "message" (printf "global.llm.%s: %q is neither in the catalogue nor in global.llm.%s; set one of %s" .what $key .plural $known)) -}}
{{- end -}}
{{- $_ := set $context "found" (hasKey $table $key) -}}
{{- $_ := set $context .what (get $table $key | default dict) -}}
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
