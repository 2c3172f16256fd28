"""How long a task stays deferred at least.

Airflow 3.3.2 fails a task that resumes before its scheduler has noticed that the task was deferred
("finished with state success, but the task instance's state attribute is queued"). The scheduler
takes the longer the more tasks are deferred at once: four seconds were seen with fifty of them on
an idle machine with two cores, ten on one with seven times the work that it can do.
"""

import asyncio
from collections import deque

_SHORTEST = 8.0
_FOR_EACH_OTHER = 0.25
_LONGEST = 30.0
"""Seconds."""

_begun: deque[float] = deque(maxlen=100)
"""When the latest deferrals of this process began; more of them change nothing."""


class Dwell:
    """The least time of one deferral, which begins with this."""

    def __init__(self) -> None:
        self._since = asyncio.get_running_loop().time()
        _begun.append(self._since)

    async def over(self) -> None:
        """Wait until it is over."""
        now = asyncio.get_running_loop().time()
        others = sum(begun > now - _LONGEST for begun in tuple(_begun)) - 1
        await asyncio.sleep(self._since + least(others) - now)


def least(others: int) -> float:
    """Return the seconds that a deferral takes at least, where as many others have just begun."""
    return min(_LONGEST, _SHORTEST + _FOR_EACH_OTHER * max(others, 0))
