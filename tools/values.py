"""The schema and the reference page of the chart's values, read from `values.yaml` itself.

The comment right above a value is its description; lines in it that start with `@` bound it:
`@enum a b`, `@minimum 1`, `@maximum 9`, `@pattern ^x$` (of a list: of each of its items), `@unique`
(of a list: nothing is in it twice), `@items object` (of a list; strings otherwise), `@keys a b?`
(of the mappings in a list; `?` marks what may be left out) and `@open` (a mapping of any content).
A mapping that is empty by default maps names to strings; one that is not holds exactly its keys, so
that a typo in a value's name is refused.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.writing import made_from

SOURCE = "charts/taskruns/values.yaml"
_JSON_TYPES = {
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:int": "integer",
    "tag:yaml.org,2002:str": "string",
}
_NUMBERS = frozenset({"minimum", "maximum"})

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

Schema = dict[str, Any]


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


def _rows(below: Schema, defaults: Any, place: str) -> Iterator[str]:
    """Yield a row for each value below a place, in the order of the file; a group comes first."""
    for name, found in below["properties"].items():
        here, meaning = f"{place}{name}", found["description"].replace("|", "&#124;")
        if "properties" in found:
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
    open_mapping = bounds.pop("open", None) is not None
    keys = bounds.pop("keys", None)
    items = _items(keys) if keys else {"type": bounds.pop("items", "string")}
    match node:
        case yaml.MappingNode() if open_mapping:
            shape: Schema = {"type": "object"}
        case yaml.MappingNode(value=[]):
            shape = {"type": "object", "additionalProperties": {"type": "string"}}
        case yaml.MappingNode():
            shape = _mapping(node, lines)
        case yaml.SequenceNode():
            pattern = {"pattern": bounds.pop("pattern")} if "pattern" in bounds else {}
            unique = {"uniqueItems": True} if bounds.pop("unique", None) is not None else {}
            shape = {"type": "array", "items": items | pattern, **unique}
        case _:
            shape = {"type": _JSON_TYPES[node.tag]}
    return {"description": description} | shape | bounds


def _items(keys: str) -> Schema:
    """Return the schema of a list's mappings, which have these keys and no others."""
    names = {key.rstrip("?"): {"type": "string", "minLength": 1} for key in keys.split()}
    required = [key for key in keys.split() if not key.endswith("?")]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": names,
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
