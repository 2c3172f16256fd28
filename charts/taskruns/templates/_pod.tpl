{{- /* The common part of the Pods of the controller and of the cleanup. */ -}}

{{- define "taskruns.podSettings" -}}
serviceAccountName: {{ include "taskruns.serviceAccountName" . | quote }}
{{- with include "taskruns.pullSecrets" . | fromYamlArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "taskruns.priorityClassName" . }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Each secret once; a parent chart may write its global ones as plain names. */ -}}
{{- define "taskruns.pullSecrets" -}}
{{- $secrets := list }}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.image.pullSecrets }}
{{- $name := . }}
{{- if kindIs "map" . }}{{ $name = .name }}{{ end }}
{{- $secrets = append $secrets (dict "name" (include "taskruns.text" $name)) }}
{{- end }}
{{- uniq $secrets | toYaml }}
{{- end }}

{{- /* A list of variables or tolerations, as YAML, with each `value` as a string. */ -}}
{{- define "taskruns.valueTexts" -}}
{{- $items := list }}
{{- range . }}
{{- $item := deepCopy . }}
{{- if hasKey . "value" }}
{{- $_ := set $item "value" (include "taskruns.text" .value) }}
{{- end }}
{{- $items = append $items $item }}
{{- end }}
{{- toYaml $items }}
{{- end }}

{{- define "taskruns.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- include "taskruns.texts" . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- include "taskruns.valueTexts" . | nindent 2 }}
{{- end }}
{{- end }}

{{- /*
Several controllers prefer different nodes and zones, but do not wait for them. matchLabelKeys counts
the Pods of each revision apart, so that a rolling update ends spread as well.
*/ -}}
{{- define "taskruns.spreading" -}}
{{- $selector := include "taskruns.selectorLabels" . | fromYaml }}
{{- $several := gt (int .Values.replicas) 1 }}
{{- if and $several (not .Values.affinity) }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- toYaml $selector | nindent 14 }}
{{- end }}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if $several }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- toYaml $selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}
