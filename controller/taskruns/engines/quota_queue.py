"""Queue of runs whose Pod creation a used-up resource quota has rejected, oldest run first.

Only the head of each line sends a create, on behalf of all runs in it. It retries soon after a Pod
of the namespace has ended, and by a jittered timer, because other Pods can free quota unnoticed.
This module does no I/O of its own and gets the time as an argument.
"""

import asyncio
import heapq
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from typing_extensions import override

from taskruns.api import names
from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from taskruns.clock import Clock
from taskruns.core import deadlines
from taskruns.core.facts import ENDED_PHASES
from taskruns.core.plan import Refusal, RefusalKind
from taskruns.core.unstructured import Object, mapping, mappings, read_quantity, text
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import Engine, EngineWrapper, Refused

Age = tuple[str, str]
"""Sort key of a run: its creationTimestamp and its name, as strings in wire form."""

USAGE_UPDATED_AFTER = timedelta(seconds=0.1)
"""Delay of the first try after a Pod's end. The apiserver updates a quota's usage in about a tenth
of this time."""

SECOND_TRY_AFTER = timedelta(seconds=1)
"""Delay of the second try after a Pod's end, for a usage that is updated more slowly; also the
minimum time between a refusal and a try after a Pod's end."""

_BEGINNING = "exceeded quota: "
_EXCEEDED = re.compile(
    r"requested: (?P<requested>\S+), "
    r"used: (?P<used>\S+), limited: (?P<limited>\S+)"
)
_PODS, _POD_OBJECTS = "pods", "count/pods"
"""Quota resources: Pods that have not ended, and all existing Pods."""


@dataclass(frozen=True, slots=True)
class QuotaError:
    """A quota that a Pod would exceed. Amounts that cannot be parsed are assumed to fit."""

    sentence: str
    """The apiserver's message from `exceeded quota` on; nothing in it is specific to one Pod."""
    quota: str
    """The quota's name."""
    could_fit: bool
    """Whether the request would fit if nothing else used the quota."""
    counts_pods: bool
    """Whether only the number of Pods is exceeded; then each Pod that ends frees quota for one."""
    until_gone: bool
    """Whether ended Pods use quota until they are deleted."""


class Line:
    """The runs of one namespace that wait for one quota."""

    def __init__(self, error: QuotaError) -> None:
        self.error = error
        self.shapes: set[str] = set()
        """Resource shapes of the Pods that this quota has rejected."""
        self.next_try: datetime | None = None
        """Time from which the head may try; None, as before the first refusal, means at once."""
        self._ages: dict[RunKey, Age] = {}
        self._heap: list[tuple[Age, str, RunKey]] = []
        self._freed = 0
        """Number of ended Pods whose quota no new Pod has used."""
        self._freed_at: datetime | None = None
        self._refused: datetime | None = None
        self._refusals = 0

    def __len__(self) -> int:
        return len(self._ages)

    @property
    def head(self) -> RunKey | None:
        """The oldest run of the line, the only one that may try; None if the line is empty."""
        while self._heap and self._ages.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def join(self, key: RunKey, age: Age) -> None:
        """Add a run, sorted by age."""
        if self._ages.get(key) != age:
            self._ages[key] = age
            heapq.heappush(self._heap, (age, key.uid, key))

    def leave(self, key: RunKey) -> None:
        """Remove a run that no longer waits, for any reason."""
        self._ages.pop(key, None)

    def may_try(self, key: RunKey, now: datetime) -> bool:
        """Return whether this run is the head and may try now."""
        return key == self.head and (self.next_try is None or now >= self.next_try)

    def refuse(self, error: QuotaError, now: datetime) -> None:
        """Record that the quota has rejected the head's Pod, and schedule the next try."""
        self.error = error
        self._refused = now
        self._refusals += 1
        if self._freed_at is not None and now < self._freed_at + SECOND_TRY_AFTER:
            self.next_try = self._freed_at + SECOND_TRY_AFTER
        else:
            self._freed = 0
            self._try_later(now)

    def admit(self, key: RunKey, now: datetime) -> None:
        """Remove the head, whose Pod was created, and schedule the try of the next run.

        The next run may try at once if quota may be left. If the quota counts Pods, each Pod that
        ended frees quota for exactly one. If it counts resources, or if no Pod was seen to end,
        only a try shows whether quota is left.
        """
        self.leave(key)
        must_probe = self._freed == 0 or not self.error.counts_pods
        self._freed = max(self._freed - 1, 0)
        if must_probe or self._freed:
            self.next_try = now
        else:
            self._try_later(now)

    def free_quota(self, now: datetime) -> None:
        """Record that a Pod of the namespace no longer uses quota, and schedule a try."""
        self._freed += 1
        self._freed_at = now
        at = now + USAGE_UPDATED_AFTER
        if self._refused is not None:
            at = max(at, self._refused + SECOND_TRY_AFTER)
        self.next_try = at if self.next_try is None else min(self.next_try, at)

    def _try_later(self, now: datetime) -> None:
        """Schedule the next try by the timer, jittered so that lines do not retry together."""
        uid = self.head.uid if self.head is not None else ""
        self.next_try = now + deadlines.QUOTA_RETRY * (1 + deadlines.jitter(uid, self._refusals))


