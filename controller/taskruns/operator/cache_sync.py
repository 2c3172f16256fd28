"""Cache sync: delays the work queue until the watch has delivered every object of the first list.

A run that is reconciled before its Pod has arrived would look as if it had no Pod.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress


class CacheSync:
    """Barrier that opens once each awaited uid has arrived or no longer exists."""

    def __init__(self) -> None:
        self._awaited: set[str] | None = None
        self._open = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether every awaited object has arrived or is gone."""
        return self._open.is_set()

    @property
    def awaited(self) -> frozenset[str]:
        """Uids that are still awaited; empty before the first list."""
        return frozenset(self._awaited or ())

    def problem(self) -> str:
        """Describe what is still awaited; return an empty string once the barrier is open."""
        if self.is_open:
            return ""
        return "starting" if self._awaited is None else f"{len(self._awaited)} objects not yet seen"

    def arrive(self, uid: str) -> None:
        """Stop awaiting an object, because the watch has delivered it."""
        if self._awaited is not None and not self.is_open:
            self._awaited.discard(uid)
            self._settle()

    def expect(self, exists: Iterable[str]) -> None:
        """Set the uids to await at the first call; later calls drop those that no longer exist."""
        existing = set(exists)
        self._awaited = existing if self._awaited is None else self._awaited & existing
        self._settle()

    async def opened(self) -> None:
        """Wait until the barrier is open."""
        await self._open.wait()

    async def wait(self, seconds: float) -> bool:
        """Wait until the barrier is open or nothing has arrived for `seconds`.

        Returns:
            Whether the barrier is open.
        """
        while not self.is_open:
            missing = self.problem()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._open.wait()
            if missing == self.problem():
                return False
        return True

    def _settle(self) -> None:
        if not self._awaited:
            self._open.set()
