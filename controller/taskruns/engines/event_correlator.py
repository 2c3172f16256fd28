"""Event correlator: counts repeated Events of one reason about one run in one Event object.

The state is in memory only. Another controller process begins series of its own.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime

from taskruns.api.conditions import EventReason
from taskruns.core.plan import Event
from taskruns.engines.engine import RunRef

REMEMBERED = 4_000
"""Maximum number of series in memory. A series that was dropped is continued as a new one."""


@dataclass(frozen=True, slots=True)
class Series:
    """All Events of one reason about one run; only the last one is kept."""

    run: RunRef
    event: Event
    first: datetime
    count: int

    @property
    def key(self) -> tuple[str, EventReason]:
        """Key of the series: the run's uid and the reason."""
        return self.run.uid, self.event.reason

    @property
    def name(self) -> str:
        """Name of the series' Event object.

        It contains the time of the first Event in microseconds, so that sorting by name sorts
        series that began within the same second.
        """
        micros = int(self.first.timestamp() * 1_000_000)
        return f"{self.run.name}.{micros:x}.{self.event.reason.lower()}"


class EventCorrelator:
    """The series in memory, least recently updated first."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, EventReason], Series] = OrderedDict()

    def note(self, run: RunRef, event: Event) -> Series:
        """Add an Event to its series, and return the series."""
        series = Series(run, event, first=event.at, count=1)
        before = self._series.pop(series.key, None)
        if before is not None:
            series = replace(series, first=before.first, count=before.count + 1)
        self._series[series.key] = series
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        return series

    def told(self) -> tuple[Series, ...]:
        """Return every series, ordered by its first Event."""
        return tuple(sorted(self._series.values(), key=lambda series: series.first))
