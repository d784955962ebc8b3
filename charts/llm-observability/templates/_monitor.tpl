{{/* A PodMonitor. KServe leaves the engines' ports without names, so they are chosen by number, among those that a container declares.
In: root, plan, name, podLabels, port, scheme, and where needed tlsConfig, token {name, key}. Out: YAML. */}}
{{- define "llm-observability.podMonitor" -}}
{{- $values := .root.Values.monitors -}}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ .name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "llm-common.labels" (dict "root" .root "name" .plan.name "component" "observability" "more" $values.labels) | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- toYaml .podLabels | nindent 6 }}
  podMetricsEndpoints:
    - portNumber: {{ .port }}
      path: /metrics
      interval: {{ $values.interval }}
      scheme: {{ .scheme }}
      {{- with .tlsConfig }}
      tlsConfig:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .token }}
      authorization:
        credentials:
          name: {{ .name | quote }}
          key: {{ .key | quote }}
      {{- end }}
{{- end }}

{{/* That of a side of the service. In: root, plan, workload. */}}
{{- define "llm-observability.engineMonitor" -}}
{{- $values := .root.Values.monitors -}}
{{- if $values.enabled -}}
{{- include "llm-observability.podMonitor" (dict
      "root" .root "plan" .plan "name" .workload.name "podLabels" .workload.podLabels "port" .workload.port
      "scheme" $values.scheme "tlsConfig" (ternary $values.tlsConfig dict (eq $values.scheme "https"))) -}}
{{- end -}}
{{- end }}
