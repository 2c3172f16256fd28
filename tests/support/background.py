"""An event loop on its own thread, which is closed only after all of its tasks have ended."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SECONDS_PER_STEP = 30


class Background:
    """Run coroutines, one call at a time, on a loop separate from the test's own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop from another thread and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_SECONDS_PER_STEP)

    def close(self) -> None:
        """Cancel the remaining tasks, wait for them to end, and stop the loop.

        Closing a server only requests its handlers to stop; it does not wait for them.
        """
        self.run(end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def end_tasks() -> None:
    """Cancel every other task of this loop, and wait until each has ended."""
    while remaining := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in remaining:
            task.cancel()
        await asyncio.wait(remaining)
    await asyncio.get_running_loop().shutdown_asyncgens()
