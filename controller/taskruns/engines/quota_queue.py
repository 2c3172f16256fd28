"""Where every create of a Pod passes: in a namespace whose quota is used up, runs wait in line.

One refusal teaches all runs whose Pods the quota looks at alike: they are refused here, and the
apiserver is not asked. A line is what the statuses say, so a controller that starts anew finds it
as it was. Nothing here decides over a run: the answer is a refusal like the apiserver's, and
`decide` says what it means.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from taskruns.core.facts import ENDED_PHASES
from taskruns.core.plan import Event, PodRef, Refusal, RefusalKind
from taskruns.core.unstructured import mapping, mappings, text
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import Engine, Object, Refused, RunRef
from taskruns.engines.line import Age, Line, Lines
from taskruns.engines.quota_error import Shortage, read_shortage

_PASSES_FOR_ONE_MORE = 4


class Turnstile:
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
        self._doors: dict[str, _Door] = {}
        self.lines = Lines(ask)
        """Who waits for room."""
        cache.observe(self)

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod when it is its run's turn. Raises AlreadyExists or Refused."""
        metadata = manifest["metadata"]
        key = RunKey(metadata["namespace"], metadata["labels"][names.LABEL_UID])
        who = _Applicant(key, _age(self._cache.view(key).run or {}), _shape(manifest))
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

    def _check(self, who: "_Applicant") -> None:
        """Raise Refused unless a run may ask now."""
        line = self.lines.line_of(who.key) or self._line_for(who)
        if line is None:
            return
        self.lines.join(who.key, who.age, line.shortage)
        if not line.may_ask(who.key, self._now()):
            raise _refused(line, who.key)

    def _line_for(self, who: "_Applicant") -> Line | None:
        lines = self.lines.within(who.key.namespace)
        return next((line for line in lines if who.shape in line.shapes), None)

    def _learn(self, who: "_Applicant", refusal: Refusal) -> Refused:
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
        door = self._doors.setdefault(namespace, _Door())
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
class _Applicant:
    """A run that wants to create a Pod."""

    key: RunKey
    age: Age
    shape: str
    """What quotas look at in the Pod: those of one shape get the same answer."""


class _Door:
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


def _awaited(run: Object) -> Shortage | None:
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
