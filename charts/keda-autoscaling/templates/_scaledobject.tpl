{{/* A side's ScaledObject, unless its count is fixed or KServe makes it. In: root, plan, workload. Out: YAML. */}}
{{- define "keda-autoscaling.scaledObject" -}}
{{- $plan := .plan -}}
{{- $workload := .workload -}}
{{- $scaling := $workload.autoscaling -}}
{{- if and $scaling (not $plan.scaling.byKServe) -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $workload.scaledObject | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "llm-common.labels" (dict "root" .root "name" $plan.name "component" "autoscaling" "more" .root.Values.labels) | nindent 4 }}
  {{- if or $scaling.paused .root.Values.annotations }}
  annotations:
    {{- if $scaling.paused }}
    autoscaling.keda.sh/paused: "true"
    {{- end }}
    {{- with omit .root.Values.annotations (ternary "autoscaling.keda.sh/paused" "" (hasKey $scaling "paused")) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  # KServe makes it from the LLMInferenceService, which has no `replicas`: then its controller keeps the number that is set here.
  scaleTargetRef:
    apiVersion: {{ ternary "leaderworkerset.x-k8s.io/v1" "apps/v1" (eq $workload.kind "LeaderWorkerSet") }}
    kind: {{ $workload.kind }}
    name: {{ $workload.child | quote }}
  minReplicaCount: {{ $scaling.minReplicas }}
  maxReplicaCount: {{ $scaling.maxReplicas }}
  pollingInterval: {{ $scaling.pollingInterval }}
  cooldownPeriod: {{ $scaling.cooldownPeriod }}
  {{- with $scaling.fallback }}
  fallback:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  advanced:
    # What runs when the ScaledObject is deleted goes on; an upgrade that turns autoscaling off sets `replicas`.
    restoreToOriginalReplicaCount: false
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml $scaling.behavior | nindent 8 }}
  triggers:
    {{- toYaml $scaling.triggers | nindent 4 }}
{{- end }}
{{- end }}
