"""The loop of the leader election, and the engine that refuses writes of a standby.

A test can advance the clock. A try follows the other after a hundredth of a second.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest

from taskruns import clock
from taskruns.core.election import Timing
from taskruns.core.plan import PodRef
from taskruns.core.unstructured import Object
from taskruns.engines.engine import Engine, RunRef, Unavailable
from taskruns.engines.kubernetes.endpoints import GET_LEASE, Endpoint
from taskruns.engines.kubernetes.responses import Response
from taskruns.operator.leader_election import (
    LeaderElection,
    LeaderEngine,
    LeaseName,
    NotLeading,
)

TIMING = Timing(lease_duration=10.0, renew_deadline=7.0, retry_period=0.01)
PATH = "/apis/coordination.k8s.io/v1/namespaces/system/leases/taskruns"

# ---------------------------------------------------------------------------- the engine

RUN, POD = RunRef("n", "r", "run-1"), PodRef("n", "p", "pod-1")
WRITES: dict[str, Callable[[Engine], Awaitable[object]]] = {
    "write_status": lambda engine: engine.write_status(RUN, {}),
    "create_pod": lambda engine: engine.create_pod({}),
    "release_gate": lambda engine: engine.release_gate(POD),
    "stop_pod": lambda engine: engine.stop_pod(POD),
    "release_pod": lambda engine: engine.release_pod(POD),
    "delete_pod": lambda engine: engine.delete_pod(POD, "1"),
    "delete_run": lambda engine: engine.delete_run(RUN, "1"),
}


class Recording:
    """An engine that records the names of the methods that are called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        async def method(*_: object) -> None:
            self.called.append(name)

        return method


@pytest.mark.parametrize("write", WRITES)
async def test_a_standby_sends_no_write(write: str) -> None:
    engine, leading = Recording(), [False]
    guarded = LeaderEngine(engine, lambda: leading[0])  # type: ignore[arg-type]
    with pytest.raises(NotLeading, match="this controller does not lead"):
        await WRITES[write](guarded)
    assert engine.called == []
    leading[0] = True
    await WRITES[write](guarded)
    assert engine.called == [write]


def test_every_write_of_an_engine_is_refused_on_a_standby() -> None:
    methods = {name for name, _ in inspect.getmembers(Engine, inspect.iscoroutinefunction)}
    assert {name for name in methods if not name.startswith("read_")} == WRITES.keys()
    assert WRITES.keys() <= vars(LeaderEngine).keys()


# ---------------------------------------------------------------------------- the loop


