{{/*
Parts of the plan: which vLLM the engine image holds, and engine arguments against that version's flags (`_flags.tpl`).
*/}}

{{/* Puts the version into the plan (engine.version: MAJOR.MINOR, empty where unknown) and its flags into the context (`flags`: kinds
to names, empty where there is no list). A tag does not speak for a digest that the user put in its place. */}}
{{- define "llm-common.plan.engineVersion" -}}
{{- $plan := .plan -}}
{{- $given := .llm.engine.version -}}
{{- $image := .llm.engine.image -}}
{{- $tag := ternary "" ($plan.engine.image.tag | default "") (and (not (empty $image.digest)) (empty $image.tag)) -}}
{{- $version := regexFind "^[0-9]+\\.[0-9]+" (trimPrefix "v" $given) | default (regexFind "^v[0-9]+\\.[0-9]+" $tag | trimPrefix "v") -}}
{{- $from := ternary (printf "image tag %s" $tag) "global.llm.engine.version" (empty $given) -}}
{{- $known := include "llm-common.flagVersions" . | splitList " " -}}
{{- $_ := set $plan.engine "version" $version -}}
{{- $_ := set . "flags" dict -}}
{{- if has $version $known -}}
  {{- $_ := set . "flags" (include "llm-common.flagsOf" $version | fromJson) -}}
{{- else if $version -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" (printf "engine arguments are not checked: there is no list of vLLM %s's flags, only of %s (%s)" $version (join ", " $known) $from)) -}}
{{- else -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" "engine arguments are not checked: the engine image's tag does not say which vLLM it holds; set global.llm.engine.version") -}}
{{- end -}}
{{- if $version -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "engine version" "value" (printf "vLLM %s" $version) "from" $from) -}}
{{- end -}}
{{- end }}

{{/* All flags of a version. In: version, one of llm-common.flagVersions. Out: JSON, kinds to names and `choices`. */}}
{{- define "llm-common.flagsOf" -}}
{{- $flags := include "llm-common.flags" . | fromYaml -}}
{{- range $kind, $names := include (printf "llm-common.flags.%s" .) . | fromYaml -}}
  {{- if eq $kind "choices" -}}
    {{- range $name, $choices := $names -}}{{- $_ := set $flags.choices $name $choices -}}{{- end -}}
  {{- else -}}
    {{- $_ := set $flags $kind (printf "%s %s" (get $flags $kind) $names) -}}
  {{- end -}}
{{- end -}}
{{- toJson $flags -}}
{{- end }}

{{/* The kind of a flag (hack/lab/vllm_flags.py says which there are). In: flags, name. Out: text, empty for an unknown flag. */}}
{{- define "llm-common.flagKind" -}}
{{- $name := printf " %s " (.name | default "-") -}}
{{- range $kind, $names := omit .flags "choices" -}}
  {{- if contains $name (printf " %s " $names) -}}{{- $kind -}}{{- end -}}
{{- end -}}
{{- end }}

{{/* `disable-x` for `enable-x` and the other way round; nothing for another name. In: name. */}}
{{- define "llm-common.swappedFlag" -}}
{{- if hasPrefix "enable-" . -}}{{- printf "disable-%s" (trimPrefix "enable-" .) -}}
{{- else if hasPrefix "disable-" . -}}{{- printf "enable-%s" (trimPrefix "disable-" .) -}}
{{- end -}}
{{- end }}

{{/* Check one argument, and append its words. A part of a JSON argument (`flag.part`) is vLLM's to check, but for its flag.
In: plan, flags, path (of the map of arguments), name, value, into (as of llm-common.argumentWords). */}}
{{- define "llm-common.plan.argument" -}}
{{- $plan := .plan -}}
{{- $flags := .flags -}}
{{- $path := .path -}}
{{- $name := .name -}}
{{- $version := $plan.engine.version -}}
{{- $flag := splitList "." $name | first -}}
{{- $kind := include "llm-common.flagKind" (dict "flags" .flags "name" $flag) -}}
{{- if contains "_" $flag -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is spelled with underscores; set %s" $path $name (replace $flag (replace "_" "-" $flag) $name))) -}}
{{- else if and .flags (not $kind) -}}
  {{- $positive := trimPrefix "no-" $flag -}}
  {{- if not (has (include "llm-common.flagKind" (dict "flags" $flags "name" $positive)) (list "bool-no" "bool-swap")) -}}
    {{- $positive = include "llm-common.swappedFlag" $flag -}}
    {{- if ne "bool-swap" (include "llm-common.flagKind" (dict "flags" $flags "name" $positive)) -}}{{- $positive = "" -}}{{- end -}}
  {{- end -}}
  {{- if $positive -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is how vLLM %s negates a flag; set %s, to true or false" $path $name $version $positive)) -}}
  {{- else -}}
    {{- include "llm-common.plan.unknownFlag" (dict "plan" $plan "flags" .flags "path" $path "name" $name "flag" $flag) -}}
  {{- end -}}
{{- else if and $kind (ne $flag $name) -}}
  {{- if not (or (eq $kind "object") (contains "json" $kind)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: vLLM %s takes no JSON for %s, so that it has no parts; set %s" $path $name $version $flag $flag)) -}}
  {{- end -}}
{{- else if and (eq $kind "bool-only") (kindIs "bool" .value) (not .value) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is false, and vLLM %s has no negation of it; remove it, or set true" $path $name $version)) -}}
{{- else if $kind -}}
  {{- $choices := splitList " " (get (.flags.choices | default dict) $flag | default "") | compact -}}
  {{- if not (include "llm-common.flagTakes" (dict "kind" $kind "choices" $choices "value" .value)) -}}
    {{- $wants := ternary (printf "one of %s" (join ", " $choices)) (include "llm-common.flagWants" $kind) (not (empty $choices)) -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "%s.%s: is %s, and vLLM %s takes %s; set that" $path $name (include "llm-common.valueKind" .value) $version $wants)) -}}
  {{- end -}}
{{- end -}}
{{- include "llm-common.argumentWords" (dict "flag" $name "value" .value "kind" $kind "into" .into) -}}
{{- end }}

{{/* Refuse a flag that the version does not have, with the versions that have it and with what it may stand for. */}}
{{- define "llm-common.plan.unknownFlag" -}}
{{- $flag := .flag -}}
{{- $version := .plan.engine.version -}}
{{- $others := list -}}
{{- range $other := include "llm-common.flagVersions" . | splitList " " -}}
  {{- $flags := include "llm-common.flagsOf" $other | fromJson -}}
  {{- if include "llm-common.flagKind" (dict "flags" $flags "name" $flag) -}}{{- $others = append $others $other -}}{{- end -}}
{{- end -}}
{{- $longer := list -}}
{{- $swapped := include "llm-common.swappedFlag" $flag -}}
{{- if include "llm-common.flagKind" (dict "flags" .flags "name" $swapped) -}}{{- $longer = append $longer $swapped -}}{{- end -}}
{{- range $names := omit .flags "choices" | values -}}
  {{- range splitList " " $names -}}{{- if hasPrefix (printf "%s-" $flag) . -}}{{- $longer = append $longer . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- $has := ternary "" (printf ", which %s has" (join ", " $others)) (empty $others) -}}
{{- $set := ternary "remove it, or set global.llm.engine.version to what the image holds" (printf "set %s" (sortAlpha $longer | join " or ")) (empty $longer) -}}
{{- include "llm-common.plan.tell" (dict "plan" .plan "message" (printf "%s.%s: is no flag of vLLM %s%s; %s" .path .name $version $has $set)) -}}
{{- end }}

{{/* Whether a value is what a kind of flag takes. In: kind, choices (list), value. Out: "yes" or nothing. */}}
{{- define "llm-common.flagTakes" -}}
{{- $kind := .kind -}}
{{- $choices := .choices -}}
{{- $base := regexReplaceAll "-(list|repeated|optional)$" $kind "" -}}
{{- $values := list .value -}}
{{- if and (kindIs "slice" .value) (regexMatch "-(list|repeated)$" $kind) -}}{{- $values = .value -}}{{- end -}}
{{- $wrong := false -}}
{{- if hasPrefix "bool" $kind -}}
  {{- $wrong = not (kindIs "bool" .value) -}}
{{- else if not (and (hasSuffix "-optional" $kind) (kindIs "bool" .value) .value) -}}
  {{- range $value := $values -}}
    {{- if kindIs "map" $value -}}
      {{- if not (has $base (list "json" "object" "text-or-json")) -}}{{- $wrong = true -}}{{- end -}}
    {{- else if kindIs "slice" $value -}}
      {{- if ne $base "json" -}}{{- $wrong = true -}}{{- end -}}
    {{- else if kindIs "bool" $value -}}
      {{- $wrong = true -}}
    {{- else if not (regexMatch (include "llm-common.flagPattern" $base) (include "llm-common.scalar" $value)) -}}
      {{- $wrong = true -}}
    {{- else if and $choices (not (has (include "llm-common.scalar" $value) $choices)) -}}
      {{- $wrong = true -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if not $wrong -}}yes{{- end -}}
{{- end }}

{{/* The pattern of a scalar of a kind, as vLLM's own converters read it. In: kind. Out: regular expression. */}}
{{- define "llm-common.flagPattern" -}}
{{- $integer := "[+-]?[0-9]+" -}}
{{- $float := "[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?" -}}
{{- $size := printf "%s|[0-9]+(\\.[0-9]+)?[kmgt]|[0-9]+[KMGT]" $integer -}}
{{- $patterns := dict "int" $integer "int-or-none" (printf "%s|None|" $integer) "float" $float "float-or-none" (printf "%s|None|" $float) "size" $size "size-or-auto" (printf "%s|[aA][uU][tT][oO]" $size) "object" "(?s)\\s*\\{.*\\}\\s*" "json" "(?s)\\s*([\\[{\"].*[\\]}\"]|[0-9.eE+-]+|true|false|null)\\s*" -}}
{{- printf "^(%s)$" (get $patterns . | default "(?s).*") -}}
{{- end }}

{{/* What a kind of flag takes, for a person. In: kind. */}}
{{- define "llm-common.flagWants" -}}
{{- $words := dict "bool" "true or false" "int" "an integer" "float" "a number" "size" "an integer, also as 64k or 2M" "size-or-auto" "an integer, also as 64k or 2M, or auto" "object" "JSON (a map)" "json" "JSON (a map or a list)" "text" "a text" "text-or-json" "a text or JSON (a map)" -}}
{{- get $words (regexReplaceAll "-(list|repeated|optional|no|swap|only|or-none|or-none-list)$" . "") -}}
{{- if regexMatch "-(list|repeated)$" . }}, or a list of such{{ else if hasSuffix "-optional" . }}, or true{{ end -}}
{{- end }}

{{/* What a value is, for a person; never the value itself, which may be a secret. In: value. */}}
{{- define "llm-common.valueKind" -}}
{{- if kindIs "bool" . -}}{{- . -}}
{{- else -}}{{- get (dict "string" "a text" "map" "a map" "slice" "a list") (kindOf .) | default "a number" -}}
{{- end -}}
{{- end }}
