"""Work queue: processes different keys in parallel and one key serially, and loses none.

Keys are deduplicated, a failed key is retried with backoff, and lanes (namespaces) take turns.
"""

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

from taskruns.clock import Clock
from taskruns.engines.engine import Unavailable
from taskruns.engines.reconcile import NotSettled
from taskruns.operator.health import Heartbeat

K = TypeVar("K", bound=Hashable)


def share(workers: int) -> int:
    """Return how many workers one lane may occupy: all but a quarter, and at least one.

    The quarter is needed although lanes take turns, because work that hangs keeps its worker.
    """
    return max(workers - max(workers // 4, 1), 1)


_URGENT_IN_A_ROW = 8
"""Urgent keys of a lane that are taken one after another while another key of it waits."""


class _Lane(Generic[K]):
    """Waiting keys of one lane. Urgent keys go first; both kinds are first in, first out."""

    def __init__(self) -> None:
        self._urgent: OrderedDict[K, None] = OrderedDict()
        self._others: OrderedDict[K, None] = OrderedDict()
        self._urgent_in_a_row = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def add(self, key: K, *, urgent: bool) -> bool:
        """Append a key; return False if it already waits. A waiting key can become urgent."""
        if key in self._urgent or (key in self._others and not urgent):
            return False
        waits = key in self._others
        self._others.pop(key, None)
        (self._urgent if urgent else self._others)[key] = None
        return not waits

    def take(self) -> K:
        """Remove and return the next key; there must be one."""
        use_urgent = bool(self._urgent) and (
            not self._others or self._urgent_in_a_row < _URGENT_IN_A_ROW
        )
        self._urgent_in_a_row = self._urgent_in_a_row + 1 if use_urgent else 0
        key, _ = (self._urgent if use_urgent else self._others).popitem(last=False)
        return key


class FairScheduler(Generic[K]):
    """Waiting keys, by lane: the lanes take turns, and within a lane urgent keys go first.

    A lane with `at_once` keys in progress is skipped. While other keys wait, only a limited number
    of urgent keys is taken in a row, so no key waits forever.
    """

    def __init__(self, lane: Callable[[K], Hashable], at_once: float) -> None:
        self._lane = lane
        self._at_once = at_once
        self._lanes: OrderedDict[Hashable, _Lane[K]] = OrderedDict()
        """Lanes with waiting keys, in the order of their turns."""
        self._busy: Counter[Hashable] = Counter()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, key: K, *, urgent: bool = False) -> bool:
        """Append a key to its lane; return False if it already waits, as urgent or not."""
        added = self._lanes.setdefault(self._lane(key), _Lane()).add(key, urgent=urgent)
        self._waiting += added
        return added

    def take(self) -> K | None:
        """Remove and return the next key and count it as in progress; None if none may start."""
        name = next((lane for lane in self._lanes if self._busy[lane] < self._at_once), None)
        if name not in self._lanes:
            return None
        lane = self._lanes.pop(name)
        key = lane.take()
        if lane:
            self._lanes[name] = lane  # now the last in turn
        self._busy[name] += 1
        self._waiting -= 1
        return key

    def clear(self) -> None:
        """Drop every waiting key."""
        self._lanes.clear()
        self._waiting = 0

    def end(self, key: K) -> None:
        """Count a key that was taken as no longer in progress."""
        lane = self._lane(key)
        self._busy[lane] -= 1
        if not self._busy[lane]:
            del self._busy[lane]


_STALE_TIMERS = 64
"""Replaced timers that may stay in the heap, in addition to one for each timer in use."""


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """Exponential backoff after consecutive failures of a key, in seconds."""

    first: float = 1.0
    factor: float = 2.0
    cap: float = 300.0
    spread: Callable[[], float] = lambda: 0.0
    """Random fraction to add, 0 to 1, so that keys that failed together do not retry together."""

    def delay(self, failures: int) -> float:
        """Return the delay in seconds after this many consecutive failures, 1 or more."""
        exponent = min(failures - 1, 32)  # exceeds any cap without an overflow
        return min(self.first * self.factor**exponent, self.cap) * (1 + self.spread())


class DelayingQueue(Generic[K]):
    """Queue of keys with timers and backoff. A key is in progress at most once at a time.

    `lane` returns the lane of a key. Lanes take turns, and at most `at_once` keys of one lane are
    in progress. Keys for which `urgent` is true as they are added go before others of their lane.
    """

    def __init__(
        self,
        backoff: RateLimiter,
        lane: Callable[[K], Hashable] = lambda _: None,
        at_once: float = inf,
        urgent: Callable[[K], bool] = lambda _: False,
    ) -> None:
        self._urgent = urgent
        self.waits: Callable[[K], None] = lambda _: None
        """Callback for each key that begins to wait."""
        self._backoff = backoff
        self._waiting = FairScheduler(lane, at_once)
        self._busy: dict[K, bool] = {}
        """Keys in progress, and whether each was added again meanwhile."""
        self._failures: dict[K, int] = {}
        self._held: set[K] = set()
        self._later: dict[K, float] = {}
        """Times at which keys in progress are to be enqueued, by `add_at`."""
        self._timers: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    @property
    def depth(self) -> int:
        """Number of keys that wait for a worker."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """Number of keys in progress."""
        return len(self._busy)

    @property
    def sleeping(self) -> int:
        """Number of keys with a timer, failed keys in backoff included."""
        return len(self._timers)

    @property
    def heap_size(self) -> int:
        """Number of timers in the heap, replaced ones included."""
        return len(self._heap)

    def add(self, key: K) -> None:
        """Enqueue a key.

        A key in progress is enqueued again afterwards. A key in backoff is left there: the watch
        event of a write that it made before it failed must not cause an immediate retry.
        """
        if key in self._busy:
            self._busy[key] = True
        elif key not in self._held:
            self._wait(key)

    def add_at(self, key: K, at: float) -> None:
        """Enqueue a key at a time, in seconds of Unix time, unless it is processed before.

        A key in progress is enqueued at that time too. A key in backoff is left there.
        """
        if key in self._busy:
            self._later[key] = min(at, self._later.get(key, inf))
        elif key not in self._held and at < self._timers.get(key, inf):
            self._set_timer(key, at)

    def take(self) -> K | None:
        """Remove and return the next key and mark it as in progress; None if none may start."""
        key = self._waiting.take()
        if key is not None:
            self._busy[key] = False
        return key

    def done(self, key: K, wake_at: float | None) -> None:
        """Record that the work on a key succeeded, and reset its count of failures.

        `wake_at`, in seconds of Unix time, replaces the key's timer; None removes it.
        """
        self._failures.pop(key, None)
        times = (wake_at, self._later.pop(key, None))
        self._set_timer(key, min((at for at in times if at is not None), default=None))
        self._waiting.end(key)
        if self._busy.pop(key):
            self._wait(key)

    def fail(self, key: K, now: float, at_least: float = 0.0, at_most: float = inf) -> float:
        """Record that the work on a key failed; return the delay until its retry, in seconds.

        Args:
            key: the key.
            now: current time, in seconds of Unix time.
            at_least: minimum delay; takes precedence over `at_most`.
            at_most: maximum of the backoff.
        """
        del self._busy[key]
        self._later.pop(key, None)
        self._waiting.end(key)
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        self._held.add(key)
        delay = max(min(self._backoff.delay(failures), at_most), at_least)
        self._set_timer(key, now + delay)
        return delay

    def failures(self, key: K) -> int:
        """Return the number of consecutive failures of a key."""
        return self._failures.get(key, 0)

    def advance(self, now: float) -> float | None:
        """Enqueue every key whose timer has expired; return the time of the next timer, or None."""
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

    def clear(self) -> None:
        """Drop every key, timer and count of failures; no key may be in progress."""
        self._waiting.clear()
        self._failures.clear()
        self._held.clear()
        self._later.clear()
        self._timers.clear()
        self._heap.clear()

    def _wait(self, key: K) -> None:
        if self._waiting.add(key, urgent=self._urgent(key)):
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
"""Time limit for the work on one key, in seconds. Only work that hangs exceeds it."""

OUTAGE_CAP = 20.0
"""Maximum backoff while the apiserver is unavailable, in seconds. The run is not at fault, and all
runs continue within this time after the apiserver has returned.
"""

LONGEST_SLEEP = 30.0
"""Maximum time between two comparisons of timers and clock, in seconds; the clock may be set."""

DONE, PUT_OFF, FAILED = "done", "put_off", "failed"
"""Results of the work on a key: success; retried because the runtime was unavailable or the run did
not settle; an unexpected exception."""

_SHORTEST_SLEEP = timedelta(seconds=1)
"""Minimum requeue delay; prevents a busy loop when the wake-up time has already passed."""


class Observer:
    """Workqueue timing callbacks. The default implementation does nothing."""

    def waits(self, key: Hashable) -> None:
        """Note that a key has begun to wait for a worker."""

    def begins(self, key: Hashable) -> None:
        """Note that a worker has started on a key."""

    def ends(self, key: Hashable, result: str) -> None:
        """Note that a worker has finished a key; `result` is DONE, PUT_OFF or FAILED."""

    def cleared(self) -> None:
        """Note that no key waits any more."""


class WorkQueue(Generic[K]):
    """Calls `work` for every key that is added, for at most `workers` keys at a time.

    `work` returns the time of the key's next call without an event, or None. Each call runs inside
    the context manager that `around` returns for its key.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[datetime | None]],
        workers: int,
        now: Clock,
        around: Callable[[K], AbstractContextManager[None]] = lambda _: nullcontext(),
        backlog: DelayingQueue[K] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.work = work
        """Function that processes a key."""
        self._workers = workers
        self._now = now
        self._around = around
        self._observer = observer or Observer()
        self._backlog = backlog or DelayingQueue[K](RateLimiter(spread=random.random))
        self._backlog.waits = self._observer.waits
        self._changed = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self.heartbeat = Heartbeat()
        """Heartbeat of `run`, at least every LONGEST_SLEEP seconds."""

    @property
    def depth(self) -> int:
        """Number of keys that wait for a free worker."""
        return self._backlog.depth

    @property
    def busy(self) -> int:
        """Number of keys in progress."""
        return self._backlog.busy

    @property
    def sleeping(self) -> int:
        """Number of keys with a timer, failed keys in backoff included."""
        return self._backlog.sleeping

    def add(self, key: K) -> None:
        """Enqueue a key, to be processed as soon as a worker is free."""
        self._backlog.add(key)
        self.wake()

    def add_after(self, key: K, delay: float) -> None:
        """Enqueue a key after a delay in seconds, unless it is processed before."""
        self._backlog.add_at(key, self._seconds() + delay)
        self.wake()

    def wake(self) -> None:
        """Make `run` start waiting keys and compare its timers with the clock now."""
        self._changed.set()

    async def run(self) -> None:
        """Process keys until cancelled. Calls in progress continue; `drain` ends them."""
        while True:
            self.heartbeat.beat()
            self._changed.clear()
            next_at = self._backlog.advance(self._seconds())
            while len(self._jobs) < self._workers and (key := self._backlog.take()) is not None:
                self._start(key)
            # Not wait_for: before CPython 3.12 it swallows a cancel that arrives with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sleep(next_at)):
                    await self._changed.wait()

    async def drain(self, grace: float) -> None:
        """Wait for the calls in progress, and cancel those that exceed `grace` seconds.

        Cancelling is safe: the next reconcile, by any controller, continues from what was written.
        """
        if self._jobs:
            _, late = await asyncio.wait(self._jobs, timeout=grace)
            for job in late:
                job.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def clear(self) -> None:
        """Drop every key, after `run` was cancelled and `drain` has returned."""
        self._backlog.clear()
        self._observer.cleared()
        self.heartbeat.last = None

    def _start(self, key: K) -> None:
        job = asyncio.create_task(self._process(key), name="taskruns: reconcile")
        self._jobs.add(job)
        job.add_done_callback(self._end)

    def _end(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self.wake()

    async def _process(self, key: K) -> None:
        self._observer.begins(key)
        result = FAILED
        try:
            with self._around(key):
                result = await self._attempt(key)
        finally:
            self._observer.ends(key, result)

    async def _attempt(self, key: K) -> str:
        """Call `work` for a key; return DONE, PUT_OFF or FAILED."""
        try:
            async with asyncio.timeout(WORK_TIMEOUT):
                wake_at = await self.work(key)
        except asyncio.CancelledError:
            self._backlog.fail(key, self._seconds())
            raise
        except Exception as error:  # noqa: BLE001 - one run's error must not stop the others
            return self._requeue(key, error)
        self._backlog.done(key, self._timer(wake_at))
        return DONE

    def _requeue(self, key: K, error: Exception) -> str:
        away = isinstance(error, Unavailable)
        at_least = (error.retry_after if isinstance(error, Unavailable) else None) or 0.0
        delay = self._backlog.fail(key, self._seconds(), at_least, OUTAGE_CAP if away else inf)
        if away or isinstance(error, NotSettled):
            log.warning("%s; retrying in %.1f s", error, delay)
            return PUT_OFF
        first = self._backlog.failures(key) == 1
        cause = f"{type(error).__name__}: {error}"
        log.error("failed: %s; retrying in %.1f s", cause, delay, exc_info=first and error)
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
