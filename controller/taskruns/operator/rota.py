"""Whose turn it is among keys that wait: lane by lane, and in each lane in the order of asking.

However long one lane is, the next key of another waits for one key of each other lane at most.
Pure, as is the backlog, whose waiting part it is.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


def share(workers: int) -> int:
    """How many of the workers one lane may take: a quarter is kept for the others.

    They would be taken in turn anyhow; but work that hangs does not give its worker back.
    """
    return max(workers - max(workers // 4, 1), 1)


class Rota(Generic[K]):
    """Keys that wait, by lane. A lane that has `at_once` keys being worked on is passed over."""

    def __init__(self, lane: Callable[[K], Hashable], at_once: float) -> None:
        self._lane = lane
        self._at_once = at_once
        self._lanes: OrderedDict[Hashable, OrderedDict[K, None]] = OrderedDict()
        """Those with keys that wait; the first is the next."""
        self._busy: Counter[Hashable] = Counter()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, key: K) -> bool:
        """Let a key wait behind those of its lane; return False for one that waits already."""
        keys = self._lanes.setdefault(self._lane(key), OrderedDict())
        if key in keys:
            return False
        keys[key] = None
        self._waiting += 1
        return True

    def take(self) -> K | None:
        """Start on the next key; None when there is none that may be started."""
        lane = next((lane for lane in self._lanes if self._busy[lane] < self._at_once), None)
        if lane not in self._lanes:
            return None
        keys = self._lanes.pop(lane)
        key, _ = keys.popitem(last=False)
        if keys:
            self._lanes[lane] = keys  # behind all others
        self._busy[lane] += 1
        self._waiting -= 1
        return key

    def end(self, key: K) -> None:
        """A key that was taken is worked on no more."""
        lane = self._lane(key)
        self._busy[lane] -= 1
        if not self._busy[lane]:
            del self._busy[lane]
