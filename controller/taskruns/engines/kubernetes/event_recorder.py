"""Writes Events beside everything else: nobody waits for one, and none is worth a second try.

They go one by one through a line of bounded length, and a namespace's share of them is bounded,
too: whatever a thousand bad runs do, they neither flood etcd nor slow down the runs of others.
"""

import asyncio
import logging
from collections import OrderedDict
from contextvars import Context
from datetime import datetime
from http import HTTPStatus

from taskruns.api.conditions import EventReason, EventType
from taskruns.core.plan import Event
from taskruns.engines.engine import EngineError, RunRef
from taskruns.engines.event_correlator import EventCorrelator, Series
from taskruns.engines.kubernetes import endpoints, responses
from taskruns.engines.kubernetes.connection import Connection
from taskruns.engines.kubernetes.endpoints import MERGE_PATCH
from taskruns.engines.kubernetes.responses import Response

log = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Events that wait to be written. Of more, those that have waited longest are dropped."""

BURST = 300
"""Events of one namespace at once: everything that a hundred clean runs have to tell."""

PER_SECOND = 5
"""Events of one namespace in the long run. The apiserver keeps each for an hour, so there are at
most some 18,000 of a namespace, of about a KiB each; and nobody reads more than that.
"""

RESERVED = BURST // 2
"""What warnings have to themselves: failures are told even where others' success has been loud."""

_NAMESPACES = 1_000
"""Namespaces whose share is remembered; one that was forgotten has its whole burst again."""


class TokenBucket:
    """A token bucket for each namespace."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def grants(self, namespace: str, event: Event) -> bool:
        """Take what writing an Event costs, if that is still there."""
        left, since = self._left.pop(namespace, (float(BURST), event.at))
        passed = max((event.at - since).total_seconds(), 0.0)
        left = min(left + passed * PER_SECOND, BURST)
        granted = left >= 1 + (0 if event.reason.type is EventType.WARNING else RESERVED)
        self._left[namespace] = (left - granted, event.at)
        if len(self._left) > _NAMESPACES:
            self._left.popitem(last=False)
        return granted


class EventRecorder:
    """The line of Events, and the one task that writes while there are any."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chronicle = EventCorrelator()
        self._budget = TokenBucket()
        self._waiting: OrderedDict[tuple[str, EventReason], Series] = OrderedDict()
        self._writer: asyncio.Task[None] | None = None
        self._failing = False

    def record(self, run: RunRef, event: Event) -> None:
        """Have an Event written some time soon, or not at all. Returns at once, and never fails."""
        series = self._chronicle.note(run, event)
        if series.key not in self._waiting and not self._budget.grants(run.namespace, event):
            log.debug("too many Events in %s: %s is not written", run.namespace, event.reason)
            return
        self._waiting[series.key] = series
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        if self._writer is None or self._writer.done():
            # In a context of its own: its log lines are not about the run that woke it.
            self._writer = asyncio.get_running_loop().create_task(
                self._write_all(), name="taskruns: events", context=Context()
            )

    async def drain(self, grace: float) -> None:
        """Give what still waits some seconds to be written, and drop the rest."""
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
            body = endpoints.event_again(series)
            answer = await self._connection.send(
                endpoints.PATCH_EVENT, path, body, content_type=MERGE_PATCH
            )
            if answer.code != HTTPStatus.NOT_FOUND:
                return answer
        path = endpoints.CREATE_EVENT.path(namespace)
        return await self._connection.send(endpoints.CREATE_EVENT, path, endpoints.event(series))

    def _note(self, series: Series, answer: Response) -> None:
        if answer.ok:
            self._failing = False
        elif not responses.is_namespace_going(answer):
            self._note_failure(series, answer.message)

    def _note_failure(self, series: Series, why: str) -> None:
        """Say it once until one gets through again: an older role allows none of them."""
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        where = f"{series.run.namespace}/{series.run.name}"
        log.log(level, "the Event %s of %s is lost: %s", series.event.reason, where, why)
