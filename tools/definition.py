"""Generator of the CRD, as a file of its own and as a template of the chart."""

from pathlib import Path

from taskruns.api.crd import crd
from tools.writing import dump, made_from

SOURCE = "controller/taskruns/api"


def plain(_root: Path) -> str:
    """Return the CRD for `kubectl apply`."""
    return f"# {made_from(SOURCE)}\n{dump(crd())}"


def template(_root: Path) -> str:
    """Return the CRD as a chart template that `crds.install` and `crds.keep` control."""
    definition = crd()
    if definition["metadata"].keys() != {"name"}:
        raise ValueError("the template writes the CRD's metadata itself: only a name is expected")
    spec = dump({"spec": definition["spec"]}).replace("{{", '{{ "{{" }}')
    return f"""{{{{- /* {made_from(SOURCE)} */ -}}}}
{{{{- include "taskruns.complete" . -}}}}
{{{{- if and .Values.crds.install (not (include "taskruns.definitionOwner" .)) }}}}
apiVersion: {definition["apiVersion"]}
kind: {definition["kind"]}
metadata:
  name: {definition["metadata"]["name"]}
  labels:
    {{{{- include "taskruns.labels" . | nindent 4 }}}}
  {{{{- if .Values.crds.keep }}}}
  annotations:
    helm.sh/resource-policy: keep
  {{{{- end }}}}
{{{{ include "taskruns.definition" . }}}}
{{{{- end }}}}
{{{{- define "taskruns.definition" -}}}}
{spec}{{{{- end }}}}
"""
