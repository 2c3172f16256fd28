"""The CustomResourceDefinition of TaskRun, generated from the models and the CEL rules."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from taskruns.api import names
from taskruns.api.cel_rules import RULES
from taskruns.api.v1alpha1 import TaskRun, TaskRunSpec, TaskRunStatus

Schema = dict[str, Any]

PRESERVED = "x-kubernetes-preserve-unknown-fields"

_LEFT_OUT = frozenset({"title", "default", "$defs"})
"""Keywords that are dropped. The apiserver would write a default into every object; ours are
applied where a field is read."""

_BOUNDS = (("minimum", "more than", "at least"), ("maximum", "less than", "at most"))
"""Keyword of a bound, with its words when it is exclusive and when it is inclusive."""

_LARGEST = 2**31 - 1
"""Limit of Kubernetes' int32 fields; descriptions do not mention it."""

_DEEPEST = 32
"""Maximum nesting depth of a schema; a deeper one must contain itself."""

_TAKEN = frozenset(
    {
        "type",
        "enum",
        "pattern",
        "description",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "multipleOf",
        "required",
        PRESERVED,
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-validations",
    }
)
"""Keywords that are copied unchanged."""


class UnsupportedSchema(Exception):
    """A model needs a keyword that structural schemas do not have; the message names the field."""


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model, with field names as in JSON.

    Raises:
        UnsupportedSchema: the model uses a keyword that a structural schema cannot express.
    """
    written = model.model_json_schema(by_alias=True)
    return _Rewriting(written.get("$defs", {})).schema(written, model.__name__)


class _Rewriting:
    """Rewrites the JSON schema of one model, whose definitions it resolves."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def schema(self, written: Schema, place: str) -> Schema:
        """Rewrite a schema and its subschemas.

        Args:
            written: the JSON schema that pydantic generates.
            place: path of the field, for error messages.
        """
        if place.count(".") > _DEEPEST:
            raise UnsupportedSchema(f"{place}: a CRD cannot hold a model that contains itself")
        plain = self._without_references(written, place)
        taken = {key: value for key, value in plain.items() if key not in _LEFT_OUT}
        rewritten: Schema = {}
        for key, value in taken.items():
            rewritten |= self._keyword(key, value, place)
        if "description" in rewritten:
            words = rewritten["description"].split()
            rewritten["description"] = " ".join([*words, *bounds(rewritten)])
        return dict(sorted(rewritten.items(), key=_reading_order))

    def _without_references(self, written: Schema, place: str) -> Schema:
        """Inline referenced definitions, and replace an optional type by the type itself.

        Keywords beside a reference, such as the field's own description, take precedence.
        """
        plain = dict(written)
        while plain.keys() & {"$ref", "anyOf", "allOf"}:
            if "$ref" in plain:
                target = self._definitions[plain.pop("$ref").rpartition("/")[2]]
            else:
                keyword = "anyOf" if "anyOf" in plain else "allOf"
                branches = [each for each in plain.pop(keyword) if each != {"type": "null"}]
                if len(branches) != 1:
                    raise UnsupportedSchema(f"{place}: a CRD field has one type, not {branches}")
                target = branches[0]
            plain = {**target, **plain}
        return plain

    def _keyword(self, key: str, value: Any, place: str) -> Schema:
        if key in _TAKEN:
            return {key: value}
        match key, value:
            case "properties", dict():
                below = {name: self.schema(each, f"{place}.{name}") for name, each in value.items()}
                return {key: below}
            case "items", dict():
                return {key: self.schema(value, f"{place}[]")}
            case "additionalProperties", True:
                return {key: {PRESERVED: True}}
            case "additionalProperties", dict():
                return {key: self.schema(value, f"{place}{{}}")}
            case "const", _:
                return {"enum": [value]}
            case (("exclusiveMinimum" | "exclusiveMaximum"), _):
                return {key.removeprefix("exclusive").lower(): value, key: True}
            case _:
                raise UnsupportedSchema(f"{place}: a CRD cannot express {key}: {value!r}")


