{{/* Labels of an object. In: root, component. Out: YAML map. */}}
{{- define "kserve-controller.labels" -}}
{{- $root := required "kserve-controller.labels: missing root" .root -}}
{{- $component := required "kserve-controller.labels: missing component" .component -}}
{{ include "llm-common.labels" (dict "root" $root "name" (include "kserve-controller.names.controller" $root) "component" $component) }}
{{- end }}

{{/* Labels that select the controller's pods. In: root. Out: YAML map. */}}
{{- define "kserve-controller.selectorLabels" -}}
{{- $root := required "kserve-controller.selectorLabels: missing root" .root -}}
{{ include "llm-common.selectorLabels" (dict "root" $root "name" (include "kserve-controller.names.controller" $root)) }}
{{- end }}

{{/* Labels of the controller's pods: the user's, then ours over them. In: root. Out: YAML map. */}}
{{- define "kserve-controller.podLabels" -}}
{{- $root := required "kserve-controller.podLabels: missing root" .root -}}
{{- $own := include "kserve-controller.selectorLabels" (dict "root" $root) | fromYaml -}}
{{- mustMergeOverwrite (deepCopy $root.Values.podLabels) $own (dict "app.kubernetes.io/component" "controller" "app.kubernetes.io/part-of" "llm-stack") | toYaml -}}
{{- end }}

{{/* The annotation by which cert-manager writes its CA into an object, or nothing. In: root. Out: YAML map with its key. */}}
{{- define "kserve-controller.caInjection" -}}
{{- $root := required "kserve-controller.caInjection: missing root" .root -}}
{{- if $root.Values.certificates.certManager.enabled -}}
annotations:
  cert-manager.io/inject-ca-from: {{ include "kserve-controller.names.namespace" (dict "root" $root) }}/{{ include "kserve-controller.names.certificate" $root }}
{{- end }}
{{- end }}

{{/* Where the API server finds a webhook. In: root, path. Out: YAML map. */}}
{{- define "kserve-controller.clientConfig" -}}
{{- $root := required "kserve-controller.clientConfig: missing root" .root -}}
service:
  name: {{ include "kserve-controller.names.webhookService" $root }}
  namespace: {{ include "kserve-controller.names.namespace" (dict "root" $root) }}
  path: {{ required "kserve-controller.clientConfig: missing path" .path }}
  port: 443
{{- with $root.Values.certificates.existingSecret.caBundle }}
caBundle: {{ b64enc . }}
{{- end }}
{{- end }}
