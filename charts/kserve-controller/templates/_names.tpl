{{/*
Every object name of this chart. They are upstream's where something outside the chart knows them: the CRDs' conversion
webhook (namespace, Service), cert-manager's annotation on the CRDs (Certificate), the controller itself (ConfigMap).
*/}}

{{/* The one place that reads the release's namespace. In: root. */}}
{{- define "kserve-controller.names.namespace" -}}
{{- (required "kserve-controller.names.namespace: missing root" .root).Release.Namespace -}}
{{- end }}

{{/* The namespace written into KServe's CRDs and presets. */}}
{{- define "kserve-controller.names.requiredNamespace" -}}kserve{{- end }}

{{/* Deployment, ServiceAccount, PodDisruptionBudget; also the application's name in labels. */}}
{{- define "kserve-controller.names.controller" -}}llmisvc-controller-manager{{- end }}

{{- define "kserve-controller.names.metricsService" -}}llmisvc-controller-manager-service{{- end }}

{{- define "kserve-controller.names.webhookService" -}}llmisvc-webhook-server-service{{- end }}

{{- define "kserve-controller.names.configMap" -}}inferenceservice-config{{- end }}

{{- define "kserve-controller.names.clusterRole" -}}kserve-llmisvc-manager-role{{- end }}

{{- define "kserve-controller.names.clusterRoleBinding" -}}llmisvc-manager-rolebinding{{- end }}

{{- define "kserve-controller.names.metricsReader" -}}kserve-llmisvc-metrics-reader{{- end }}

{{- define "kserve-controller.names.certificate" -}}llmisvc-serving-cert{{- end }}

{{- define "kserve-controller.names.issuer" -}}llmisvc-selfsigned-issuer{{- end }}

{{/* The Secret with the serving certificate: an existing one, or the one that cert-manager writes. In: root. */}}
{{- define "kserve-controller.names.certificateSecret" -}}
{{- $root := required "kserve-controller.names.certificateSecret: missing root" .root -}}
{{- $root.Values.certificates.existingSecret.name | default "llmisvc-webhook-server-cert" -}}
{{- end }}

{{/* The webhook configurations, which share the names of the resources that they are for. */}}
{{- define "kserve-controller.names.serviceWebhooks" -}}llminferenceservice.serving.kserve.io{{- end }}

{{- define "kserve-controller.names.configWebhooks" -}}llminferenceserviceconfig.serving.kserve.io{{- end }}

{{/* The label of the presets that this chart installs; the webhooks leave out what carries it. */}}
{{- define "kserve-controller.names.presetLabel" -}}llm-stack.io/preset{{- end }}
