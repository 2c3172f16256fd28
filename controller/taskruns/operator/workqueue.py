"""The work queue: different runs at the same time, one run never twice at once, nothing lost.

What goes wrong with one run is logged and tried again later, ever more rarely; it never stops the
others.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Generic, TypeVar

from taskruns.engines.engine import Unavailable
from taskruns.engines.reconcile import NotSettled
from taskruns.operator.backlog import Backlog, Backoff
from taskruns.operator.health import Pulse

K = TypeVar("K", bound=Hashable)

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


class Queue(Generic[K]):
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
        backlog: Backlog[K] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._work = work
        self._workers = workers
        self._now = now
        self._around = around
        self._observer = observer or Observer()
        self._backlog = backlog or Backlog[K](Backoff(spread=random.random))
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
