"""JSON schemas that several values of the chart share: names, labels, Kubernetes types.

They refuse values that the apiserver would otherwise refuse in the middle of an installation. Keys
that a newer Kubernetes may add to its types are accepted.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": ["string", "integer", "boolean"], "minimum": 0}
"""A string, or a number or boolean that `--set` makes of a string."""

NAME: Schema = TEXT | {
    "minLength": 1,
    "maxLength": 253,
    "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
}
"""A DNS subdomain, which most object names are."""

_PREFIX = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?"
_KEY = f"{_PREFIX}[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
_LABEL_VALUE: Schema = {"pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", "maxLength": 63}


def _texts(value: Schema) -> Schema:
    # Helm's message for propertyNames names another value than the invalid one.
    return {"type": "object", "patternProperties": {_KEY: value}, "additionalProperties": False}


_SCALARS: Schema = {"type": [*TEXT["type"], "null"]}
"""Scalars including null; the chart omits keys with the value null."""

LABELS: Schema = _texts(TEXT | _SCALARS | _LABEL_VALUE)
ANNOTATIONS: Schema = _texts(_SCALARS)

_STRING: Schema = {"type": "string"}
_QUANTITY: Schema = {
    "type": ["string", "number"],
    "minimum": 0,
    "pattern": "^([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$",
}
_QUANTITIES: Schema = {"type": "object", "additionalProperties": _QUANTITY}


def _named(**properties: Schema) -> Schema:
    named = {"name": _STRING | {"minLength": 1}}
    required = ["name", *(name for name in properties if name == "mountPath")]
    return {"type": "object", "required": required, "properties": named | properties}


SHAPES: dict[str, Schema] = {
    "env": _named(value={"type": TEXT["type"]}, valueFrom={"type": "object"}),
    "volume": _named() | {"minProperties": 2},
    "mount": _named(mountPath=_STRING | {"pattern": "^[^:]+$"}),
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "toleration": {
        "type": "object",
        "properties": {
            "key": _STRING,
            "operator": _STRING,
            "value": {"type": TEXT["type"]},
            "effect": {"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": {"type": "integer"},
        },
    },
    "spread": {
        "type": "object",
        "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
        "properties": {
            "maxSkew": {"type": "integer", "minimum": 1},
            "topologyKey": _STRING,
            "whenUnsatisfiable": {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
            "labelSelector": {"type": "object"},
        },
    },
    "podTemplate": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "labels": _texts(_STRING | _LABEL_VALUE),
                    "annotations": _texts(_STRING),
                },
            },
            "spec": {"type": "object"},
        },
    },
    "resources": {
        "type": "object",
        "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES},
    },
}
"""Shapes by the names that `@items` and `@shape` use."""
