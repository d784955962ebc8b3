{{/* The PodSpec of one engine pod, as KServe merges it over its preset.
In: root, plan, workload (of the plan), worker (true for the pods behind the leader of a group). Out: YAML. */}}
{{- define "llm-inference-service.pod" -}}
{{- $root := .root -}}
{{- $plan := .plan -}}
{{- $workload := .workload -}}
{{- $worker := .worker | default false -}}
{{- $group := gt $workload.nodes 1 -}}
{{- $restricted := dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) -}}
serviceAccountName: {{ include "llm-inference-service.serviceAccountName" (dict "root" $root "plan" $plan) | quote }}
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ $plan.drain.graceSeconds }}
# Engine images start as root unless told otherwise, and KServe's preset forbids root. HOME and /tmp are volumes of the preset.
securityContext:
  {{- include "llm-inference-service.podSecurityContext" . | nindent 2 }}
  {{- with $workload.supplementalGroups }}
  supplementalGroups:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with include "llm-common.imagePullSecrets" (dict "root" $root) }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- with $root.Values.schedulerName }}
schedulerName: {{ quote . }}
{{- end }}
{{- with $root.Values.runtimeClassName }}
runtimeClassName: {{ quote . }}
{{- end }}
{{- with $workload.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $workload.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (gt $workload.replicas 1) (not $worker) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- toYaml $workload.podLabels | nindent 8 }}
{{- end }}
{{- $sidecar := and (eq $workload.role "decode") (not $worker) }}
{{- if or $plan.cache.claim $plan.storageInitializer.render $sidecar }}
initContainers:
  {{- if $plan.cache.claim }}
  {{- include "llm-inference-service.gate" . | nindent 2 }}
  {{- end }}
  {{- if $plan.storageInitializer.render }}
  {{- include "llm-inference-service.storageInitializer" (dict "plan" $plan "memory" $plan.storageInitializer.memory) | nindent 2 }}
  {{- end }}
  {{- if $sidecar }}
  {{- $own := $root.Values.routingSidecar }}
  # KServe's sidecar sends a prompt to prefill and then to the engine beside it.
  - name: llm-d-routing-sidecar
    {{- if $own.image.repository }}
    image: {{ include "llm-common.image" (dict "root" $root "image" $own.image) | quote }}
    {{- else }}
    {{- with $plan.presetImages.routingSidecar }}
    image: {{ quote . }}
    {{- end }}
    {{- end }}
    {{- with $own.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    {{- with $own.command }}
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      {{- include "llm-common.resources" $own.resources | nindent 6 }}
  {{- end }}
{{- end }}
containers:
  - name: main
    image: {{ include "llm-common.image" (dict "root" $root "image" $plan.engine.image) | quote }}
    imagePullPolicy: {{ $plan.engine.pullPolicy }}
    {{- with $workload.command }}
    # In place of the preset's script: see llm-common.plan.execForm.
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with ternary $workload.workerArgs $workload.containerArgs $worker }}
    # Quoted for what they pass on the way to vLLM: see llm-common.shellWord and llm-common.execWord.
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- toYaml $workload.env | nindent 6 }}
    resources:
      {{- toYaml $workload.resources | nindent 6 }}
    {{- if $group }}
    # The presets for groups add IPC_LOCK, SYS_RAWIO and NET_RAW, which a user other than root does not get anyway and restricted Pod
    # Security refuses. An empty list would not replace theirs; this is the one capability that it admits.
    securityContext:
      capabilities:
        add: [NET_BIND_SERVICE]
    {{- end }}
    {{- if not $worker }}
    startupProbe:
      periodSeconds: {{ $workload.startup.periodSeconds }}
      failureThreshold: {{ $workload.startup.failureThreshold }}
    {{- end }}
    {{- if or $workload.disk $workload.diskClaim $plan.mounts $root.Values.extraVolumes }}
    volumeMounts:
      {{- range $plan.mounts }}
      - name: {{ .name }}
        mountPath: {{ .mountPath }}
        {{- with .subPath }}
        subPath: {{ quote . }}
        {{- end }}
        readOnly: true
      {{- end }}
      {{- with $workload.compilePath }}
      - name: kserve-pvc-source
        mountPath: /mnt/compiled
        subPath: {{ quote . }}
      {{- end }}
      {{- if or $workload.disk $workload.diskClaim }}
      - name: kv-cache
        mountPath: /mnt/kv-cache
      {{- end }}
      {{- range $name, $volume := $root.Values.extraVolumes }}
      - name: {{ $name }}
        mountPath: {{ $volume.mountPath | quote }}
        readOnly: {{ ternary $volume.readOnly true (hasKey $volume "readOnly") }}
      {{- end }}
    {{- end }}
{{- if or $workload.sharedMemory $workload.disk $workload.diskClaim $plan.volumes $root.Values.extraVolumes }}
volumes:
  {{- if $plan.cache.claim }}
  - name: model-cache-scripts
    configMap:
      name: {{ $plan.children.cacheScripts | quote }}
  {{- end }}
  # A claim is one volume, because a kubelet mounts it once in a pod; an empty one keeps KServe from a second: llm-common.plan.mounts.
  {{- range $plan.volumes }}
  - name: {{ .name }}
    {{- if .claim }}
    persistentVolumeClaim:
      claimName: {{ .claim | quote }}
    {{- else }}
    emptyDir: {}
    {{- end }}
  {{- end }}
  {{- range $name, $volume := $root.Values.extraVolumes }}
  - name: {{ $name }}
    {{- toYaml $volume.source | nindent 4 }}
  {{- end }}
  {{- with $workload.sharedMemory }}
  # The preset's volume by its name and of its type: merged, not replaced.
  - name: dshm
    emptyDir:
      medium: Memory
      sizeLimit: {{ . }}
  {{- end }}
  {{- if $workload.diskClaim }}
  - name: kv-cache
    persistentVolumeClaim:
      claimName: {{ $workload.diskClaim | quote }}
  {{- else if $workload.disk }}
  - name: kv-cache
    emptyDir:
      sizeLimit: {{ $workload.disk }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Annotations of engine pods: the user's, what keeps autoscalers away, and what leads a Prometheus to the engine that goes by them.
In: root, plan, workload. Out: YAML map. */}}
{{- define "llm-inference-service.podAnnotations" -}}
{{- $annotations := dict -}}
{{- if .root.Values.doNotEvict -}}
  {{- $annotations = dict "cluster-autoscaler.kubernetes.io/safe-to-evict" "false" "karpenter.sh/do-not-disrupt" "true" -}}
{{- end -}}
{{- if .plan.scrapeAnnotations -}}
  {{- $_ := set $annotations "prometheus.io/scrape" "true" -}}
  {{- $_ := set $annotations "prometheus.io/port" (toString .workload.port) -}}
  {{- $_ := set $annotations "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- /* the service's spec passes through KServe's templating */ -}}
{{- range $name, $text := .root.Values.podAnnotations -}}
  {{- $_ := set $annotations $name (include "llm-common.templateLiteral" $text) -}}
{{- end -}}
{{- toYaml $annotations -}}
{{- end }}

{{/* Out: YAML of a PodSecurityContext that restricted Pod Security admits. */}}
{{- define "llm-inference-service.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Holds an engine back until the download has published its weights, and looks whether they are still those.
In: root, plan. Out: YAML of a list with one container. */}}
{{- define "llm-inference-service.gate" -}}
{{- $plan := .plan -}}
{{- $paths := list -}}
{{- range $plan.cache.downloads -}}{{- $paths = append $paths .path -}}{{- end -}}
{{- $selector := printf "app.kubernetes.io/name=%s,app.kubernetes.io/component=download" $plan.name -}}
- name: model-cache-gate
  # On the node anyway, and pulled while the download still runs.
  image: {{ include "llm-common.image" (dict "root" .root "image" $plan.engine.image) | quote }}
  imagePullPolicy: {{ $plan.engine.pullPolicy }}
  command: [python3, /model-cache/gate.py]
  env:
    - name: GATE_ROOT
      value: /volume
    - name: GATE_PATHS
      value: {{ toJson $paths | quote }}
    - name: GATE_FOLDERS
      value: {{ toJson $plan.cache.folders | quote }}
    - name: GATE_SECONDS
      value: {{ include "llm-common.number" $plan.cache.gateSeconds | quote }}
    - name: GATE_VERIFY
      value: {{ ternary "always" "changed" $plan.cache.always }}
    - name: GATE_REPAIR
      value: {{ printf "to download what is wrong again: kubectl -n %s delete job -l %s, then helm upgrade" .root.Release.Namespace $selector | quote }}
  resources:
    requests: {cpu: 50m, memory: 64Mi}
    limits: {memory: 256Mi}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop:
        - ALL
  volumeMounts:
    # The whole volume: a folder that is not there yet cannot be mounted, and the kubelet would make an empty one.
    - name: kserve-pvc-source
      mountPath: /volume
      readOnly: true
    - name: model-cache-scripts
      mountPath: /model-cache
      readOnly: true
{{- end }}

{{/* KServe's init container has no security context of its own and restricted Pod Security would refuse the pod.
In: plan, memory (quantity). Out: YAML of a list with one container. */}}
{{- define "llm-inference-service.storageInitializer" -}}
- name: storage-initializer
  {{- with .plan.storageInitializer.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    requests:
      memory: {{ .memory }}
    limits:
      memory: {{ .memory }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      drop:
        - ALL
{{- end }}

{{/* How many engines of a side: a number, or what scales them where KServe does that; neither where a ScaledObject of ours owns the count.
In: plan, workload. Out: YAML. */}}
{{- define "llm-inference-service.count" -}}
{{- $scaling := .workload.autoscaling -}}
{{- if not $scaling -}}
replicas: {{ .workload.replicas }}
{{- else if .plan.scaling.byKServe -}}
scaling:
  # KServe takes no 0 here; KEDA's idle count is what there is while no signal is active.
  minReplicas: {{ max 1 $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  keda:
    {{- if not $scaling.minReplicas }}
    idleReplicaCount: 0
    {{- end }}
    pollingInterval: {{ $scaling.pollingInterval }}
    cooldownPeriod: {{ $scaling.cooldownPeriod }}
    {{- with $scaling.fallback }}
    fallback:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    # No horizontalPodAutoscalerConfig: a rule of 0.21.0-rc1's definition asks for its `name` without looking whether it is there,
    # and with an empty name, which passes, KServe's own update is refused, which leaves it out.
    advanced:
      restoreToOriginalReplicaCount: false
    triggers:
      {{- toYaml $scaling.triggers | nindent 6 }}
{{- else -}}
# No replicas: KEDA owns the count, and KServe's controller would set a number back.
{{- end }}
{{- end }}

{{/* KServe's parallelism of a side, or nothing. In: plan, workload. Out: YAML. */}}
{{- define "llm-inference-service.parallelism" -}}
{{- $workload := .workload -}}
{{- if or (gt $workload.nodes 1) (and (gt $workload.tensor 1) .plan.capabilities.tensorRendered) }}
parallelism:
  {{- if gt $workload.tensor 1 }}
  tensor: {{ $workload.tensor }}
  {{- end }}
  {{- if gt $workload.nodes 1 }}
  # data / dataLocal is the number of pods in a group; the command says what each of them does.
  data: {{ $workload.groupData }}
  dataLocal: {{ $workload.groupLocal }}
  {{- if $workload.expert }}
  expert: true
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A limit of one voluntary disruption at a time. In: root, plan, workload. Out: YAML of a PodDisruptionBudget. */}}
{{- define "llm-inference-service.podDisruptionBudget" -}}
{{- $workload := .workload -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $workload.name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "llm-common.labels" (dict "root" .root "name" .plan.name "component" "llm-inference-service") | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- toYaml (omit $workload.podLabels "app.kubernetes.io/component") | nindent 6 }}
    # All pods of a group: one that goes takes the others along.
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values:
          {{- toYaml $workload.components | nindent 10 }}
{{- end }}
