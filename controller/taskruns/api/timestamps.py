"""RFC 3339 times with nanoseconds, as container runtimes write them before lines of a log."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_TIME = re.compile(rb"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")
_MAX_BYTES = 64
"""Maximum length of a timestamp, in bytes."""

MILLION = 1_000_000
BILLION = 1_000_000_000


def nanoseconds_of(text: bytes) -> int | None:
    """Return an RFC 3339 time as nanoseconds since 1970; None if `text` is no such time."""
    match = _TIME.fullmatch(text) if len(text) <= _MAX_BYTES else None
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    seconds = _seconds_of(whole, zone)
    if seconds is None:
        return None
    return seconds * BILLION + int((fraction or b"0").ljust(9, b"0")[:9])


def datetime_of(nanoseconds: int) -> datetime:
    """Return nanoseconds since 1970 as a datetime in UTC, cut to the microsecond."""
    seconds, rest = divmod(nanoseconds, BILLION)
    return _datetime_of(seconds).replace(microsecond=rest // 1000)


def rfc3339_of(seconds: int) -> str:
    """Return whole seconds since 1970 as RFC 3339, for the apiserver's `sinceTime`."""
    return f"{_datetime_of(seconds).replace(tzinfo=None).isoformat()}Z"


@lru_cache(maxsize=64)
def _seconds_of(whole: bytes, zone: bytes) -> int | None:
    try:
        time = datetime.fromisoformat((whole + zone).decode().upper())
        return int((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    except (ValueError, OverflowError):  # for example month 13 or second 60
        return None


@lru_cache(maxsize=64)
def _datetime_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
