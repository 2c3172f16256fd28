{{- define "taskruns.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The release's own name suffices when it already says what it is. */ -}}
{{- define "taskruns.fullname" -}}
{{- $name := include "taskruns.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "taskruns.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "taskruns.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* What finds the controller's Pod; it never changes within a release. */ -}}
{{- define "taskruns.selectorLabels" -}}
app.kubernetes.io/name: {{ include "taskruns.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- /* The chart's own count before commonLabels: selectors and Helm rest on them. */ -}}
{{- define "taskruns.labels" -}}
{{- $own := include "taskruns.ownLabels" . -}}
{{ $own }}
{{- range $name, $value := .Values.commonLabels }}
{{- if not (hasKey ($own | fromYaml) $name) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "taskruns.ownLabels" -}}
{{ include "taskruns.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "taskruns.image" -}}
{{- with default .Values.image.registry .Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "taskruns.priorityClassName" -}}
{{- if or .Values.priorityClassName (not .Values.priorityClass.create) -}}
{{ .Values.priorityClassName }}
{{- else -}}
{{ include "taskruns.fullname" . }}
{{- end }}
{{- end }}

{{- /* Whether rights are given everywhere, or in each of the namespaces that are served. */ -}}
{{- define "taskruns.roleKind" -}}
{{ ternary "Role" "ClusterRole" (gt (len .Values.namespaces) 0) }}
{{- end }}
