{{- /*
Every template begins with this. A group of values may be null, or missing after an upgrade with
--reuse-values from an older chart: it then gets the chart's default. Checks for which the schema has
no clear message are here.
*/ -}}
{{- define "taskruns.complete" -}}
{{- include "taskruns.fill" (list .Values (include "taskruns.defaults" . | fromJson)) -}}
{{- include "taskruns.check" . -}}
{{- end }}

{{- define "taskruns.fill" -}}
{{- $values := index . 0 }}
{{- range $name, $default := index . 1 }}
{{- $value := index $values $name }}
{{- if kindIs "invalid" $value }}
{{- $_ := set $values $name $default }}
{{- else if and (kindIs "map" $default) $default }}
{{- include "taskruns.fill" (list $value $default) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "taskruns.check" -}}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) 8080) }}
{{- fail "metrics.port is 8080, where the controller serves its probes: choose another port" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "serviceMonitor.enabled requires metrics.enabled: without it there are no metrics to scrape" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail (printf "replicas is %d and leaderElection.enabled is false: without an election set replicas to 1" (int .Values.replicas)) }}
{{- end }}
{{- if and (kindIs "float64" .Values.image.tag) (lt (int64 .Values.image.tag) 1000) }}
{{- fail (printf "image.tag is the number %v, and YAML does not distinguish 1.0 from 1: write the tag in quotes, or use --set-string" .Values.image.tag) }}
{{- end }}
{{- if .Values.priorityClass.create }}
{{- $name := include "taskruns.priorityClassName" . }}
{{- if hasPrefix "system-" $name }}
{{- fail (printf "priorityClass.create would make the PriorityClass %s, but names that begin with system- are Kubernetes' own: set priorityClassName" $name) }}
{{- end }}
{{- end }}
{{- range .Values.networkPolicy.apiserverCIDRs }}
{{- include "taskruns.checkCIDR" . }}
{{- end }}
{{- include "taskruns.checkAdmission" .Values.admission }}
{{- include "taskruns.checkVolumes" . }}
{{- include "taskruns.checkOnce" (list "extraEnv" .Values.extraEnv) }}
{{- range .Values.roles.client.bindings }}
{{- $namespace := include "taskruns.text" .namespace }}
{{- if and $.Values.namespaces (not (has $namespace (include "taskruns.namespaces" $ | fromJsonArray))) }}
{{- fail (printf "roles.client.bindings names the namespace %s, which is not in namespaces: add it there, or remove the binding" $namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "taskruns.checkCIDR" -}}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" }}
{{- $four := printf "^(%s[.]){3}%s/(3[0-2]|[12]?[0-9])$" $byte $byte }}
{{- $length := "/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$" }}
{{- $group := "[0-9a-fA-F]{1,4}" }}
{{- $six := printf "^((%s:){7}%s|(%s(:%s){0,6})?::(%s(:%s){0,6})?)%s" $group $group $group $group $group $group $length }}
{{- $groups := regexFindAll $group (regexReplaceAll "/.*" . "") -1 | len }}
{{- if not (or (regexMatch $four .) (and (regexMatch $six .) (or (not (contains "::" .)) (lt $groups 8)))) }}
{{- fail (printf "networkPolicy.apiserverCIDRs has %s, which is not a CIDR: write an address and the length of its prefix, such as 10.0.0.0/24" .) }}
{{- end }}
{{- end }}

{{- define "taskruns.checkAdmission" -}}
{{- if and .enabled (not .serviceAccounts) (not (has true (values .forbid))) }}
{{- fail "admission.enabled creates a policy without a rule: set admission.serviceAccounts or a value of admission.forbid to true" }}
{{- end }}
{{- if not .actions }}
{{- fail "admission.actions is empty: write one or more of Deny, Warn and Audit" }}
{{- end }}
{{- if and (has "Deny" .actions) (has "Warn" .actions) }}
{{- fail "admission.actions has Deny and Warn, of which Kubernetes accepts one: a refusal has its message already" }}
{{- end }}
{{- end }}

{{- define "taskruns.checkVolumes" -}}
{{- include "taskruns.checkOnce" (list "extraVolumes" .Values.extraVolumes) }}
{{- $names := list }}
{{- range .Values.extraVolumes }}{{ $names = append $names .name }}{{ end }}
{{- if and .Values.taskPodDefaults (has "settings" $names) }}
{{- fail "extraVolumes has a volume named settings, as the chart's own volume: choose another name" }}
{{- end }}
{{- $paths := list }}
{{- range .Values.extraVolumeMounts }}
{{- if not (has .name $names) }}
{{- fail (printf "extraVolumeMounts names the volume %s, which is not in extraVolumes: add it there" .name) }}
{{- end }}
{{- if or (has .mountPath $paths) (and $.Values.taskPodDefaults (eq (trimSuffix "/" .mountPath) "/etc/taskruns")) }}
{{- fail (printf "extraVolumeMounts has the mountPath %s, where another volume is mounted: choose another path" .mountPath) }}
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- end }}

{{- define "taskruns.checkOnce" -}}
{{- $names := list }}
{{- $list := index . 0 }}
{{- range index . 1 }}
{{- if has .name $names }}
{{- fail (printf "%s has the name %s twice: names must be unique" $list .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}

