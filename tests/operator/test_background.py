"""The event loop of the test servers closes only after its tasks have ended."""

import asyncio

from tests.support.background import Background


def test_slow_tasks_have_ended_when_the_loop_is_closed() -> None:
    background, ended = Background(), list[str]()

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            ended.append("lingering")

    async def begin() -> "asyncio.Task[None]":
        task = asyncio.create_task(linger())
        await asyncio.sleep(0)
        return task

    background.start()
    task = background.run(begin())
    background.close()
    assert task.cancelled()
    assert ended == ["lingering"]
