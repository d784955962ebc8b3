{{/*
Quantities in the form that Go writes. KServe's controller rewrites a service when it adds its finalizer, and with it every
quantity; one that we wrote differently then belongs to the controller, and Helm 4's next upgrade fails with a conflict.
*/}}

{{/* One quantity in Go's form: the largest suffix without a fraction. In: text or number. Out: text; what is no quantity is
returned as it is, for the API server to refuse. */}}
{{- define "llm-common.quantity" -}}
{{- $text := include "llm-common.scalar" . -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$" $text) -}}
{{- $text -}}
{{- else -}}
{{- $suffix := regexFind "[A-Za-z]+$" $text -}}
{{- $number := trimSuffix $suffix $text -}}
{{- $binary := hasSuffix "i" $suffix -}}
{{- $base := ternary 1024 1000 $binary -}}
{{- $suffixes := ternary (list "" "Ki" "Mi" "Gi" "Ti" "Pi") (list "m" "" "k" "M" "G" "T" "P") $binary -}}
{{- $step := 0 -}}
{{- range $index, $known := $suffixes -}}{{- if eq $known $suffix -}}{{- $step = $index -}}{{- end -}}{{- end -}}
{{- /* a fraction: down to smaller suffixes until it is gone */ -}}
{{- range until $step -}}
  {{- if contains "." $number -}}
    {{- $number = include "llm-common.number" (mulf (float64 $number) $base) -}}
    {{- $step = sub $step 1 | int -}}
  {{- end -}}
{{- end -}}
{{- if contains "." $number -}}
{{- $text -}}
{{- else -}}
{{- $whole := int64 $number -}}
{{- range $suffixes -}}
  {{- if and (ne $whole 0) (eq (mod $whole $base) 0) (lt (int (add1 $step)) (len $suffixes)) -}}
    {{- $whole = div $whole $base -}}
    {{- $step = add1 $step | int -}}
  {{- end -}}
{{- end -}}
{{- printf "%d%s" $whole (ternary "" (index $suffixes $step) (eq $whole 0)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Resources of a container with every quantity in Go's form. In: {requests, limits}. Out: YAML. */}}
{{- define "llm-common.resources" -}}
{{- range $kind, $amounts := . }}
{{ $kind }}:
  {{- range $name, $amount := $amounts }}
  {{ $name }}: {{ include "llm-common.quantity" $amount | quote }}
  {{- end }}
{{- end }}
{{- end }}
