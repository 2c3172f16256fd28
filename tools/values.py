"""Generator of the schema and the reference page of the chart's values, from `values.yaml`.

The comment directly above a value is its description. Lines of the comment that start with `@`
restrict the value:

- `@enum a b`, `@minimum 1`, `@maximum 9`, `@maxLength 9`.
- `@pattern ^x$`; in a list, for each item.
- `@text`: a string, or a number or boolean that the chart writes as a string, because Helm reads
  `--set name=2024` as a number; in a list, for each item.
- `@unique`: a list without duplicates.
- `@items NAME`: a list of a type or of a shape of tools/shapes.py; without it, of strings.
- `@keys a b?`: a list of mappings with these keys, whose values are names; `?` marks optional keys.
- `@shape NAME`: a mapping of that shape.
- `@open`: a mapping with any content.
- `@labels` or `@annotations`: a mapping that is empty by default.

A mapping that is not empty by default accepts exactly its keys, so that a misspelt name of a value
is refused.
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

Set a value with `--set name=value`, or in a file after `--values`, when you install or upgrade with
Helm. An unknown name, and a value of another type or out of bounds, is refused before anything is
installed.

There are two controllers, of which one leads. An upgrade replaces one after the other, and a
PodDisruptionBudget lets a drain evict one at a time. With `replicas: 1` there is no budget, which
would only block the drain of its node. Running TaskRuns are not affected while a controller is
replaced. [operating.md](operating.md#high-availability) describes the alternatives.

| value | default | meaning |
|---|---|---|
"""


def schema(root: Path) -> str:
    """Return the JSON schema of the chart's values, in a draft that every Helm version supports."""
    text = (root / SOURCE).read_text()
    document = yaml.compose(text)
    if not isinstance(document, yaml.MappingNode):
        raise TypeError(f"{SOURCE} is to be a mapping")
    top = _mapping(document, text.splitlines())
    head = {"$comment": made_from(SOURCE), "$schema": "http://json-schema.org/draft-07/schema#"}
    # The first line must name the generator, and JSON has no comments.
    return json.dumps(head | top, indent=2).replace("{\n ", "{", 1) + "\n"


def page(root: Path) -> str:
    """Return the page of all values, with their meanings and defaults."""
    head = f"<!-- {made_from(SOURCE)} -->\n\n{INTRODUCTION}"
    defaults = yaml.safe_load((root / SOURCE).read_text())
    return head + "".join(_rows(json.loads(schema(root)), defaults, ""))


def defaults(root: Path) -> str:
    """Return the template with the defaults for groups of values that are null or missing.

    Mappings with any content are empty in it, because null is how a user omits their content.
    """
    text = (root / SOURCE).read_text()
    values_json = json.dumps(_filling(json.loads(schema(root)), yaml.safe_load(text)), indent=2)
    head = f'{{{{- /* {made_from(SOURCE)} */ -}}}}\n{{{{- define "taskruns.defaults" -}}}}'
    return f"{head}\n{values_json}\n{{{{- end }}}}\n"


def _filling(below: Schema, values: Any) -> Any:
    if below["type"] != "object":
        return values
    if not _is_group(below, values):
        return {}
    return {name: _filling(each, values[name]) for name, each in below["properties"].items()}


def _is_group(below: Schema, values: Any) -> bool:
    """Return whether a mapping is a group that contains exactly the values in the file."""
    return below.get("additionalProperties") is False and bool(values)


def _rows(below: Schema, defaults: Any, place: str) -> Iterator[str]:
    """Yield a table row for each value below a place, in the order of the file, groups first."""
    for name, value_schema in below["properties"].items():
        here, meaning = f"{place}{name}", value_schema["description"].replace("|", "&#124;")
        if _is_group(value_schema, defaults[name]):
            yield f"| `{here}` | | {meaning} |\n"
            yield from _rows(value_schema, defaults[name], f"{here}.")
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
            result = shapes.SHAPES[shape]
        case yaml.MappingNode() if "open" in switches:
            result = {"type": "object"}
        case yaml.MappingNode(value=[]):
            result = shapes.LABELS if "labels" in switches else shapes.ANNOTATIONS
        case yaml.MappingNode():
            result = _mapping(node, lines)
        case yaml.SequenceNode():
            unique = {"uniqueItems": True} if "unique" in switches else {}
            result = {"type": "array", "items": _items(bounds) | text, **unique}
        case _:
            result = {"type": _JSON_TYPES[node.tag]} | text
    return {"description": description} | result | bounds


def _items(bounds: Schema) -> Schema:
    """Return the schema of a list's items, and remove their restrictions from `bounds`."""
    keys, name = bounds.pop("keys", None), bounds.pop("items", "string")
    if keys:
        return _keyed(keys)
    item_schema = shapes.SHAPES.get(name, {"type": name})
    return item_schema | {each: bounds.pop(each) for each in _OF_ITEMS & bounds.keys()}


def _keyed(keys: str) -> Schema:
    """Return the schema of mappings with exactly these keys, whose values are names."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in keys.split() if not key.endswith("?")],
        "properties": {key.rstrip("?"): shapes.NAME for key in keys.split()},
    }


def _comment(key: yaml.Node, lines: list[str]) -> tuple[str, Schema]:
    """Split the comment above a key into the description and the restrictions."""
    block = [line.strip("# ") for line in _comment_above(key.start_mark.line, lines)]
    words = " ".join(line for line in block if not line.startswith("@"))
    if not words:
        raise ValueError(f"{SOURCE}: {key.value} has no comment: describe it")
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
