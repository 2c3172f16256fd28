"""The queue ends when it is cancelled, even if the awaited work arrives at that moment."""

import asyncio
from datetime import UTC, datetime

from taskruns.engines.engine import Unavailable
from taskruns.operator.workqueue import WorkQueue


async def _nothing(_: str) -> None:
    return None


async def test_a_queue_that_is_cancelled_as_work_arrives_ends() -> None:
    queue = WorkQueue[str](_nothing, workers=1, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    running = asyncio.create_task(queue.run())
    await asyncio.sleep(0)
    queue.add("hello")
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running}, timeout=1)
    assert running.cancelled()


async def test_a_cleared_queue_has_no_keys_timers_or_failures() -> None:
    """A controller that stands by keeps none, and starts empty when it leads again."""
    hanging, started = asyncio.Event(), asyncio.Event()

    async def work(key: str) -> datetime | None:
        started.set()
        if key == "fails":
            raise Unavailable("no answer")
        if key == "hangs":
            hanging.set()
            await asyncio.Event().wait()
        return datetime(2026, 1, 2, tzinfo=UTC)

    queue = WorkQueue[str](work, workers=1, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    running = asyncio.create_task(queue.run())
    for key in ("later", "fails", "hangs", "waits"):
        queue.add(key)
    await asyncio.wait_for(hanging.wait(), timeout=30)
    assert (queue.sleeping, queue.busy, queue.depth) == (2, 1, 1)
    running.cancel()
    await asyncio.wait({running}, timeout=1)
    await queue.drain(0)
    queue.clear()
    assert (queue.sleeping, queue.busy, queue.depth) == (0, 0, 0)
    assert queue.heartbeat.last is None
    started.clear()
    again = asyncio.create_task(queue.run())
    queue.add("fails")
    await asyncio.wait_for(started.wait(), timeout=30)
    again.cancel()
    await asyncio.wait({again}, timeout=1)
    await queue.drain(1)
