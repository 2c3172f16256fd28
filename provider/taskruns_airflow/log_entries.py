"""Entries of a task's log, made from container log lines; back-pressure of a triggerer's log pipe.

Airflow 3's triggerer sends log entries to its supervisor through a socket, here called the pipe.
"""

import asyncio
import logging
import stat
import struct
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import fstat
from typing import Any
from weakref import WeakKeyDictionary

from taskruns_airflow.logs import Line

_MAX_UNREAD_BYTES = 64 * 1024
"""Number of unread bytes in the pipe, as the kernel counts them, above which writers wait."""
_POLL_SECONDS = 0.02
_DRAIN_SECONDS = 120.0
"""Time that the end of a trigger waits for the pipe, in seconds."""

_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""One lock per event loop, held while a writer waits for the pipe, so that no other writer fills it
meanwhile."""


async def room() -> None:
    """Wait until the pipe has room."""
    await _wait_until_unread(_MAX_UNREAD_BYTES)


async def drain() -> bool:
    """Wait until the pipe is empty; return whether it was empty in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            await _wait_until_unread(0)
        return True
    return False


async def _wait_until_unread(most: int) -> None:
    async with _lock():
        while True:
            if _unread_bytes() <= most:
                return
            await asyncio.sleep(_POLL_SECONDS)


def _lock() -> asyncio.Lock:
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _unread_bytes() -> int:
    """Return the number of bytes that the supervisor has not read; 0 without a pipe."""
    pipe = _pipe()
    if pipe is None:
        return 0
    try:
        from fcntl import ioctl  # noqa: PLC0415  # not on every platform
        from termios import TIOCOUTQ  # noqa: PLC0415

        (waiting,) = struct.unpack("i", ioctl(pipe, TIOCOUTQ, bytes(4)))
    except (ImportError, OSError):
        return 0
    return int(waiting)


def _pipe() -> int | None:
    """Return the descriptor of the socket to which structlog writes, as Airflow 3 configures it."""
    try:
        from structlog import get_config  # noqa: PLC0415  # Airflow 2 may not have it

        pipe: int = get_config()["logger_factory"].io.fileno()
        return pipe if stat.S_ISSOCK(fstat(pipe).st_mode) else None
    except (ImportError, AttributeError, KeyError, OSError, ValueError):
        return None


_BURST_SECONDS = 1.0
"""Time to wait for further lines of the same millisecond, in seconds."""
_MAX_ENTRY_CHARACTERS = 65_536
"""Size of an entry, in characters, from which on it takes no further line."""
_MICROSECOND = timedelta(microseconds=1)
_STAMPS = 4096
"""Number of latest entries whose times are kept distinct."""


@dataclass(slots=True)
class _Burst:
    """Lines that a container wrote within one millisecond, collected so far."""

    time: datetime
    texts: list[str]
    size: int
    due: asyncio.TimerHandle

    def takes(self, time: datetime) -> bool:
        return self.size < _MAX_ENTRY_CHARACTERS and _millisecond(time) == _millisecond(self.time)


class LogEntries:
    """Writes container log lines to an Airflow logger.

    With Airflow 3, the lines of one millisecond become one entry. With Airflow 2, each line is an
    entry.
    """

    def __init__(self, log: Any, *, dated: bool) -> None:
        """Create entries for `log`.

        Args:
            log: The logger.
            dated: Whether an entry has the container's timestamp instead of the time of logging.
        """
        self._log = log
        self._dated = dated
        self._joins = not isinstance(log, logging.Logger)
        self._bursts: dict[str, _Burst] = {}
        """Bursts by container, in the order in which they began."""
        self._stamps: OrderedDict[datetime, None] = OrderedDict()
        """Times of the latest entries, so that no two entries have the same."""
        self.last_line: str | None = None
        """The last line that was added, or None."""

    def add(self, line: Line) -> None:
        """Add a line; it is logged with the other lines of its millisecond."""
        self.last_line = line.text
        if line.time is None or not self._joins:
            self._log.info(line.text)
            return
        burst = self._bursts.get(line.container)
        if burst is not None and burst.takes(line.time):
            burst.texts.append(line.text)
            burst.size += len(line.text)
            return
        self._flush(line.container)
        due = asyncio.get_running_loop().call_later(_BURST_SECONDS, self._flush, line.container)
        self._bursts[line.container] = _Burst(line.time, [line.text], len(line.text), due)

    def close(self) -> None:
        """Log the remaining lines."""
        while self._bursts:
            self._flush(next(iter(self._bursts)))

    def _flush(self, container: str) -> None:
        """Log a container's lines, and before them those of bursts that began earlier."""
        while container in self._bursts:
            burst = self._bursts.pop(next(iter(self._bursts)))
            burst.due.cancel()
            when = {"timestamp": _format_timestamp(self._stamp(burst.time))} if self._dated else {}
            self._log.info("\n".join(burst.texts), **when)

    def _stamp(self, time: datetime) -> datetime:
        while time in self._stamps:
            time += _MICROSECOND
        self._stamps[time] = None
        if len(self._stamps) > _STAMPS:
            self._stamps.popitem(last=False)
        return time


def _millisecond(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _format_timestamp(time: datetime) -> str:
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
