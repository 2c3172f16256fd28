"""Generator of docs/fields.md, from the schema that the apiserver checks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskruns.api.cel_rules import MUTABLE, RULES, immutable
from taskruns.api.crd import resource_schema
from taskruns.api.v1alpha1.model import TIME_PATTERN
from tools.writing import made_from

SOURCE = "controller/taskruns/api/v1alpha1"

INTRODUCTION = f"""\
# Fields

This page lists every field of a `TaskRun`. `kubectl explain taskrun.spec` prints the same text.
The apiserver does not write defaults into `spec`; a field that is left out has the effect that
*Default* states. `spec` is immutable except for
{", ".join(f"`{field}`" for field in sorted(MUTABLE))}.

A change of another field is rejected at the path `spec`, and the message names the field, for
example `spec: Forbidden: {immutable("image")}`.
"""

RULES_HEAD = """\
## CEL validation rules

The apiserver checks types, bounds and these rules when a TaskRun is created or updated.

| field | error message |
|---|---|
"""

Schema = dict[str, Any]


def page(_root: Path) -> str:
    """Return the page of all fields and of the rules between them."""
    parts = resource_schema()["properties"]
    head = f"<!-- {made_from(SOURCE)} -->\n\n{INTRODUCTION}"
    return "\n".join(
        [head, _section("spec", parts["spec"]), _section("status", parts["status"])]
    ) + (f"\n{RULES_HEAD}{''.join(_refusals())}")


def _section(name: str, schema: Schema) -> str:
    rows = "".join(
        f"| `{place}` | {_kind(below)} | {below['description'].replace('|', '&#124;')} |\n"
        for place, below in _fields(schema, "")
    )
    return (
        f"## {name}\n\n{schema['description']}\n\n| field | type | meaning |\n|---|---|---|\n{rows}"
    )


def _fields(schema: Schema, place: str) -> Iterator[tuple[str, Schema]]:
    """Yield the fields below a place, depth first, in the order of the models."""
    for name, below in schema.get("properties", {}).items():
        here = f"{place}.{name}" if place else name
        yield here, below
        yield from _fields(below, here)
        yield from _fields(below.get("items", {}), f"{here}[]")


def _kind(schema: Schema) -> str:
    """Return the name of a field's type for readers."""
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("pattern") == TIME_PATTERN:
        return "time"
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}s"
    if schema["type"] == "object" and "properties" not in schema:
        of_strings = schema["additionalProperties"].get("type") == "string"
        return "map of strings" if of_strings else "object"
    return str(schema["type"])


def _refusals() -> Iterator[str]:
    for place, rules in RULES.items():
        for rule in rules:
            if not rule.message_expression:  # the page's introduction describes immutability
                at = ".".join(filter(None, (place, rule.field)))
                yield f"| `{at}` | {rule.message.replace('|', '&#124;')} |\n"
