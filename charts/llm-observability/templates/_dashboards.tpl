{{/*
Grafana dashboards of one service. A dashboard is a list of panels, two in a row; a panel is a title, a unit and queries. All are of this
release's series (llm-common.series) over `$__rate_interval`, and none needs the recording rules.
*/}}

{{/* The ConfigMap of a dashboard, for Grafana's sidecar. In: root, plan, kind (the part after the name), title, define (that adds its
panels; one without panels is none). Out: YAML, or nothing. */}}
{{- define "llm-observability.dashboard" -}}
{{- $root := .root -}}
{{- $values := $root.Values.dashboards -}}
{{- $panels := dict "list" list -}}
{{- if $values.enabled -}}
{{- include .define (dict "root" $root "plan" .plan "panels" $panels) -}}
{{- end -}}
{{- if $panels.list -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ printf "%s-dashboard-%s" .plan.name .kind | quote }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "llm-common.labels" (dict "root" $root "name" .plan.name "component" "observability" "more" $values.labels) | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  # The sidecar writes those of all releases into one folder.
  {{ printf "%s.%s.%s.json" $root.Release.Namespace .plan.name .kind }}: |-
    {{- $where := printf "%s/%s" $root.Release.Namespace .plan.name }}
    {{- dict
          "uid" (printf "llm-%s" (printf "%s/%s" $where .kind | sha256sum | trunc 24))
          "title" (printf "%s: %s" $where .title)
          "tags" (list "llm-stack")
          "editable" false
          "schemaVersion" 39
          "refresh" "30s"
          "time" (dict "from" "now-1h" "to" "now")
          "templating" (dict "list" (list (dict "name" "datasource" "label" "Prometheus" "type" "datasource" "query" "prometheus")))
          "panels" $panels.list
        | toPrettyJson | nindent 4 }}
{{- end -}}
{{- end }}

{{/* Add a panel. In: context {panels}, title, unit (Grafana's), targets (list of {expr, legend}; a word in capitals in it is the label of
that name), max (of the axis, where there is one). */}}
{{- define "llm-observability.panel" -}}
{{- $panels := .context.panels -}}
{{- $index := len $panels.list -}}
{{- $datasource := dict "type" "prometheus" "uid" "${datasource}" -}}
{{- $targets := list -}}
{{- range $number, $target := .targets -}}
  {{- $legend := regexReplaceAll "[A-Z_]{3,}" $target.legend (printf "%s$0%s" "{{" (repeat 2 "}")) -}}
  {{- range regexFindAll "[A-Z_]{3,}" $legend -1 -}}{{- $legend = replace . (lower .) $legend -}}{{- end -}}
  {{- $targets = append $targets (dict "refId" (printf "Q%d" $number) "datasource" $datasource "expr" $target.expr "legendFormat" $legend) -}}
{{- end -}}
{{- $defaults := dict "unit" .unit "min" 0 -}}
{{- with .max -}}{{- $_ := set $defaults "max" . -}}{{- end -}}
{{- $panel := dict
      "id" (add1 $index) "type" "timeseries" "title" .title "datasource" $datasource "targets" $targets
      "gridPos" (dict "x" (mul 12 (mod $index 2)) "y" (mul 8 (div $index 2)) "w" 12 "h" 8)
      "fieldConfig" (dict "defaults" $defaults "overrides" list)
      "options" (dict "legend" (dict "displayMode" "list" "placement" "bottom") "tooltip" (dict "mode" "multi")) -}}
{{- $_ := set $panels "list" (append $panels.list $panel) -}}
{{- end }}

{{/* One panel of a row's series, a query for each side that has them. In: context, title, unit, metric, by (labels; none for the sum), and
where wanted: sides (roles, words), matchers, rate (a counter), quantiles (of a histogram, words), share (a row to divide by), max. */}}
{{- define "llm-observability.chart" -}}
{{- $asked := . -}}
{{- $context := .context -}}
{{- $targets := list -}}
{{- range $side := $context.plan.workloads -}}
  {{- if or (not $asked.sides) (has $side.role (splitList " " $asked.sides)) -}}
    {{- $part := dict "root" $context.root "plan" $context.plan "side" $side "metric" $asked.metric -}}
    {{- if or $asked.rate $asked.quantiles -}}{{- $part = mustMergeOverwrite $part (dict "function" "rate" "window" "$__rate_interval") -}}{{- end -}}
    {{- $by := $asked.by | default "" -}}
    {{- $legend := $side.role -}}
    {{- if $by -}}{{- $legend = printf "%s %s" $side.role (splitList ", " $by | join " " | upper) -}}{{- end -}}
    {{- if $asked.quantiles -}}
      {{- range $quantile := splitList " " $asked.quantiles -}}
        {{- $buckets := include "llm-common.series" (mustMergeOverwrite (dict "suffix" "_bucket") $part) -}}
        {{- $targets = append $targets (dict "expr" (printf "histogram_quantile(%s, sum by (le) (%s))" $quantile $buckets) "legend" (printf "%s p%s" $side.role (trimPrefix "0." $quantile))) -}}
      {{- end -}}
    {{- else -}}
      {{- $over := printf "sum by (%s)" $by -}}
      {{- if not $by -}}{{- $over = "sum" -}}{{- end -}}
      {{- $expression := printf "%s (%s)" $over (include "llm-common.series" (mustMergeOverwrite (dict "suffix" ($asked.suffix | default "")) $part)) -}}
      {{- if $asked.share -}}{{- $expression = printf "%s / %s (%s)" $expression $over (include "llm-common.series" (mustMergeOverwrite (deepCopy (omit $part "root" "plan" "side")) (pick $part "root" "plan" "side") (dict "metric" $asked.share))) -}}{{- end -}}
      {{- $targets = append $targets (dict "expr" $expression "legend" $legend) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $targets -}}
  {{- include "llm-observability.panel" (dict "context" $context "title" .title "unit" .unit "max" .max "targets" $targets) -}}
{{- end -}}
{{- end }}

{{- define "llm-observability.dashboard.service" -}}
{{- $engines := list -}}
{{- $context := . -}}
{{- range $side := .plan.workloads -}}
  {{- $engines = append $engines (dict "legend" $side.role "expr" (include "llm-observability.engines" (dict "root" $context.root "plan" $context.plan "side" $side))) -}}
{{- end -}}
{{- include "llm-observability.panel" (dict "context" . "title" "Engines that answer" "unit" "short" "targets" $engines) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Requests that finish, by reason" "unit" "reqps" "metric" "finishedRequests" "by" "finished_reason" "rate" true) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Requests running" "unit" "short" "metric" "runningRequests") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Requests waiting" "unit" "short" "metric" "waitingRequests") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Time to first token" "unit" "s" "metric" "timeToFirstToken" "quantiles" "0.50 0.95 0.99") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Inter-token latency" "unit" "s" "metric" "interTokenLatency" "quantiles" "0.50 0.95 0.99" "sides" "both decode") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Tokens generated" "unit" "short" "metric" "generationTokens" "rate" true "sides" "both decode") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Tokens of prompts" "unit" "short" "metric" "promptTokens" "rate" true) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Request latency" "unit" "s" "metric" "requestLatency" "quantiles" "0.50 0.95 0.99") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "HTTP answers, by status" "unit" "reqps" "metric" "httpRequests" "by" "status" "rate" true) -}}
{{- if .root.Values.endpointPicker.enabled -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Requests of the endpoint picker" "unit" "reqps" "metric" "pickedRequests" "rate" true "sides" "both decode") -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Errors of the endpoint picker, by code" "unit" "reqps" "metric" "pickerErrors" "by" "error_code" "rate" true "sides" "both decode") -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Engines in the pool" "unit" "short" "metric" "poolReadyPods" "sides" "both decode") -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Requests that the endpoint picker holds" "unit" "short" "metric" "pickerQueue" "sides" "both decode") -}}
{{- end -}}
{{- end }}

