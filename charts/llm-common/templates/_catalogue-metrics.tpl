{{/*
What the charts read of engines and endpoint pickers, by what it means: autoscaling, alerts and dashboards name a row, never a metric.
Checked by tests/consumer/test_metrics.py against what the exporter of each version of vLLM that is known registers; the picker's by
tests/controlplane/test_flow_control.py against a running one.

name      of the metric, as it is exported          kind   gauge, counter or histogram
former    its name before vLLM 0.10, which is asked for as well where the engine's version is not one of those known
of        engine; picker: KServe's endpoint picker (Gateway API Inference Extension 1.5); keda: KEDA's operator; or kubernetes:
          kube-state-metrics, whose series must keep their own `namespace` and `pod` (honorLabels, as its charts set it)
The image of KServe 0.20's preset, llm-d's router 0.9.0, exports the picker's names beside its own (llm_d_epp_…), as deprecated (seen).

Beside vLLM's own an engine exports what Python's prometheus_client and prometheus-fastapi-instrumentator do: process_start_time_seconds
(not where one pod has several API servers, as with data parallelism) and http_requests_total, whose `status` is 2xx, 4xx or 5xx.
`up` is Prometheus's own.
*/}}
{{- define "llm-common.metrics" -}}
runningRequests: {of: engine, kind: gauge, name: "vllm:num_requests_running"}
waitingRequests: {of: engine, kind: gauge, name: "vllm:num_requests_waiting"}
kvCacheUsage: {of: engine, kind: gauge, name: "vllm:kv_cache_usage_perc", former: "vllm:gpu_cache_usage_perc"}
preemptions: {of: engine, kind: counter, name: "vllm:num_preemptions_total"}
promptTokensBySource: {of: engine, kind: counter, name: "vllm:prompt_tokens_by_source_total"}
finishedRequests: {of: engine, kind: counter, name: "vllm:request_success_total"}
promptTokens: {of: engine, kind: counter, name: "vllm:prompt_tokens_total"}
generationTokens: {of: engine, kind: counter, name: "vllm:generation_tokens_total"}
prefixCacheQueries: {of: engine, kind: counter, name: "vllm:prefix_cache_queries_total"}
prefixCacheHits: {of: engine, kind: counter, name: "vllm:prefix_cache_hits_total"}
timeToFirstToken: {of: engine, kind: histogram, name: "vllm:time_to_first_token_seconds"}
interTokenLatency: {of: engine, kind: histogram, name: "vllm:inter_token_latency_seconds"}
requestLatency: {of: engine, kind: histogram, name: "vllm:e2e_request_latency_seconds"}
queueTime: {of: engine, kind: histogram, name: "vllm:request_queue_time_seconds"}
transferFailures: {of: engine, kind: counter, name: "vllm:nixl_num_failed_transfers_total"}
transferTime: {of: engine, kind: histogram, name: "vllm:nixl_xfer_time_seconds"}
transferredBytes: {of: engine, kind: histogram, name: "vllm:nixl_bytes_transferred"}
expiredTransfers: {of: engine, kind: counter, name: "vllm:nixl_num_kv_expired_reqs_total"}
httpRequests: {of: engine, kind: counter, name: "http_requests_total"}
processStart: {of: engine, kind: gauge, name: "process_start_time_seconds"}
scraped: {of: engine, kind: gauge, name: "up"}
pickedRequests: {of: picker, kind: counter, name: "inference_objective_request_total"}
pickerErrors: {of: picker, kind: counter, name: "inference_objective_request_error_total"}
pickerQueue: {of: picker, kind: gauge, name: "inference_extension_flow_control_queue_size"}
poolQueue: {of: picker, kind: gauge, name: "inference_pool_average_queue_size"}
poolReadyPods: {of: picker, kind: gauge, name: "inference_pool_ready_pods"}
scalerErrors: {of: keda, kind: counter, name: "keda_scaled_object_errors_total"}
containerStarted: {of: kubernetes, kind: gauge, name: "kube_pod_container_state_started"}
containerReady: {of: kubernetes, kind: gauge, name: "kube_pod_container_status_ready"}
podInfo: {of: kubernetes, kind: gauge, name: "kube_pod_info"}
deploymentReplicas: {of: kubernetes, kind: gauge, name: "kube_deployment_spec_replicas"}
jobCreated: {of: kubernetes, kind: gauge, name: "kube_job_created"}
jobActive: {of: kubernetes, kind: gauge, name: "kube_job_status_active"}
jobFailedPods: {of: kubernetes, kind: gauge, name: "kube_job_status_failed"}
jobComplete: {of: kubernetes, kind: gauge, name: "kube_job_complete"}
{{- end }}

