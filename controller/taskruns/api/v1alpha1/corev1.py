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
        value=_text('Value of the variable. Quote numbers and booleans: "1". Default: empty.'),
        valueFrom=_anything("Source of the value (core/v1 EnvVarSource). Default: value."),
    ),
]
EnvFromSource = Annotated[
    CoreObject,
    _open(
        prefix=_text("Prefix of every variable's name. Default: none."),
        configMapRef=_anything("ConfigMap to read, such as {name: settings}. Default: none."),
        secretRef=_anything("Secret to read, such as {name: password}. Default: none."),
    ),
]
VolumeMount = Annotated[
    CoreObject,
    _open(
        required=("name", "mountPath"),
        name=_text("Name of the volume.", minLength=1),
        mountPath=_text("Path within the container.", minLength=1, maxLength=1024),
        subPath=_text("Path within the volume to mount. Default: its root."),
        subPathExpr=_text("As subPath, with $(VARIABLE) expanded. Default: none."),
        readOnly=_flag("Whether the mount is read-only. Default: false."),
        recursiveReadOnly=_text("Whether mounts below are read-only too. Default: Disabled."),
        mountPropagation=_text("How mounts are propagated from and to the host. Default: None."),
    ),
]
LocalObjectReference = Annotated[
    CoreObject, _open(required=("name",), name=_text("Name of the Secret.", minLength=1))
]
Toleration = Annotated[
    CoreObject,
    _open(
        key=_text("Key of the taint. Default: every key; requires operator Exists."),
        operator=_text("Operator of the comparison with value. Default: Equal."),
        value=_text("Value of the taint. Default: empty."),
        effect=_text(
            "Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Default: every effect."
        ),
        tolerationSeconds={
            "type": "integer",
            "description": "Seconds for which a NoExecute taint is tolerated. Default: no limit.",
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
                    "Pod spec (core/v1 PodSpec). nodeName is refused. restartPolicy of the Pod and "
                    "of the main container must be Never, without restartPolicyRules that "
                    "restart main."
                ),
            },
        }
    ),
]
