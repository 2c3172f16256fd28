"""Base class of the models, and the types of times, durations and core/v1 objects."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_TERM.pattern})+")

MAX_DURATION_LENGTH = 20
DURATION_PATTERN = r"^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$"
"""Pattern of durations in the CRD, for texts of at most `MAX_DURATION_LENGTH` characters.

Every text that it accepts is within the range of Go's durations (292 years), so that CEL can parse
and compare it.
"""


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as `1h30m`.

    Raises:
        ValueError: the text is not a sequence of numbers with the units ms, s, m or h, or the
            duration overflows.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write a duration such as 30s, 5m or 1h30m")
    terms = _TERM.findall(text)
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in terms))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration: write a shorter one") from error


def format_duration(duration: timedelta) -> str:
    """Format a duration such as `1h30m`, rounded to milliseconds, with the largest units first."""
    milliseconds = round(duration / timedelta(milliseconds=1))
    parts: list[str] = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


MAX_SECONDS = 2**31 - 1
"""Limit of Kubernetes' int32 fields: about 68 years, in seconds."""

_YEAR = "[1-9][0-9]{3}"
_LEAP_YEAR = "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"

TIME_PATTERN = f"^({_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)T{_CLOCK}$"
"""Pattern of metav1.Time as Kubernetes writes it, limited to times that Python can parse.

The format date-time is not used: with it the apiserver accepts a list in place of a string (seen in
1.36), the year 0000 and offsets of 99 hours.
"""


class Model(BaseModel):
    """A part of a TaskRun: immutable, camelCase in JSON, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, without absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _read_duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "maxLength": MAX_DURATION_LENGTH}),
]
"""Duration in Go's notation, such as `30s` or `1h30m`; a rule of the CRD checks its form."""

Time = Annotated[
    AwareDatetime,
    PlainSerializer(_format_time),
    WithJsonSchema({"type": "string", "pattern": TIME_PATTERN}),
]
"""Time in UTC with a resolution of one second, as Kubernetes writes it."""

CoreObject = dict[str, Any]
"""Object of core/v1 that is passed through unchanged, including fields of newer Kubernetes."""


def keyed_by(field: str) -> dict[str, Any]:
    """Return the schema keywords of a list whose items are identified by one of their fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]}