class Lines:
    """All lines. `enqueue` is called with a run that becomes the head or that may try soon."""

    def __init__(self, enqueue: Callable[[RunKey], None]) -> None:
        self._enqueue = enqueue
        self._lines: defaultdict[str, dict[str, Line]] = defaultdict(dict)
        """Lines by the name of their quota, by namespace."""
        self._line_of: dict[RunKey, Line] = {}

    def __len__(self) -> int:
        return len(self._line_of)

    def lengths(self) -> Mapping[str, int]:
        """Return the number of waiting runs by namespace."""
        return {name: sum(map(len, lines.values())) for name, lines in self._lines.items()}

    def within(self, namespace: str) -> Collection[Line]:
        """Return the lines of a namespace."""
        return self._lines[namespace].values() if namespace in self._lines else ()

    def line_of(self, key: RunKey) -> Line | None:
        """Return the line that a run waits in, or None."""
        return self._line_of.get(key)

    def join(self, key: RunKey, age: Age, error: QuotaError) -> Line:
        """Move a run to the line of a quota, and return that line."""
        line = self._line_of.get(key)
        if line is not None and line.error.quota != error.quota:
            self.leave(key)
        line = self._lines[key.namespace].setdefault(error.quota, Line(error))
        with self._notifying_head(key.namespace, line):
            line.join(key, age)
            self._line_of[key] = line
        return line

    def leave(self, key: RunKey) -> None:
        """Remove a run from its line, if it is in one."""
        line = self._line_of.pop(key, None)
        if line is not None:
            with self._notifying_head(key.namespace, line):
                line.leave(key)

    def admit(self, key: RunKey, now: datetime) -> None:
        """Remove a run whose Pod was created from its line, if it is in one."""
        line = self._line_of.pop(key, None)
        if line is not None:
            with self._notifying_head(key.namespace, line):
                line.admit(key, now)

    def free_quota(self, line: Line, now: datetime) -> None:
        """Schedule an early try of a line's head, because a Pod no longer uses quota."""
        line.free_quota(now)
        if line.head is not None:
            self._enqueue(line.head)

    @contextmanager
    def _notifying_head(self, namespace: str, line: Line) -> Iterator[None]:
        """Afterwards call `enqueue` for a new head, or delete a line that has become empty."""
        before = line.head
        yield
        if not line:
            del self._lines[namespace][line.error.quota]
            if not self._lines[namespace]:
                del self._lines[namespace]
        elif before not in (None, line.head) and line.head is not None:
            self._enqueue(line.head)


_SUCCESSES_PER_SLOT = 4
"""Successful creates after which one more create may be in flight."""

