"""Waiting with a deadline and a description of what is awaited."""

import time
from collections.abc import Callable

from tests.cluster.error import ClusterError

INTERVAL = 0.01
SLOWEST_INTERVAL = 0.5


def wait_until(probe: Callable[[], bool], *, within: float, condition: str) -> None:
    """Wait until the probe returns true.

    Raises:
        ClusterError: the probe has not returned true within `within` seconds.
    """
    end = time.monotonic() + within
    interval = INTERVAL
    while not probe():
        if time.monotonic() >= end:
            raise ClusterError(f"{condition}: not within {within:.0f} s")
        time.sleep(interval)
        interval = min(interval * 1.2, SLOWEST_INTERVAL)
