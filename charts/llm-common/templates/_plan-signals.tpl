{{/*
Parts of the plan: what says how many engines there should be. A signal is a row of llm-common.signals, a schedule, or a query of the
user's; of each comes one trigger of KEDA's.

Every query is of one side's pods and gives one number or nothing, and nothing means that nothing is done: KEDA is told not to take an empty
answer for zero (`ignoreNullValues: "false"`), and an autoscaler without a number leaves the count alone. Requests and caches are summed
over the pods and divided by the target of one (AverageValue); a latency is compared with its target (Value), and where there is none
because nobody asks, as the pods themselves say, that counts as zero.
*/}}

{{/* What is known by name. metrics: added up; type: of the HorizontalPodAutoscaler's target; keys: beside `target`; not: the role that it
says nothing about; load: whether it says how much there is to do, also while all goes well; router: whether the endpoint picker is
asked; unit: what a target says, where the plan derives none. */}}
{{- define "llm-common.signals" -}}
requests: {metrics: [runningRequests, waitingRequests], type: AverageValue, keys: [], load: true}
runningRequests: {metrics: [runningRequests], type: AverageValue, keys: [], load: true}
waitingRequests: {metrics: [waitingRequests], type: AverageValue, keys: []}
kvCacheUsage: {metrics: [kvCacheUsage], type: AverageValue, keys: [], load: true}
timeToFirstToken: {metrics: [timeToFirstToken], type: Value, keys: [percentile, window], not: decode, unit: "the seconds within which that part of requests is to have it"}
interTokenLatency: {metrics: [interTokenLatency], type: Value, keys: [percentile, window], not: prefill, unit: "the seconds within which that part of tokens is to follow"}
generationTokens: {metrics: [generationTokens], type: AverageValue, keys: [window], not: prefill, load: true, unit: "the tokens in a second that one engine is to make"}
heldRequests: {metrics: [pickerQueue], type: AverageValue, keys: [], router: true}
endpointPickerQueue: {metrics: [poolQueue], type: Value, keys: [], router: true, unit: "the requests that may wait at an engine, on average"}
endpointPickerRequests: {metrics: [pickedRequests], type: AverageValue, keys: [window], router: true, load: true, unit: "the requests in a second that one engine is to have"}
{{- end }}

