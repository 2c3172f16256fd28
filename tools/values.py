"""The schema of the chart's values, read from `values.yaml` itself.

The comment right above a value is its description; lines in it that start with `@` bound it:
`@enum a b`, `@minimum 1`, `@maximum 9`, `@pattern ^x$`, `@items object` (of a list; strings
otherwise) and `@open` (a mapping of any content). A mapping that is empty by default maps names to
strings; one that is not holds exactly its keys, so that a typo in a value's name is refused.
"""

import json
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

Schema = dict[str, Any]


def schema(root: Path) -> str:
    """The JSON schema of the chart's values, in the draft that every Helm understands."""
    text = (root / SOURCE).read_text()
    document = yaml.compose(text)
    if not isinstance(document, yaml.MappingNode):
        raise TypeError(f"{SOURCE} is to be a mapping")
    top = _mapping(document, text.splitlines())
    top["properties"]["global"] = {"description": "Helm's, for parent charts.", "type": "object"}
    head = {"$comment": made_from(SOURCE), "$schema": "http://json-schema.org/draft-07/schema#"}
    # Line one names the generator, which JSON can only say inside the braces.
    return json.dumps(head | top, indent=2).replace("{\n ", "{", 1) + "\n"


def _mapping(node: yaml.MappingNode, lines: list[str]) -> Schema:
    properties = {
        key.value: _value(value, *_comment(key, lines), lines) for key, value in node.value
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(node: yaml.Node, description: str, bounds: Schema, lines: list[str]) -> Schema:
    open_mapping = bounds.pop("open", None) is not None
    items = bounds.pop("items", "string")
    match node:
        case yaml.MappingNode() if open_mapping:
            shape: Schema = {"type": "object"}
        case yaml.MappingNode(value=[]):
            shape = {"type": "object", "additionalProperties": {"type": "string"}}
        case yaml.MappingNode():
            shape = _mapping(node, lines)
        case yaml.SequenceNode():
            shape = {"type": "array", "items": {"type": items}}
        case _:
            shape = {"type": _JSON_TYPES[node.tag]}
    return {"description": description} | shape | bounds


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
