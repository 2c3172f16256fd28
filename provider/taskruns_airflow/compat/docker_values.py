"""Single values of DockerOperator's parameters, read as docker-py reads them. Pure.

Each function raises ValueError for a value that the parameter cannot have. The message names the
parameter and the form to write; it never contains the value of a variable. It is a ValueError for a
wrong type, too, as every refusal of what a task asks for.
"""

import ast
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

TEMPLATE_FILES = (".sh", ".bash", ".env")
"""Endings of files that hold the template of a field, as DockerOperator has them."""

_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MARKS = ("{{", "{%", "{#")


def is_templated(value: Any) -> bool:
    """Return whether the value of a template field is known only when the task runs.

    True for Jinja, for the name of a template file and for another task's output (XComArg), also
    inside lists, tuples, sets and mappings.
    """
    if isinstance(value, str):
        return value.endswith(TEMPLATE_FILES) or any(mark in value for mark in _MARKS)
    if isinstance(value, Mapping):
        return any(map(is_templated, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(is_templated, value))
    resolves = hasattr(value, "resolve") and not isinstance(value, PathLike)
    return resolves or callable(value)


def words_of(name: str, value: Any) -> list[str] | None:
    """Return a command's words; None where none is given.

    A text is split as a shell splits it. A text that begins with `[` is a Python list.
    """
    if value is None:
        return None
    if isinstance(value, str):
        is_list = value.strip().startswith("[")
        try:
            value = ast.literal_eval(value.strip()) if is_list else shlex.split(value)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{name}: {error}: write a list of words") from None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: {_type(value)}: write a text or a list of words")  # noqa: TRY004
    return [str(word) for word in value]


def bytes_of(name: str, value: Any) -> int:
    """Return a size in bytes, as docker-py's `parse_bytes` does; 0 means that none is set."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name}: {_type(value)}: {_SIZES}")  # noqa: TRY004
    try:
        size = int(_bytes_in(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} {value!r}: {_SIZES}") from None
    if size < 0:
        raise ValueError(f"{name} {value!r}: {_SIZES}")
    return size


_SIZES = "write bytes, or as 512m or 2g"


def _bytes_in(text: str) -> float:
    """Read `512m`, `1.5g`, `64kb` or `1024`; units are powers of 1024."""
    if not text:
        return 0
    if text[-2:-1].isalpha() and text[-1] in "bB":
        text = text[:-1]
    suffix = text[-1].lower()
    if suffix.isdigit():
        return float(text)
    if suffix not in _UNITS:
        raise ValueError(text)
    return float(text[:-1]) * _UNITS[suffix]


def shares_of(cpus: Any) -> int:
    """Return the CPU shares of a number of CPUs; 0 means that none are set."""
    if not isinstance(cpus, int | float):
        raise ValueError(f"cpus: {_type(cpus)}: write a number, such as 0.5")  # noqa: TRY004
    try:
        shares = round(cpus * 1024)
    except (ValueError, OverflowError):
        shares = -1
    if shares < 0:
        raise ValueError(f"cpus {cpus!r}: write a number, such as 0.5")
    return shares


def texts_of(name: str, value: Any) -> list[str]:
    """Return a list of texts; empty where none is given."""
    if isinstance(value, str) and value:
        raise ValueError(f"{name} {value!r}: write a list: [{value!r}]")
    found = list(value) if isinstance(value, Iterable) else [value] if value else []
    if not all(isinstance(each, str) for each in found):
        raise ValueError(f"{name}: write a list of texts")
    return found


def text_of(name: str, value: Any) -> str:
    """Return a text; empty where none is given."""
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError(f"{name}: {_type(value)}: write a text")


def hosts_of(value: Any) -> dict[str, str]:
    """Return addresses by host name, given as a mapping or as a list of `name:address`."""
    if not value:
        return {}
    pairs = value.items() if isinstance(value, Mapping) else _pairs("extra_hosts", value)
    found = dict(pairs)
    if not all(isinstance(each, str) for pair in found.items() for each in pair):
        raise ValueError("extra_hosts: write names and addresses as texts")
    return found


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, Sequence) and not isinstance(value, str) else [None]:
        host, colon, address = each.partition(":") if isinstance(each, str) else ("", "", "")
        if not (host and colon and address):
            raise ValueError(f"{name}: write a mapping of names to addresses")
        yield host, address


def labels_of(value: Any) -> dict[str, str]:
    """Return labels, given as a mapping or as a list of names."""
    if not value:
        return {}
    pairs = value if isinstance(value, Mapping) else dict.fromkeys(texts_of("labels", value))
    for name, label in pairs.items():
        if not isinstance(name, str) or not isinstance(label, str | None):
            raise ValueError(  # noqa: TRY004
                f"labels {name}: write texts, such as {{{name!r}: '1'}}"
            )
    return {name: label or "" for name, label in pairs.items()}


def _type(value: object) -> str:
    return f"a value of type {type(value).__name__}"
