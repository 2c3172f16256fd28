"""Simulated time: a clock that moves when told to, and what is to happen at which moment."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When simulated time begins."""


class Agenda:
    """The moments to come, in order; those of one moment happen in the order they were noted."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self.now = start
        self._entries: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Note what happens some seconds from now; what lies past all dates never happens."""
        try:
            moment = self.now + timedelta(seconds=seconds)
        except OverflowError:
            return
        heapq.heappush(self._entries, (moment, next(self._order), act))

    @property
    def next_moment(self) -> datetime | None:
        """When something happens next; None when nothing will."""
        return self._entries[0][0] if self._entries else None

    def advance_to(self, moment: datetime) -> None:
        """Let everything happen up to and including a moment, and stay there."""
        while self._entries and self._entries[0][0] <= moment:
            due, _, act = heapq.heappop(self._entries)
            self.now = max(self.now, due)
            act()
        self.now = max(self.now, moment)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.advance_to(self.now + timedelta(seconds=seconds))
