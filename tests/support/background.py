"""An event loop on a thread of its own, which ends with nothing left to do."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SECONDS_PER_STEP = 30


class Background:
    """Runs coroutines, one call at a time, beside whatever loop the test itself is in."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_SECONDS_PER_STEP)

    def close(self) -> None:
        """Cancel what still runs and see it end: a server only tells its handlers to."""
        self.run(end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def end_tasks() -> None:
    """Cancel every other task of this loop, and wait until each has ended."""
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left)
    await asyncio.get_running_loop().shutdown_asyncgens()
