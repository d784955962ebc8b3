{{/*
Parts of the plan: how many engines there may be, how fast that changes, and who sets it. What says how many: _plan-signals.tpl.
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
