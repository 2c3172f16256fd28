"""What has been told of runs: the same thing told again is no new Event, it only counts.

Nothing of it outlives the process. Another controller, or the next one, begins a series of its own.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime

from taskruns.api.conditions import EventReason
from taskruns.core.plan import Event
from taskruns.engines.engine import RunRef

REMEMBERED = 4_000
"""Series that are known again. One that was forgotten goes on as a new one."""


@dataclass(frozen=True, slots=True)
class Series:
    """All Events of one reason about one run, of which the last is kept."""

    run: RunRef
    event: Event
    first: datetime
    count: int

    @property
    def key(self) -> tuple[str, EventReason]:
        """What makes two Events one series."""
        return self.run.uid, self.event.reason

    @property
    def name(self) -> str:
        """Name the series' one object; by name is by time, which decides within a second."""
        micros = int(self.first.timestamp() * 1_000_000)
        return f"{self.run.name}.{micros:x}.{self.event.reason.lower()}"


class EventCorrelator:
    """The series that are remembered, least recently told first."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, EventReason], Series] = OrderedDict()

    def note(self, run: RunRef, event: Event) -> Series:
        """Add an Event to its series and return that."""
        series = Series(run, event, first=event.at, count=1)
        before = self._series.pop(series.key, None)
        if before is not None:
            series = replace(series, first=before.first, count=before.count + 1)
        self._series[series.key] = series
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        return series

    def told(self) -> tuple[Series, ...]:
        """Every series, the one that began first at the beginning."""
        return tuple(sorted(self._series.values(), key=lambda series: series.first))
