"""The Kubernetes rules for structural schemas, checked without Kubernetes.

This is a second implementation of the rules, written from the documentation and not from the
generator, so that each reveals a mistake in the other.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

TYPES = {"object", "array", "string", "integer", "number", "boolean"}
PRESERVED = "x-kubernetes-preserve-unknown-fields"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"

KNOWN = {
    "object": {"properties", "additionalProperties", "required", PRESERVED, MAP_TYPE},
    "array": {"items", "minItems", "maxItems", LIST_TYPE, LIST_KEYS},
    "string": {"enum", "pattern", "minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set[str](),
}
EVERYWHERE = {"type", "description", "x-kubernetes-validations"}
RULE_KEYS = {"rule", "message", "messageExpression", "fieldPath", "reason"}


def problems(schema: Schema, place: str = "") -> Iterator[str]:
    """Yield a description of every place that breaks a rule."""
    if schema.keys() <= {PRESERVED, "description"} and schema.get(PRESERVED) is True:
        return
    kind = schema.get("type")
    if kind not in TYPES:
        yield f"{place}: type {kind!r}"
        return
    allowed = KNOWN[kind] | EVERYWHERE | ({"default"} if place == ".status" else set())
    if unknown := schema.keys() - allowed:
        yield f"{place}: {sorted(unknown)} on type {kind}"
    yield from _problems_of_rules(schema.get("x-kubernetes-validations", []), place)
    if kind == "object":
        yield from _problems_of_object(schema, place)
    if kind == "array":
        yield from _problems_of_array(schema, place)


def _problems_of_rules(rules: list[Schema], place: str) -> Iterator[str]:
    for rule in rules:
        if not {"rule", "message"} <= rule.keys() <= RULE_KEYS:
            yield f"{place}: a rule with {sorted(rule)}"
        if "\n" in rule.get("message", ""):
            yield f"{place}: a message of several lines"


def _problems_of_object(schema: Schema, place: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{place}: properties and additionalProperties exclude each other"
    if schema.get(PRESERVED, True) is not True:
        yield f"{place}: {PRESERVED} can only be true"
    if schema.get(MAP_TYPE, "atomic") not in ("atomic", "granular"):
        yield f"{place}: {MAP_TYPE} is atomic or granular"
    if missing := set(schema.get("required", ())) - properties.keys():
        yield f"{place}: {sorted(missing)} required but not declared"
    if place == ".metadata" and schema.keys() != {"type"}:
        yield f"{place}: metadata is the apiserver's own"
    for name, below in properties.items():
        yield from problems(below, f"{place}.{name}")
    if "additionalProperties" in schema:
        yield from problems(schema["additionalProperties"], f"{place}{{}}")


def _problems_of_array(schema: Schema, place: str) -> Iterator[str]:
    items = schema.get("items")
    if not isinstance(items, dict):
        yield f"{place}: a list of what?"
        return
    keys = schema.get(LIST_KEYS, [])
    if (schema.get(LIST_TYPE) == "map") != bool(keys):
        yield f"{place}: a map has keys, and nothing else has"
    for key in keys:
        below = items.get("properties", {}).get(key, {})
        if below.get("type") not in TYPES - {"object", "array"}:
            yield f"{place}: key {key} is no scalar"
        if key not in items.get("required", ()):
            yield f"{place}: key {key} is not required"
    if LIST_TYPE not in schema:
        yield f"{place}: say whether it is atomic, a set or a map"
    yield from problems(items, f"{place}[]")
