"""Simulated time: a clock that moves only on request, and the events at future times."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Start of simulated time."""


class Agenda:
    """Future events in order; events of the same time happen in the order of scheduling."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self.now = start
        self._entries: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Schedule an action in so many seconds; a time beyond the last date never comes."""
        try:
            moment = self.now + timedelta(seconds=seconds)
        except OverflowError:
            return
        heapq.heappush(self._entries, (moment, next(self._order), act))

    @property
    def next_moment(self) -> datetime | None:
        """Time of the next event, or None."""
        return self._entries[0][0] if self._entries else None

    def advance_to(self, moment: datetime) -> None:
        """Run all events up to and including a time, and set the clock to it."""
        while self._entries and self._entries[0][0] <= moment:
            due, _, act = heapq.heappop(self._entries)
            self.now = max(self.now, due)
            act()
        self.now = max(self.now, moment)

    def advance(self, seconds: float) -> None:
        """Advance the clock by this many seconds."""
        self.advance_to(self.now + timedelta(seconds=seconds))
