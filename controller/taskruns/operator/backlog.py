"""Which run is next, and when: the work queue without its workers. Pure; time is an argument.

A key is in at most one of three places: waiting its turn, being worked on, or held back after a
failure. It may have one timer besides. Times are seconds on any clock, as long as it is one.
"""

import heapq
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from taskruns.operator.rota import Rota

K = TypeVar("K", bound=Hashable)

_STALE_TIMERS = 64
"""Replaced timers that are tolerated in the heap, on top of as many as there are real ones."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a key is held back after failures in a row, in seconds."""

    first: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    spread: Callable[[], float] = lambda: 0.0
    """A random share to add, 0 to 1, so that what failed together does not return together."""

    def delay(self, failures: int) -> float:
        """Return the delay after this many failures in a row, 1 or more."""
        exponent = min(failures - 1, 32)  # beyond any cap, and short of an overflow
        return min(self.first * self.factor**exponent, self.cap) * (1 + self.spread())


class Backlog(Generic[K]):
    """Keys to be worked on: each at most once at a time, lane by lane in turn.

    `lane` says which lane a key is in, and at most `at_once` keys of one are worked on.
    """

    def __init__(
        self, backoff: Backoff, lane: Callable[[K], Hashable] = lambda _: None, at_once: float = inf
    ) -> None:
        self.waits: Callable[[K], None] = lambda _: None
        """Told of a key when it begins to wait."""
        self._backoff = backoff
        self._waiting = Rota(lane, at_once)
        self._busy: dict[K, bool] = {}
        """Being worked on, and whether it was asked for again meanwhile."""
        self._failures: dict[K, int] = {}
        self._held: set[K] = set()
        self._timers: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    @property
    def depth(self) -> int:
        """Keys that wait for their turn."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """Keys that are being worked on."""
        return len(self._busy)

    @property
    def sleeping(self) -> int:
        """Keys that will come back by themselves, failures included."""
        return len(self._timers)

    def add(self, key: K) -> None:
        """Ask for a look at a key.

        One that is being worked on is looked at again afterwards. One that failed keeps waiting:
        what it wrote before it failed must not bring it back at once, over and over.
        """
        if key in self._busy:
            self._busy[key] = True
        elif key not in self._held:
            self._wait(key)

    def take(self) -> K | None:
        """Start on the key whose turn it is; None when there is none."""
        key = self._waiting.take()
        if key is not None:
            self._busy[key] = False
        return key

    def done(self, key: K, wake_at: float | None) -> None:
        """End a look that went well; `wake_at` replaces the key's timer, None removes it."""
        self._failures.pop(key, None)
        self._set_timer(key, wake_at)
        self._waiting.end(key)
        if self._busy.pop(key):
            self._wait(key)

    def fail(self, key: K, now: float, at_least: float = 0.0, at_most: float = inf) -> float:
        """End a look that failed; return after how many seconds the key comes back.

        `at_most` bounds what the row of failures asks for, `at_least` counts before it.
        """
        del self._busy[key]
        self._waiting.end(key)
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        self._held.add(key)
        delay = max(min(self._backoff.delay(failures), at_most), at_least)
        self._set_timer(key, now + delay)
        return delay

    def failures(self, key: K) -> int:
        """How often in a row this key has failed."""
        return self._failures.get(key, 0)

    def advance(self, now: float) -> float | None:
        """Ask for every key whose time has come; return when the next one's will."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._timers.get(key) != at:
                heapq.heappop(self._heap)
            elif at <= now:
                heapq.heappop(self._heap)
                del self._timers[key]
                self._held.discard(key)
                self.add(key)
            else:
                return at
        return None

    def _wait(self, key: K) -> None:
        if self._waiting.add(key):
            self.waits(key)

    def _set_timer(self, key: K, at: float | None) -> None:
        if at is None:
            self._timers.pop(key, None)
        elif self._timers.get(key) != at:
            self._timers[key] = at
            heapq.heappush(self._heap, (at, next(self._order), key))
        if len(self._heap) > 2 * len(self._timers) + _STALE_TIMERS:
            self._heap = [entry for entry in self._heap if self._timers.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