class Apiserver:
    """A connection to an apiserver that stores one Lease."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.version = 0
        self.requests: list[str] = []
        self.fault: Callable[[Endpoint], Response | Exception | None] = lambda _: None
        """Function that returns what a request gets in place of its response, or None."""
        self.hangs = False
        """Whether requests get no response."""
        self._changed = asyncio.Condition()

    async def send(self, call: Endpoint, path: str, body: Any = None) -> Response:
        assert path == PATH
        self.requests.append(call.verb)
        async with self._changed:
            self._changed.notify_all()
        if self.hangs:
            await asyncio.Event().wait()
        fault = self.fault(call)
        if isinstance(fault, Exception):
            raise fault
        return fault or self._respond(call, body)

    def put(self, holder: str) -> None:
        """Store a Lease as another process does; without a holder, as one that stops."""
        metadata = {"namespace": "system", "name": "taskruns"}
        current = self.lease or {"metadata": metadata}
        spec = {**current.get("spec", {}), "leaseDurationSeconds": 10, "holderIdentity": holder}
        self._store({**current, "spec": spec})

    @property
    def holder(self) -> str:
        return str((self.lease or {}).get("spec", {}).get("holderIdentity", ""))

    async def until(self, look: Callable[[], object]) -> None:
        """Wait until `look` is true; it is called at each request."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(look)

    def _respond(self, call: Endpoint, body: Any) -> Response:
        if call == GET_LEASE:
            return Response(200, self.lease) if self.lease else Response(404)
        version = body["metadata"].get("resourceVersion")
        if self.lease is None:
            return Response(404) if version else Response(201, self._store(body))
        if version is None:
            message = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
            return Response(422, {"message": message})
        if version != self.lease["metadata"]["resourceVersion"]:
            return Response(409)
        return Response(200, self._store(body))

    def _store(self, lease: Object) -> Object:
        self.version += 1
        metadata = {**lease["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**lease, "metadata": metadata}
        return self.lease


class Work:
    """The leader's work: it records its beginnings and ends."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0

    async def __call__(self) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


class Clock:
    """The clock of the processes, which a test can advance."""

    def __init__(self) -> None:
        self._real = clock.ticks
        self.ahead = 0.0

    def ticks(self) -> float:
        return self._real() + self.ahead


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    time = Clock()
    monkeypatch.setattr(clock, "ticks", time.ticks)
    return time


def an_election(server: Apiserver, identity: str = "me", timing: Timing = TIMING) -> LeaderElection:
    name = LeaseName("system", "taskruns")
    return LeaderElection(server, name, identity, timing)  # type: ignore[arg-type]


@asynccontextmanager
async def running(
    election: LeaderElection, work: Callable[[], Any]
) -> AsyncIterator["asyncio.Task[None]"]:
    task: asyncio.Task[None] = asyncio.create_task(election.run(work))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_missing_lease_is_created_and_then_renewed_without_a_read() -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    assert election.problem() == "Lease system/taskruns: not read yet"
    async with running(election, work):
        await server.until(lambda: len(server.requests) >= 4)
    assert server.requests[:4] == ["get", "update", "update", "update"]
    assert (work.begun, work.ended) == (1, 1)
    assert election.leader() == "this controller leads (me)"
    assert election.problem() == ""


async def test_a_standby_waits_until_the_lease_expires(time: Clock) -> None:
    server, work = Apiserver(), Work()
    server.put("other")
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: len(server.requests) >= 3)
        assert server.requests == ["get"] * len(server.requests)
        assert election.leader() == "standby; other leads"
        time.ahead += 10
        await server.until(lambda: work.begun)
    assert server.holder == "me"


async def test_a_released_lease_is_taken_by_the_standby() -> None:
    server, first_work, work = Apiserver(), Work(), Work()
    first, standby = an_election(server, "first"), an_election(server)
    async with running(first, first_work):
        await server.until(first.leads)
        async with running(standby, work):
            await server.until(lambda: standby.problem() == "")
            assert standby.leader() == "standby; first leads"
            assert work.begun == 0
    assert first_work.ended == 1
    await first.release()
    assert not first.leads()
    async with running(standby, work):
        await server.until(lambda: work.begun)


async def test_a_leader_whose_lease_was_taken_ends_its_work_and_stands_by(time: Clock) -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
        server.put("other")
        await server.until(lambda: work.ended)
        assert not election.leads()
        assert election.leader() == "standby; other leads"
        time.ahead += 10
        await server.until(lambda: work.begun == 2)


async def test_a_frozen_leader_does_not_lead_when_it_resumes(time: Clock) -> None:
    """The clock has advanced before any code of the process has run again."""
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
        time.ahead += 60
        server.put("other")
        assert not election.leads()
        await server.until(lambda: work.ended)
        assert server.holder == "other"


async def test_a_frozen_leader_begins_a_new_term_if_another_led_meanwhile() -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
        server.put("other")
        server.put("")
        await server.until(lambda: work.begun == 2)
        assert work.ended == 1
        assert election.leads()


async def test_a_leader_that_gets_no_response_stops_at_its_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, work = Apiserver(), Work()
    election = an_election(server, timing=Timing(0.9, 0.3, 0.01))
    async with running(election, work):
        await server.until(lambda: work.begun)
        server.hangs = True
        await server.until(lambda: work.ended)
        assert not election.leads()
    assert "cannot use the Lease system/taskruns: no response in time" in caplog.text
    assert "no longer leading: no response in time" in caplog.text


async def test_a_leader_without_an_apiserver_leads_again_once_it_responds(
    time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
        server.fault = lambda _: Unavailable("no answer: refused")
        asked = len(server.requests)
        await server.until(lambda: len(server.requests) >= asked + 5)
        assert election.leads(), "it still may"
        time.ahead += 7
        await server.until(lambda: work.ended)
        server.fault = lambda _: None
        await server.until(lambda: work.begun == 2)
    assert caplog.text.count("cannot use the Lease") == 1


async def test_a_missing_permission_is_reported_by_readiness(
    time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server, work = Apiserver(), Work()
    server.fault = lambda _: Response(HTTPStatus.FORBIDDEN, {"message": "leases is forbidden"})
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: len(server.requests) >= 3)
        assert election.problem() == "Lease system/taskruns: leases is forbidden"
        server.fault = lambda _: None
        await server.until(lambda: work.begun)
        assert election.problem() == ""
        time.ahead += 100
        assert election.problem() == "Lease system/taskruns: no activity for 100 s"
        assert election.stalled() == "no activity for 100 s"
        await server.until(lambda: election.stalled() == "")
    assert [r.levelno for r in caplog.records if "cannot use" in r.message] == [logging.WARNING]


async def test_a_missing_namespace_is_an_error_and_not_a_lost_race() -> None:
    server = Apiserver()
    server.fault = lambda _: Response(404, {"message": 'namespaces "system" not found'})
    election = an_election(server)
    async with running(election, Work()):
        await server.until(lambda: len(server.requests) >= 3)
        assert election.problem() == 'Lease system/taskruns: namespaces "system" not found'


async def test_a_lease_that_another_process_creates_first_is_left_to_it() -> None:
    server, work = Apiserver(), Work()

    def race(call: Endpoint) -> None:
        if call.verb == "update" and server.lease is None:
            server.put("other")

    server.fault = race
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: election.leader() == "standby; other leads")
    assert (work.begun, server.holder) == (0, "other")


async def test_a_lease_that_is_deleted_is_created_again_by_its_leader() -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
        server.lease = None
        await server.until(lambda: server.holder == "me")
        assert (work.begun, work.ended) == (1, 0)


async def test_a_release_repeats_itself_after_a_renewal_without_a_response() -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
    server.put("me")
    await election.release()
    assert server.holder == ""


async def test_a_release_leaves_the_lease_of_another_process() -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    async with running(election, work):
        await server.until(lambda: work.begun)
    server.put("other")
    await election.release()
    assert server.holder == "other"


async def test_a_standby_releases_nothing_and_a_failed_release_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, work = Apiserver(), Work()
    election = an_election(server)
    await election.release()
    assert server.requests == []
    async with running(election, work):
        await server.until(lambda: work.begun)
    server.fault = lambda _: Unavailable("no answer: refused")
    await election.release()
    assert not election.leads()
    assert "the Lease system/taskruns is not released: no answer: refused" in caplog.text


async def _returns() -> None:
    return


async def _fails() -> None:
    raise ValueError("broken")


@pytest.mark.parametrize(("work", "error"), [(_returns, "by itself"), (_fails, "broken")])
async def test_work_that_ends_by_itself_ends_the_election(
    work: Callable[[], Any], error: str
) -> None:
    async with running(an_election(Apiserver()), work) as task:
        await asyncio.wait({task}, timeout=30)
        assert error in str(task.exception())


async def test_an_error_while_the_work_is_cancelled_ends_the_election() -> None:
    server, begun = Apiserver(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("broken")

    async with running(an_election(server), work) as task:
        await begun.wait()
        server.put("other")
        await asyncio.wait({task}, timeout=30)
        assert "broken" in str(task.exception())
