"""From what pydantic writes to what a CRD may hold: a structural schema.

Kubernetes takes a part of OpenAPI v3 only: no references, no null in a union, no constants. What
can be written in its terms is rewritten, what is of no use is left out, and anything else is an
error: a schema that the apiserver would refuse, or prune silently, never leaves this module.

No `format` either: where a string has one, the apiserver takes a list for it (seen in 1.36).

Rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

PRESERVED = "x-kubernetes-preserve-unknown-fields"

_LEFT_OUT = frozenset({"title", "default", "$defs"})
"""A default would be written into every object; ours are applied where they are used."""

_BOUNDS = (("minimum", "more than", "at least"), ("maximum", "less than", "at most"))
_LARGEST = 2**31 - 1
"""The bound that every int32 of Kubernetes has: not worth a word."""

_DEEPEST = 32
"""Deeper than any model that does not contain itself."""

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


class UnsupportedSchema(Exception):
    """A model asks for something that a CRD cannot say; the message names the field."""


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model, in its form on the wire."""
    written = model.model_json_schema(by_alias=True)
    return _Rewriting(written.get("$defs", {})).schema(written, model.__name__)


class _Rewriting:
    """One pass over one model's schema, which may refer to the definitions that come with it."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def schema(self, written: Schema, place: str) -> Schema:
        """Rewrite one schema and all below it; `place` names it in errors."""
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
        """Put a definition where it is referred to, and an optional field's type in its place.

        What stands beside a reference, such as the field's own description, goes first.
        """
        plain = dict(written)
        while plain.keys() & {"$ref", "anyOf", "allOf"}:
            if "$ref" in plain:
                found = self._definitions[plain.pop("$ref").rpartition("/")[2]]
            else:
                keyword = "anyOf" if "anyOf" in plain else "allOf"
                branches = [each for each in plain.pop(keyword) if each != {"type": "null"}]
                if len(branches) != 1:
                    raise UnsupportedSchema(f"{place}: a CRD field has one type, not {branches}")
                found = branches[0]
            plain = {**found, **plain}
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
                raise UnsupportedSchema(f"{place}: a CRD cannot say {key}: {value!r}")


def bounds(schema: Schema) -> list[str]:
    """Say in words what a schema allows, one sentence a bound; an enum speaks for itself."""
    said = []
    if number := _number_bounds(schema):
        said.append(f"{number[:1].upper()}{number[1:]}.")
    if schema.get("minLength") or schema.get("minItems"):
        said.append("Not empty.")
    for keyword, unit in (("maxLength", "characters"), ("maxItems", "items")):
        if keyword in schema:
            said.append(f"At most {schema[keyword]} {unit}.")
    return said


def _number_bounds(schema: Schema) -> str:
    words = []
    for bound, exclusive, inclusive in _BOUNDS:
        number = schema.get(bound)
        if number is not None and abs(number) < _LARGEST:
            word = exclusive if schema.get(f"exclusive{bound.capitalize()}") else inclusive
            words.append(f"{word} {number:g}")
    return " and ".join(words)


def _reading_order(item: tuple[str, Any]) -> tuple[bool, bool]:
    """Order what a person wants to know first: meaning and type, then bounds, then parts."""
    key = item[0]
    return key in {"properties", "items", "additionalProperties"}, key not in {
        "description",
        "type",
    }
