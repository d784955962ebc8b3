{{/*
Parts of the plan: how many engines there are, and what says so.

Every query is of one side's pods and gives one number or nothing, and nothing means that nothing is done: KEDA is told not to take an empty
answer for zero (`ignoreNullValues: "false"`), and an autoscaler without a number leaves the count alone. Requests and caches are summed
over the pods and divided by the target of one (AverageValue); a latency is compared with its target (Value), and where there is none
because nobody asks, as the pods themselves say, that counts as zero.
*/}}

{{/* In: the context with `side`. Adds to the side: startSeconds, scaledObject, autoscaling (empty where its count is fixed). */}}
{{- define "llm-common.plan.autoscaling" -}}
{{- $plan := .plan -}}
{{- $side := .side -}}
{{- $common := .llm.autoscaling -}}
{{- $main := eq $side.side "main" -}}
{{- $path := $side.paths.autoscaling -}}
{{- $wanted := $side.scaling -}}
{{- $least := int64 $wanted.minReplicas -}}
{{- $most := int64 $wanted.maxReplicas -}}
{{- /* 90 s of imports, compilation and graphs, and the weights at 500 MB/s, both assumed; the startup budget is for the worst case */ -}}
{{- $start := int64 $common.startSeconds | default (add 90 (div $plan.model.weightBytes (mul 500000000 $side.nodes))) -}}
{{- $_ := set $side "startSeconds" $start -}}
{{- $_ := set $side "autoscaling" dict -}}
{{- $_ := set $side "scaledObject" (ternary (printf "%s-kserve%s-keda" $plan.name (ternary "" "-prefill" $main)) $side.child ($plan.capabilities.kedaScaling | default false)) -}}
{{- if not $common.enabled -}}
{{- else if lt $most $least -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.maxReplicas: %d is less than minReplicas, %d; set at least %d" $path $most $least (add1 $least))) -}}
{{- else if and $main (eq $most $least) (not .llm.prefill.enabled) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.maxReplicas: %d is minReplicas as well, so that nothing would scale; set more, or global.llm.autoscaling.enabled: false" $path $most)) -}}
{{- else if ne $most $least -}}
  {{- if ne $side.fixed 1 -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s: %d is a fixed count and %s lets it scale; remove it, or set %s.minReplicas" $side.paths.replicas $side.fixed $path $path)) -}}
  {{- end -}}
  {{- $found := dict "triggers" list "texts" list "outlives" list "prometheus" false "loads" false "held" false "own" list "serving" false -}}
  {{- $flow := .llm.router.flowControl -}}
  {{- $context := dict "root" .root "plan" $plan "side" $side "common" $common "router" .llm.router.enabled "flow" $flow.enabled "found" $found "most" $most -}}
  {{- range $name, $signal := $wanted.signals | default (dict "requests" dict) -}}
    {{- $_ := set $context "name" $name -}}
    {{- $_ := set $context "signal" ($signal | default dict) -}}
    {{- include "llm-common.plan.signal" $context -}}
  {{- end -}}
  {{- if (get $side.args "disable-log-stats") -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.disable-log-stats: takes away the metrics that global.llm.autoscaling reads; remove it" $side.paths.args)) -}}
  {{- end -}}
  {{- if and $found.prometheus (not $found.loads) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s.signals: without a signal of the load itself engines are taken away as soon as none waits or all is fast enough, and come back when it is not; set requests beside %s" $path (keys $wanted.signals | sortAlpha | join ", "))) -}}
  {{- end -}}
  {{- if gt (int64 $common.fallbackReplicas) $most -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.autoscaling.fallbackReplicas: %d is more than %s.maxReplicas, %d; set at most that" (int64 $common.fallbackReplicas) $path $most)) -}}
  {{- else if and $common.fallbackReplicas (not $least) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.autoscaling.fallbackReplicas: at %s.minReplicas: 0 the engines' metrics are away as a rule, and each time engines would be started for it; set 0, or minReplicas: 1" $path)) -}}
  {{- end -}}
  {{- if and (not $least) (not $found.outlives) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.minReplicas: 0 stops the pods that every signal here is read from, and nothing would start them again; set 1, a schedule, heldRequests with global.llm.router.flowControl, or a signal of what else holds requests, with `outlivesPods: true`" $path)) -}}
  {{- else if not $least -}}
    {{- include "llm-common.plan.fromZero" (dict "plan" $plan "path" $path "start" $start "found" $found "flow" $flow) -}}
    {{- if lt (int64 $common.cooldownPeriod) $start -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "global.llm.autoscaling.cooldownPeriod: %d s after the last request the engine is stopped, and it takes about %d s to start; set at least that" (int64 $common.cooldownPeriod) $start)) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $found.prometheus (gt (int64 $common.pollingInterval) $start) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "global.llm.autoscaling.pollingInterval: %d s is longer than an engine's start, about %d s; set less" (int64 $common.pollingInterval) $start)) -}}
  {{- end -}}
  {{- $_ := set $side "autoscaling" (dict
        "minReplicas" $least "maxReplicas" $most
        "pollingInterval" (int64 $common.pollingInterval) "cooldownPeriod" (int64 $common.cooldownPeriod)
        "triggers" $found.triggers
        "behavior" ($common.behavior | default (include "llm-common.scalingBehavior" (dict "start" $start) | fromYaml))) -}}
  {{- if $common.paused -}}{{- $_ := set $side.autoscaling "paused" true -}}{{- end -}}
  {{- if $common.fallbackReplicas -}}
    {{- /* KEDA without a fallback leaves the count alone; with one, never less than there is */ -}}
    {{- $_ := set $side.autoscaling "fallback" (dict "failureThreshold" 2 "replicas" (int64 $common.fallbackReplicas) "behavior" "currentReplicasIfHigher") -}}
  {{- end -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" (ternary "autoscaling" "prefill scaling" $main) "value" (printf "%d to %d, by %s" $least $most (join "; " $found.texts)) "from" (printf "%s; an engine starts in about %d s" $path $start)) -}}
{{- end -}}
{{- end }}

{{/* What is true of all sides. */}}
{{- define "llm-common.plan.scaling" -}}
{{- $plan := .plan -}}
{{- $common := .llm.autoscaling -}}
{{- $scaled := list -}}
{{- range $plan.workloads -}}{{- if .autoscaling -}}{{- $scaled = append $scaled .child -}}{{- end -}}{{- end -}}
{{- $byKServe := $plan.capabilities.kedaScaling | default false -}}
{{- if and $common.enabled $plan.capabilities (not $scaled) (gt (len $plan.workloads) 1) (not $plan.errors) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.autoscaling.enabled: neither side may scale; set autoscaling.maxReplicas or prefill.autoscaling.maxReplicas to more than minReplicas, or enabled: false") -}}
{{- end -}}
{{- $prometheus := $common.prometheus -}}
{{- $authentication := dict -}}
{{- if $common.enabled -}}
  {{- if and $common.paused $byKServe -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.autoscaling.paused: KServe %s makes the ScaledObject and has no field for it; set enabled: false and replicas" $plan.kserveVersion)) -}}
  {{- end -}}
  {{- if and $common.behavior $byKServe -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.autoscaling.behavior: the resource definition of KServe %s refuses a speed of scaling (no such key: name); remove it, Kubernetes' default holds" $plan.kserveVersion)) -}}
  {{- end -}}
  {{- if contains "@" $prometheus.serverAddress -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.autoscaling.prometheus.serverAddress: holds a password in the values; set authModes: basic and a secret") -}}
  {{- end -}}
  {{- if and $prometheus.authModes (not $prometheus.secret) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.autoscaling.prometheus.secret: is empty and authModes is %s; set the Secret that holds %s" $prometheus.authModes (include "llm-common.prometheusKeys" $prometheus.authModes | splitList " " | join ", "))) -}}
  {{- else if and $prometheus.secret (not $prometheus.authModes) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.autoscaling.prometheus.authModes: is empty, so that secret would not be used; set bearer, basic or tls") -}}
  {{- end -}}
  {{- if and $prometheus.caSecret (not $prometheus.authModes) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.autoscaling.prometheus.caSecret: KEDA reads it with authModes only; set those, or give the authority to KEDA itself (its operator's --ca-dir)") -}}
  {{- else if and $prometheus.unsafeSsl (or $prometheus.caSecret (contains "tls" $prometheus.authModes)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.autoscaling.prometheus.unsafeSsl: KEDA does not look at it with caSecret or tls; remove one of them") -}}
  {{- end -}}
  {{- range $key := include "llm-common.prometheusKeys" $prometheus.authModes | splitList " " -}}
    {{- if $key -}}{{- $_ := set $authentication $key (dict "name" $prometheus.secret "key" (get (dict "cert" "tls.crt" "key" "tls.key") $key | default $key)) -}}{{- end -}}
  {{- end -}}
  {{- with $prometheus.caSecret -}}{{- $_ := set $authentication "ca" (dict "name" . "key" "ca.crt") -}}{{- end -}}
{{- end -}}
{{- $_ := set $plan "scaling" (dict "enabled" (not (empty $scaled)) "byKServe" $byKServe "authentication" $authentication) -}}
{{- $_ := set $plan.children "prometheusAuthentication" (include "llm-common.prometheusAuthentication" $plan.name) -}}
{{- end }}

{{/* The name of the TriggerAuthentication. In: the service's name. */}}
{{- define "llm-common.prometheusAuthentication" -}}
{{- printf "%s-prometheus" . -}}
{{- end }}

{{/* What KEDA's authentication modes read, by its names. In: authModes. Out: words. */}}
{{- define "llm-common.prometheusKeys" -}}
{{- $keys := dict "bearer" "bearerToken" "basic" "username password" "tls" "cert key" -}}
{{- $found := list -}}
{{- range splitList "," . -}}{{- if . -}}{{- $found = append $found (get $keys .) -}}{{- end -}}{{- end -}}
{{- join " " $found -}}
{{- end }}

{{/* How fast the count changes, from what an engine's start takes; docs/autoscaling.md compares it with other ways. Up: at once, double in
a minute. Down: half in a minute, and none that two starts ago was wanted. In: start (seconds). Out: YAML. */}}
{{- define "llm-common.scalingBehavior" -}}
{{- $start := int64 .start -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - type: Pods
      value: 2
      periodSeconds: 60
    - type: Percent
      value: 100
      periodSeconds: 60
scaleDown:
  stabilizationWindowSeconds: {{ min (max (mul 2 $start) 300) 3600 }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: 60
    - type: Percent
      value: 50
      periodSeconds: 60
{{- end }}

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

{{/* What is true where the last engine may be stopped: who holds the first request, and what starts an engine for it. KEDA starts one as
soon as one trigger is above 0, and stops the last one when none has been for the cooldown: so what counts held requests, of which there
are none while an engine takes them, needs beside it what counts those that are computed.
In: plan, path, start, flow (flowControl), found. */}}
{{- define "llm-common.plan.fromZero" -}}
{{- $plan := .plan -}}
{{- $by := join ", " .found.outlives -}}
{{- $ttl := int64 .flow.defaultRequestTTL -}}
{{- $text := "" -}}
{{- $split := gt (len $plan.workloads) 1 -}}
{{- if and .found.held (not .flow.enabled) -}}
{{- else if and .found.held $split -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.minReplicas: 0 with heldRequests: the endpoint picker holds none once it has an engine of either side: without decode they fail, and for prefill alone none is held; set 1, or a schedule in place of heldRequests" .path)) -}}
{{- else if and .found.held (not .found.serving) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.signals.heldRequests: is 0 while an engine computes, so that with minReplicas: 0 it would be stopped under its requests; set requests or runningRequests beside it" .path)) -}}
{{- else if .found.held -}}
  {{- if and $ttl (lt $ttl .start) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.router.flowControl.defaultRequestTTL: after %d s a held request is refused, and an engine takes about %d s to start; set at least that, or 0" $ttl .start)) -}}
  {{- end -}}
  {{- $text = printf "the endpoint picker holds requests, the first one for about %d s, if client and gateway wait as long" .start -}}
{{- else if and .flow.enabled (not $split) -}}
  {{- $text = "the endpoint picker holds requests, and they start none; set heldRequests beside" -}}
{{- else if .found.own -}}
  {{- $text = printf "requests are refused unless what %s asks holds them, and the first one waits about %d s for an engine" (join ", " .found.own) .start -}}
{{- else if $split -}}
  {{- $text = "requests are refused" -}}
{{- else -}}
  {{- $text = "requests are refused; global.llm.router.flowControl and the signal heldRequests would hold them and start one" -}}
{{- end -}}
{{- if $text -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "%s.minReplicas is 0: while no engine runs, %s; started by %s" .path $text $by)) -}}
{{- end -}}
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
