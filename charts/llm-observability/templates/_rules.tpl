{{/*
Recording and alert rules of one service, as one group, so that alerts see what was recorded in the same evaluation.

Every expression is of this release's series only (llm-common.series); what is recorded carries the labels of llm-observability.labels
and is asked for by them. Each side of a disaggregated service has rules of its own; its `role` tells them apart. Without any data none
fires but LLMNoCapacity. docs/alerts.md has a section for each alert.
*/}}

{{/* Labels of what is recorded and of alerts. In: root, plan, side. Out: YAML. */}}
{{- define "llm-observability.labels" -}}
namespace: {{ .root.Release.Namespace | quote }}
llm_service: {{ .plan.name | quote }}
role: {{ .side.role }}
{{- end }}

{{/* The groups of a rules file. In: root, plan. Out: YAML. */}}
{{- define "llm-observability.rules" -}}
{{- $rules := dict "list" list -}}
{{- $context := dict "root" .root "plan" .plan "rules" $rules -}}
{{- range $side := .plan.workloads -}}
  {{- $_ := set $context "side" $side -}}
  {{- include "llm-observability.recordings" $context -}}
{{- end -}}
{{- range $side := .plan.workloads -}}
  {{- $_ := set $context "side" $side -}}
  {{- include "llm-observability.availability" $context -}}
  {{- include "llm-observability.load" $context -}}
  {{- include "llm-observability.objectives" $context -}}
  {{- include "llm-observability.failures" $context -}}
  {{- include "llm-observability.scaling" $context -}}
  {{- include "llm-observability.kubernetes" $context -}}
{{- end -}}
{{- $_ := set $context "side" (first .plan.workloads) -}}
{{- include "llm-observability.router" $context -}}
groups:
  - name: {{ printf "llm-stack.%s.%s" .root.Release.Namespace .plan.name }}
    rules:
      {{- toYaml $rules.list | nindent 6 }}
{{- end }}

{{/* Add an alert, unless it is switched off. In: context, name, severity, for (seconds), expr, summary, description; VALUE in it is the
value of the expression, SHARE the same in per cent, POD the pod that it is of. */}}
{{- define "llm-observability.alert" -}}
{{- $context := .context -}}
{{- $values := $context.root.Values.rules -}}
{{- if not (has .name $values.disabled) -}}
  {{- $close := repeat 2 "}" -}}
  {{- $value := printf "%s $value | humanize %s" "{{" $close -}}
  {{- $share := printf "%s $value | humanizePercentage %s" "{{" $close -}}
  {{- $pod := printf "%s $labels.pod %s" "{{" $close -}}
  {{- $labels := include "llm-observability.labels" $context | fromYaml -}}
  {{- $labels = mustMergeOverwrite (deepCopy $values.alertLabels) $labels (dict "severity" .severity) -}}
  {{- $alert := dict
        "alert" .name "expr" .expr "for" (printf "%ds" (int64 .for)) "labels" $labels
        "annotations" (dict
          "summary" (printf "%s: %s" $context.plan.name .summary)
          "description" (.description | replace "VALUE" $value | replace "SHARE" $share | replace "POD" $pod)
          "runbook_url" (printf "%s#%s" $values.runbookUrl (lower .name))) -}}
  {{- $_ := set $context.rules "list" (append $context.rules.list $alert) -}}
{{- end -}}
{{- end }}

{{/* Add a recording rule of the side. In: context, name, expr. */}}
{{- define "llm-observability.record" -}}
{{- $context := .context -}}
{{- $rule := dict "record" (printf "llm_stack:%s" .name) "expr" .expr "labels" (include "llm-observability.labels" $context | fromYaml) -}}
{{- $_ := set $context.rules "list" (append $context.rules.list $rule) -}}
{{- end }}

{{/* What is recorded of this side. In: context, name. Out: a series. */}}
{{- define "llm-observability.recorded" -}}
{{- $matchers := list -}}
{{- range $label, $value := include "llm-observability.labels" .context | fromYaml -}}{{- $matchers = append $matchers (printf "%s=%q" $label $value) -}}{{- end -}}
{{- printf "llm_stack:%s{%s}" .name (join "," $matchers) -}}
{{- end }}

