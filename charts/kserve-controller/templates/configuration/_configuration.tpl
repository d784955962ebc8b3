{{/* The parts of ConfigMap inferenceservice-config that this controller reads, each in the controller's own field names.
In: root. Out: JSON object. */}}

{{- define "kserve-controller.configuration.ingress" -}}
{{- $values := (required "kserve-controller.configuration.ingress: missing root" .root).Values.configuration -}}
{{- $ingress := dict -}}
{{- $_ := set $ingress "enableGatewayApi" true -}}
{{- $_ := set $ingress "kserveIngressGateway" (printf "%s/%s" $values.gateway.namespace $values.gateway.name) -}}
{{- /* Read by no LLMInferenceService, but the controller refuses the whole key without it. */ -}}
{{- $_ := set $ingress "ingressGateway" "unused/unused" -}}
{{- $_ := set $ingress "urlScheme" $values.gateway.urlScheme -}}
{{- $_ := set $ingress "enableLLMInferenceServiceTLS" $values.tls.enabled -}}
{{- $_ := set $ingress "modelBasedRoutingMode" $values.modelRouting.mode -}}
{{- $_ := set $ingress "modelBasedRoutingHeaderName" $values.modelRouting.header -}}
{{- toPrettyJson $ingress -}}
{{- end }}

{{- define "kserve-controller.configuration.storageInitializer" -}}
{{- $root := required "kserve-controller.configuration.storageInitializer: missing root" .root -}}
{{- $values := $root.Values.configuration.storageInitializer -}}
{{- $storage := dict -}}
{{- $_ := set $storage "image" (include "llm-common.image" (dict "root" $root "image" $values.image)) -}}
{{- $_ := set $storage "cpuRequest" (toString $values.resources.requests.cpu) -}}
{{- $_ := set $storage "memoryRequest" (toString $values.resources.requests.memory) -}}
{{- $_ := set $storage "cpuLimit" (toString $values.resources.limits.cpu) -}}
{{- $_ := set $storage "memoryLimit" (toString $values.resources.limits.memory) -}}
{{- $_ := set $storage "caBundleConfigMapName" $values.caBundle.configMap -}}
{{- $_ := set $storage "caBundleVolumeMountPath" $values.caBundle.mountPath -}}
{{- if ne $values.oci.mode "disabled" -}}
{{- $_ := set $storage "ociModelMode" $values.oci.mode -}}
{{- $_ := set $storage "cpuModelcar" (toString $values.oci.modelcar.cpu) -}}
{{- $_ := set $storage "memoryModelcar" (toString $values.oci.modelcar.memory) -}}
{{- $_ := set $storage "uidModelcar" (int64 $values.oci.modelcar.uid) -}}
{{- end -}}
{{- toPrettyJson $storage -}}
{{- end }}

{{- define "kserve-controller.configuration.credentials" -}}
{{- $values := (required "kserve-controller.configuration.credentials: missing root" .root).Values.configuration.storageInitializer.s3 -}}
{{- $s3 := dict -}}
{{- $_ := set $s3 "s3AccessKeyIDName" $values.accessKeyIdKey -}}
{{- $_ := set $s3 "s3SecretAccessKeyName" $values.secretAccessKeyKey -}}
{{- $_ := set $s3 "s3Endpoint" $values.endpoint -}}
{{- $_ := set $s3 "s3Region" $values.region -}}
{{- $_ := set $s3 "s3UseHttps" $values.useHttps -}}
{{- $_ := set $s3 "s3VerifySSL" $values.verifySsl -}}
{{- $_ := set $s3 "s3UseVirtualBucket" $values.useVirtualBucket -}}
{{- $_ := set $s3 "s3UseAccelerate" $values.useAccelerate -}}
{{- $_ := set $s3 "s3UseAnonymousCredential" $values.useAnonymousCredential -}}
{{- $_ := set $s3 "s3CABundleConfigMap" $values.caBundleConfigMap -}}
{{- $_ := set $s3 "s3CABundle" $values.caBundlePath -}}
{{- dict "storageSecretNameAnnotation" "serving.kserve.io/storageSecretName" "s3" $s3 | toPrettyJson -}}
{{- end }}

{{- define "kserve-controller.configuration.autoscaling" -}}
{{- $values := (required "kserve-controller.configuration.autoscaling: missing root" .root).Values.configuration.autoscaling.prometheus -}}
{{- $prometheus := dict "url" $values.url "tlsInsecureSkipVerify" $values.tlsInsecureSkipVerify -}}
{{- if $values.triggerAuthName -}}
{{- $_ := set $prometheus "authModes" $values.authModes -}}
{{- $_ := set $prometheus "triggerAuthName" $values.triggerAuthName -}}
{{- $_ := set $prometheus "triggerAuthKind" $values.triggerAuthKind -}}
{{- end -}}
{{- dict "prometheus" $prometheus | toPrettyJson -}}
{{- end }}

{{- define "kserve-controller.configuration.localModel" -}}
{{- $root := required "kserve-controller.configuration.localModel: missing root" .root -}}
{{- $values := $root.Values.configuration -}}
{{- $local := dict "enabled" true "jobNamespace" $values.localModel.jobNamespace -}}
{{- /* The rest is for KServe's local model controller, which reads the same ConfigMap. */ -}}
{{- $_ := set $local "defaultJobImage" (include "llm-common.image" (dict "root" $root "image" $values.storageInitializer.image)) -}}
{{- $_ := set $local "fsGroup" 1000 -}}
{{- $_ := set $local "jobTTLSecondsAfterFinished" 3600 -}}
{{- $_ := set $local "reconcilationFrequencyInSecs" 60 -}}
{{- $_ := set $local "disableVolumeManagement" false -}}
{{- toPrettyJson $local -}}
{{- end }}
