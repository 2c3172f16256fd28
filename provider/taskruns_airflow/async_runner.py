"""Runs coroutines in a task's process, so that a signal ends them in good order.

Airflow calls `on_kill` from a signal handler, in the middle of anything. An exception raised there
may be swallowed by an event loop, or end it: Airflow 2 raises one after `on_kill`. Cancelling the
loop's task always arrives; whatever comes out after that means that the task was told to stop.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The task was told to stop."""


class Worker:
    """Runs one coroutine after another, until it is told to stop."""

    def __init__(self) -> None:
        self._stopped = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped

    def check(self) -> None:
        """Go on only where nobody has said to stop.

        Raises:
            Stopped: somebody has.
        """
        if self._stopped:
            raise Stopped

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end.

        Raises:
            Stopped: it was told to stop, before or meanwhile.
        """
        if self._stopped:
            work.close()
            raise Stopped
        try:
            return asyncio.run(self._run(work))
        except BaseException:
            if self._stopped:
                raise Stopped from None
            raise

    def stop(self) -> None:
        """End what runs; to be called from a signal handler."""
        self._stopped = True
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # asyncio.run has made one
        self._running = asyncio.get_running_loop(), task
        try:
            return await work
        finally:
            self._running = None
