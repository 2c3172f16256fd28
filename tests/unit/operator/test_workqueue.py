"""The queue's workers without sleeps: a test ends the work and advances the clock."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from taskruns.engines.engine import Unavailable
from taskruns.engines.reconcile import NotSettled
from taskruns.operator.health import Heartbeat
from taskruns.operator.workqueue import OUTAGE_CAP, DelayingQueue, RateLimiter, WorkQueue, share

Work = Callable[[str], Awaitable[datetime | None]]


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Desk:
    """Work that begins at once and ends when a test ends it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Future[datetime | None]] = {}

    async def work(self, key: str) -> datetime | None:
        self.begun.append(key)
        self._ends[key] = asyncio.get_running_loop().create_future()
        return await self._ends[key]

    async def end(self, key: str, outcome: datetime | Exception | None = None) -> None:
        if isinstance(outcome, Exception):
            self._ends.pop(key).set_exception(outcome)
        else:
            self._ends.pop(key).set_result(outcome)
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(
    work: Work, clock: Clock, workers: int = 8, at_once: float = inf
) -> AsyncIterator[WorkQueue[str]]:
    """Run a queue; keys with the same first letter share a lane."""
    backlog = DelayingQueue[str](
        RateLimiter(first=1.0, factor=2.0, cap=300.0), lambda key: key[0], at_once
    )
    queue = WorkQueue(work, workers, clock, backlog=backlog)
    task = asyncio.create_task(queue.run())
    await settle()
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await queue.drain(0)


async def nudge(queue: WorkQueue[str]) -> None:
    """Make the queue read its clock, as after the end of its sleep."""
    queue.wake()
    await settle()


async def test_different_keys_are_processed_concurrently_and_one_key_serially() -> None:
    desk = Desk()
    async with running(desk.work, Clock()) as queue:
        for key in "abab":
            queue.add(key)
        await settle()
        assert desk.begun == ["a", "b"]
        queue.add("a")
        await settle()
        assert desk.begun == ["a", "b"]
        await desk.end("a")
        assert desk.begun == ["a", "b", "a"]


async def test_at_most_one_key_per_worker_is_in_progress() -> None:
    desk = Desk()
    async with running(desk.work, Clock(), workers=2) as queue:
        for key in "abcd":
            queue.add(key)
        await settle()
        assert (desk.begun, queue.busy, queue.depth) == (["a", "b"], 2, 2)
        await desk.end("b")
        assert (desk.begun, queue.busy, queue.depth) == (["a", "b", "c"], 2, 1)


async def test_a_key_is_requeued_at_the_returned_time() -> None:
    desk, clock = Desk(), Clock()
    async with running(desk.work, clock) as queue:
        queue.add("a")
        await settle()
        await desk.end("a", clock() + timedelta(seconds=60))
        clock.forward(59)
        await nudge(queue)
        assert (desk.begun, queue.sleeping) == (["a"], 1)
        clock.forward(1)
        await nudge(queue)
        assert desk.begun == ["a", "a"]


async def test_a_time_in_the_past_causes_no_busy_loop() -> None:
    desk, clock = Desk(), Clock()
    async with running(desk.work, clock) as queue:
        queue.add("a")
        await settle()
        await desk.end("a", clock() - timedelta(hours=1))
        await nudge(queue)
        assert desk.begun == ["a"]
        clock.forward(1)
        await nudge(queue)
        assert desk.begun == ["a", "a"]


async def test_a_failing_key_blocks_no_other_and_backs_off() -> None:
    desk, clock = Desk(), Clock()
    async with running(desk.work, clock) as queue:
        for delay in (1, 2, 4):
            queue.add("bad")
            queue.add(f"good-{delay}")
            await settle()
            await desk.end("bad", RuntimeError("no"))
            clock.forward(delay - 0.1)
            queue.add("bad")
            await nudge(queue)
            assert desk.begun[-1] == f"good-{delay}"
            clock.forward(0.1)
            await nudge(queue)
            assert desk.begun[-1] == "bad"


