{{- /*
An object may exist already, created by another release or by kubectl. Helm then refuses the
installation without naming a remedy, unless --take-ownership is set, which templates cannot read.
Therefore a definition that kubectl applied is left to Helm and that flag; the rest is handled here.
*/ -}}

{{- /* The release that an object belongs to, as namespace/name, unless it is this one. */ -}}
{{- define "taskruns.otherRelease" -}}
{{- $root := index . 0 }}
{{- $owner := index . 1 | include "taskruns.owner" }}
{{- if ne $owner (printf "%s/%s" $root.Release.Namespace $root.Release.Name) }}{{ $owner }}{{ end }}
{{- end }}

{{- define "taskruns.owner" -}}
{{- $marks := dig "metadata" "annotations" dict . }}
{{- with index $marks "meta.helm.sh/release-name" }}{{ index $marks "meta.helm.sh/release-namespace" }}/{{ . }}{{ end }}
{{- end }}

{{- /*
The other release that owns the definition of the TaskRun resource, if this release does not install
it. A release that once installed the definition keeps it: Helm would delete an object that is left out.
*/ -}}
{{- define "taskruns.definitionOwner" -}}
{{- $found := dict }}
{{- if .Values.crds.install }}
{{- $found = lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "taskruns.taskruns.dev" }}
{{- end }}
{{- $owner := include "taskruns.otherRelease" (list . $found) }}
{{- if and $owner (or .Release.IsInstall (include "taskruns.didWithout" .)) }}
{{- if ne (dig "spec" "versions" list $found | include "taskruns.versions") ((include "taskruns.definition" . | fromYaml).spec.versions | include "taskruns.versions") }}
{{- fail (printf "the CustomResourceDefinition taskruns.taskruns.dev exists in another version, and belongs to the release %s: if that release is installed, upgrade it first; if it is uninstalled, transfer the definition to this one (%s)" $owner (include "taskruns.handOver" .)) }}
{{- end }}
{{- $owner }}
{{- end }}
{{- end }}

{{- /* The versions of a definition as JSON, without the field that Kubernetes 1.30 drops. */ -}}
{{- define "taskruns.versions" -}}
{{- $versions := list }}
{{- range . }}{{ $versions = append $versions (omit . "selectableFields") }}{{ end }}
{{- toJson $versions }}
{{- end }}

{{- define "taskruns.handOver" -}}
kubectl annotate --overwrite customresourcedefinition taskruns.taskruns.dev meta.helm.sh/release-name={{ .Release.Name }} meta.helm.sh/release-namespace={{ .Release.Namespace }}
{{- end }}

{{- /* Whether this release lacked the definition when it was last installed or upgraded. */ -}}
{{- define "taskruns.didWithout" -}}
{{- $found := lookup "apps/v1" "Deployment" .Release.Namespace (include "taskruns.fullname" .) }}
{{- index (dig "metadata" "annotations" dict $found) "taskruns.dev/definition-of" }}
{{- end }}

{{- define "taskruns.checkOwners" -}}
{{- $name := include "taskruns.fullname" . }}
{{- if not .Values.namespaces }}
{{- $found := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" $name }}
{{- $owner := include "taskruns.otherRelease" (list . $found) }}
{{- if $owner }}
{{- fail (printf "the ClusterRole %s belongs to the release %s, whose controller serves every namespace: upgrade or uninstall that release, or give this one another fullnameOverride and its own namespaces" $name $owner) }}
{{- end }}
{{- end }}
{{- $found := lookup "apps/v1" "Deployment" .Release.Namespace $name }}
{{- if and $found (not (include "taskruns.owner" $found)) }}
{{- fail (printf "the Deployment %s in the namespace %s was created without Helm, such as by kubectl apply -f manifests/install.yaml: transfer its objects to this release (kubectl label --overwrite -f manifests/install.yaml app.kubernetes.io/managed-by=Helm; kubectl annotate --overwrite -f manifests/install.yaml meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s) and repeat the command with --force-conflicts" $name .Release.Namespace .Release.Name .Release.Namespace) }}
{{- end }}
{{- end }}
