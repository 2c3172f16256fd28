"""The clock, read here only; all other modules take the current time as an argument."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Function that returns the current time, in UTC."""


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def ticks() -> float:
    """Return the seconds of a monotonic clock that also counts while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