{{/* The sum of a row's series. In: context, metric, and as llm-common.series: suffix, matchers, function, window. Out: an expression. */}}
{{- define "llm-observability.sum" -}}
{{- $context := .context -}}
{{- printf "sum(%s)" (include "llm-common.series" (mustMergeOverwrite (dict "root" $context.root "plan" $context.plan "side" $context.side) (omit . "context"))) -}}
{{- end }}

{{/* The same for each pod, by its worst. In and out likewise. */}}
{{- define "llm-observability.worst" -}}
{{- $context := .context -}}
{{- printf "max by (pod) (%s)" (include "llm-common.series" (mustMergeOverwrite (dict "root" $context.root "plan" $context.plan "side" $context.side) (omit . "context"))) -}}
{{- end }}

{{/* Objectives of the side: prompts are counted where they are computed, further tokens where they are made. Models that make none have
none. In: context. Out: words. */}}
{{- define "llm-observability.objectivesOf" -}}
{{- $found := list -}}
{{- if eq .plan.model.task "generate" -}}
  {{- $objectives := .root.Values.objectives -}}
  {{- if $objectives.timeToFirstToken.seconds -}}{{- $found = append $found "timeToFirstToken" -}}{{- end -}}
  {{- if and $objectives.interTokenLatency.seconds (ne .side.role "prefill") -}}{{- $found = append $found "interTokenLatency" -}}{{- end -}}
{{- end -}}
{{- join " " $found -}}
{{- end }}

{{- define "llm-observability.recordings" -}}
{{- $context := . -}}
{{- $query := pick . "root" "plan" "side" -}}
{{- include "llm-observability.record" (dict "context" . "name" "engines:count" "expr" (include "llm-observability.engines" $query)) -}}
{{- range $name, $metric := dict "requests_running:sum" "runningRequests" "requests_waiting:sum" "waitingRequests" -}}
  {{- $expr := include "llm-common.query" (mustMergeOverwrite (dict "metric" $metric) $query) -}}
  {{- include "llm-observability.record" (dict "context" $context "name" $name "expr" $expr) -}}
{{- end -}}
{{- range $metric := include "llm-observability.objectivesOf" . | splitList " " -}}
  {{- if $metric -}}
    {{- $seconds := include "llm-common.number" (get $context.root.Values.objectives $metric).seconds -}}
    {{- /* whole seconds are written with and without a fraction, by the exporter and the Prometheus that takes them in */ -}}
    {{- $le := ternary (printf "le=%q" $seconds) (printf "le=~%q" (printf "%s|%s[.]0" $seconds $seconds)) (contains "." $seconds) -}}
    {{- range $window := list "5m" "30m" "1h" "6h" -}}
      {{- $part := dict "context" $context "metric" $metric "function" "rate" "window" $window -}}
      {{- $fast := include "llm-observability.sum" (mustMergeOverwrite (dict "suffix" "_bucket" "matchers" $le) $part) -}}
      {{- $all := include "llm-observability.sum" (mustMergeOverwrite (dict "suffix" "_count") $part) -}}
      {{- include "llm-observability.record" (dict "context" $context "name" (printf "%s:slow_ratio_rate%s" (snakecase $metric) $window) "expr" (printf "1 - %s / %s" $fast $all)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* How many engines there should be, as kube-state-metrics knows it; of LeaderWorkerSets it knows the pods alone. In: context.
Out: an expression without labels. */}}
{{- define "llm-observability.wanted" -}}
{{- include "llm-observability.sum" (dict "context" . "metric" (ternary "deploymentReplicas" "podInfo" (eq .side.kind "Deployment"))) -}}
{{- end }}

{{- define "llm-observability.availability" -}}
{{- $context := . -}}
{{- $side := .side -}}
{{- $budget := $side.startup.seconds -}}
{{- $running := include "llm-common.series" (mustMergeOverwrite (dict "metric" "runningRequests") (pick . "root" "plan" "side")) -}}
{{- $none := printf "absent(%s)" $running -}}
{{- /* with none on purpose the only one to know is who knows how many there should be */ -}}
{{- $onPurpose := and (not (empty $side.autoscaling)) (not $side.autoscaling.minReplicas) -}}
{{- if $onPurpose -}}
  {{- $none = "" -}}
  {{- if .root.Values.kubeStateMetrics.enabled -}}{{- $none = printf "%s > 0 unless on () %s" (include "llm-observability.wanted" .) $running -}}{{- end -}}
{{- end -}}
{{- /* a start that is wanted is no outage: it may take half as long again, and five minutes for a node and the image */ -}}
{{- $patience := ternary (add 300 (div (mul 3 $side.startSeconds) 2)) (max 300 $side.startSeconds) $onPurpose -}}
{{- if $none -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMNoCapacity" "severity" "critical" "for" $patience "expr" $none
        "summary" (printf "no %sengine answers" $side.words)
        "description" (printf "Of the pods of %s none is scraped: no engine serves, or Prometheus does not find them." $side.child)) -}}
{{- end -}}
{{- $unreachable := printf "%s == 0" (include "llm-observability.worst" (dict "context" . "metric" "scraped")) -}}
{{- with .plan.cache.gateSeconds -}}
  {{- /* a pod that waits for its weights has an address, and is asked; it has not answered yet, and is not there for so long */ -}}
  {{- $scraped := include "llm-common.series" (mustMergeOverwrite (dict "metric" "scraped") (pick $context "root" "plan" "side")) -}}
  {{- $unreachable = printf "%s and on (pod) (max by (pod) (max_over_time(%s[1d])) == 1 or max by (pod) (%s offset %ds))" $unreachable $scraped $scraped (int64 .) -}}
{{- end -}}
{{- include "llm-observability.alert" (dict "context" . "name" "LLMEngineUnreachable" "severity" "warning" "for" $budget
      "expr" $unreachable
      "summary" (printf "one %sengine does not answer" $side.words)
      "description" (printf "POD has not answered for longer than the %d s that a start may take." $budget)) -}}
{{- $window := printf "%dm" (div (max 3600 (mul 2 $budget)) 60) -}}
{{- $changes := include "llm-common.series" (mustMergeOverwrite (dict "metric" "processStart" "function" "changes" "window" $window) (pick . "root" "plan" "side")) -}}
{{- /* where one pod has several API servers no start is exported: then its counters tell */ -}}
{{- $resets := include "llm-common.series" (mustMergeOverwrite (dict "metric" "promptTokens" "function" "resets" "window" $window) (pick . "root" "plan" "side")) -}}
{{- include "llm-observability.alert" (dict "context" . "name" "LLMEngineRestarted" "severity" "warning" "for" 0
      "expr" (printf "max by (pod) (%s or %s) > 0" $changes $resets)
      "summary" (printf "one %sengine was restarted" $side.words)
      "description" (printf "The engine in POD has started anew VALUE times within %s; requests that it had begun are lost." $window)) -}}
{{- end }}

