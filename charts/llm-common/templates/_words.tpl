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
preset's `eval` (a shell word); so the quoting goes on in the opposite order. A word that none of them touches stays as it is, for
the reader's sake.
In: text. Out: text. */}}
{{- define "llm-common.shellWord" -}}
{{- if regexMatch "^[A-Za-z0-9_./:=@%+,-]+$" . -}}
{{- . -}}
{{- else -}}
{{- include "llm-common.execWord" (printf "'%s'" (replace "'" `'\''` .)) -}}
{{- end -}}
{{- end }}

{{/* One word of an exec-form command (`command: [vllm, serve, …]`, no shell), which passes KServe's Go templating and the kubelet.
In: text. Out: text. */}}
{{- define "llm-common.execWord" -}}
{{- include "llm-common.templateLiteral" (replace "$" "$$" .) -}}
{{- end }}

{{/* Text that KServe's Go templating leaves as it is. In: text. Out: text. */}}
{{- define "llm-common.templateLiteral" -}}
{{- replace "{{" "{{`{{`}}" . -}}
{{- end }}

{{/* Whether a value holds a character that cannot arrive: what YAML cannot carry from Helm to Kubernetes, and NUL, which no argument
or variable of a process can hold. In: value. Out: "yes" or nothing. */}}
{{- define "llm-common.holdsLost" -}}
{{- if regexMatch `[\x{7f}-\x{9f}\x{fffe}\x{ffff}]|[^\\](\\\\)*\\u0000` (toJson .) -}}yes{{- end -}}
{{- end }}

{{/* Appends the words of one argument to a list, unquoted.
In: flag, value, kind (of the flag, hack/lab/vllm_flags.py; empty where unknown), into (dict with key `words`). */}}
{{- define "llm-common.argumentWords" -}}
{{- $flag := printf "--%s" .flag -}}
{{- $value := .value -}}
{{- $words := list $flag -}}
{{- if contains "." .flag -}}
  {{- /* a part of a JSON argument always has a value: vLLM takes the next word for it */ -}}
  {{- $words = append $words (include "llm-common.jsonOrScalar" $value) -}}
{{- else if kindIs "bool" $value -}}
  {{- $swapped := ternary (include "llm-common.swappedFlag" .flag) "" (eq .kind "bool-swap") -}}
  {{- if not $value -}}{{- $words = list (printf "--%s" ($swapped | default (printf "no-%s" .flag))) -}}{{- end -}}
{{- else if and (kindIs "slice" $value) (hasSuffix "-repeated" .kind) -}}
  {{- $words = list -}}
  {{- range $value -}}{{- $words = concat $words (list $flag (include "llm-common.jsonOrScalar" .)) -}}{{- end -}}
{{- else if and (kindIs "slice" $value) (or (hasSuffix "-list" .kind) (and (not .kind) (include "llm-common.scalarsOnly" $value))) -}}
  {{- range $value -}}{{- $words = append $words (include "llm-common.jsonOrScalar" .) -}}{{- end -}}
{{- else -}}
  {{- $words = append $words (include "llm-common.jsonOrScalar" $value) -}}
{{- end -}}
{{- $_ := set .into "words" (concat .into.words $words) -}}
{{- end }}

{{/* Whether a list holds neither maps nor lists. In: list. Out: "yes" or nothing. */}}
{{- define "llm-common.scalarsOnly" -}}
{{- $structured := false -}}
{{- range . -}}{{- if or (kindIs "map" .) (kindIs "slice" .) -}}{{- $structured = true -}}{{- end -}}{{- end -}}
{{- if not $structured -}}yes{{- end -}}
{{- end }}

{{/* A map or a list as JSON, everything else as text. In: value. */}}
{{- define "llm-common.jsonOrScalar" -}}
{{- if or (kindIs "map" .) (kindIs "slice" .) -}}{{- mustToRawJson . -}}{{- else -}}{{- include "llm-common.scalar" . -}}{{- end -}}
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
