"""Untyped JSON: readers that return a value of their type or an empty one, and changed copies.

The apiserver does not check templates, and any client with the right to do so can write a status.
A decision must be possible for any content, so the readers never raise.
The functions that return changed copies do not modify the originals.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

Object = Mapping[str, Any]
"""An object in Kubernetes' wire form, which is not modified."""
EMPTY: Object = {}
Draft = dict[str, Any]
"""A copy of an object that may be modified before it is stored."""
_MAPPING, _SEQUENCE = (dict, Mapping), (list, Sequence)
"""Types for isinstance. The concrete type comes first: it applies to most values and its check
takes a quarter of the time of the abstract class."""


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping unchanged; an empty mapping for any other value."""
    return value if isinstance(value, _MAPPING) else EMPTY


def mappings(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the mappings in a list, in order; other items are dropped."""
    if not isinstance(value, _SEQUENCE) or isinstance(value, str | bytes):
        return ()
    return tuple(item for item in value if isinstance(item, _MAPPING))


def strings(value: object) -> tuple[str, ...]:
    """Return the strings in a list, in order; other items are dropped."""
    if not isinstance(value, _SEQUENCE) or isinstance(value, str | bytes):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def text(value: object) -> str:
    """Return a string unchanged; an empty string for any other value."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return an integer unchanged; None for any other value, booleans included."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """Parse an RFC 3339 time and return it in UTC; None for any other value.

    The Unix epoch gives None, because runtimes report it for containers that never started.
    """
    try:
        parsed = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    try:
        parsed = parsed.astimezone(UTC)
    except OverflowError:
        return None
    return parsed if parsed.timestamp() > 0 else None


def stamp(moment: datetime) -> str:
    """Format a moment as Kubernetes does: in UTC, truncated to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_QUANTITY = re.compile(
    r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?\d+)?)(?P<suffix>[KMGTPE]i|[numkMGTPE])?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def read_quantity(text: str) -> Decimal | None:
    """Parse a Kubernetes quantity such as `500m`, `1Gi` or `3`; None for any other text."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    try:
        number, suffix = Decimal(match["number"]), match["suffix"] or ""
        if suffix in _BINARY:
            return number * Decimal(1024) ** _BINARY[suffix]
        return number.scaleb(_DECIMAL.get(suffix, 0))
    except DecimalException:
        return None


def drafted(original: Any) -> Any:
    """Return a deep copy of an object, which may be modified."""
    if isinstance(original, str):  # first, because most values are strings and the check is fast
        return original
    if isinstance(original, Mapping):
        return {key: drafted(value) for key, value in original.items()}
    if isinstance(original, list | tuple):
        return [drafted(value) for value in original]
    return original


def merged(target: Any, patch: Any) -> Any:
    """Return `target` with a JSON merge patch (RFC 7396) applied."""
    if not isinstance(patch, Mapping):
        return drafted(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def with_condition(
    status: Mapping[str, Any], now: datetime, condition: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a Pod's status with a condition set.

    lastTransitionTime becomes `now` if the condition is new or its status changes.
    """
    conditions = list(status.get("conditions") or ())
    since = stamp(now)
    for index, existing in enumerate(conditions):
        if existing["type"] == condition["type"]:
            if existing["status"] == condition["status"]:
                since = existing["lastTransitionTime"]
            conditions[index] = {**condition, "lastTransitionTime": since}
            return {**status, "conditions": conditions}
    return {**status, "conditions": [*conditions, {**condition, "lastTransitionTime": since}]}
