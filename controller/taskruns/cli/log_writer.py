"""Writes a log to standard output beside the event loop, which a full pipe must not stop."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from taskruns.cli.streams import OutputFailed

_MOST_BYTES = 1 << 20
"""Bytes that wait to be written before more are read."""
_PIECE = 1 << 16


def raw_output() -> Callable[[Any], int | None]:
    """Return what writes to standard output without a buffer, whose lock a thread could keep."""
    sys.stdout.flush()
    binary = sys.stdout.buffer
    write: Callable[[Any], int | None] = getattr(binary, "raw", binary).write
    return write


class LogWriter:
    """Standard output for one log after another.

    It has a thread of its own, not the event loop's: one that waits for a reader of standard
    output must not keep this process from ending.
    """

    def __init__(self) -> None:
        self._write = raw_output()
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._changed = threading.Condition()
        self._moved = asyncio.Event()
        self._error: OutputFailed | None = None
        self._thread: threading.Thread | None = None
        self.received = 0
        """Pieces that were handed over; an empty one is a sign that more may come."""

    @property
    def is_blocked(self) -> bool:
        """Whether something waits for the reader of standard output."""
        return bool(self._waiting) and self._error is None

    async def write(self, piece: bytes) -> None:
        """Write a piece, at some time; wait where too much waits already. Raises OutputFailed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="log")
            self._thread.start()
        self.received += 1
        with self._changed:
            self._waiting += piece
            self._changed.notify()
        await self._until(_MOST_BYTES)

    async def drain(self) -> None:
        """Wait until everything is written. Raises OutputFailed."""
        await self._until(0)

    async def _until(self, most: int) -> None:
        while self._error is None and len(self._waiting) > most:
            self._moved.clear()
            if len(self._waiting) > most:
                await self._moved.wait()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Write what is handed over until this process ends."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                piece = bytes(self._waiting[:_PIECE])
            try:
                count = self._write(piece) or 0
            except OutputFailed as error:
                self._error = error
            except OSError as error:
                self._error = OutputFailed(error)
            else:
                with self._changed:
                    del self._waiting[:count]
            try:
                self._loop.call_soon_threadsafe(self._moved.set)
            except RuntimeError:  # the loop has ended
                return
            if self._error is not None:
                return
