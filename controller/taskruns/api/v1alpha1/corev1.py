"""Partial schemas of the core/v1 objects inside a TaskRun.

The CRD checks the fields named here when a TaskRun is applied. Other fields are preserved, so that
fields of newer Kubernetes versions pass; the apiserver checks them when the Pod is created. If
items of a list are merged by a key (design.md, Merge), the key is required and unique, as in
core/v1's own schema.

Every field of the newest core/v1 must be named. Beside named fields, the apiserver's equality check
of immutable values does not notice when one unnamed field is replaced by another.
"""

from typing import Annotated, Any

from pydantic import WithJsonSchema

from taskruns.api.v1alpha1.model import CoreObject

_ANYTHING: dict[str, Any] = {"type": "object", "additionalProperties": True}


def _text(description: str, **bounds: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **bounds}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _anything(description: str) -> dict[str, Any]:
    return {**_ANYTHING, "description": description}


def _open(required: tuple[str, ...] = (), **properties: Any) -> WithJsonSchema:
    schema: dict[str, Any] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": properties,
    }
    return WithJsonSchema(schema | ({"required": list(required)} if required else {}))


EnvVar = Annotated[
    CoreObject,
    _open(
        required=("name",),
        name=_text("Name of the variable.", minLength=1),
        value=_text('Its value; a number or true needs quotes: "1". Default: empty.'),
        valueFrom=_anything("Where its value comes from (core/v1 EnvVarSource). Default: value."),
    ),
]
EnvFromSource = Annotated[
    CoreObject,
    _open(
        prefix=_text("Put before every name. Default: none."),
        configMapRef=_anything("The ConfigMap, as {name: settings}. Default: none."),
        secretRef=_anything("The Secret, as {name: password}. Default: none."),
    ),
]
VolumeMount = Annotated[
    CoreObject,
    _open(
        required=("name", "mountPath"),
        name=_text("Name of the volume.", minLength=1),
        mountPath=_text("Path in the container.", minLength=1, maxLength=1024),
        subPath=_text("Path in the volume. Default: its root."),
        subPathExpr=_text("The same, with $(VARIABLE) filled in. Default: none."),
        readOnly=_flag("Whether writing is refused. Default: false."),
        recursiveReadOnly=_text("Whether it is for mounts below, too. Default: Disabled."),
        mountPropagation=_text("How mounts spread from and to the host. Default: None."),
    ),
]
LocalObjectReference = Annotated[
    CoreObject, _open(required=("name",), name=_text("Name of the Secret.", minLength=1))
]
Toleration = Annotated[
    CoreObject,
    _open(
        key=_text("Key of the taint. Default: every key, with operator Exists."),
        operator=_text("How value is compared. Default: Equal."),
        value=_text("Value of the taint. Default: empty."),
        effect=_text("NoSchedule, PreferNoSchedule or NoExecute. Default: every effect."),
        tolerationSeconds={
            "type": "integer",
            "description": "Seconds that NoExecute is tolerated. Default: for ever.",
        },
    ),
]
PodTemplate = Annotated[
    CoreObject,
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "metadata": _anything(
                    "Labels, annotations and finalizers of the Pod (metav1.ObjectMeta)."
                ),
                "spec": _anything(
                    "Any field of core/v1 PodSpec but nodeName; restartPolicy only as Never, also "
                    "that of the main container, and no restartPolicyRules that restart it."
                ),
            },
        }
    ),
]
