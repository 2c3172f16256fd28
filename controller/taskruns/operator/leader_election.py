"""Leader election: of several controllers of the same TaskRuns, one works and the others stand by.

The leader holds a Lease, which it renews. `core.election` decides; this module sends the requests,
starts the work and cancels it. It spares the apiserver double work. No safety rests on it: a
request that was sent in time may arrive late, and the gate and the claim cover that (design.md,
Leader election).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

from typing_extensions import override

from taskruns import clock
from taskruns.core.election import Elector, Timing
from taskruns.core.plan import PodRef
from taskruns.core.unstructured import Object
from taskruns.engines.engine import Engine, EngineError, EngineWrapper, RunRef, Unavailable
from taskruns.engines.kubernetes import Connection, responses
from taskruns.engines.kubernetes.endpoints import GET_LEASE, UPDATE_LEASE
from taskruns.engines.kubernetes.responses import Response
from taskruns.operator.health import Heartbeat

log = logging.getLogger(__name__)

RELEASE_SECONDS = 1.0
"""Time limit for the release of the Lease when the process stops, in seconds."""

_SILENCE_SECONDS = 60.0
"""Time without a try, or without a response about the Lease, after which the probes report it, in
seconds; in addition to the retry period."""


class NotLeading(Unavailable):
    """A write was not sent, because this process does not lead."""


class LeaderEngine(EngineWrapper):
    """Engine that sends no write unless this process leads, by the clock at that moment.

    A process that was frozen may resume between a decision and its write.
    """

    def __init__(self, engine: Engine, leads: Callable[[], bool]) -> None:
        super().__init__(engine)
        self._leads = leads

    @override
    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        self._check()
        return await super().write_status(run, patch)

    @override
    async def create_pod(self, manifest: Object) -> Object:
        self._check()
        return await super().create_pod(manifest)

    @override
    async def release_gate(self, pod: PodRef) -> Object | None:
        self._check()
        return await super().release_gate(pod)

    @override
    async def stop_pod(self, pod: PodRef) -> Object | None:
        self._check()
        return await super().stop_pod(pod)

    @override
    async def release_pod(self, pod: PodRef) -> Object | None:
        self._check()
        return await super().release_pod(pod)

    @override
    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        self._check()
        return await super().delete_pod(pod, resource_version)

    @override
    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        self._check()
        return await super().delete_run(run, resource_version)

    def _check(self) -> None:
        if not self._leads():
            raise NotLeading("this controller does not lead, so nothing is written")


@dataclass(frozen=True, slots=True)
class LeaseName:
    """Namespace and name of a Lease."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class LeaderElection:
    """Takes and renews the Lease, and runs the work of the leader while it holds it."""

    def __init__(
        self, connection: Connection, lease: LeaseName, identity: str, timing: Timing
    ) -> None:
        self._connection = connection
        self._lease = lease
        self._identity = identity
        self._elector = Elector(identity, lease.namespace, lease.name, timing)
        self._error = ""
        """Why the last try failed; empty after a success."""
        self._silence = timing.retry_period + _SILENCE_SECONDS
        self._tried = Heartbeat(clock.ticks)
        self._answered = Heartbeat(clock.ticks)

    def leads(self) -> bool:
        """Return whether this process leads at this moment."""
        return self._elector.leads(clock.ticks())

    def leader(self) -> str:
        """Describe which process leads."""
        if self.leads():
            return f"this controller leads ({self._identity})"
        holder = self._elector.holder
        return f"standby; {holder} leads" if holder else "standby; no controller leads"

    def problem(self) -> str:
        """Describe why the Lease cannot be read; return an empty string if it can."""
        silence = self._answered.missing(self._silence)
        if self._answered.last is not None and not silence:
            return ""
        return f"Lease {self._lease}: {self._error or silence or 'not read yet'}"

    def stalled(self) -> str:
        """Describe for how long the Lease was not tried; return an empty string if it was."""
        return self._tried.missing(self._silence)

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> NoReturn:
        """Try for the Lease until cancelled; run `work` once in each term, and cancel it after it.

        A process that was frozen may find that another one led meanwhile and has released the
        Lease. Taking it again begins another term.
        """
        working: asyncio.Task[None] | None = None
        term = self._elector.term
        try:
            while True:
                await self._try()
                if working is not None and not (self.leads() and self._elector.term == term):
                    log.warning("no longer leading: %s", self._error or self.leader())
                    await _end(working)
                    working = None
                if working is None and self.leads():
                    log.info("leading: took the Lease %s as %s", self._lease, self._identity)
                    term = self._elector.term
                    working = asyncio.create_task(work(), name="taskruns: leader")
                await self._pause(working)
        finally:
            if working is not None:
                await _end(working)

    async def release(self) -> None:
        """Release the Lease, if this process leads, so that another takes it at once."""
        if not self.leads():
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                released = await self._write(self._elector.released_lease(clock.now()))
                if released is None and await self._is_still_held():
                    await self._write(self._elector.released_lease(clock.now()))
            log.info("released the Lease %s", self._lease)
        except (EngineError, TimeoutError) as error:
            log.warning("the Lease %s is not released: %s", self._lease, _cause(error))
        finally:
            self._elector.resign()

    async def _is_still_held(self) -> bool:
        """Return whether this process holds the Lease: a cancelled renewal may have succeeded."""
        self._elector.observe(await self._read(), clock.ticks())
        return self._elector.holder == self._identity

    async def _try(self) -> None:
        """Renew, take or read the Lease once; log a failure unless the last try failed too."""
        self._tried.beat()
        try:
            async with asyncio.timeout(self._elector.patience(clock.ticks())):
                await self._renew_or_take()
        except (EngineError, TimeoutError) as error:
            self._elector.is_current = False  # a write without a response may have succeeded
            if not self._error:
                log.warning("cannot use the Lease %s: %s; retrying", self._lease, _cause(error))
            self._error = _cause(error)
        else:
            self._error = ""
            self._answered.beat()

    async def _renew_or_take(self) -> None:
        if self._elector.is_current and await self._take():
            return
        self._elector.observe(await self._read(), clock.ticks())
        if self._elector.may_write(clock.ticks()):
            await self._take()

    async def _take(self) -> bool:
        """Write the Lease with this process as its holder; return whether it was stored."""
        sent = clock.ticks()
        lease = await self._write(self._elector.held_lease(clock.now()))
        if lease is None:
            return False
        self._elector.wrote(lease, sent)
        return True

    async def _read(self) -> Object | None:
        path = GET_LEASE.path(self._lease.namespace, self._lease.name)
        response = await self._connection.send(GET_LEASE, path)
        if response.code == HTTPStatus.NOT_FOUND:
            return None
        if not response.ok:
            raise responses.error(response)
        return response.body

    async def _write(self, lease: Object) -> Object | None:
        """Store the Lease; return it, or None if it has changed since it was read.

        A PUT also creates it, and RBAC can limit that to one name, unlike a POST.
        """
        path = UPDATE_LEASE.path(self._lease.namespace, self._lease.name)
        response = await self._connection.send(UPDATE_LEASE, path, lease)
        if _is_outdated(lease, response):
            return None
        if not response.ok:
            raise responses.error(response)
        return response.body

    async def _pause(self, working: "asyncio.Task[None] | None") -> None:
        """Wait until the next try; raise the error of work that has ended by itself."""
        seconds = self._elector.pause(clock.ticks())
        if working is None:
            await asyncio.sleep(seconds)
            return
        ended, _ = await asyncio.wait({working}, timeout=seconds)
        if ended:
            await working
            raise RuntimeError("the work of the leader has ended by itself")


def _is_outdated(lease: Object, response: Response) -> bool:
    """Whether a write was rejected because the Lease was created, changed or deleted meanwhile."""
    if response.code == HTTPStatus.CONFLICT:
        return True
    if "resourceVersion" in lease["metadata"]:
        return response.code == HTTPStatus.NOT_FOUND
    exists = "metadata.resourceVersion" in response.message
    return response.code == HTTPStatus.UNPROCESSABLE_ENTITY and exists


async def _end(working: "asyncio.Task[None]") -> None:
    working.cancel()
    await asyncio.wait({working})
    if not working.cancelled() and (error := working.exception()) is not None:
        raise error


def _cause(error: Exception) -> str:
    return str(error) or "no response in time"
