"""Runs that a used-up quota has no room for, the oldest first. Pure; time is an argument.

Only the first of a line asks the apiserver, for all of them: soon after a Pod of the namespace has
ended, and now and then besides, for Pods that are not ours make room unseen.
"""

import asyncio
import heapq
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from taskruns.core import deadlines
from taskruns.core.facts import ENDED_PHASES
from taskruns.core.plan import Event, PodRef, Refusal, RefusalKind
from taskruns.core.unstructured import mapping, mappings, text
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import Engine, Object, Refused, RunRef
from taskruns.engines.quota_error import QuotaError, read_shortage

Age = tuple[str, str]
"""When a run was created, and its name: both as they are on the wire, to be compared."""

COUNTED_AFTER = timedelta(seconds=0.1)
"""The apiserver's count of a quota follows a Pod's end after about a tenth of that."""

ONCE_MORE_AFTER = timedelta(seconds=1)
"""What a count that was slower is given, and the least time between two refusals."""


class Line:
    """The runs of one namespace that wait for one quota."""

    def __init__(self, shortage: QuotaError) -> None:
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

    def refuse(self, shortage: QuotaError, now: datetime) -> None:
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
        self.next_try = now + deadlines.NO_ROOM_RETRY * (1 + deadlines.jitter(who, self._refusals))


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

    def join(self, key: RunKey, age: Age, shortage: QuotaError) -> Line:
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


_PASSES_FOR_ONE_MORE = 4