{{- define "llm-observability.load" -}}
{{- $side := .side -}}
{{- $thresholds := .root.Values.rules.thresholds -}}
{{- $waiting := include "llm-observability.recorded" (dict "context" . "name" "requests_waiting:sum") -}}
{{- $engines := include "llm-observability.recorded" (dict "context" . "name" "engines:count") -}}
{{- $each := include "llm-observability.waiting" . -}}
{{- $for := 600 -}}
{{- if $side.autoscaling -}}{{- $for = max 600 (mul 2 $side.startSeconds) -}}{{- end -}}
{{- include "llm-observability.alert" (dict "context" . "name" "LLMQueueGrowing" "severity" "warning" "for" $for
      "expr" (printf "%s / %s > %s and predict_linear(%s[15m], 1800) / %s > %s" $waiting $engines $each $waiting $engines $each)
      "summary" (printf "requests wait for %sengines, and will in half an hour" $side.words)
      "description" (printf "VALUE requests wait for each engine of %s; %s are expected at most." $side.child $each)) -}}
{{- $full := include "llm-common.number" $thresholds.kvCacheUsage -}}
{{- include "llm-observability.alert" (dict "context" . "name" "LLMKVCacheFull" "severity" "warning" "for" 600
      "expr" (printf "%s > %s" (include "llm-observability.worst" (dict "context" . "metric" "kvCacheUsage")) $full)
      "summary" (printf "the KV cache of one %sengine is full" $side.words)
      "description" (printf "Requests in POD use SHARE of its KV cache, more than %s %%: further ones wait or are preempted." (include "llm-observability.percent" $thresholds.kvCacheUsage))) -}}
{{- $preemptions := include "llm-observability.sum" (dict "context" . "metric" "preemptions" "function" "rate" "window" "10m") -}}
{{- $finished := include "llm-observability.sum" (dict "context" . "metric" "finishedRequests" "function" "rate" "window" "10m") -}}
{{- $most := include "llm-common.number" $thresholds.preemptions -}}
{{- include "llm-observability.alert" (dict "context" . "name" "LLMPreemptions" "severity" "warning" "for" 600
      "expr" (printf "%s / %s > %s" $preemptions $finished $most)
      "summary" (printf "%sengines compute requests twice" $side.words)
      "description" (printf "Preemptions are SHARE of the requests that %s finishes, more than %s %%: their KV cache is thrown away and computed again." $side.child (include "llm-observability.percent" $thresholds.preemptions))) -}}
{{- end }}

