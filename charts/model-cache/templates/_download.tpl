{{/* Name of the service account that downloads. In: root, plan. */}}
{{- define "model-cache.serviceAccountName" -}}
{{- .root.Values.serviceAccount.name | default (printf "%s-download" .plan.name) -}}
{{- end }}

{{/* The spec of the download Job without what its name is in. In: root, plan. Out: YAML. */}}
{{- define "model-cache.jobSpec" -}}
{{- $root := .root -}}
{{- $plan := .plan -}}
{{- $values := $root.Values -}}
{{- $engine := first $plan.workloads -}}
{{- $limits := dict "connections" (int64 $values.download.connections) "bytes_per_second" (include "llm-common.quantityBytes" ($values.download.bytesPerSecond | default "0") | int64) "stall_seconds" (int64 $values.download.stallSeconds) -}}
{{- $spec := dict "items" $plan.cache.downloads "folders" $plan.cache.folders "claim" $plan.cache.claim "always" $plan.cache.always "limits" $limits -}}
{{- $defaults := dict "HOME" "/tmp" "HF_HUB_DISABLE_TELEMETRY" "1" -}}
{{- if $values.caBundle.configMap -}}
  {{- range list "REQUESTS_CA_BUNDLE" "AWS_CA_BUNDLE" "SSL_CERT_FILE" -}}{{- $_ := set $defaults . "/certificates/ca.crt" -}}{{- end -}}
{{- end }}
backoffLimit: {{ include "llm-common.number" $values.download.backoffLimit }}
# What another try would not change ends the Job at once; a drained node is no failure.
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    - action: FailJob
      onExitCodes:
        containerName: download
        operator: In
        values: [3, 4, 5]
template:
  metadata:
    labels:
      {{- include "llm-common.selectorLabels" (dict "root" $root "name" $plan.name) | nindent 6 }}
      app.kubernetes.io/component: download
      llm-stack.io/job: JOB
    annotations:
      checksum/scripts: {{ include "model-cache.scripts" . | sha256sum | trunc 16 | quote }}
      {{- with $values.podAnnotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  spec:
    restartPolicy: Never
    # Of the pod, from where a node took it: the Job's own would run while there is no node with a free accelerator.
    activeDeadlineSeconds: {{ include "llm-common.number" $plan.cache.deadlineSeconds }}
    serviceAccountName: {{ include "model-cache.serviceAccountName" . | quote }}
    # To make events of the Job, which say what went wrong.
    automountServiceAccountToken: true
    # As the engine's, which reads what is written here.
    securityContext:
      runAsNonRoot: true
      runAsUser: 65532
      runAsGroup: 65532
      fsGroup: 65532
      fsGroupChangePolicy: OnRootMismatch
      seccompProfile:
        type: RuntimeDefault
    {{- with include "llm-common.imagePullSecrets" (dict "root" $root) }}
    imagePullSecrets:
      {{- . | nindent 6 }}
    {{- end }}
    {{- with $values.priorityClassName }}
    priorityClassName: {{ quote . }}
    {{- end }}
    # Where the engine may run: the volume is made in the zone of the first pod that uses it.
    {{- with $engine.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $engine.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if and $values.followEngine (eq $plan.cache.accessMode "ReadWriteOnce") }}
    # A volume of one node: the engine's pod, which waits for this one, has it there already.
    affinity:
      podAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- toYaml $engine.podLabels | nindent 16 }}
    {{- end }}
    containers:
      - name: download
        image: {{ include "llm-common.image" (dict "root" $root "image" $values.image) | quote }}
        imagePullPolicy: {{ $values.image.pullPolicy }}
        command: [python3, /model-cache/download.py]
        env:
          - name: CACHE_ROOT
            value: /volume
          - name: CACHE_SPEC
            value: {{ toJson $spec | quote }}
          - name: JOB_NAME
            valueFrom:
              fieldRef:
                fieldPath: metadata.labels['llm-stack.io/job']
          - name: JOB_NAMESPACE
            valueFrom:
              fieldRef:
                fieldPath: metadata.namespace
          - name: PYTHONUNBUFFERED
            value: "1"
          {{- $given := list }}
          {{- range $plan.cache.env }}{{- $given = append $given .name }}{{- end }}
          {{- range $name, $value := $defaults }}
          {{- if not (has $name $given) }}
          - name: {{ $name }}
            value: {{ quote $value }}
          {{- end }}
          {{- end }}
          {{- with $plan.cache.env }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        resources:
          {{- include "model-cache.resources" . | trim | nindent 10 }}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities:
            drop: [ALL]
        volumeMounts:
          - name: weights
            mountPath: /volume
          - name: scripts
            mountPath: /model-cache
            readOnly: true
          - name: tmp
            mountPath: /tmp
          {{- if $values.caBundle.configMap }}
          - name: certificates
            mountPath: /certificates
            readOnly: true
          {{- end }}
    volumes:
      - name: weights
        persistentVolumeClaim:
          claimName: {{ $plan.cache.claim | quote }}
      - name: scripts
        configMap:
          name: {{ $plan.children.cacheScripts | quote }}
      - name: tmp
        emptyDir: {}
      {{- if $values.caBundle.configMap }}
      - name: certificates
        configMap:
          name: {{ $values.caBundle.configMap | quote }}
          items:
            - key: {{ $values.caBundle.key | quote }}
              path: ca.crt
      {{- end }}
{{- end }}

{{/* Resources of the download. Its memory does not grow with the model (tests/consumer/test_download.py measures it); what it writes
is page cache, which the limit counts and the kernel takes back. In: root, plan. Out: YAML. */}}
{{- define "model-cache.resources" -}}
{{- $derived := dict "requests" (dict "cpu" "250m" "memory" .plan.cache.memory) "limits" (dict "memory" .plan.cache.memory) -}}
{{- include "llm-common.resources" (.root.Values.resources | default $derived) -}}
{{- end }}

{{/* The scripts, as data of a ConfigMap. In: root. Out: YAML map. */}}
{{- define "model-cache.scripts" -}}
{{- $root := .root -}}
{{- range $path, $_ := $root.Files.Glob "files/*.py" }}
{{ base $path }}: |
  {{- $root.Files.Get $path | nindent 2 }}
{{- end }}
{{- end }}