class QuotaQueue:
    """An engine before another one. Only `create_pod` is more than that engine's own.

    `ask` is called with a run whose turn has come: it is to be looked at.
    """

    def __init__(
        self,
        engine: Engine,
        cache: Cache,
        now: Callable[[], datetime],
        ask: Callable[[RunKey], None],
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._now = now
        self._doors: dict[str, _CreateLimiter] = {}
        self.lines = Lines(ask)
        """Who waits for room."""
        cache.observe(self)

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod when it is its run's turn. Raises AlreadyExists or Refused."""
        metadata = manifest["metadata"]
        key = RunKey(metadata["namespace"], metadata["labels"][names.LABEL_UID])
        who = _Waiter(key, _age(self._cache.view(key).run or {}), _shape(manifest))
        self._check(who)
        async with self._door(key.namespace, who.age):
            self._check(who)  # while it stood at the door, others may have been refused
            try:
                pod = await self._engine.create_pod(manifest)
            except Refused as refused:
                raise self._learn(who, refused.refusal) from refused
            self.lines.let_in(key, self._now())
        return pod

    def run_changed(self, key: RunKey, run: Object | None) -> None:
        """Take in what the cache has seen of a run: whether it waits, and for which quota."""
        shortage = None if run is None else _awaited(run)
        if run is None or shortage is None:
            self.lines.leave(key)
        else:
            self.lines.join(key, _age(run), shortage)

    def pod_changed(self, before: Object, after: Object | None) -> None:
        """Take in that a Pod may have ended, or is gone: then there may be room."""
        gone = after is None
        ends = not _has_ended(before) and (after is None or _has_ended(after))
        for line in self.lines.within(before["metadata"]["namespace"]):
            if gone if line.shortage.until_gone else ends:
                self.lines.make_room(line, self._now())

    def _check(self, who: "_Waiter") -> None:
        """Raise Refused unless a run may ask now."""
        line = self.lines.line_of(who.key) or self._line_for(who)
        if line is None:
            return
        self.lines.join(who.key, who.age, line.shortage)
        if not line.may_ask(who.key, self._now()):
            raise _refused(line, who.key)

    def _line_for(self, who: "_Waiter") -> Line | None:
        lines = self.lines.within(who.key.namespace)
        return next((line for line in lines if who.shape in line.shapes), None)

    def _learn(self, who: "_Waiter", refusal: Refusal) -> Refused:
        """Put a run that was refused into its line, and let the line know."""
        shortage = read_shortage(refusal.message)
        if refusal.kind is not RefusalKind.NO_ROOM or shortage is None:
            return Refused(refusal)
        line = self.lines.join(who.key, who.age, shortage)
        line.shapes.add(who.shape)
        if who.key == line.head:
            line.refuse(shortage, self._now())
        return _refused(line, who.key)

    @asynccontextmanager
    async def _door(self, namespace: str, age: Age) -> AsyncIterator[None]:
        door = self._doors.setdefault(namespace, _CreateLimiter())
        try:
            async with door.passage(age):
                yield
        finally:
            if door.idle:
                self._doors.pop(namespace, None)

    # Everything else goes straight through.

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun live."""
        return await self._engine.read_run(namespace, name)

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Read a Pod live."""
        return await self._engine.read_pod(namespace, name)

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        """List the Pod's warnings."""
        return await self._engine.read_pod_events(pod)

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Merge into the run's status."""
        return await self._engine.write_status(run, patch)

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our scheduling gate."""
        return await self._engine.release_gate(pod)

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """End the Pod's containers."""
        return await self._engine.stop_pod(pod)

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer."""
        return await self._engine.release_pod(pod)

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Delete the Pod."""
        return await self._engine.delete_pod(pod, resource_version)

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun."""
        return await self._engine.delete_run(run, resource_version)

    def record_event(self, run: RunRef, event: Event) -> None:
        """Take note of an Event."""
        self._engine.record_event(run, event)


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A run that wants to create a Pod."""

    key: RunKey
    age: Age
    shape: str
    """What quotas look at in the Pod: those of one shape get the same answer."""


class _CreateLimiter:
    """Lets a namespace's creates through: the oldest first, and one by one to begin with.

    How many go at the same time grows with those that got through, so that the first to meet a
    used-up quota are few.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._outside: list[Age] = []
        self._inside = 0
        self._passed = 0

    @property
    def idle(self) -> bool:
        """Whether nobody is at the door or inside."""
        return not self._outside and not self._inside

    @asynccontextmanager
    async def passage(self, age: Age) -> AsyncIterator[None]:
        """Wait for one's turn, and be inside until the end of the block."""
        async with self._changed:
            self._outside.append(age)
            try:
                await self._changed.wait_for(lambda: self._is_open and age == min(self._outside))
            finally:
                self._outside.remove(age)
            self._inside += 1
        try:
            yield
            self._passed += 1
        finally:
            self._inside -= 1
            async with self._changed:
                self._changed.notify_all()

    @property
    def _is_open(self) -> bool:
        return self._inside < 1 + self._passed // _PASSES_FOR_ONE_MORE


def _refused(line: Line, key: RunKey) -> Refused:
    at = line.next_try if key == line.head else None
    return Refused(Refusal(RefusalKind.NO_ROOM, line.shortage.sentence, at))


def _awaited(run: Object) -> QuotaError | None:
    """Return what a run waits for, by its status; None when it waits for no quota."""
    status, metadata = mapping(run.get("status")), run["metadata"]
    if (status.get("phase"), status.get("reason")) != (Phase.QUEUED, Reason.QUOTA_EXCEEDED):
        return None
    return None if "deletionTimestamp" in metadata else read_shortage(text(status.get("message")))


def _has_ended(pod: Object) -> bool:
    return mapping(pod.get("status")).get("phase") in ENDED_PHASES


def _age(run: Object) -> Age:
    metadata = mapping(run.get("metadata"))
    return text(metadata.get("creationTimestamp")), text(metadata.get("name"))


def _shape(manifest: Mapping[str, Any]) -> str:
    spec = mapping(manifest.get("spec"))
    containers = (*mappings(spec.get("initContainers")), *mappings(spec.get("containers")))
    looked_at = [
        [(found.get("resources"), found.get("restartPolicy")) for found in containers],
        [spec.get(part) for part in ("resources", "priorityClassName", "overhead", "affinity")],
        [spec.get(part) for part in ("runtimeClassName", "resourceClaims")],
        "activeDeadlineSeconds" in spec,
    ]
    return json.dumps(looked_at, sort_keys=True)
