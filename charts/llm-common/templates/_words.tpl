{{/*
Values as the words of a command line.
*/}}

{{/* A number as a person writes it: integers without exponent or fraction (Helm reads every YAML number as a float).
In: the number. Out: text. */}}
{{- define "llm-common.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ printf "%.0f" . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end }}

{{/* One word that reaches vLLM byte for byte through KServe's preset. It passes, in this order:
KServe's Go templating (`{{` opens an action), the kubelet (`$$` gives `$`, `$(X)` is expanded, inside quotes too) and the
preset's `eval` (a shell word). A word that none of them touches stays as it is, for the reader's sake.
In: text. Out: text. */}}
{{- define "llm-common.shellWord" -}}
{{- if regexMatch "^[A-Za-z0-9_./:=@%+,-]+$" . -}}
{{- . -}}
{{- else -}}
{{- $shell := printf "'%s'" (replace "'" `'\''` .) -}}
{{- $kubelet := replace "$" "$$" $shell -}}
{{- include "llm-common.templateLiteral" $kubelet -}}
{{- end -}}
{{- end }}

{{/* Text that KServe's Go templating leaves as it is. In: text. Out: text. */}}
{{- define "llm-common.templateLiteral" -}}
{{- replace "{{" "{{`{{`}}" . -}}
{{- end }}

{{/* Appends the words of one argument to a list, unquoted. In: flag, value, into (dict with key `words`). */}}
{{- define "llm-common.argumentWords" -}}
{{- $flag := printf "--%s" .flag -}}
{{- $words := list $flag -}}
{{- if kindIs "bool" .value -}}
  {{- if not .value -}}{{- $words = list (printf "--no-%s" .flag) -}}{{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- $structured := false -}}
  {{- range .value -}}{{- if or (kindIs "map" .) (kindIs "slice" .) -}}{{- $structured = true -}}{{- end -}}{{- end -}}
  {{- if $structured -}}
    {{- $words = append $words (mustToRawJson .value) -}}
  {{- else -}}
    {{- range .value -}}{{- $words = append $words (include "llm-common.scalar" .) -}}{{- end -}}
  {{- end -}}
{{- else if kindIs "map" .value -}}
  {{- $words = append $words (mustToRawJson .value) -}}
{{- else -}}
  {{- $words = append $words (include "llm-common.scalar" .value) -}}
{{- end -}}
{{- $_ := set .into "words" (concat .into.words $words) -}}
{{- end }}

{{/* A scalar as text. In: string, number or boolean. */}}
{{- define "llm-common.scalar" -}}
{{- if kindIs "string" . -}}{{ . }}{{- else -}}{{ include "llm-common.number" . }}{{- end -}}
{{- end }}

{{/* Resources of a container with every amount as text: a large number would get an exponent. In: {requests, limits}. Out: YAML. */}}
{{- define "llm-common.resources" -}}
{{- range $kind, $amounts := . }}
{{ $kind }}:
  {{- range $name, $amount := $amounts }}
  {{ $name }}: {{ include "llm-common.scalar" $amount | quote }}
  {{- end }}
{{- end }}
{{- end }}
