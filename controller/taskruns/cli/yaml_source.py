"""Parser for TaskRuns in YAML or JSON that records the line of each field.

YAML is read as kubectl reads it: dates are strings, and duplicate keys are refused.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taskruns.cli.exit_status import CommandError, ExitCode

STANDARD_INPUT = "-"
_MOST_LETTERS = 3_000_000
"""Maximum length of the input, in characters; more than the apiserver accepts."""
_TIMESTAMP = "tag:yaml.org,2002:timestamp"

FieldPath = tuple[str | int, ...]
"""Path of a field, as keys and indexes."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    where: str
    content: Any
    lines: Mapping[FieldPath, int]

    def line(self, field_path: FieldPath) -> int:
        """Return the line of a field, or of its closest existing parent."""
        while field_path not in self.lines:
            field_path = field_path[:-1]
        return self.lines[field_path]


class _Loader(yaml.SafeLoader):
    """YAML loader that reads dates as strings."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_documents(path: str) -> list[Document]:
    """Read the documents of a file, or of standard input.

    Raises:
        CommandError: the file cannot be read, is not valid YAML, or contains values that JSON does
            not have.
    """
    where = "standard input" if path == STANDARD_INPUT else path
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
        words = content.decode()
    except OSError as error:
        raise CommandError(f"{where} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except ValueError as error:
        raise CommandError(f"{where} is not valid UTF-8", ExitCode.USAGE) from error
    if len(words) > _MOST_LETTERS:
        raise CommandError(f"{where} is too large for a TaskRun", ExitCode.USAGE)
    try:
        return [*_documents(words, where)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        why = " ".join(filter(None, (error.context, error.problem)))
        raise CommandError(f"{where}:{line}: invalid YAML: {why}", ExitCode.USAGE) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        why = " ".join(str(error).split())
        raise CommandError(f"{where}: invalid YAML: {why}", ExitCode.USAGE) from error
    except RecursionError as error:
        raise CommandError(f"{where} is nested too deeply", ExitCode.USAGE) from error


def _documents(words: str, where: str) -> Iterator[Document]:
    loader = _Loader(words)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            lines: dict[FieldPath, int] = {(): node.start_mark.line + 1}
            content = _read(loader, node, (), lines)
            if content is not None:
                yield Document(where, content, lines)
    finally:
        loader.dispose()


def _read(
    loader: _Loader, node: yaml.Node, field_path: FieldPath, lines: dict[FieldPath, int]
) -> Any:
    """Convert a node to JSON values and record the lines of its fields; aliases are expanded."""
    if len(lines) > _MOST_LETTERS // 10:
        raise ValueError("its aliases expand to too many values")
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        fields: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(loader, key_node)
            if key in fields:
                raise yaml.MarkedYAMLError(None, None, f"duplicate key {key}", key_node.start_mark)
            below = (*field_path, key)
            lines[below] = key_node.start_mark.line + 1
            fields[key] = _read(loader, value_node, below, lines)
        return fields
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            below = (*field_path, index)
            lines[below] = item.start_mark.line + 1
            items.append(_read(loader, item, below, lines))
        return items
    value = loader.construct_object(node)
    is_scalar = value is None or isinstance(value, str | int | float)
    if not is_scalar or (isinstance(value, float) and not math.isfinite(value)):
        raise yaml.MarkedYAMLError(
            None, None, f"{node.tag} cannot be represented in JSON: quote it", node.start_mark
        )
    return value


def _key(loader: _Loader, node: yaml.Node) -> str:
    key = loader.construct_object(node)
    if not isinstance(key, str):
        raise yaml.MarkedYAMLError(None, None, f"key {key!r} is not a string", node.start_mark)
    return key
