{{/*
Helpers of every chart. Each takes one dict; `root` is the chart's `$`. A missing argument names the helper.
*/}}

{{/* Labels that may change between upgrades; never in a selector and never in a pod template.
In: root, name (application), component, and where wanted more (a map of the user's, in which ours win). Out: YAML map. */}}
{{- define "llm-common.labels" -}}
{{- $root := required "llm-common.labels: missing root" .root -}}
{{- $ours := dict
      "app.kubernetes.io/component" (required "llm-common.labels: missing component" .component)
      "app.kubernetes.io/part-of" "llm-stack"
      "app.kubernetes.io/managed-by" $root.Release.Service
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{ mustMergeOverwrite (deepCopy (.more | default dict)) (include "llm-common.selectorLabels" . | fromYaml) $ours | toYaml }}
{{- end }}

{{/* Immutable, minimal labels. In: root, name. Out: YAML map. */}}
{{- define "llm-common.selectorLabels" -}}
{{- $root := required "llm-common.selectorLabels: missing root" .root -}}
app.kubernetes.io/name: {{ required "llm-common.selectorLabels: missing name" .name | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- end }}

{{/* An image reference. In: root, image {registry, repository, tag, digest}. Out: text.
`global.imageRegistry` stands in for the image's own registry; a digest wins over the tag. */}}
{{- define "llm-common.image" -}}
{{- $root := required "llm-common.image: missing root" .root -}}
{{- $image := required "llm-common.image: missing image" .image -}}
{{- $registry := ($root.Values.global | default dict).imageRegistry | default $image.registry -}}
{{- with $registry }}{{ . | trimSuffix "/" }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag }}{{ end }}
{{- end }}

{{/* Why an image's tag cannot be taken, or nothing. In: image. Out: text, to stand behind the value path. */}}
{{- define "llm-common.movingTag" -}}
{{- if has .tag (list "latest" "main" "master" "nightly") -}}
{{ .tag }} moves, so that two pods of one release may run different images; set a version, or a digest alone
{{- end -}}
{{- end }}

{{/* An image reference given as text, with the mirror prefix in place of its registry.
In: root, ref (registry/repository:tag). Out: text. A first part without dot, colon or "localhost" is no registry. */}}
{{- define "llm-common.mirrored" -}}
{{- $root := required "llm-common.mirrored: missing root" .root -}}
{{- $ref := required "llm-common.mirrored: missing ref" .ref -}}
{{- $mirror := ($root.Values.global | default dict).imageRegistry -}}
{{- if not $mirror }}{{ $ref }}
{{- else -}}
{{- $parts := splitList "/" $ref -}}
{{- $head := first $parts -}}
{{- if and (gt (len $parts) 1) (or (contains "." $head) (contains ":" $head) (eq $head "localhost")) -}}
{{- $ref = rest $parts | join "/" -}}
{{- end -}}
{{ $mirror | trimSuffix "/" }}/{{ $ref }}
{{- end -}}
{{- end }}

{{/* Pull secrets of the release and of one chart. In: root, secrets (list of names, may be empty). Out: YAML list or nothing. */}}
{{- define "llm-common.imagePullSecrets" -}}
{{- $root := required "llm-common.imagePullSecrets: missing root" .root -}}
{{- range concat (($root.Values.global | default dict).imagePullSecrets | default list) (.secrets | default list) | uniq }}
- name: {{ quote . }}
{{- end }}
{{- end }}

{{/* A map without its empty texts. In: map. Out: YAML. */}}
{{- define "llm-common.withoutEmpty" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}{{- if $value -}}{{- $_ := set $kept $key $value -}}{{- end -}}{{- end -}}
{{ toYaml $kept }}
{{- end }}

{{/* Refuse to render when there are messages: all at once, one a line. In: errors (list of text). */}}
{{- define "llm-common.fail" -}}
{{- with .errors }}
{{- fail (printf "\n\nvalues refused:\n  - %s\n" (join "\n  - " (uniq .))) }}
{{- end }}
{{- end }}
