{{/*
Parts of the plan: the service's name, what KServe makes of it, and how requests reach it.
*/}}

{{- define "llm-common.plan.name" -}}
{{- $plan := .plan -}}
{{- $name := .llm.name | default .root.Release.Name -}}
{{- $from := ternary "global.llm.name" "the release name" (ne .llm.name "") -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.name: %q (from %s) is no DNS-1035 label; set lower case letters, digits and dashes, a letter first and no dash last" $name $from)) -}}
{{- end -}}
{{- $groups := and .llm.prefill.enabled (or (gt (int .llm.parallel.nodes) 1) (gt (int .llm.prefill.parallel.nodes) 1)) -}}
{{- if and $groups (gt (len $name) 31) (le (len $name) 38) -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.name: %q (from %s) has %d characters and KServe with LeaderWorkerSet appends up to 32 for prefill on several nodes; set a name of at most 31" $name $from (len $name))) -}}
{{- end -}}
{{- if gt (len $name) 38 -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.name: %q (from %s) has %d characters and KServe appends up to 25; set a name of at most 38" $name $from (len $name))) -}}
{{- end -}}
{{- include "llm-common.plan.derive" (dict "plan" $plan "what" "name" "value" $name "from" $from) -}}
{{- $_ := set $plan "name" $name -}}
{{- $_ := set $plan "children" (dict
      "service" (printf "%s-kserve-workload-svc" $name)
      "planConfigMap" (printf "%s-plan" $name)
      "serviceAccount" $name
      "testPod" (printf "%s-test" $name)) -}}
{{- $_ := set $plan "port" 8000 -}}
{{- end }}

{{- define "llm-common.plan.kserve" -}}
{{- $version := .llm.kserveVersion -}}
{{- $table := include "llm-common.capabilities" .root | fromYaml -}}
{{- if not (hasKey $table $version) -}}
  {{- $known := keys $table | sortAlpha -}}
  {{- $why := "is not in the capability table; set" -}}
  {{- if regexMatch "^0[.]1[0-8]$" $version -}}{{- $why = "has other presets and ignores part of what is rendered; upgrade KServe, then set" -}}{{- end -}}
  {{- include "llm-common.plan.tell" (dict "plan" .plan "message" (printf "global.llm.kserveVersion: %q %s one of %s" $version $why (join ", " $known))) -}}
{{- end -}}
{{- $row := get $table $version | default dict -}}
{{- $_ := set .plan "kserveVersion" $version -}}
{{- $_ := set .plan "capabilities" $row -}}
{{- $_ := set .plan "apiVersion" $row.apiVersion -}}
{{- end }}

{{/* The sides of the service, each with what does not depend on its layout. */}}
{{- define "llm-common.plan.workloads" -}}
{{- $plan := .plan -}}
{{- $defaults := include "llm-common.defaults" .root | fromYaml -}}
{{- $prefill := .llm.prefill -}}
{{- $common := .llm.engine.args -}}
{{- $autoscaling := .llm.autoscaling -}}
{{- $workloads := list (dict
      "side" "main" "role" (ternary "decode" "both" $prefill.enabled) "words" ""
      "paths" (dict "parallel" "global.llm.parallel" "replicas" "global.llm.replicas" "resources" "global.llm.overrides.resources"
        "args" "global.llm.engine.args" "autoscaling" "global.llm.autoscaling")
      "wanted" .llm.parallel "args" $common "scaling" $autoscaling "replicas" (int64 .llm.replicas)
      "port" (ternary 8001 $plan.port $prefill.enabled) "name" $plan.name) -}}
{{- if $prefill.enabled -}}
  {{- $workloads = append $workloads (dict
        "side" "prefill" "role" "prefill" "words" "prefill "
        "paths" (dict "parallel" "global.llm.prefill.parallel" "replicas" "global.llm.prefill.replicas" "resources" "global.llm.prefill.resources"
          "args" "global.llm.prefill.args" "autoscaling" "global.llm.prefill.autoscaling")
        "wanted" $prefill.parallel "args" (mustMergeOverwrite (deepCopy $common) (deepCopy $prefill.args))
        "scaling" $prefill.autoscaling "replicas" (int64 $prefill.replicas)
        "port" $plan.port "name" (printf "%s-prefill" $plan.name)) -}}
{{- else -}}
  {{- $given := (.given.prefill | default dict) -}}
  {{- range $key := keys (omit $given "enabled") | sortAlpha -}}
    {{- if ne (toJson (get $given $key)) (toJson (get $defaults.prefill $key)) -}}
      {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.prefill.%s: is set and prefill is not enabled; set global.llm.prefill.enabled: true, or remove it" $key)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- /* what volumes, budgets and spare devices must do for is the largest number of engines */ -}}
{{- range $workloads -}}
  {{- $_ := set . "fixed" .replicas -}}
  {{- if and $autoscaling.enabled (gt (int64 .scaling.maxReplicas) (int64 .scaling.minReplicas)) -}}
    {{- $_ := set . "replicas" (int64 .scaling.maxReplicas) -}}
    {{- $_ := set . "mostFrom" (printf "%s.maxReplicas" .paths.autoscaling) -}}
  {{- else -}}
    {{- $_ := set . "mostFrom" .paths.replicas -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan "workloads" $workloads -}}
{{- $ports := list -}}
{{- range $workloads -}}{{- $ports = append $ports (int .port) -}}{{- end -}}
{{- $_ := set $plan "metricsPorts" (uniq $ports | sortAlpha) -}}
{{- $_ := set $plan "scrapeAnnotations" .llm.metrics.scrapeAnnotations -}}
{{- /* KServe's preset sleeps 15 s before the stop, so that no new request comes, and keeps 5 s for the end (shutdownTimeout) */ -}}
{{- $_ := set $plan "drain" (dict "preStopSeconds" 15 "graceSeconds" (add 20 (int64 .llm.drainSeconds))) -}}
{{- end }}

{{/* What KServe calls the pods of a side, once its layout is known. In: plan, side. */}}
{{- define "llm-common.plan.child" -}}
{{- $side := .side -}}
{{- $group := gt $side.nodes 1 -}}
{{- $prefill := eq $side.role "prefill" -}}
{{- $_ := set $side "kind" (ternary "LeaderWorkerSet" "Deployment" $group) -}}
{{- $_ := set $side "child" (printf "%s-kserve%s%s" .plan.name (ternary "-mn" "" $group) (ternary "-prefill" "" $prefill)) -}}
{{- $component := printf "llminferenceservice-workload%s%s" (ternary "-leader" "" $group) (ternary "-prefill" "" $prefill) -}}
{{- $components := list $component -}}
{{- if $group -}}{{- $components = append $components (printf "llminferenceservice-workload-worker%s" (ternary "-prefill" "" $prefill)) -}}{{- end -}}
{{- $_ := set $side "components" $components -}}
{{- $_ := set $side "podLabels" (dict
      "app.kubernetes.io/name" .plan.name
      "app.kubernetes.io/part-of" "llminferenceservice"
      "app.kubernetes.io/component" $component) -}}
{{- end }}

{{/* How a change of the pods reaches them: KServe makes Deployments, which start the new pod first, and LeaderWorkerSets, which stop the old
group first. */}}
{{- define "llm-common.plan.rollout" -}}
{{- $plan := .plan -}}
{{- $given := dict -}}
{{- $wanted := .llm.rolloutStrategy -}}
{{- range $key := list "maxSurge" "maxUnavailable" -}}
  {{- $value := get $wanted $key -}}
  {{- if ne (toString $value) "" -}}{{- $_ := set $given $key (ternary (int64 $value) $value (regexMatch "^[0-9]+$" (toString $value))) -}}{{- end -}}
{{- end -}}
{{- $_ := set $plan "rolloutStrategy" $given -}}
{{- $spare := 0 -}}
{{- range $plan.workloads -}}
  {{- if eq .kind "Deployment" -}}{{- $spare = add $spare (mul .devices (div (add .replicas 3) 4)) -}}{{- end -}}
{{- end -}}
{{- if $given -}}
  {{- $text := include "llm-common.rolloutText" $given -}}
  {{- if not $plan.capabilities.rolloutStrategy -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" (printf "global.llm.rolloutStrategy: KServe %s has no such field and starts a new engine before it stops the old; remove it and see UPGRADING.md for a restart without spare devices, or run KServe 0.21 and set global.llm.kserveVersion" $plan.kserveVersion)) -}}
  {{- else if eq $text "maxSurge 0, maxUnavailable 0" -}}
    {{- include "llm-common.plan.tell" (dict "plan" $plan "message" "global.llm.rolloutStrategy: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; set one of them to 1") -}}
  {{- end -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "restart" "value" $text "from" "global.llm.rolloutStrategy") -}}
{{- else if and $spare .accelerator.resource -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "restart" "value" (printf "needs %d free %s besides: the new engine starts before the old one stops (UPGRADING.md)" $spare .accelerator.resource) "from" (printf "KServe %s's rolling update" $plan.kserveVersion)) -}}
{{- end -}}
{{- end }}

{{/* A rollout strategy for a person. In: maxSurge, maxUnavailable. */}}
{{- define "llm-common.rolloutText" -}}
{{- $parts := list -}}
{{- range $key, $value := . -}}{{- $parts = append $parts (printf "%s %v" $key $value) -}}{{- end -}}
{{- join ", " $parts -}}
{{- end }}

{{/* Gateway, route and endpoint picker: KServe makes them; what we give are images under a mirror. */}}
{{- define "llm-common.plan.router" -}}
{{- $plan := .plan -}}
{{- $enabled := .llm.router.enabled -}}
{{- $images := dict -}}
{{- if (.root.Values.global | default dict).imageRegistry -}}
  {{- $root := .root -}}
  {{- range $name, $ref := $plan.capabilities.images -}}
    {{- $_ := set $images $name (include "llm-common.mirrored" (dict "root" $root "ref" $ref)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $plan "router" (dict
      "enabled" $enabled
      "child" (printf "%s-kserve-router-scheduler" $plan.name)
      "metricsPort" 9090
      "podLabels" (dict
        "app.kubernetes.io/name" $plan.name
        "app.kubernetes.io/part-of" "llminferenceservice"
        "app.kubernetes.io/component" "llminferenceservice-router-scheduler")) -}}
{{- $_ := set $plan "presetImages" $images -}}
{{- if $enabled -}}
  {{- include "llm-common.plan.derive" (dict "plan" $plan "what" "router" "value" (printf "gateway, route %s-kserve-route, endpoint picker %s" $plan.name $plan.router.child) "from" "global.llm.router.enabled") -}}
{{- else if .llm.prefill.enabled -}}
  {{- include "llm-common.plan.tell" (dict "plan" $plan "to" "warnings" "message" "nothing chooses a prefill engine: without KServe's endpoint picker a request is computed by decode alone, unless its client sends the header x-prefiller-host-port; set global.llm.router.enabled: true") -}}
{{- end -}}
{{- end }}