{{- define "llm-observability.dashboard.engine" -}}
{{- include "llm-observability.chart" (dict "context" . "title" "KV cache in use" "unit" "percentunit" "max" 1 "metric" "kvCacheUsage" "by" "pod, engine") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Preemptions" "unit" "ops" "metric" "preemptions" "by" "pod" "rate" true) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Requests running" "unit" "short" "metric" "runningRequests" "by" "pod") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Requests waiting" "unit" "short" "metric" "waitingRequests" "by" "pod") -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Tokens generated" "unit" "short" "metric" "generationTokens" "by" "pod" "rate" true) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Tokens of prompts" "unit" "short" "metric" "promptTokens" "by" "pod" "rate" true) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Prompts found in the prefix cache" "unit" "percentunit" "max" 1 "metric" "prefixCacheHits" "share" "prefixCacheQueries" "by" "pod" "rate" true) -}}
{{- include "llm-observability.chart" (dict "context" . "title" "Time in the queue" "unit" "s" "metric" "queueTime" "quantiles" "0.50 0.95 0.99") -}}
{{- end }}

{{- define "llm-observability.dashboard.disaggregation" -}}
{{- if gt (len .plan.workloads) 1 -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Tokens of decode's prompts, by source" "unit" "short" "metric" "promptTokensBySource" "by" "source" "rate" true "sides" "decode") -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "KV cache transferred" "unit" "Bps" "metric" "transferredBytes" "suffix" "_sum" "rate" true "by" "pod") -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Time of a transfer" "unit" "s" "metric" "transferTime" "quantiles" "0.50 0.95 0.99") -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Transfers that failed" "unit" "ops" "metric" "transferFailures" "by" "pod" "rate" true) -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Transfers that came too late" "unit" "ops" "metric" "expiredTransfers" "by" "pod" "rate" true) -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Time to first token, of each side" "unit" "s" "metric" "timeToFirstToken" "quantiles" "0.50 0.95") -}}
{{- end -}}
{{- end }}

{{/* Each signal as KEDA sees it, beside its target. */}}
{{- define "llm-observability.dashboard.autoscaling" -}}
{{- $context := . -}}
{{- range $side := .plan.workloads -}}
  {{- if $side.autoscaling -}}
    {{- $engines := include "llm-observability.engines" (dict "root" $context.root "plan" $context.plan "side" $side) -}}
    {{- include "llm-observability.panel" (dict "context" $context "title" (printf "Engines of %s" $side.child) "unit" "short" "targets" (list
          (dict "legend" "that answer" "expr" $engines)
          (dict "legend" "at least" "expr" (printf "vector(%d)" $side.autoscaling.minReplicas))
          (dict "legend" "at most" "expr" (printf "vector(%d)" $side.autoscaling.maxReplicas)))) -}}
    {{- range $trigger := $side.autoscaling.triggers -}}
      {{- if eq $trigger.type "prometheus" -}}
        {{- $query := $trigger.metadata.query -}}
        {{- if eq $trigger.metricType "AverageValue" -}}{{- $query = printf "(%s) / on () group_left () %s" $query $engines -}}{{- end -}}
        {{- include "llm-observability.panel" (dict "context" $context "title" (printf "%s: %s" $side.child $trigger.name) "unit" "short" "targets" (list
              (dict "legend" (ternary "of one engine" "now" (eq $trigger.metricType "AverageValue")) "expr" $query)
              (dict "legend" "target" "expr" (printf "vector(%s)" $trigger.metadata.threshold)))) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if .plan.scaling.enabled -}}
  {{- include "llm-observability.chart" (dict "context" . "title" "Errors of KEDA" "unit" "ops" "metric" "scalerErrors" "rate" true) -}}
{{- end -}}
{{- end }}

{{/* How many engines of a side answer. In: root, plan, side. Out: an expression. */}}
{{- define "llm-observability.engines" -}}
{{- printf "count(count by (pod) (%s))" (include "llm-common.series" (mustMergeOverwrite (dict "metric" "runningRequests") (pick . "root" "plan" "side"))) -}}
{{- end }}
