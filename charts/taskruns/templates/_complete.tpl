{{- /*
Every template begins with this. A group of values may be null, or missing after an upgrade with
--reuse-values from an older chart: it then gets the chart's default. What the schema cannot refuse
in a clear sentence is refused here.
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
{{- fail "serviceMonitor.enabled needs metrics.enabled: there is nothing to scrape without it" }}
{{- end }}
{{- if and (kindIs "float64" .Values.image.tag) (lt (int64 .Values.image.tag) 1000) }}
{{- fail (printf "image.tag is the number %v, which 1.0 and 1 both are in YAML: write it in quotes, or use --set-string" .Values.image.tag) }}
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
{{- include "taskruns.checkVolumes" . }}
{{- include "taskruns.checkOnce" (list "extraEnv" .Values.extraEnv) }}
{{- range .Values.roles.client.bindings }}
{{- $namespace := include "taskruns.text" .namespace }}
{{- if and $.Values.namespaces (not (has $namespace (include "taskruns.namespaces" $ | fromJsonArray))) }}
{{- fail (printf "roles.client.bindings names the namespace %s, which namespaces does not" $namespace) }}
{{- end }}
{{- end }}
{{- if .Release.IsInstall }}
{{- include "taskruns.checkOwners" . }}
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
{{- fail (printf "networkPolicy.apiserverCIDRs has %s, which is no CIDR: write an address and the length of its prefix, such as 10.0.0.0/24" .) }}
{{- end }}
{{- end }}

{{- define "taskruns.checkVolumes" -}}
{{- include "taskruns.checkOnce" (list "extraVolumes" .Values.extraVolumes) }}
{{- $names := list }}
{{- range .Values.extraVolumes }}{{ $names = append $names .name }}{{ end }}
{{- if and .Values.taskPodDefaults (has "settings" $names) }}
{{- fail "extraVolumes has the name settings, which is that of the chart's own volume: choose another name" }}
{{- end }}
{{- $paths := list }}
{{- range .Values.extraVolumeMounts }}
{{- if not (has .name $names) }}
{{- fail (printf "extraVolumeMounts names the volume %s, which extraVolumes does not have" .name) }}
{{- end }}
{{- if or (has .mountPath $paths) (and $.Values.taskPodDefaults (eq (trimSuffix "/" .mountPath) "/etc/taskruns")) }}
{{- fail (printf "extraVolumeMounts has the mountPath %s, where another volume is mounted" .mountPath) }}
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- end }}

{{- define "taskruns.checkOnce" -}}
{{- $names := list }}
{{- $list := index . 0 }}
{{- range index . 1 }}
{{- if has .name $names }}
{{- fail (printf "%s has the name %s twice" $list .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}

{{- /*
Helm's words for an object of somebody else are hard to read, and do not name a way out. A
definition that kubectl applied is left to Helm: --take-ownership takes it over.
*/ -}}
{{- define "taskruns.checkOwners" -}}
{{- $name := include "taskruns.fullname" . }}
{{- if .Values.crds.install }}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "taskruns.taskruns.dev" }}
{{- $owner := include "taskruns.otherRelease" (list . $found) }}
{{- if $owner }}
{{- fail (printf "the CustomResourceDefinition taskruns.taskruns.dev belongs to the release %s. If that release is uninstalled, give the definition to this one and install again: kubectl annotate --overwrite customresourcedefinition taskruns.taskruns.dev meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s. If it is there, leave the definition to it: --set crds.install=false" $owner .Release.Name .Release.Namespace) }}
{{- end }}
{{- end }}
{{- if not .Values.namespaces }}
{{- $found := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" $name }}
{{- $owner := include "taskruns.otherRelease" (list . $found) }}
{{- if $owner }}
{{- fail (printf "the ClusterRole %s belongs to the release %s, whose controller works on every namespace. Upgrade or uninstall that release, or give this one other names and its own namespaces (fullnameOverride, namespaces)" $name $owner) }}
{{- end }}
{{- end }}
{{- $found := lookup "apps/v1" "Deployment" .Release.Namespace $name }}
{{- if and $found (not (include "taskruns.owner" $found)) }}
{{- fail (printf "the Deployment %s in the namespace %s was made without Helm, such as by kubectl apply -f manifests/install.yaml. Give what was made to this release (kubectl label --overwrite -f manifests/install.yaml app.kubernetes.io/managed-by=Helm; kubectl annotate --overwrite -f manifests/install.yaml meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s), and install again with --force-conflicts" $name .Release.Namespace .Release.Name .Release.Namespace) }}
{{- end }}
{{- end }}

{{- /* The release that an object belongs to, as namespace/name; empty: none. */ -}}
{{- define "taskruns.owner" -}}
{{- $marks := dig "metadata" "annotations" dict . }}
{{- with index $marks "meta.helm.sh/release-name" }}{{ index $marks "meta.helm.sh/release-namespace" }}/{{ . }}{{ end }}
{{- end }}

{{- define "taskruns.otherRelease" -}}
{{- $root := index . 0 }}
{{- $owner := include "taskruns.owner" (index . 1) }}
{{- if ne $owner (printf "%s/%s" $root.Release.Namespace $root.Release.Name) }}{{ $owner }}{{ end }}
{{- end }}