def bounds(schema: Schema) -> list[str]:
    """Return the bounds of a schema as sentences for its description; enums need none."""
    sentences = []
    if number := _number_bounds(schema):
        sentences.append(f"{number[:1].upper()}{number[1:]}.")
    if schema.get("minLength") or schema.get("minItems"):
        sentences.append("Not empty.")
    for keyword, unit in (("maxLength", "characters"), ("maxItems", "items")):
        if keyword in schema:
            sentences.append(f"At most {schema[keyword]} {unit}.")
    return sentences


def _number_bounds(schema: Schema) -> str:
    words = []
    for bound, exclusive, inclusive in _BOUNDS:
        number = schema.get(bound)
        if number is not None and abs(number) < _LARGEST:
            word = exclusive if schema.get(f"exclusive{bound.capitalize()}") else inclusive
            words.append(f"{word} {number:g}")
    return " and ".join(words)


def _reading_order(item: tuple[str, Any]) -> tuple[bool, bool]:
    """Return a sort key for keywords: description and type, then bounds, then subschemas."""
    key = item[0]
    return key in {"properties", "items", "additionalProperties"}, key not in {
        "description",
        "type",
    }


UNSEEN: dict[str, Any] = {"observedGeneration": -1}
"""Default status of a new run. kstatus and Helm wait because its generation is not observed."""

_ONE_WRITER = {"x-kubernetes-map-type": "atomic"}
"""Makes status one field for server-side apply, because only the controller writes it.

Otherwise managedFields list each of its fields, and the apiserver reads and compares that list at
every write.
"""

_WIDE = 1
"""Priority of a column that only `kubectl get -o wide` prints."""

_LAST_ATTEMPT = ".status.attempts[-1:]"


def crd() -> dict[str, Any]:
    """Return the CRD manifest."""
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
    """Return the schema of a TaskRun, with the CEL rules at the fields that they check."""
    schema: Schema = {
        "description": " ".join((TaskRun.__doc__ or "").split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"Always {names.API_VERSION}.", "type": "string"},
            "kind": {"description": f"Always {names.KIND}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(TaskRunSpec),
            "status": structural(TaskRunStatus) | {"default": UNSEEN} | _ONE_WRITER,
        },
    }
    for place, rules in RULES.items():
        target = _at(schema, place)
        target["x-kubernetes-validations"] = [rule.to_json() for rule in rules]
    return schema


def _at(schema: Schema, place: str) -> Schema:
    """Return the schema of a field by its path, such as `spec.backoff.cap` or `spec.env[]`."""
    for part in filter(None, place.split(".")):
        name = part.removesuffix("[]")
        schema = schema["properties"][name]
        schema = schema if part == name else schema["items"]
    return schema


def _columns() -> list[dict[str, Any]]:
    """Return the columns that `kubectl get` prints; the last ones only with `-o wide`."""
    columns = [
        _column("Phase", "string", ".status.phase", "Phase of the run."),
        _column("Reason", "string", ".status.reason", "Reason for the phase."),
        _column("Exit", "integer", ".status.exitCode", "Exit code of the main container."),
        _column("Attempt", "integer", ".status.attempt", "Number of the current attempt."),
        _column("Started", "date", ".status.startTime", "Time since the first reconcile."),
        _column("Finished", "date", ".status.completionTime", "Time since the run ended."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since its creation."),
    ]
    wide = [
        _column("Pod", "string", ".status.podName", "Pod of the current attempt."),
        _column("Node", "string", f"{_LAST_ATTEMPT}.nodeName", "Node of the current attempt."),
        _column("Image", "string", ".spec.image", "Image of the main container, if set."),
    ]
    return columns + [column | {"priority": _WIDE} for column in wide]


def _column(name: str, type_: str, path: str, description: str) -> dict[str, Any]:
    return {"name": name, "type": type_, "jsonPath": path, "description": description}
