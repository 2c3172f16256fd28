"""Holds the queue back until the watch has shown everything that there was at the start.

A run that is looked at before its Pod has been seen would look as if it had none.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress


class CacheSync:
    """Open once each awaited uid has arrived, or has turned out to be gone."""

    def __init__(self) -> None:
        self._awaited: set[str] | None = None
        self._open = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether everything has been seen."""
        return self._open.is_set()

    def trouble(self) -> str:
        """Say what is missing, until nothing is."""
        if self.is_open:
            return ""
        return "starting" if self._awaited is None else f"{len(self._awaited)} objects not yet seen"

    def arrive(self, uid: str) -> None:
        """Cross an object off: the watch has told of it."""
        if self._awaited is not None and not self.is_open:
            self._awaited.discard(uid)
            self._settle()

    def expect(self, exists: Iterable[str]) -> None:
        """Await all that exists, the first time; later, cross off what exists no more."""
        there = set(exists)
        self._awaited = there if self._awaited is None else self._awaited & there
        self._settle()

    async def opened(self) -> None:
        """Wait until it is open."""
        await self._open.wait()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is open, or nothing has arrived for so long; return whether it is open."""
        while not self.is_open:
            missing = self.trouble()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._open.wait()
            if missing == self.trouble():
                return False
        return True

    def _settle(self) -> None:
        if not self._awaited:
            self._open.set()
