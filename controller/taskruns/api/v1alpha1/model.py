"""What the parts of a TaskRun are made of: the model's rules, and how time is written."""

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

from taskruns.api.durations import MAX_DURATION_LENGTH, format_duration, parse_duration

MAX_SECONDS = 2**31 - 1
"""The bound of Kubernetes' own int32 fields, about 68 years."""

_YEAR = "[1-9][0-9]{3}"
_LEAP_YEAR = "([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"

TIME_PATTERN = f"^({_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)T{_CLOCK}$"
"""metav1.Time as Kubernetes writes it, and only what Python reads, too.

The format date-time will not do: with it the apiserver lets in lists in a string's place (seen in
1.36), the year 0000 and offsets of 99 hours."""


class Model(BaseModel):
    """A part of a TaskRun: immutable, camelCase on the wire, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    def to_json(self) -> dict[str, Any]:
        """Return the wire form, absent fields left out."""
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
"""A length of time in Go's notation, such as `30s` or `1h30m`; its form is a rule of the CRD."""

Time = Annotated[
    AwareDatetime,
    PlainSerializer(_format_time),
    WithJsonSchema({"type": "string", "pattern": TIME_PATTERN}),
]
"""A moment in UTC, to the second, as Kubernetes writes it."""

CoreObject = dict[str, Any]
"""An object of core/v1 that is passed through as it is, newer fields of Kubernetes included."""
