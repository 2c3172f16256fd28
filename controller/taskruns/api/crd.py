"""The CustomResourceDefinition of TaskRun, from the models and the rules."""

from typing import Any

from taskruns.api import names
from taskruns.api.rules import RULES
from taskruns.api.schema import Schema, structural
from taskruns.api.v1alpha1 import TaskRun, TaskRunSpec, TaskRunStatus

UNSEEN: dict[str, Any] = {"observedGeneration": -1}
"""The status of a run that no controller has looked at: kstatus and Helm see that the generation
is not observed yet, and wait."""

_WIDE = 1
_LAST_ATTEMPT = ".status.attempts[-1:]"


def crd() -> dict[str, Any]:
    """Return the CRD as it is applied."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _columns(),
                    "selectableFields": [{"jsonPath": ".status.phase"}],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": resource_schema()},
                }
            ],
        },
    }


def resource_schema() -> Schema:
    """Return the schema of a whole TaskRun, with its rules in their places."""
    schema: Schema = {
        "description": " ".join((TaskRun.__doc__ or "").split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"Always {names.API_VERSION}.", "type": "string"},
            "kind": {"description": f"Always {names.KIND}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(TaskRunSpec),
            "status": structural(TaskRunStatus) | {"default": UNSEEN},
        },
    }
    for place, rules in RULES.items():
        found = _at(schema, place)
        found["x-kubernetes-validations"] = [rule.to_json() for rule in rules]
    return schema


def _at(schema: Schema, place: str) -> Schema:
    """Find the schema of a field by its path, such as `spec.backoff.cap` or `spec.env[]`."""
    for part in filter(None, place.split(".")):
        name = part.removesuffix("[]")
        schema = schema["properties"][name]
        schema = schema if part == name else schema["items"]
    return schema


def _columns() -> list[dict[str, Any]]:
    """Return what `kubectl get` prints; the wide ones only with `-o wide`."""
    columns = [
        _column("Phase", "string", ".status.phase", "Where the run stands."),
        _column("Reason", "string", ".status.reason", "Why."),
        _column("Exit", "integer", ".status.exitCode", "Exit code of the main container."),
        _column("Attempt", "integer", ".status.attempt", "Number of the current attempt."),
        _column("Started", "date", ".status.startTime", "Since the controller first saw it."),
        _column("Finished", "date", ".status.completionTime", "Since it ended."),
        _column("Age", "date", ".metadata.creationTimestamp", "Since it was created."),
    ]
    wide = [
        _column("Pod", "string", ".status.podName", "Pod of the current attempt."),
        _column("Node", "string", f"{_LAST_ATTEMPT}.nodeName", "Node of the current attempt."),
        _column("Image", "string", ".spec.image", "Image of the main container, if given here."),
    ]
    return columns + [column | {"priority": _WIDE} for column in wide]


def _column(name: str, type_: str, path: str, description: str) -> dict[str, Any]:
    return {"name": name, "type": type_, "jsonPath": path, "description": description}