{{/* A share in per cent, for a person. In: the number. Out: text. */}}
{{- define "llm-observability.percent" -}}
{{- include "llm-common.number" (round (mulf 100.0 .) 4) -}}
{{- end }}

{{/* Requests that may wait for one engine of the side. In: context. Out: text. */}}
{{- define "llm-observability.waiting" -}}
{{- $given := .root.Values.rules.thresholds.waitingRequests -}}
{{- if $given -}}{{- include "llm-common.number" $given -}}{{- else -}}{{- .side.queue -}}{{- end -}}
{{- end }}

{{/* Objectives by how fast they use up what may be missed: 14.4 times as fast as allowed for an hour is 2 % of a month's budget, and 6 times
for six hours 5 %; the short window ends the alert soon after its cause. */}}
{{- define "llm-observability.objectives" -}}
{{- $context := . -}}
{{- $objectives := .root.Values.objectives -}}
{{- $words := dict "timeToFirstToken" "first tokens come late" "interTokenLatency" "answers are slow" -}}
{{- $what := dict "timeToFirstToken" "requests wait longer than %s s for their first token" "interTokenLatency" "tokens come later than %s s after the one before" -}}
{{- $side := .side -}}
{{- range $metric := include "llm-observability.objectivesOf" . | splitList " " -}}
  {{- if $metric -}}
    {{- $objective := get $objectives $metric -}}
    {{- $seconds := include "llm-common.number" $objective.seconds -}}
    {{- $allowed := divf (subf 100.0 (float64 $objective.percent)) 100.0 -}}
    {{- range $burn := list (dict "severity" "critical" "factor" 14.4 "long" "1h" "short" "5m") (dict "severity" "warning" "factor" 6.0 "long" "6h" "short" "30m") -}}
      {{- /* of a wide budget even a total failure does not use 14 times as much as allowed */ -}}
      {{- $share := round (minf 0.9 (mulf $burn.factor $allowed)) 4 | toString -}}
      {{- $ratios := list -}}
      {{- range $window := list $burn.long $burn.short -}}
        {{- $ratios = append $ratios (printf "%s > %s" (include "llm-observability.recorded" (dict "context" $context "name" (printf "%s:slow_ratio_rate%s" (snakecase $metric) $window))) $share) -}}
      {{- end -}}
      {{- $requests := include "llm-observability.sum" (dict "context" $context "metric" "timeToFirstToken" "suffix" "_count" "function" "increase" "window" $burn.long) -}}
      {{- include "llm-observability.alert" (dict "context" $context "name" (printf "LLM%s" ($metric | title)) "severity" $burn.severity "for" 120
            "expr" (printf "%s and on () %s >= %s" (join " and " $ratios) $requests (include "llm-common.number" $objectives.minimumRequests))
            "summary" (printf "%s%s" (ternary (printf "%s, " $side.child) "" (gt (len $context.plan.workloads) 1)) (get $words $metric))
            "description" (printf "SHARE of %s, over %s; %s %% are to be faster." (printf (get $what $metric) $seconds) $burn.long (include "llm-common.number" $objective.percent))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{- define "llm-observability.failures" -}}
{{- $side := .side -}}
{{- $percent := include "llm-common.number" .root.Values.rules.thresholds.errorPercent -}}
{{- $part := dict "context" . "function" "rate" "window" "5m" -}}
{{- range $alert := list
      (dict "name" "LLMServerErrors" "metric" "httpRequests" "matchers" "status=~\"5..\"" "what" "is answered by a server error")
      (dict "name" "LLMRequestErrors" "metric" "finishedRequests" "matchers" "finished_reason=\"error\"" "what" "ends in an error of the engine") -}}
  {{- $failed := include "llm-observability.sum" (mustMergeOverwrite (pick $alert "metric" "matchers") $part) -}}
  {{- $all := include "llm-observability.sum" (mustMergeOverwrite (pick $alert "metric") $part) -}}
  {{- include "llm-observability.alert" (dict "context" $part.context "name" $alert.name "severity" "critical" "for" 600
        "expr" (printf "100 * %s / %s > %s" $failed $all $percent)
        "summary" (printf "%srequests fail" $side.words)
        "description" (printf "VALUE %% of what %s is asked %s; %s %% are expected at most." $side.child $alert.what $percent)) -}}
{{- end -}}
{{- if gt (len .plan.workloads) 1 -}}
  {{- $lost := list -}}
  {{- range $metric := list "transferFailures" "expiredTransfers" -}}
    {{- $lost = append $lost (printf "(%s or vector(0))" (include "llm-observability.sum" (dict "context" $part.context "metric" $metric "function" "increase" "window" "10m"))) -}}
  {{- end -}}
  {{- $lost = join " + " $lost -}}
  {{- $finished := include "llm-observability.sum" (dict "context" . "metric" "finishedRequests" "function" "increase" "window" "10m") -}}
  {{- /* clients that leave between the sides, and a decode engine that stops, let some expire */ -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMTransfersFailing" "severity" "warning" "for" 300
        "expr" (printf "100 * (%s) / %s > %s and on () %s > 2" $lost $finished $percent $lost)
        "summary" (printf "KV cache does not get from prefill to decode, as %s sees it" $side.role)
        "description" (printf "Of the requests of %s VALUE %% lost their KV cache on the way, or fetched it too late; decode computes those prompts again." $side.child)) -}}
{{- end -}}
{{- end }}

{{- define "llm-observability.scaling" -}}
{{- $side := .side -}}
{{- if $side.autoscaling -}}
  {{- $engines := include "llm-observability.recorded" (dict "context" . "name" "engines:count") -}}
  {{- $waiting := include "llm-observability.recorded" (dict "context" . "name" "requests_waiting:sum") -}}
  {{- /* engines that wait for a node count as well, where somebody knows of them */ -}}
  {{- $count := $engines -}}
  {{- if .root.Values.kubeStateMetrics.enabled -}}{{- $count = include "llm-observability.wanted" . -}}{{- end -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMAutoscalerAtMaximum" "severity" "warning" "for" 900
        "expr" (printf "%s >= %d and on () %s / %s > %s" $count $side.autoscaling.maxReplicas $waiting $engines (include "llm-observability.waiting" .))
        "summary" (printf "autoscaling may start no more %sengines" $side.words)
        "description" (printf "VALUE engines of %s are wanted, as many as maxReplicas allows, and requests still wait." $side.child)) -}}
  {{- /* without an engine there is nothing to ask, as when it starts or stops on purpose: LLMNoCapacity tells of one that should be there */ -}}
  {{- $window := max 120 (mul 3 $side.autoscaling.pollingInterval) -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMAutoscalerFailing" "severity" "warning" "for" 600
        "expr" (printf "%s > 0 and on () %s > 0" (include "llm-observability.sum" (dict "context" . "metric" "scalerErrors" "function" "increase" "window" (printf "%ds" $window))) $engines)
        "summary" (printf "the number of %sengines is not adapted" $side.words)
        "description" (printf "KEDA has had VALUE errors with ScaledObject %s within %d s: the number of engines stays as it is." $side.scaledObject $window)) -}}
{{- end -}}
{{- end }}