{{/* A row of the table, alone: to parse all of them each time would be a sixth of a render that scales. In: its name. Out: YAML. */}}
{{- define "llm-common.metric" -}}
{{- regexFind (printf "(?m)^%s: .*" .) (include "llm-common.metrics" .) | trimPrefix (printf "%s: " .) -}}
{{- end }}

{{/* A selector of exactly one side's pods, whatever else Prometheus puts onto a series: pods that a Deployment or a LeaderWorkerSet makes,
by the alphabet of their suffixes, so that no release's name within another's, and no other side, is met. A group answers with its leader.
In: root, child (name of the Deployment or LeaderWorkerSet), kind. Out: `namespace="…",pod=~"…"`. */}}
{{- define "llm-common.podSelector" -}}
{{- $letters := "bcdfghjklmnpqrstvwxz2456789" -}}
{{- $base := printf "%s-" .child -}}
{{- $suffix := printf "[%s]{1,10}-[%s]{5}" $letters $letters -}}
{{- if eq .kind "LeaderWorkerSet" -}}
  {{- $suffix = "[0-9]+" -}}
{{- else if gt (len $base) 47 -}}
  {{- /* the API server keeps 58 characters of what it makes a name of, and five follow: of a long name a part of the hash is lost */ -}}
  {{- $base = trunc 58 $base -}}
  {{- $suffix = printf "[-%s]{0,%d}[%s]{5}" $letters (sub 58 (len $base)) $letters -}}
{{- end -}}
{{- printf "namespace=%q,pod=~%q" .root.Release.Namespace (printf "%s%s" $base $suffix) -}}
{{- end }}

{{/* PromQL for the series of a row that belong to a side of this service, and to no other.
In: root, plan, side, metric (the row); and where wanted: suffix (_bucket, _sum or _count of a histogram), matchers (text), function and
window (rate, increase, …, of each series). Out: an expression, in parentheses where it is of several. */}}
{{- define "llm-common.series" -}}
{{- $row := include "llm-common.metric" .metric | fromYaml -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $name := printf "%s%s" $row.name (.suffix | default "") -}}
{{- $selectors := list -}}
{{- if eq $row.of "picker" -}}
  {{- $selectors = list (include "llm-common.podSelector" (dict "root" .root "child" .plan.router.child "kind" "Deployment")) -}}
{{- else if eq $row.of "keda" -}}
  {{- /* its own `namespace` gives way to that of its pod, unless who scrapes it honours its labels */ -}}
  {{- $selectors = list
        (printf "namespace=%q,exported_namespace=\"\",scaledObject=%q" $namespace .side.scaledObject)
        (printf "exported_namespace=%q,scaledObject=%q" $namespace .side.scaledObject) -}}
{{- else if hasPrefix "kube_job_" $name -}}
  {{- $selectors = list (printf "namespace=%q,job_name=~%q" $namespace (printf "%s-download-[0-9a-f]{8}" .plan.name)) -}}
{{- else if hasPrefix "kube_deployment_" $name -}}
  {{- $selectors = list (printf "namespace=%q,deployment=%q" $namespace .side.child) -}}
{{- else -}}
  {{- $selectors = list (include "llm-common.podSelector" (dict "root" .root "child" .side.child "kind" .side.kind)) -}}
{{- end -}}
{{- $names := list $name -}}
{{- if and $row.former (not (include "llm-common.knownMetrics" .plan)) -}}{{- $names = append $names (printf "%s%s" $row.former (.suffix | default "")) -}}{{- end -}}
{{- $matchers := .matchers -}}
{{- $window := .window -}}
{{- $function := .function -}}
{{- $found := list -}}
{{- range $name := $names -}}
  {{- range $selectors -}}
    {{- $series := printf "%s{%s%s}" $name . (ternary "" (printf ",%s" $matchers) (empty $matchers)) -}}
    {{- if $window -}}{{- $series = printf "%s(%s[%s])" $function $series $window -}}{{- end -}}
    {{- $found = append $found $series -}}
  {{- end -}}
{{- end -}}
{{- if eq (len $found) 1 -}}{{- first $found -}}{{- else -}}{{- printf "(%s)" (join " or " $found) -}}{{- end -}}
{{- end }}

{{/* Upper bounds of a row's histogram in the engine's version. In: root, plan, metric. Out: words, as numbers are written. */}}
{{- define "llm-common.buckets" -}}
{{- $table := include "llm-common.metricBuckets" .root | fromYaml -}}
{{- $name := trimPrefix "vllm:" (include "llm-common.metric" .metric | fromYaml).name -}}
{{- $words := list -}}
{{- range get (get $table (toString .plan.engine.version) | default $table.all) $name -}}{{- $words = append $words (include "llm-common.number" .) -}}{{- end -}}
{{- join " " $words -}}
{{- end }}
