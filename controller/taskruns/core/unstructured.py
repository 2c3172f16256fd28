"""Reading JSON that may be anything: each reader returns a value of its type or says "nothing".

The apiserver checks the objects that it stores, but statuses can be forged and templates pass
through unchecked; a decision must come out all the same.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

EMPTY: Mapping[str, Any] = {}
_MAPPING, _SEQUENCE = (dict, Mapping), (list, Sequence)
"""What is a dict or a list, as most is, is told in a fourth of the time that the abstract classes
take."""


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping as it is, anything else as an empty one."""
    return value if isinstance(value, _MAPPING) else EMPTY


def mappings(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the mappings of a list, in order; anything else is left out."""
    if not isinstance(value, _SEQUENCE) or isinstance(value, str | bytes):
        return ()
    return tuple(item for item in value if isinstance(item, _MAPPING))


def strings(value: object) -> tuple[str, ...]:
    """Return the strings of a list, in order; anything else is left out."""
    if not isinstance(value, _SEQUENCE) or isinstance(value, str | bytes):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def text(value: object) -> str:
    """Return a string as it is, anything else as an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return an integer as it is; None for anything else, booleans included."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """Read an RFC 3339 time; None for anything else.

    The zero of Unix time counts as nothing: runtimes report it for containers that never started.
    """
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    if found.tzinfo is None:
        return None
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        return None
    return found if found.timestamp() > 0 else None


def stamp(moment: datetime) -> str:
    """Write a moment as Kubernetes does: in UTC, cut to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_QUANTITY = re.compile(
    r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?\d+)?)(?P<suffix>[KMGTPE]i|[numkMGTPE])?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def read_quantity(text: str) -> Decimal | None:
    """Read a Kubernetes quantity such as `500m`, `1Gi` or `3`; None for anything else."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    try:
        number, suffix = Decimal(found["number"]), found["suffix"] or ""
        if suffix in _BINARY:
            return number * Decimal(1024) ** _BINARY[suffix]
        return number.scaleb(_DECIMAL.get(suffix, 0))
    except DecimalException:
        return None
