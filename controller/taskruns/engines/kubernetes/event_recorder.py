"""Event recorder: writes Events in the background. No run waits for them, and none is retried.

One task writes them one by one from a queue of limited length, and a rate limiter bounds the Events
of each namespace. Therefore even a thousand failing runs neither flood etcd nor slow down the runs
of others.

The event correlator counts repeated Events of one reason about one run in one Event object. Its
state is in memory only; another controller process begins series of its own.
"""

import asyncio
import logging
from collections import OrderedDict
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import EventReason, EventType
from taskruns.core.plan import Event, PodRef
from taskruns.core.unstructured import stamp
from taskruns.engines.engine import EngineError, RunRef
from taskruns.engines.kubernetes import endpoints, responses
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import MERGE_PATCH
from taskruns.engines.kubernetes.responses import Response

log = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Maximum length of the queue, in Events; beyond it, the Events that waited longest are dropped."""

BURST = 300
"""Burst of Events per namespace; enough for all Events of a hundred successful runs."""

PER_SECOND = 5
"""Sustained rate of Events per namespace, per second. The apiserver keeps an Event for an hour, so
a namespace has at most about 18,000 of them, of about 1 KiB each. More would not be read.
"""

RESERVED = BURST // 2
"""Part of the burst that only warnings may use, so that many successful runs in the namespace do
not suppress the Events of failures."""

_NAMESPACES = 1_000
"""Maximum number of namespaces with a bucket; one that was dropped starts with a full burst."""


REMEMBERED = 4_000
"""Maximum number of series in memory. A series that was dropped is continued as a new one."""


@dataclass(frozen=True, slots=True)
class Series:
    """All Events of one reason about one run; only the last one is kept."""

    run: RunRef
    event: Event
    first: datetime
    count: int

    @property
    def key(self) -> tuple[str, EventReason]:
        """Key of the series: the run's uid and the reason."""
        return self.run.uid, self.event.reason

    @property
    def name(self) -> str:
        """Name of the series' Event object.

        It contains the time of the first Event in microseconds, so that sorting by name sorts
        series that began within the same second.
        """
        micros = int(self.first.timestamp() * 1_000_000)
        return f"{self.run.name}.{micros:x}.{self.event.reason.lower()}"


class EventCorrelator:
    """The series in memory, least recently updated first."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, EventReason], Series] = OrderedDict()

    def note(self, run: RunRef, event: Event) -> Series:
        """Add an Event to its series, and return the series."""
        series = Series(run, event, first=event.at, count=1)
        before = self._series.pop(series.key, None)
        if before is not None:
            series = replace(series, first=before.first, count=before.count + 1)
        self._series[series.key] = series
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        return series

    def all(self) -> tuple[Series, ...]:
        """Return every series, ordered by its first Event."""
        return tuple(sorted(self._series.values(), key=lambda series: series.first))


class TokenBucket:
    """A token bucket for each namespace."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def grants(self, namespace: str, event: Event) -> bool:
        """Take a token for an Event, if one is left; return whether the Event may be written."""
        left, since = self._left.pop(namespace, (float(BURST), event.at))
        passed = max((event.at - since).total_seconds(), 0.0)
        left = min(left + passed * PER_SECOND, BURST)
        granted = left >= 1 + (0 if event.reason.type is EventType.WARNING else RESERVED)
        self._left[namespace] = (left - granted, event.at)
        if len(self._left) > _NAMESPACES:
            self._left.popitem(last=False)
        return granted


class EventRecorder:
    """Queue of Events, and a task that runs while there are Events to write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._correlator = EventCorrelator()
        self._buckets = TokenBucket()
        self._waiting: OrderedDict[tuple[str, EventReason], Series] = OrderedDict()
        self._writer: asyncio.Task[None] | None = None
        self._failing = False

    def record(self, run: RunRef, event: Event) -> None:
        """Queue an Event to be written, or drop it. The method returns at once and never fails."""
        series = self._correlator.note(run, event)
        if series.key not in self._waiting and not self._buckets.grants(run.namespace, event):
            log.debug("too many Events in %s: %s is not written", run.namespace, event.reason)
            return
        self._waiting[series.key] = series
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        if self._writer is None or self._writer.done():
            # An empty context, so that its log lines are not attached to the run that started it.
            self._writer = asyncio.get_running_loop().create_task(
                self._write_all(), name="taskruns: events", context=Context()
            )

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds until the queued Events are written, and drop the rest."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=grace)
            self._writer.cancel()

    async def _write_all(self) -> None:
        while self._waiting:
            _, series = self._waiting.popitem(last=False)
            try:
                answer = await self._write(series)
            except EngineError as error:
                self._note_failure(series, str(error))
            else:
                self._note(series, answer)

    async def _write(self, series: Series) -> Response:
        namespace = series.run.namespace
        if series.count > 1:
            path = endpoints.PATCH_EVENT.path(namespace, series.name)
            body = event_patch(series)
            answer = await self._connection.send(
                endpoints.PATCH_EVENT, path, body, content_type=MERGE_PATCH
            )
            if answer.code != HTTPStatus.NOT_FOUND:
                return answer
        path = endpoints.CREATE_EVENT.path(namespace)
        return await self._connection.send(endpoints.CREATE_EVENT, path, event_body(series))

    def _note(self, series: Series, answer: Response) -> None:
        if answer.ok:
            self._failing = False
        elif not responses.is_namespace_terminating(answer):
            self._note_failure(series, answer.message)

    def _note_failure(self, series: Series, why: str) -> None:
        """Log a lost Event, as a warning only for the first one after a success.

        The role of an older release allows no Event at all, which would fill the log.
        """
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        where = f"{series.run.namespace}/{series.run.name}"
        log.log(level, "cannot write Event %s of TaskRun %s: %s", series.event.reason, where, why)


def event_body(series: Series) -> dict[str, Any]:
    """Return the Event object of a new series.

    It uses the core/v1 API. Events of the events.k8s.io API have no lastTimestamp, and `kubectl
    describe` sorts them before all others.
    """
    run, last = series.run, series.event
    about = {"apiVersion": names.API_VERSION, "kind": names.KIND, **_reference(run)}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": run.namespace},
        "involvedObject": about,
        "type": last.reason.type,
        "reason": last.reason,
        "source": {"component": names.MANAGER},
        "reportingComponent": names.MANAGER,
        "firstTimestamp": stamp(series.first),
        **event_patch(series),
    }


def event_patch(series: Series) -> dict[str, Any]:
    """Return a merge patch for a repeated Event: its last time, last message and count."""
    last = series.event
    related = {} if last.pod is None else {"apiVersion": "v1", "kind": "Pod"} | _reference(last.pod)
    return {
        "message": last.message,
        "lastTimestamp": stamp(last.at),
        "count": series.count,
        **({"related": related} if related else {}),
    }


def _reference(ref: RunRef | PodRef) -> dict[str, str]:
    return {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid}
