"""Durations as Kubernetes users write them: Go's notation, such as `90s`, `1h30m` or `500ms`."""

import re
from datetime import timedelta

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_TERM.pattern})+")

MAX_DURATION_LENGTH = 20
DURATION_PATTERN = r"^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$"
"""What the CRD accepts, at most `MAX_DURATION_LENGTH` characters of it: never more than Go's
durations can count (292 years), so that CEL can read and compare whatever it has let in."""


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `1h30m`.

    Raises:
        ValueError: the text is not a sum of numbers with the units ms, s, m or h.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write it like 30s, 5m or 1h30m")
    terms = _TERM.findall(text)
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in terms))
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than can be counted") from error


def format_duration(duration: timedelta) -> str:
    """Write a duration the way it would be typed, with its largest whole units first."""
    milliseconds = round(duration / timedelta(milliseconds=1))
    parts: list[str] = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