_LIMITERS = 1_000
"""Namespaces whose successful creates are remembered; above it, idle ones are dropped."""


class QuotaQueue(EngineWrapper):
    """Engine that wraps another one and delays `create_pod` while a quota is used up.

    `enqueue` is called with the head of a line when it may try, for a reconcile.
    """

    def __init__(
        self,
        engine: Engine,
        cache: Cache,
        now: Clock,
        enqueue: Callable[[RunKey], None],
    ) -> None:
        super().__init__(engine)
        self._cache = cache
        self._now = now
        self._limiters: dict[str, _CreateLimiter] = {}
        self.lines = Lines(enqueue)
        """The runs that wait for a quota."""
        cache.observe(self)

    @override
    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod if it is its run's turn.

        Raises:
            AlreadyExists: a Pod of that name exists.
            Refused: the Pod was rejected, or it is not its run's turn.
        """
        metadata = manifest["metadata"]
        key = RunKey(metadata["namespace"], metadata["labels"][names.LABEL_UID])
        waiter = _Waiter(key, _age(self._cache.view(key).run or {}), _shape(manifest))
        self._check(waiter)
        async with self._create_slot(key.namespace, waiter.age):
            self._check(waiter)  # while it waited, the quota may have rejected the Pods of others
            try:
                pod = await self._engine.create_pod(manifest)
            except Refused as refused:
                raise self._join_line(waiter, refused.refusal) from refused
            self.lines.admit(key, self._now())
        return pod

    def run_changed(self, key: RunKey, run: Object | None) -> None:
        """Update a run's place in the lines from its status in the cache."""
        error = None if run is None else _awaited(run)
        if run is None or error is None:
            self.lines.leave(key)
        else:
            self.lines.join(key, _age(run), error)

    def pod_changed(self, before: Object, after: Object | None) -> None:
        """Schedule early tries if a Pod has ended or was deleted, because quota may be free."""
        gone = after is None
        ends = not _has_ended(before) and (after is None or _has_ended(after))
        for line in self.lines.within(before["metadata"]["namespace"]):
            if gone if line.error.until_gone else ends:
                self.lines.free_quota(line, self._now())

    def _check(self, waiter: "_Waiter") -> None:
        """Raise Refused unless a run may send its create now."""
        line = self.lines.line_of(waiter.key) or self._line_for(waiter)
        if line is None:
            return
        self.lines.join(waiter.key, waiter.age, line.error)
        if not line.may_try(waiter.key, self._now()):
            raise _refused(line, waiter.key)

    def _line_for(self, waiter: "_Waiter") -> Line | None:
        lines = self.lines.within(waiter.key.namespace)
        return next((line for line in lines if waiter.shape in line.shapes), None)

    def _join_line(self, waiter: "_Waiter", refusal: Refusal) -> Refused:
        """Add a run whose Pod was rejected to the line of the quota; return the error to raise."""
        error = parse_quota_error(refusal.message)
        if refusal.kind is not RefusalKind.QUOTA_EXCEEDED or error is None:
            return Refused(refusal)
        self._limiters[waiter.key.namespace].reset()
        line = self.lines.join(waiter.key, waiter.age, error)
        line.shapes.add(waiter.shape)
        if waiter.key == line.head:
            line.refuse(error, self._now())
        return _refused(line, waiter.key)

    @asynccontextmanager
    async def _create_slot(self, namespace: str, age: Age) -> AsyncIterator[None]:
        limiter = self._limiters.setdefault(namespace, _CreateLimiter())
        async with limiter.slot(age):
            yield
        if len(self._limiters) > _LIMITERS:
            self._limiters = {name: each for name, each in self._limiters.items() if not each.idle}


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A run whose Pod is to be created."""

    key: RunKey
    age: Age
    shape: str
    """The fields of the Pod that quotas evaluate; Pods of one shape get the same response."""


class _CreateLimiter:
    """Limits the concurrent creates of a namespace; the oldest run is next.

    The limit is 1 at first and after a quota has rejected a create. It grows with the number of
    successful creates, so that only few creates are in flight when a quota turns out to be used up.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._waiting: list[Age] = []
        self._in_flight = 0
        self._successes = 0

    @property
    def idle(self) -> bool:
        """Whether no create waits or is in flight."""
        return not self._waiting and not self._in_flight

    def reset(self) -> None:
        """Return to one create at a time, because a quota is used up."""
        self._successes = 0

    @asynccontextmanager
    async def slot(self, age: Age) -> AsyncIterator[None]:
        """Wait for the turn of a create of this age, and count it as in flight inside the block."""
        async with self._changed:
            self._waiting.append(age)
            try:
                await self._changed.wait_for(
                    lambda: self._has_capacity and age == min(self._waiting)
                )
            finally:
                self._waiting.remove(age)
            self._in_flight += 1
        try:
            yield
            self._successes += 1
        finally:
            self._in_flight -= 1
            async with self._changed:
                self._changed.notify_all()

    @property
    def _has_capacity(self) -> bool:
        return self._in_flight < 1 + self._successes // _SUCCESSES_PER_SLOT