{{/* What only kube-state-metrics knows; the download is of all sides, and told once. */}}
{{- define "llm-observability.kubernetes" -}}
{{- $side := .side -}}
{{- $query := pick . "root" "plan" "side" -}}
{{- if .root.Values.kubeStateMetrics.enabled -}}
  {{- $budget := $side.startup.seconds -}}
  {{- $started := include "llm-common.series" (mustMergeOverwrite (dict "metric" "containerStarted" "matchers" "container=\"main\"") (pick . "root" "plan" "side")) -}}
  {{- $ready := include "llm-observability.worst" (dict "context" . "metric" "containerReady" "matchers" "container=\"main\"") -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMStartupBudget" "severity" "warning" "for" 0
        "expr" (printf "max by (pod) (time() - %s) > %d < %d and on (pod) %s == 0" $started (div (mul 8 $budget) 10) (div (mul 12 $budget) 10) $ready)
        "summary" (printf "one %sengine is about to be restarted before it has started" $side.words)
        "description" (printf "The engine in POD has been starting for VALUE s; after %d s the kubelet kills it." $budget)) -}}
  {{- if and .plan.cache.claim (eq $side.side "main") -}}
    {{- $age := include "llm-common.series" (mustMergeOverwrite (dict "metric" "jobCreated") (pick . "root" "plan" "side")) -}}
    {{- $parts := dict -}}
    {{- range $metric := list "jobActive" "jobFailedPods" "jobComplete" -}}
      {{- $_ := set $parts $metric (include "llm-common.series" (mustMergeOverwrite (dict "metric" $metric "matchers" (ternary "condition=\"true\"" "" (eq $metric "jobComplete"))) $query)) -}}
    {{- end -}}
    {{- include "llm-observability.alert" (dict "context" . "name" "LLMDownloadStuck" "severity" "warning" "for" 60
          "expr" (printf "(max by (job_name) (%s) > 0 or max by (job_name) (time() - %s) > %d and on (job_name) %s > 0) unless on (job_name) %s == 1" $parts.jobFailedPods $age (int64 .plan.cache.gateSeconds) $parts.jobActive $parts.jobComplete)
          "summary" "the weights do not arrive"
          "description" (printf "The download has failed, or runs for longer than the %d s that engines wait for it." (int64 .plan.cache.gateSeconds))) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* Between the sides: whether KV cache is handed over at all, and whether the endpoint picker is asked. */}}
{{- define "llm-observability.router" -}}
{{- if and .plan.router.enabled (gt (len .plan.workloads) 1) -}}
  {{- $fetched := include "llm-observability.sum" (dict "context" . "metric" "promptTokensBySource" "matchers" "source=\"external_kv_transfer\"" "function" "rate" "window" "15m") -}}
  {{- $prompts := include "llm-observability.sum" (dict "context" . "metric" "promptTokens" "function" "rate" "window" "15m") -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMTransfersMissing" "severity" "warning" "for" 900
        "expr" (printf "%s > 0 and on () %s == 0" $prompts $fetched)
        "summary" "decode computes all prompts itself"
        "description" "Decode has computed VALUE tokens of prompts in a second, and none of them came from prefill: answers are right and late.") -}}
{{- end -}}
{{- if .root.Values.endpointPicker.enabled -}}
  {{- $there := include "llm-common.series" (mustMergeOverwrite (dict "metric" "poolReadyPods") (pick . "root" "plan" "side")) -}}
  {{- $engines := include "llm-observability.recorded" (dict "context" . "name" "engines:count") -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMEndpointPickerDown" "severity" "critical" "for" 300
        "expr" (printf "%s > 0 unless on () %s" $engines $there)
        "summary" "the endpoint picker does not answer"
        "description" (printf "%s says nothing while VALUE engines serve: the gateway chooses engines blindly, or prefill not at all." .plan.router.child)) -}}
  {{- /* as the picker counts them: one for a batch, and for several answers */ -}}
  {{- $served := include "llm-observability.sum" (dict "context" . "metric" "httpRequests" "matchers" "handler=~\"/v1/.*\",handler!=\"/v1/models\",status=\"2xx\"" "function" "rate" "window" "10m") -}}
  {{- $picked := include "llm-observability.sum" (dict "context" . "metric" "pickedRequests" "function" "rate" "window" "10m") -}}
  {{- include "llm-observability.alert" (dict "context" . "name" "LLMEndpointPickerBypassed" "severity" "warning" "for" 900
        "expr" (printf "(%s or 0 * count(%s)) / %s < 0.5" $picked $there $served)
        "summary" "requests reach engines without the endpoint picker"
        "description" "Of the requests that engines answer the endpoint picker has seen SHARE: the gateway falls open, or clients do not use it.") -}}
{{- end -}}
{{- end }}