async def test_an_unexpected_error_shows_its_traceback_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk, clock = Desk(), Clock()
    async with running(desk.work, clock) as queue:
        queue.add("a")
        for _ in range(3):
            await settle()
            await desk.end("a", RuntimeError("boom"))
            clock.forward(100)
            await nudge(queue)
    shown = [record for record in caplog.records if record.exc_info]
    assert len(caplog.records) == 3
    assert len(shown) == 1
    assert all("boom" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("error", [Unavailable("restarting"), NotSettled("too fast")])
async def test_an_expected_error_is_one_line(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    desk = Desk()
    async with running(desk.work, Clock()) as queue:
        queue.add("a")
        await settle()
        await desk.end("a", error)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is None
    assert record.getMessage() == f"{error}; retrying in 1.0 s"


async def test_the_delay_that_the_apiserver_requests_is_used() -> None:
    desk, clock = Desk(), Clock()
    async with running(desk.work, clock) as queue:
        queue.add("a")
        await settle()
        await desk.end("a", Unavailable("overload", retry_after=20.0))
        clock.forward(19)
        await nudge(queue)
        assert desk.begun == ["a"]
        clock.forward(1)
        await nudge(queue)
        assert desk.begun == ["a", "a"]


async def test_after_a_long_outage_every_key_is_processed_soon() -> None:
    desk, clock = Desk(), Clock()
    async with running(desk.work, clock) as queue:
        queue.add("a")
        for _ in range(20):
            await settle()
            await desk.end("a", Unavailable("away"))
            clock.forward(OUTAGE_CAP)
            await nudge(queue)
        assert len(desk.begun) == 21


async def test_work_in_progress_completes_when_the_queue_stops() -> None:
    desk = Desk()
    queue = WorkQueue(desk.work, 8, Clock())
    task = asyncio.create_task(queue.run())
    queue.add("a")
    queue.add("b")
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert queue.busy == 2
    drained = asyncio.create_task(queue.drain(60))
    await settle()
    await desk.end("a")
    assert not drained.done()
    await desk.end("b")
    await drained
    assert queue.busy == 0


async def test_work_past_the_grace_period_is_cancelled_when_the_queue_stops() -> None:
    desk = Desk()
    queue = WorkQueue(desk.work, 8, Clock())
    task = asyncio.create_task(queue.run())
    queue.add("a")
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await queue.drain(0)
    assert queue.busy == 0


async def test_a_running_queue_beats() -> None:
    ticks = [0.0]
    queue = WorkQueue(Desk().work, 1, Clock())
    queue.heartbeat = Heartbeat(lambda: ticks[0])
    assert queue.heartbeat.missing(10.0) == ""
    task = asyncio.create_task(queue.run())
    await settle()
    ticks[0] = 5.0
    assert queue.heartbeat.missing(10.0) == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    ticks[0] = 11.0
    assert "11 s" in queue.heartbeat.missing(10.0)


async def test_a_thousand_keys_of_one_lane_do_not_block_another_lane() -> None:
    desk = Desk()
    async with running(desk.work, Clock(), workers=2) as queue:
        for number in range(1000):
            queue.add(f"a{number}")
        await settle()
        queue.add("b")
        await desk.end("a0")
        await desk.end("a1")
        assert desk.begun == ["a0", "a1", "a2", "b"]


async def test_work_that_hangs_does_not_take_every_worker() -> None:
    desk = Desk()
    async with running(desk.work, Clock(), workers=8, at_once=share(8)) as queue:
        for number in range(1000):
            queue.add(f"a{number}")
        await settle()
        assert len(desk.begun) == 6
        queue.add("b")
        await settle()
        assert desk.begun[6:] == ["b"]
        await desk.end("a0")
        assert desk.begun[7:] == ["a6"], "what was passed over goes on"
