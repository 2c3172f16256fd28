"""The queue ends when it is cancelled, even if the awaited work arrives at that moment."""

import asyncio
from datetime import UTC, datetime

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
