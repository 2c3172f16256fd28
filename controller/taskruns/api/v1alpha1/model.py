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

TIME_PATTERN = "^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
"""metav1.Time as Kubernetes writes it. The format date-time alone lets more in than Python reads:
the year 0000, offsets of 99 hours."""


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
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
]
"""A moment in UTC, to the second, as Kubernetes writes it."""

CoreObject = dict[str, Any]
"""An object of core/v1 that is passed through as it is, newer fields of Kubernetes included."""
