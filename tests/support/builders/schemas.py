"""CRD schemas as data for tests: their fields, and strategies for objects that fit them.

The strategies know types and bounds, not the CEL rules, which only the apiserver checks.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from taskruns.api.crd import resource_schema
from taskruns.api.v1alpha1.model import TIME_PATTERN

Schema = dict[str, Any]
Path = tuple[str | int, ...]
Values = st.SearchStrategy[Any]

PRESERVED = "x-kubernetes-preserve-unknown-fields"

_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
_WORDS = st.text(_CHARACTERS, max_size=20)
_TIMES = st.integers(-30_000_000_000, 253_000_000_000).map(
    lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
_DURATIONS = st.lists(
    st.tuples(st.integers(0, 999_999), st.sampled_from(["h", "m", "s", "ms"])),
    min_size=1,
    max_size=2,
).map(lambda terms: "".join(f"{number}{unit}" for number, unit in terms))
ANYTHING: Values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=6,
)


def fields(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Yield every node of a schema with its path; items of a list are at index 0."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from fields(below, (*path, name))
    if "items" in schema:
        yield from fields(schema["items"], (*path, 0))


def written(path: Path) -> str:
    """Return a path in the apiserver's notation: `spec.env[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]


def replaced(content: Any, path: Path, value: Any) -> Any:
    """Return a copy with another value at a path; missing parents are created."""
    return _edited(content, path, lambda parent, last: parent.__setitem__(last, value))


def removed(content: Any, path: Path) -> Any:
    """Return a copy without the value at a path."""
    return _edited(content, path, lambda parent, last: parent.pop(last, None))


def _edited(content: Any, path: Path, edit: Callable[[Any, Any], object]) -> Any:
    copy = deepcopy(content)
    parent = copy
    for part in path[:-1]:
        parent = parent.setdefault(part, {}) if isinstance(part, str) else parent[part]
    edit(parent, path[-1])
    return copy


def conforming(schema: Schema) -> Values:
    """Return a strategy for values that a schema accepts, small ones first."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema == {PRESERVED: True}:
        return ANYTHING
    return _MAKERS[schema["type"]](schema)


def _objects(schema: Schema) -> Values:
    properties = {name: conforming(below) for name, below in schema.get("properties", {}).items()}
    required = {name: properties.pop(name) for name in schema.get("required", ())}
    known = st.fixed_dictionaries(required, optional=properties)
    if PRESERVED in schema:
        others = st.dictionaries(_WORDS, ANYTHING, max_size=2)
        return st.builds(lambda known, others: {**others, **known}, known, others)
    if "additionalProperties" in schema:
        return st.dictionaries(_WORDS, conforming(schema["additionalProperties"]), max_size=3)
    return known


def _lists(schema: Schema) -> Values:
    keys: Sequence[str] = schema.get("x-kubernetes-list-map-keys", ())
    is_set = schema.get("x-kubernetes-list-type") == "set"
    return st.lists(
        conforming(schema["items"]),
        min_size=schema.get("minItems", 0),
        max_size=min(schema.get("maxItems", 4), 4),
        unique_by=(lambda item: tuple(item[key] for key in keys)) if keys else None,
        unique=is_set,
    )


def _strings(schema: Schema) -> Values:
    if schema.get("pattern") == TIME_PATTERN:
        return _TIMES.map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    if any("ms|s" in rule["rule"] for rule in schema.get("x-kubernetes-validations", ())):
        return _DURATIONS
    least, most = schema.get("minLength", 0), schema.get("maxLength", 40)
    return st.text(_CHARACTERS, min_size=least, max_size=min(most, 40))


_MAKERS: dict[str, Callable[[Schema], Values]] = {
    "object": _objects,
    "array": _lists,
    "string": _strings,
    "integer": lambda it: st.integers(it.get("minimum", -(2**53)), it.get("maximum", 2**53)),
    "number": lambda it: st.floats(it["minimum"], it["maximum"]),
    "boolean": lambda _: st.booleans(),
}

_TASKRUN = resource_schema()["properties"]
SPECS, STATUSES = conforming(_TASKRUN["spec"]), conforming(_TASKRUN["status"])
"""Strategies for values that the CRD accepts.

They are made once for all tests, because hypothesis validates each strategy.
"""
