{{/* What is wrong with the values. In: root. Out: JSON list of messages: value path, what is wrong, what to set. */}}
{{- define "kserve-controller.validations" -}}
{{- $root := required "kserve-controller.validations: missing root" .root -}}
{{- $values := $root.Values -}}
{{- $errors := list -}}

{{- $namespace := include "kserve-controller.names.namespace" (dict "root" $root) -}}
{{- $wanted := include "kserve-controller.names.requiredNamespace" $root -}}
{{- if ne $namespace $wanted -}}
{{- $errors = append $errors (printf "release namespace: %q cannot work, because KServe's CRDs call their conversion webhook in namespace %q; install with --namespace %s" $namespace $wanted $wanted) -}}
{{- end -}}

{{- $secret := $values.certificates.existingSecret -}}
{{- $pem := `^\s*(-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=]+\s+)+-----END CERTIFICATE-----\s*)+$` -}}
{{- if and $values.certificates.certManager.enabled (or $secret.name $secret.caBundle) -}}
{{- $errors = append $errors "certificates: certManager.enabled and existingSecret are both set; keep one of them" -}}
{{- else if not (or $values.certificates.certManager.enabled $secret.name $secret.caBundle) -}}
{{- $errors = append $errors "certificates: no certificate is chosen for the webhooks; set certificates.certManager.enabled to true where cert-manager runs, else certificates.existingSecret.name and certificates.existingSecret.caBundle" -}}
{{- else if and $secret.caBundle (not $secret.name) -}}
{{- $errors = append $errors "certificates.existingSecret.name: empty although caBundle is set; set the name of the Secret with tls.crt and tls.key" -}}
{{- else if and $secret.name (not $secret.caBundle) -}}
{{- $errors = append $errors "certificates.existingSecret.caBundle: empty, so the API server would trust no webhook; set the PEM certificates (--set-file certificates.existingSecret.caBundle=ca.crt)" -}}
{{- end -}}
{{- if contains "PRIVATE KEY" $secret.caBundle -}}
{{- $errors = append $errors "certificates.existingSecret.caBundle: contains a private key; set certificates only, and replace the key, which has been given to Helm" -}}
{{- else if and $secret.caBundle (not (regexMatch $pem $secret.caBundle)) -}}
{{- $errors = append $errors "certificates.existingSecret.caBundle: not PEM certificates; set text that begins with -----BEGIN CERTIFICATE----- and is not base64-encoded once more" -}}
{{- end -}}

{{- range $path, $image := dict "image" $values.image "configuration.storageInitializer.image" $values.configuration.storageInitializer.image -}}
{{- if not (or $image.tag $image.digest) -}}
{{- $errors = append $errors (printf "%s.tag: empty, and so is the digest; set one of them" $path) -}}
{{- end -}}
{{- with include "llm-common.movingTag" $image -}}
{{- $errors = append $errors (printf "%s.tag: %s" $path .) -}}
{{- end -}}
{{- end -}}

{{- $prometheus := $values.configuration.autoscaling.prometheus -}}
{{- if and $prometheus.triggerAuthName (not $prometheus.authModes) -}}
{{- $errors = append $errors "configuration.autoscaling.prometheus.authModes: empty, so KEDA would not use triggerAuthName; set the mode, such as bearer" -}}
{{- end -}}
{{- if and $prometheus.authModes (not $prometheus.triggerAuthName) -}}
{{- $errors = append $errors "configuration.autoscaling.prometheus.triggerAuthName: empty although authModes is set; set the name of the TriggerAuthentication" -}}
{{- end -}}
{{- if and (or $prometheus.authModes $prometheus.triggerAuthName) (not $prometheus.url) -}}
{{- $errors = append $errors "configuration.autoscaling.prometheus.url: empty although authentication is set; set the address of Prometheus" -}}
{{- end -}}

{{- if and $values.configuration.localModel.nodeGroups (not $values.configuration.localModel.enabled) -}}
{{- $errors = append $errors "configuration.localModel.nodeGroups: no service would use them; set configuration.localModel.enabled to true, or remove them" -}}
{{- end -}}

{{- if and $values.presets.enabled (not ($root.Files.Glob "files/presets/*.yaml")) -}}
{{- $errors = append $errors "presets.enabled: the chart's files/presets folder is empty, as in a fresh clone; run `make deps`, or set presets.enabled to false" -}}
{{- end -}}
{{- toJson $errors -}}
{{- end }}
