{{- /* A scalar as a string. Helm reads numbers of a file as floats, which would print as 2e+06. */ -}}
{{- define "taskruns.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end }}
{{- end }}

{{- /* A mapping of strings, as YAML, without keys whose value is null. */ -}}
{{- define "taskruns.texts" -}}
{{- $texts := dict }}
{{- range $name, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $texts $name (include "taskruns.text" $value) }}
{{- end }}
{{- end }}
{{- toYaml $texts }}
{{- end }}

{{- /* A DNS label: a release's name may have dots, an alias of the chart capitals. */ -}}
{{- define "taskruns.dnsLabel" -}}
{{ . | lower | replace "." "-" | replace "_" "-" | trunc 63 | trimAll "-" }}
{{- end }}

{{- define "taskruns.name" -}}
{{ default .Chart.Name (include "taskruns.text" .Values.nameOverride) | include "taskruns.dnsLabel" }}
{{- end }}

{{- /* The release's own name suffices when it contains the chart's. */ -}}
{{- define "taskruns.fullname" -}}
{{- $name := include "taskruns.name" . -}}
{{- $whole := include "taskruns.text" .Values.fullnameOverride -}}
{{- if $whole -}}
{{ $whole | include "taskruns.dnsLabel" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | include "taskruns.dnsLabel" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | include "taskruns.dnsLabel" }}
{{- end }}
{{- end }}

{{- /* A name of at most 63 characters with a suffix: a hash replaces what does not fit. */ -}}
{{- define "taskruns.withSuffix" -}}
{{- $name := index . 0 -}}
{{- $room := sub 62 (len (index . 1)) | int -}}
{{- if gt (len $name) $room -}}
{{- $name = printf "%s-%s" ($name | trunc (sub $room 9 | int) | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{ $name }}-{{ index . 1 }}
{{- end }}

{{- /* The hook's Job: the name of a Job becomes a label of its Pods. */ -}}
{{- define "taskruns.cleanupName" -}}
{{ include "taskruns.withSuffix" (list (include "taskruns.fullname" .) "cleanup") }}
{{- end }}

{{- /* Not every Kubernetes accepts a Service whose name begins with a digit. */ -}}
{{- define "taskruns.serviceName" -}}
{{- $name := include "taskruns.fullname" . -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "taskruns-%s" $name }}{{ end -}}
{{ include "taskruns.withSuffix" (list $name "metrics") }}
{{- end }}

{{- define "taskruns.serviceAccountName" -}}
{{- $name := include "taskruns.text" .Values.serviceAccount.name -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "taskruns.fullname" .) $name }}
{{- else -}}
{{ default "default" $name }}
{{- end }}
{{- end }}

{{- /* The namespaces that are served, as a JSON list of strings. */ -}}
{{- define "taskruns.namespaces" -}}
{{- $names := list }}
{{- range .Values.namespaces }}{{ $names = append $names (include "taskruns.text" .) }}{{ end }}
{{- toJson $names }}
{{- end }}

{{- /* The selector of the controller's Pod; it never changes within a release. */ -}}
{{- define "taskruns.selectorLabels" -}}
app.kubernetes.io/name: {{ include "taskruns.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: controller
{{- end }}

{{- /* The chart's own labels override commonLabels: selectors and Helm depend on them. */ -}}
{{- define "taskruns.labels" -}}
{{- include "taskruns.labelsWith" (list . dict) }}
{{- end }}

{{- /* The labels of an object with additional labels; the chart's own override these. */ -}}
{{- define "taskruns.labelsWith" -}}
{{- $root := index . 0 -}}
{{- $labels := include "taskruns.texts" $root.Values.commonLabels | fromYaml -}}
{{- $labels = mergeOverwrite $labels (include "taskruns.texts" (index . 1) | fromYaml) -}}
{{- mergeOverwrite $labels (include "taskruns.ownLabels" $root | fromYaml) | toYaml }}
{{- end }}

{{- define "taskruns.ownLabels" -}}
{{ include "taskruns.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | include "taskruns.labelValue" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | include "taskruns.labelValue" | quote }}
{{- end }}

{{- /* A version as a label's value, in which a plus sign is replaced. */ -}}
{{- define "taskruns.labelValue" -}}
{{ toString . | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- define "taskruns.image" -}}
{{- $tag := default (toString .Chart.AppVersion | replace "+" "_") (include "taskruns.text" .Values.image.tag) -}}
{{- with default .Values.image.registry .Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ $tag }}
{{- end }}
{{- end }}

{{- define "taskruns.priorityClassName" -}}
{{- $name := include "taskruns.text" .Values.priorityClassName -}}
{{- if or $name (not .Values.priorityClass.create) -}}
{{ $name }}
{{- else -}}
{{ include "taskruns.fullname" . }}
{{- end }}
{{- end }}

{{- /* Whether permissions are granted in all namespaces, or in each that is served. */ -}}
{{- define "taskruns.roleKind" -}}
{{ ternary "Role" "ClusterRole" (gt (len .Values.namespaces) 0) }}
{{- end }}
