"""Runs that a used-up quota has no room for, the oldest first. Pure; time is an argument.

Only the first of a line asks the apiserver, for all of them: soon after a Pod of the namespace has
ended, and now and then besides, for Pods that are not ours make room unseen.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from taskruns.core import deadlines
from taskruns.engines.cache import RunKey
from taskruns.engines.quota_error import Shortage

Age = tuple[str, str]
"""When a run was created, and its name: both as they are on the wire, to be compared."""

COUNTED_AFTER = timedelta(seconds=0.1)
"""The apiserver's count of a quota follows a Pod's end after about a tenth of that."""

ONCE_MORE_AFTER = timedelta(seconds=1)
"""What a count that was slower is given, and the least time between two refusals."""


class Line:
    """The runs of one namespace that wait for one quota."""

    def __init__(self, shortage: Shortage) -> None:
        self.shortage = shortage
        self.shapes: set[str] = set()
        """Shapes of Pods that this quota is known to concern."""
        self.next_try: datetime | None = None
        """When the first may ask; None: at once, for nobody has asked yet."""
        self._ages: dict[RunKey, Age] = {}
        self._heap: list[tuple[Age, str, RunKey]] = []
        self._room = 0
        """Pods that have ended since, and whose room nobody has taken."""
        self._room_made: datetime | None = None
        self._refused: datetime | None = None
        self._refusals = 0

    def __len__(self) -> int:
        return len(self._ages)

    @property
    def head(self) -> RunKey | None:
        """The run whose turn it is."""
        while self._heap and self._ages.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def join(self, key: RunKey, age: Age) -> None:
        """Take a run in, at its place by age."""
        if self._ages.get(key) != age:
            self._ages[key] = age
            heapq.heappush(self._heap, (age, key.uid, key))

    def leave(self, key: RunKey) -> None:
        """Let go of a run that waits no more, for whatever reason."""
        self._ages.pop(key, None)

    def may_ask(self, key: RunKey, now: datetime) -> bool:
        """Whether it is this run's turn, and time for it."""
        return key == self.head and (self.next_try is None or now >= self.next_try)

    def refuse(self, shortage: Shortage, now: datetime) -> None:
        """Take in that there is no room now: the next try is later."""
        self.shortage = shortage
        self._refused = now
        self._refusals += 1
        if self._room_made is not None and now < self._room_made + ONCE_MORE_AFTER:
            self.next_try = self._room_made + ONCE_MORE_AFTER
        else:
            self._room = 0
            self._try_later(now)

    def let_in(self, key: RunKey, now: datetime) -> None:
        """Take in that the first got its Pod: the next may ask at once where there may be room.

        A Pod that has ended makes room for one, where Pods are counted; where their sizes are, or
        where nobody knows who made the room, it is for the next one to find out.
        """
        self.leave(key)
        found_out = self._room == 0 or not self.shortage.counts_pods
        self._room = max(self._room - 1, 0)
        if found_out or self._room:
            self.next_try = now
        else:
            self._try_later(now)

    def make_room(self, now: datetime) -> None:
        """Take in that a Pod of the namespace counts no more."""
        self._room += 1
        self._room_made = now
        at = now + COUNTED_AFTER
        if self._refused is not None:
            at = max(at, self._refused + ONCE_MORE_AFTER)
        self.next_try = at if self.next_try is None else min(self.next_try, at)

    def _try_later(self, now: datetime) -> None:
        """Spread, so that lines which began together do not ask together."""
        who = self.head.uid if self.head is not None else ""
        self.next_try = now + deadlines.NO_ROOM_RETRY * (1 + deadlines.spread(who, self._refusals))


class Lines:
    """Every line there is. `ask` is told whose turn it is, whenever that changes."""

    def __init__(self, ask: Callable[[RunKey], None]) -> None:
        self._ask = ask
        self._lines: defaultdict[str, dict[str, Line]] = defaultdict(dict)
        """By namespace, by quota."""
        self._line_of: dict[RunKey, Line] = {}

    def __len__(self) -> int:
        return len(self._line_of)

    def lengths(self) -> Mapping[str, int]:
        """How many runs wait, by namespace."""
        return {name: sum(map(len, lines.values())) for name, lines in self._lines.items()}

    def within(self, namespace: str) -> Collection[Line]:
        """Return the lines of a namespace."""
        return self._lines[namespace].values() if namespace in self._lines else ()

    def line_of(self, key: RunKey) -> Line | None:
        """Return the line that a run stands in."""
        return self._line_of.get(key)

    def join(self, key: RunKey, age: Age, shortage: Shortage) -> Line:
        """Put a run into the line for a quota, and out of any other."""
        line = self._line_of.get(key)
        if line is not None and line.shortage.quota != shortage.quota:
            self.leave(key)
        line = self._lines[key.namespace].setdefault(shortage.quota, Line(shortage))
        with self._stepping_forward(key.namespace, line):
            line.join(key, age)
            self._line_of[key] = line
        return line

    def leave(self, key: RunKey) -> None:
        """Take a run out of its line, if it is in one."""
        line = self._line_of.pop(key, None)
        if line is not None:
            with self._stepping_forward(key.namespace, line):
                line.leave(key)

    def let_in(self, key: RunKey, now: datetime) -> None:
        """Take a run out of its line that got its Pod."""
        line = self._line_of.pop(key, None)
        if line is not None:
            with self._stepping_forward(key.namespace, line):
                line.let_in(key, now)

    def make_room(self, line: Line, now: datetime) -> None:
        """Have the first of a line try soon."""
        line.make_room(now)
        if line.head is not None:
            self._ask(line.head)

    @contextmanager
    def _stepping_forward(self, namespace: str, line: Line) -> Iterator[None]:
        """Ask the run that has come to be the first; without any there is no line."""
        before = line.head
        yield
        if not line:
            del self._lines[namespace][line.shortage.quota]
            if not self._lines[namespace]:
                del self._lines[namespace]
        elif before not in (None, line.head) and line.head is not None:
            self._ask(line.head)
