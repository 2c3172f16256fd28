"""The schema and the reference page of the chart's values, read from `values.yaml` itself.

The comment right above a value is its description; lines in it that start with `@` bound it:
`@enum a b`, `@minimum 1`, `@maximum 9`, `@maxLength 9`, `@pattern ^x$` (of a list: of each of its
items), `@text` (a string, or a number or a boolean that the chart writes as one: `--set name=2024`
is a number to Helm; of a list: each of its items), `@unique` (of a list: nothing is in it twice),
`@items NAME` (of a list: a type, or a shape of tools/shapes.py; strings otherwise), `@keys a b?`
(of the mappings in a list, whose values are names; `?` marks what may be left out), `@shape NAME`
(a mapping of that shape) and `@open` (a mapping of any content). A mapping that is empty by default
is `@labels` or `@annotations`; one that is not holds exactly its keys, so that a typo in a value's
name is refused.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools import shapes
from tools.shapes import Schema
from tools.writing import made_from

SOURCE = "charts/taskruns/values.yaml"
_JSON_TYPES = {
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:int": "integer",
    "tag:yaml.org,2002:str": "string",
}
_NUMBERS = frozenset({"minimum", "maximum", "maxLength"})
_SWITCHES = frozenset({"open", "text", "unique", "labels", "annotations"})
_OF_ITEMS = frozenset({"pattern", "maxLength"})

INTRODUCTION = """\
# Values of the chart

What can be set when taskruns is installed by Helm: `--set name=value`, or a file after `--values`.
A name that is not in this list, and a value of another type or out of bounds, is refused before
anything is installed.

There is one controller: it is replaced, not added to, when it changes, so that a budget for
disruptions would only hold up the draining of its node, and rules that spread replicas have nothing
to spread. TaskRuns that are under way do not notice that it is gone for a moment.

| value | default | meaning |
|---|---|---|
"""


def schema(root: Path) -> str:
    """The JSON schema of the chart's values, in the draft that every Helm understands."""
    text = (root / SOURCE).read_text()
    document = yaml.compose(text)
    if not isinstance(document, yaml.MappingNode):
        raise TypeError(f"{SOURCE} is to be a mapping")
    top = _mapping(document, text.splitlines())
    head = {"$comment": made_from(SOURCE), "$schema": "http://json-schema.org/draft-07/schema#"}
    # Line one names the generator, which JSON can only say inside the braces.
    return json.dumps(head | top, indent=2).replace("{\n ", "{", 1) + "\n"


def page(root: Path) -> str:
    """The page of all values: what each is, and what it is when nobody sets it."""
    head = f"<!-- {made_from(SOURCE)} -->\n\n{INTRODUCTION}"
    defaults = yaml.safe_load((root / SOURCE).read_text())
    return head + "".join(_rows(json.loads(schema(root)), defaults, ""))


def defaults(root: Path) -> str:
    """The template of the defaults that fill a group of values which is null or missing.

    A mapping of any content is empty here: null is how a user leaves all of it out.
    """
    text = (root / SOURCE).read_text()
    found = json.dumps(_filling(json.loads(schema(root)), yaml.safe_load(text)), indent=2)
    head = f'{{{{- /* {made_from(SOURCE)} */ -}}}}\n{{{{- define "taskruns.defaults" -}}}}'
    return f"{head}\n{found}\n{{{{- end }}}}\n"


def _filling(below: Schema, values: Any) -> Any:
    if below["type"] != "object":
        return values
    if not _is_group(below, values):
        return {}
    return {name: _filling(each, values[name]) for name, each in below["properties"].items()}


def _is_group(below: Schema, values: Any) -> bool:
    """Return whether a mapping holds exactly the values that the file has below it."""
    return below.get("additionalProperties") is False and bool(values)


def _rows(below: Schema, defaults: Any, place: str) -> Iterator[str]:
    """Yield a row for each value below a place, in the order of the file; a group comes first."""
    for name, found in below["properties"].items():
        here, meaning = f"{place}{name}", found["description"].replace("|", "&#124;")
        if _is_group(found, defaults[name]):
            yield f"| `{here}` | | {meaning} |\n"
            yield from _rows(found, defaults[name], f"{here}.")
        else:
            yield f"| `{here}` | `{json.dumps(defaults[name])}` | {meaning} |\n"


def _mapping(node: yaml.MappingNode, lines: list[str]) -> Schema:
    properties = {
        key.value: _value(value, *_comment(key, lines), lines) for key, value in node.value
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(node: yaml.Node, description: str, bounds: Schema, lines: list[str]) -> Schema:
    switches = {name for name in _SWITCHES if bounds.pop(name, None) is not None}
    shape = bounds.pop("shape", None)
    text = shapes.TEXT if "text" in switches else {}
    match node:
        case yaml.MappingNode() if shape is not None:
            found = shapes.SHAPES[shape]
        case yaml.MappingNode() if "open" in switches:
            found = {"type": "object"}
        case yaml.MappingNode(value=[]):
            found = shapes.LABELS if "labels" in switches else shapes.ANNOTATIONS
        case yaml.MappingNode():
            found = _mapping(node, lines)
        case yaml.SequenceNode():
            unique = {"uniqueItems": True} if "unique" in switches else {}
            found = {"type": "array", "items": _items(bounds) | text, **unique}
        case _:
            found = {"type": _JSON_TYPES[node.tag]} | text
    return {"description": description} | found | bounds


def _items(bounds: Schema) -> Schema:
    """Return the schema of a list's items, and take what bounds them out of the list's bounds."""
    keys, name = bounds.pop("keys", None), bounds.pop("items", "string")
    if keys:
        return _keyed(keys)
    found = shapes.SHAPES.get(name, {"type": name})
    return found | {each: bounds.pop(each) for each in _OF_ITEMS & bounds.keys()}


def _keyed(keys: str) -> Schema:
    """Return the schema of mappings from these keys, and no others, to names."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in keys.split() if not key.endswith("?")],
        "properties": {key.rstrip("?"): shapes.NAME for key in keys.split()},
    }


def _comment(key: yaml.Node, lines: list[str]) -> tuple[str, Schema]:
    """Split the comment above a key into its words and its bounds."""
    block = [line.strip("# ") for line in _comment_above(key.start_mark.line, lines)]
    words = " ".join(line for line in block if not line.startswith("@"))
    if not words:
        raise ValueError(f"{SOURCE}: {key.value} has no comment: say what it means")
    return words, dict(_bound(line) for line in block if line.startswith("@"))


def _comment_above(line: int, lines: list[str]) -> list[str]:
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return lines[first:line]


def _bound(line: str) -> tuple[str, Any]:
    name, _, rest = line.removeprefix("@").partition(" ")
    if name == "enum":
        return name, rest.split()
    return name, int(rest) if name in _NUMBERS else rest