{{/* One signal. In: name, signal, found {triggers, texts, outlives, own (of those, queries), prometheus, loads, held, serving: added to},
root, plan, side, common, router, flow (whether the endpoint picker holds requests), most. */}}
{{- define "llm-common.plan.signal" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $name := .name -}}
{{- $signal := .signal -}}
{{- $found := .found -}}
{{- $path := printf "%s.signals.%s" $side.paths.autoscaling $name -}}
{{- $known := include "llm-common.signals" .root | fromYaml -}}
{{- $row := get $known $name | default dict -}}
{{- $wrong := "" -}}
{{- $allowed := list "start" "end" "replicas" "timezone" -}}
{{- $schedule := or (hasKey $signal "start") (hasKey $signal "end") -}}
{{- if and (not $schedule) $signal.query -}}{{- $allowed = list "query" "target" "metricType" "outlivesPods" -}}
{{- else if and (not $schedule) $row -}}{{- $allowed = append $row.keys "target" -}}{{- end -}}
{{- range $key := keys $signal | sortAlpha -}}
  {{- if and (or $schedule $signal.query $row) (not (has $key $allowed)) -}}
    {{- $wrong = printf "%s.%s: says nothing here; remove it (this signal has %s)" $path $key ($allowed | sortAlpha | join ", ") -}}
  {{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- else if $schedule -}}
  {{- range $key := list "start" "end" "replicas" -}}
    {{- if not (hasKey $signal $key) -}}{{- $wrong = printf "%s.%s: is missing; a schedule has start, end and replicas" $path $key -}}{{- end -}}
  {{- end -}}
  {{- range $key := list "start" "end" -}}
    {{- if not $wrong -}}{{- $wrong = include "llm-common.cronFault" (dict "text" (get $signal $key) "path" (printf "%s.%s" $path $key)) -}}{{- end -}}
  {{- end -}}
  {{- if $wrong -}}
  {{- else if eq $signal.start $signal.end -}}{{- $wrong = printf "%s.end: is start as well, so that it never lasts; set another" $path -}}
  {{- else if gt (int64 $signal.replicas) (int64 .most) -}}
    {{- $wrong = printf "%s.replicas: %d is more than maxReplicas, %d; set at most that" $path (int64 $signal.replicas) (int64 .most) -}}
  {{- else -}}
    {{- $zone := $signal.timezone | default "Etc/UTC" -}}
    {{- $metadata := dict "timezone" $zone "start" $signal.start "end" $signal.end "desiredReplicas" (include "llm-common.number" $signal.replicas) -}}
    {{- $_ := set $found "triggers" (append $found.triggers (dict "type" "cron" "name" $name "metadata" $metadata)) -}}
    {{- $_ := set $found "texts" (append $found.texts (printf "%s: %d from %s to %s, %s" $name (int64 $signal.replicas) $signal.start $signal.end $zone)) -}}
  {{- end -}}
  {{- $_ := set $found "outlives" (append $found.outlives $name) -}}
{{- else if not (or $signal.query $row) -}}
  {{- $wrong = printf "%s: is no known signal; set one of %s, a schedule by start, end and replicas, or a query and a target of your own" $path (keys $known | sortAlpha | join ", ") -}}
{{- else -}}
  {{- $query := $signal.query -}}
  {{- $type := $signal.metricType | default "AverageValue" -}}
  {{- $derived := dict "target" "" "why" "" -}}
  {{- if $query -}}
    {{- $wrong = include "llm-common.unknownMetrics" (dict "plan" $plan "query" $query "path" $path) -}}
    {{- $_ := set $row "unit" "the value of the query for which one engine is enough" -}}
    {{- $own := include "llm-common.engineMetrics" $query -}}
    {{- if and $signal.outlivesPods $own (not $wrong) -}}
      {{- $wrong = printf "%s.outlivesPods: %s is the engines' own, and gone with them; remove it, or ask what holds requests meanwhile" $path ($own | splitList " " | uniq | join ", ") -}}
    {{- end -}}
    {{- if $signal.outlivesPods -}}
      {{- $_ := set $found "outlives" (append $found.outlives $name) -}}
      {{- $_ := set $found "own" (append $found.own $name) -}}
    {{- end -}}
  {{- else -}}
    {{- $type = $row.type -}}
    {{- $parts := list -}}
    {{- $context := dict "root" .root "plan" $plan "side" $side "window" ($signal.window | default "2m") "percentile" ($signal.percentile | default 95) -}}
    {{- range $row.metrics -}}{{- $parts = append $parts (include "llm-common.query" (set $context "metric" .)) -}}{{- end -}}
    {{- $query = join " + " $parts -}}
    {{- include "llm-common.signalTarget" (dict "name" $name "side" $side "into" $derived) -}}
    {{- if regexMatch "^[1-5]?[0-9]s$" ($signal.window | default "2m") -}}{{- $wrong = printf "%s.window: in %s too few scrapes fall for a rate; set at least 1m" $path $signal.window -}}
    {{- else if and (eq $name "endpointPickerQueue") (ne $side.role "both") -}}{{- $wrong = printf "%s: the picker's average is of decode and prefill engines together, and says nothing about either; set requests or waitingRequests" $path -}}
    {{- else if and $row.router (not .router) -}}{{- $wrong = printf "%s: there is no endpoint picker to ask; set global.llm.router.enabled: true, or another signal" $path -}}
    {{- else if eq $side.role ($row.not | default "") -}}{{- $wrong = printf "%s: says nothing about %s engines; set it on the other side" $path $side.role -}}{{- end -}}
    {{- if eq $name "heldRequests" -}}
      {{- $_ := set $found "held" true -}}
      {{- $_ := set $found "outlives" (append $found.outlives $name) -}}
      {{- if not (or $wrong .flow) -}}{{- $wrong = printf "%s: the endpoint picker holds no requests; set global.llm.router.flowControl.enabled: true, or another signal" $path -}}{{- end -}}
    {{- else if has $name (list "requests" "runningRequests") -}}{{- $_ := set $found "serving" true -}}{{- end -}}
  {{- end -}}
  {{- $target := $derived.target -}}
  {{- if $signal.target -}}{{- $target = include "llm-common.number" $signal.target -}}{{- end -}}
  {{- if $wrong -}}
  {{- else if not $target -}}{{- $wrong = printf "%s.target: is missing; set %s" $path $row.unit -}}
  {{- else if and (eq $name "kvCacheUsage") (not $signal.query) (not (include "llm-common.passes" (dict "most" 1 "target" $target))) -}}
    {{- $wrong = printf "%s.target: an autoscaler acts from a tenth above its target on, and no more than the whole cache, 1, is ever used: %s is never passed; set at most 0.9" $path $target -}}
  {{- else if and (eq $name "runningRequests") (not $signal.query) (not (include "llm-common.passes" (dict "most" $side.sequences "target" $target))) -}}
    {{- $most := div (sub (mul 10 $side.sequences) 1) 11 -}}
    {{- $wrong = printf "%s.target: an autoscaler acts from a tenth above its target on, and an engine computes %d requests at once at most (max-num-seqs): %s is never passed; set %s" $path (int64 $side.sequences) $target (ternary (printf "at most %d" $most) "another signal, such as requests" (gt $most 0)) -}}
  {{- else if and (eq $name "runningRequests") (not $signal.query) (not (include "llm-common.passes" (dict "most" $side.slots "target" $target))) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s.target: of requests of 4096 tokens the KV cache holds %d, and an autoscaler acts from a tenth above its target on: with those %s is never passed; set less, or the signal requests" $path (int64 $side.slots) $target)) -}}
  {{- else if and (eq $name "requests") (not $signal.query) (gt (float64 $target) (float64 $side.sequences)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s.target: of %s requests an engine computes %d at once (max-num-seqs); the others wait before another is started" $path $target (int64 $side.sequences))) -}}
  {{- end -}}
  {{- if and .flow (not $wrong) (not $signal.query) (has $name (list "waitingRequests" "endpointPickerQueue")) (ge (float64 $target) 5.0) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s.target: with global.llm.router.flowControl no more than 5 requests wait at an engine, on average, and %s are not reached; set less, or heldRequests" $path $target)) -}}
  {{- end -}}
  {{- $prometheus := .common.prometheus -}}
  {{- if not (or $wrong $prometheus.serverAddress $found.prometheus) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.autoscaling.prometheus.serverAddress: is empty and %s asks Prometheus; set its address, such as http://prometheus-operated.monitoring:9090" $path)) -}}
  {{- end -}}
  {{- $metadata := dict "serverAddress" $prometheus.serverAddress "query" $query "threshold" $target "ignoreNullValues" "false" -}}
  {{- with $prometheus.tenant -}}{{- $_ := set $metadata "customHeaders" (printf "X-Scope-OrgID=%s" .) -}}{{- end -}}
  {{- with $prometheus.authModes -}}{{- $_ := set $metadata "authModes" . -}}{{- end -}}
  {{- if $prometheus.unsafeSsl -}}{{- $_ := set $metadata "unsafeSsl" "true" -}}{{- end -}}
  {{- $trigger := dict "type" "prometheus" "name" $name "metricType" $type "metadata" $metadata -}}
  {{- if $prometheus.authModes -}}
    {{- $_ := set $trigger "authenticationRef" (dict "name" (include "llm-common.prometheusAuthentication" $plan.name)) -}}
  {{- end -}}
  {{- $_ := set $found "prometheus" true -}}
  {{- if or $signal.query $row.load -}}{{- $_ := set $found "loads" true -}}{{- end -}}
  {{- $_ := set $found "triggers" (append $found.triggers $trigger) -}}
  {{- $_ := set $found "texts" (append $found.texts (printf "%s: %s%s%s" $name $target (ternary " an engine" "" (eq $type "AverageValue")) (ternary "" (printf " (%s)" $derived.why) (or (not (empty $signal.target)) (eq $derived.why ""))))) -}}
{{- end -}}
{{- if $wrong -}}{{- include "llm-common.plan.tell" (dict "plan" $plan "message" $wrong) -}}{{- end -}}
{{- end }}

{{/* The target of a signal where none is set. In: name, side, into (target and why, text: set where there is one). */}}
{{- define "llm-common.signalTarget" -}}
{{- $slots := int64 .side.slots -}}
{{- $prefill := eq .side.role "prefill" -}}
{{- $least := max 1 (div (mul 8 $slots) 10) -}}
{{- $why := printf "four fifths of the %d that one computes at once" $slots -}}
{{- if $prefill -}}
  {{- $least = max 1 (div (mul 4 .side.batchedTokens) 4096) -}}
  {{- $why = printf "prompts of 4096 tokens that it computes in four steps of %d" (int64 .side.batchedTokens) -}}
{{- end -}}
{{- if has .name (list "requests" "runningRequests" "heldRequests") -}}
  {{- $_ := set .into "target" (toString $least) -}}
  {{- $_ := set .into "why" $why -}}
{{- else if eq .name "waitingRequests" -}}
  {{- $_ := set .into "target" (toString (ternary $least .side.queue $prefill)) -}}
  {{- $_ := set .into "why" (ternary $why (printf "an eighth of the %d that one computes at once" $slots) $prefill) -}}
{{- else if eq .name "kvCacheUsage" -}}
  {{- $_ := set .into "target" "0.8" -}}
  {{- $_ := set .into "why" "a full cache preempts requests" -}}
{{- end -}}
{{- end }}

{{/* Whether a signal that never says more than `most` of one engine can ask for another: a HorizontalPodAutoscaler does nothing up to a
tenth (its --horizontal-pod-autoscaler-tolerance) above the target. In: most, target (number or text). Out: true, or nothing. */}}
{{- define "llm-common.passes" -}}
{{- if gt (float64 .most) (mulf 1.1 (float64 .target)) -}}true{{- end -}}
{{- end }}

{{/* What is wrong with a time of a schedule: KEDA takes it, and then all of the ScaledObject stands still. In: text (five fields, by the
schema), path. Out: a message, or nothing. */}}
{{- define "llm-common.cronFault" -}}
{{- $fault := "" -}}
{{- $fields := list
      (list "the minute, 0 to 59" "[0-5]?[0-9]")
      (list "the hour, 0 to 23" "[01]?[0-9]|2[0-3]")
      (list "the day, 1 to 31" "0?[1-9]|[12][0-9]|3[01]")
      (list "the month, 1 to 12 or jan to dec" "0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)")
      (list "the day of the week, 0 (Sunday) to 6 or sun to sat" "[0-6]|(?i:sun|mon|tue|wed|thu|fri|sat)") -}}
{{- $context := . -}}
{{- range $index, $word := splitList " " .text -}}
  {{- $field := index $fields $index -}}
  {{- $one := printf "([*?]|(%s)(-(%s))?)(/[1-9][0-9]*)?" (last $field) (last $field) -}}
  {{- if and (not $fault) (not (regexMatch (printf "^%s(,%s)*$" $one $one) $word)) -}}
    {{- $fault = printf "%s: %q stands where cron has %s; set that" $context.path $word (first $field) -}}
  {{- end -}}
{{- end -}}
{{- $fault -}}
{{- end }}

{{/* PromQL for a row of llm-common.metrics over the pods of a side: one number, or nothing where nothing says anything. Of a pod that is
scraped twice one series counts. In: root, plan, side, metric, window (of counters and histograms), percentile. */}}
{{- define "llm-common.query" -}}
{{- $row := include "llm-common.metric" .metric | fromYaml -}}
{{- $context := pick . "root" "plan" "side" "metric" -}}
{{- if eq $row.kind "histogram" -}}
  {{- $buckets := include "llm-common.series" (mustMergeOverwrite $context (dict "suffix" "_bucket" "function" "rate" "window" .window)) -}}
  {{- $of := pick . "root" "plan" "side" -}}
  {{- $asked := list -}}
  {{- range list "runningRequests" "waitingRequests" -}}{{- $asked = append $asked (include "llm-common.query" (set $of "metric" .)) -}}{{- end -}}
  {{- printf "(histogram_quantile(%v, sum by (le) (%s)) >= 0) or (%s == 0)" (divf .percentile 100) $buckets (join " + " $asked) -}}
{{- else -}}
  {{- if eq $row.kind "counter" -}}{{- $context = mustMergeOverwrite $context (dict "function" "rate" "window" .window) -}}{{- end -}}
  {{- $series := include "llm-common.series" $context -}}
  {{- if eq .metric "pickerQueue" -}}
    {{- /* which the picker does not export before it held one: then it is 0 where the picker is there */ -}}
    {{- printf "sum(%s or 0 * %s)" $series (include "llm-common.series" (dict "root" .root "plan" .plan "side" .side "metric" "poolReadyPods")) -}}
  {{- else if hasPrefix "inference_pool_" $row.name -}}{{- /* each picker says the same of the whole pool */ -}}{{- printf "max(%s)" $series -}}
  {{- else if eq $row.of "picker" -}}{{- printf "sum(%s)" $series -}}
  {{- else if eq .metric "kvCacheUsage" -}}{{- printf "sum(avg by (pod) (max by (pod, engine) (%s)))" $series -}}
  {{- else -}}{{- printf "sum(max by (pod, engine) (%s))" $series -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* The metric names of the engine's version, words; nothing where that is not known. In: the plan. */}}
{{- define "llm-common.knownMetrics" -}}
{{- $names := include "llm-common.metricNames" . | fromYaml -}}
{{- if hasKey $names (toString .engine.version) -}}{{- printf "%s %s" $names.all (get $names .engine.version) -}}{{- end -}}
{{- end }}

{{/* The engine's metrics that a query names. In: the query. Out: words. */}}
{{- define "llm-common.engineMetrics" -}}
{{- $found := list -}}
{{- range regexFindAll "[a-zA-Z0-9_:]+" . -1 -}}
  {{- /* what has another colon is the name of a recording rule */ -}}
  {{- if regexMatch "^vllm:[a-zA-Z0-9_]+$" . -}}{{- $found = append $found . -}}{{- end -}}
{{- end -}}
{{- join " " $found -}}
{{- end }}

{{/* What is wrong with the engine's metrics that a query names. In: plan, query, path. Out: a message, or nothing. */}}
{{- define "llm-common.unknownMetrics" -}}
{{- $known := include "llm-common.knownMetrics" .plan | splitList " " -}}
{{- $plan := .plan -}}
{{- $path := .path -}}
{{- $unknown := list -}}
{{- range include "llm-common.engineMetrics" .query | splitList " " -}}
  {{- if not . -}}{{- continue -}}{{- end -}}
  {{- $base := regexReplaceAll "_(total|bucket|sum|count|created)$" (trimPrefix "vllm:" .) "" -}}
  {{- if and (gt (len $known) 1) (not (has $base $known)) (not (has (trimPrefix "vllm:" .) $known)) -}}{{- $unknown = append $unknown . -}}{{- end -}}
{{- end -}}
{{- if $unknown -}}{{- printf "%s.query: vLLM %s has no metric %s; see its /metrics, or set global.llm.engine.version to what the image holds" $path $plan.engine.version (uniq $unknown | join ", ") -}}{{- end -}}
{{- end }}