def _refused(line: Line, key: RunKey) -> Refused:
    at = line.next_try if key == line.head else None
    return Refused(Refusal(RefusalKind.QUOTA_EXCEEDED, line.error.sentence, at))


def _awaited(run: Object) -> QuotaError | None:
    """Return the quota that a run waits for according to its status, or None."""
    status, metadata = mapping(run.get("status")), run["metadata"]
    if (status.get("phase"), status.get("reason")) != (Phase.QUEUED, Reason.QUOTA_EXCEEDED):
        return None
    if "deletionTimestamp" in metadata:
        return None
    return parse_quota_error(text(status.get("message")))


def _has_ended(pod: Object) -> bool:
    return mapping(pod.get("status")).get("phase") in ENDED_PHASES


def _age(run: Object) -> Age:
    metadata = mapping(run.get("metadata"))
    return text(metadata.get("creationTimestamp")), text(metadata.get("name"))


def _shape(manifest: Mapping[str, Any]) -> str:
    spec = mapping(manifest.get("spec"))
    containers = (*mappings(spec.get("initContainers")), *mappings(spec.get("containers")))
    fields = [
        [(container.get("resources"), container.get("restartPolicy")) for container in containers],
        [spec.get(part) for part in ("resources", "priorityClassName", "overhead", "affinity")],
        [spec.get(part) for part in ("runtimeClassName", "resourceClaims")],
        "activeDeadlineSeconds" in spec,
    ]
    return json.dumps(fields, sort_keys=True)


def parse_quota_error(message: str) -> QuotaError | None:
    """Parse the apiserver's message; return None if it is not about a used-up quota.

    The apiserver reports this only in the message of its response:
    `exceeded quota: Q, requested: pods=1, used: pods=3, limited: pods=3`.
    """
    start = message.find(_BEGINNING)
    if start < 0:
        return None
    sentence = message[start:]
    quota = sentence.removeprefix(_BEGINNING).partition(",")[0]
    match = _EXCEEDED.search(sentence)
    if match is None:
        return QuotaError(sentence, quota, could_fit=True, counts_pods=False, until_gone=False)
    requested, limited = _amounts(match["requested"]), _amounts(match["limited"])
    fits = all(amount <= limited.get(name, amount) for name, amount in requested.items())
    return QuotaError(
        sentence,
        quota,
        could_fit=fits,
        counts_pods=bool(requested) and requested.keys() <= {_PODS, _POD_OBJECTS},
        until_gone=_POD_OBJECTS in requested,
    )


def _amounts(text: str) -> dict[str, Decimal]:
    pairs = (item.partition("=") for item in text.split(","))
    amounts = {name: read_quantity(value) for name, _, value in pairs}
    return {name: amount for name, amount in amounts.items() if amount is not None}
