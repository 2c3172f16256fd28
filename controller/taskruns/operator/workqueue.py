"""The work queue: runs in parallel, one run serially, nothing lost; fair over namespaces."""

import asyncio
import heapq
import itertools
import logging
import random
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Generic, TypeVar

from taskruns.engines.engine import Unavailable
from taskruns.engines.reconcile import NotSettled
from taskruns.operator.health import Pulse

K = TypeVar("K", bound=Hashable)


def share(workers: int) -> int:
    """How many of the workers one lane may take: a quarter is kept for the others.

    They would be taken in turn anyhow; but work that hangs does not give its worker back.
    """
    return max(workers - max(workers // 4, 1), 1)


class FairScheduler(Generic[K]):
    """Keys that wait, by lane. A lane that has `at_once` keys being worked on is passed over."""

    def __init__(self, lane: Callable[[K], Hashable], at_once: float) -> None:
        self._lane = lane
        self._at_once = at_once
        self._lanes: OrderedDict[Hashable, OrderedDict[K, None]] = OrderedDict()
        """Those with keys that wait; the first is the next."""
        self._busy: Counter[Hashable] = Counter()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, key: K) -> bool:
        """Let a key wait behind those of its lane; return False for one that waits already."""
        keys = self._lanes.setdefault(self._lane(key), OrderedDict())
        if key in keys:
            return False
        keys[key] = None
        self._waiting += 1
        return True

    def take(self) -> K | None:
        """Start on the next key; None when there is none that may be started."""
        lane = next((lane for lane in self._lanes if self._busy[lane] < self._at_once), None)
        if lane not in self._lanes:
            return None
        keys = self._lanes.pop(lane)
        key, _ = keys.popitem(last=False)
        if keys:
            self._lanes[lane] = keys  # behind all others
        self._busy[lane] += 1
        self._waiting -= 1
        return key

    def end(self, key: K) -> None:
        """A key that was taken is worked on no more."""
        lane = self._lane(key)
        self._busy[lane] -= 1
        if not self._busy[lane]:
            del self._busy[lane]


_STALE_TIMERS = 64
"""Replaced timers that are tolerated in the heap, on top of as many as there are real ones."""


@dataclass(frozen=True, slots=True)
class RateLimiter:
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


class DelayingQueue(Generic[K]):
    """Keys to be worked on: each at most once at a time, lane by lane in turn.

    `lane` says which lane a key is in, and at most `at_once` keys of one are worked on.
    """

    def __init__(
        self,
        backoff: RateLimiter,
        lane: Callable[[K], Hashable] = lambda _: None,
        at_once: float = inf,
    ) -> None:
        self.waits: Callable[[K], None] = lambda _: None
        """Told of a key when it begins to wait."""
        self._backoff = backoff
        self._waiting = FairScheduler(lane, at_once)
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


log = logging.getLogger(__name__)

WORK_TIMEOUT = 300.0
"""Seconds for one look at one run: only a hanging one takes longer."""

OUTAGE_CAP = 20.0
"""Seconds between tries while the apiserver is away: it is not the run's fault, and once it is back
everything goes on within that time.
"""

LONGEST_SLEEP = 30.0
"""Seconds after which timers are compared with the clock anew: it may have been set."""

DONE, PUT_OFF, FAILED = "done", "put_off", "failed"
"""How a look ends: well; for want of an answer, or of rest in the run; by a fault of ours."""

_SHORTEST_SLEEP = timedelta(seconds=1)
"""What a wake-up that is already over is put off by, so that it can never spin."""


class Observer:
    """Told how long keys wait and how long the work on them takes; this one does not care."""

    def waits(self, key: Hashable) -> None:
        """A key has begun to wait for a worker."""

    def begins(self, key: Hashable) -> None:
        """A worker has taken it on."""

    def ends(self, key: Hashable, result: str) -> None:
        """The worker is through with it: DONE, PUT_OFF or FAILED."""


class WorkQueue(Generic[K]):
    """Calls `work` for every key that was asked for, `workers` of them at a time.

    `work` does what there is to do and returns when to look again, or None. Each call happens
    inside what `around` returns for its key.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[datetime | None]],
        workers: int,
        now: Callable[[], datetime],
        around: Callable[[K], AbstractContextManager[None]] = lambda _: nullcontext(),
        backlog: DelayingQueue[K] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._work = work
        self._workers = workers
        self._now = now
        self._around = around
        self._observer = observer or Observer()
        self._backlog = backlog or DelayingQueue[K](RateLimiter(spread=random.random))
        self._backlog.waits = self._observer.waits
        self._changed = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self.pulse = Pulse()
        """Beats at least every LONGEST_SLEEP while `run` runs."""

    @property
    def depth(self) -> int:
        """Keys that wait for a free worker."""
        return self._backlog.depth

    @property
    def busy(self) -> int:
        """Keys that are being worked on."""
        return self._backlog.busy

    @property
    def sleeping(self) -> int:
        """Keys that come back by themselves when their time has come."""
        return self._backlog.sleeping

    def add(self, key: K) -> None:
        """Ask for a look at a key as soon as there is a free worker."""
        self._backlog.add(key)
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled. Cancelling leaves the looks that are under way to `drain`."""
        while True:
            self.pulse.beat()
            self._changed.clear()
            next_at = self._backlog.advance(self._seconds())
            while len(self._jobs) < self._workers and (key := self._backlog.take()) is not None:
                self._start(key)
            # Not wait_for: until CPython 3.12 it swallows a cancel that comes with the change.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sleep(next_at)):
                    await self._changed.wait()

    async def drain(self, grace: float) -> None:
        """Let the looks that are under way end; cut off what takes longer than `grace` seconds.

        Cutting off is safe: the next look, of any controller, goes on from what was written.
        """
        if self._jobs:
            _, late = await asyncio.wait(self._jobs, timeout=grace)
            for job in late:
                job.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start(self, key: K) -> None:
        job = asyncio.create_task(self._look(key), name="taskruns: look at a run")
        self._jobs.add(job)
        job.add_done_callback(self._end)

    def _end(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._changed.set()

    async def _look(self, key: K) -> None:
        self._observer.begins(key)
        result = FAILED
        try:
            with self._around(key):
                result = await self._attempt(key)
        finally:
            self._observer.ends(key, result)

    async def _attempt(self, key: K) -> str:
        """Work on a key; return DONE, PUT_OFF or FAILED."""
        try:
            async with asyncio.timeout(WORK_TIMEOUT):
                wake_at = await self._work(key)
        except asyncio.CancelledError:
            self._backlog.fail(key, self._seconds())
            raise
        except Exception as error:  # noqa: BLE001 - one run's fault must not become the others'
            return self._put_off(key, error)
        self._backlog.done(key, self._timer(wake_at))
        return DONE

    def _put_off(self, key: K, error: Exception) -> str:
        away = isinstance(error, Unavailable)
        at_least = (error.retry_after if isinstance(error, Unavailable) else None) or 0.0
        delay = self._backlog.fail(key, self._seconds(), at_least, OUTAGE_CAP if away else inf)
        if away or isinstance(error, NotSettled):
            log.warning("%s; trying again in %.1f s", error, delay)
            return PUT_OFF
        first = self._backlog.failures(key) == 1
        told = f"{type(error).__name__}: {error}"
        log.error("failed: %s; trying again in %.1f s", told, delay, exc_info=first and error)
        return FAILED

    def _seconds(self) -> float:
        return self._now().timestamp()

    def _timer(self, wake_at: datetime | None) -> float | None:
        if wake_at is None:
            return None
        now = self._now()
        return (wake_at if wake_at > now else now + _SHORTEST_SLEEP).astimezone(UTC).timestamp()

    def _sleep(self, next_at: float | None) -> float:
        if next_at is None:
            return LONGEST_SLEEP
        return min(max(next_at - self._seconds(), 0.0), LONGEST_SLEEP)
