"""The pipe through which Airflow 3's triggerer hands log entries to its supervisor.

The supervisor reads 4 KiB of it at a time, between requests to its database, and closes the log of
a trigger as soon as it learns, through another pipe, that the trigger has ended. What is still on
its way by then never reaches the task's log (airflow/jobs/triggerer_job_runner.py of 3.3.2,
`_handle_request` and `_process_log_messages_from_subprocess`). So a trigger ends when the pipe has
been empty once since its last entry, and writes no more at a time than the pipe holds: a write to a
full pipe would stop the whole event loop. Airflow 2 has one queue for both, and needs none of this.
"""

import asyncio
import stat
import struct
from contextlib import suppress
from os import fstat
from weakref import WeakKeyDictionary

_FULL = 64 * 1024
"""Bytes in the pipe, as the kernel counts them, from which on no more is written."""
_SECONDS_BETWEEN_LOOKS = 0.02
_PATIENCE = 120.0
"""Seconds that the end of a trigger waits for the pipe."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""Held while somebody waits for the pipe, so that nobody else fills it meanwhile."""


async def room() -> None:
    """Wait until the pipe has room."""
    await _until(_FULL)


async def drain() -> bool:
    """Wait until the pipe has been empty; return False where it was not in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await _until(0)
        return True
    return False


async def _until(most: int) -> None:
    async with _turn():
        while True:
            if _waiting() <= most:
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def _turn() -> asyncio.Lock:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _waiting() -> int:
    """Return how many bytes the supervisor has not read; 0 where there is no such pipe."""
    pipe = _pipe()
    if pipe is None:
        return 0
    try:
        from fcntl import ioctl  # noqa: PLC0415  # not everywhere
        from termios import TIOCOUTQ  # noqa: PLC0415

        (waiting,) = struct.unpack("i", ioctl(pipe, TIOCOUTQ, bytes(4)))
    except (ImportError, OSError):
        return 0
    return int(waiting)


def _pipe() -> int | None:
    """Return the descriptor of the socket to which structlog writes, as Airflow 3 configures it."""
    try:
        from structlog import get_config  # noqa: PLC0415  # Airflow 2 may have none

        pipe: int = get_config()["logger_factory"].io.fileno()
        return pipe if stat.S_ISSOCK(fstat(pipe).st_mode) else None
    except (ImportError, AttributeError, KeyError, OSError, ValueError):
        return None
