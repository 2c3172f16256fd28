"""Times of a log as instants: they compare across offsets and any number of fractional digits."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_TIME = re.compile(rb"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")
_LONGEST = 64
"""Bytes; more than any time has."""

MILLION = 1_000_000
BILLION = 1_000_000_000


def nanoseconds_of(text: bytes) -> int | None:
    """Return an RFC 3339 time as nanoseconds since 1970; None where `text` is none."""
    match = _TIME.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    seconds = _seconds_of(whole, zone)
    if seconds is None:
        return None
    return seconds * BILLION + int((fraction or b"0").ljust(9, b"0")[:9])


def datetime_of(nanoseconds: int) -> datetime:
    """Return an instant as Python has it, to the microsecond."""
    seconds, rest = divmod(nanoseconds, BILLION)
    return _datetime_of(seconds).replace(microsecond=rest // 1000)


def rfc3339_of(seconds: int) -> str:
    """Return whole seconds since 1970 as the API server takes them."""
    return f"{_datetime_of(seconds).replace(tzinfo=None).isoformat()}Z"


@lru_cache(maxsize=64)
def _seconds_of(whole: bytes, zone: bytes) -> int | None:
    try:
        time = datetime.fromisoformat((whole + zone).decode().upper())
        return int((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    except (ValueError, OverflowError):  # a month 13, or a second 60
        return None


@lru_cache(maxsize=64)
def _datetime_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
