"""Delivery of Events: outside the reconciles, counted, bounded, and never retried."""

import asyncio
import logging
from contextvars import ContextVar
from typing import Any

import pytest
from typing_extensions import override

from taskruns.api.conditions import EventReason
from taskruns.core.plan import Event, PodRef
from taskruns.engines.engine import RunRef, Unavailable
from taskruns.engines.kubernetes import endpoints
from taskruns.engines.kubernetes.endpoints import Endpoint
from taskruns.engines.kubernetes.event_recorder import (
    BURST,
    MAX_WAITING,
    PER_SECOND,
    REMEMBERED,
    RESERVED,
    EventCorrelator,
    EventRecorder,
    TokenBucket,
)
from taskruns.engines.kubernetes.responses import Response
from tests.support.builders.objects import T0, at

RUN = RunRef("team", "hello", "uid-0")
POD = PodRef("team", "hello-1", "uid-1")


def run(number: int) -> RunRef:
    return RunRef("team", f"hello-{number}", f"uid-{number}")


def event(
    reason: EventReason = EventReason.RETRYING, seconds: float = 0, message: str = "why"
) -> Event:
    return Event(reason, message, POD, at(seconds))


class Wire:
    """A fake connection: it records requests, and responds from a list, then with success."""

    def __init__(self, *answers: Response | Unavailable) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[Endpoint, str, Any]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, call: Endpoint, path: str, body: Any = None, **_: Any) -> Response:
        await self.open.wait()
        self.sent.append((call, path, body))
        answer = self._answers.pop(0) if self._answers else Response(200)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    @property
    def recorder(self) -> EventRecorder:
        return EventRecorder(self)  # type: ignore[arg-type]


async def test_an_event_is_written_with_every_field() -> None:
    wire = Wire()
    recorder = wire.recorder
    recorder.record(RUN, event())
    await recorder.drain(1)
    micros = f"{int(T0.timestamp() * 1_000_000):x}"
    assert wire.sent == [
        (
            endpoints.CREATE_EVENT,
            "/api/v1/namespaces/team/events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"hello.{micros}.retrying", "namespace": "team"},
                "involvedObject": {
                    "apiVersion": "taskruns.dev/v1alpha1",
                    "kind": "TaskRun",
                    "namespace": "team",
                    "name": "hello",
                    "uid": "uid-0",
                },
                "related": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "namespace": "team",
                    "name": "hello-1",
                    "uid": "uid-1",
                },
                "type": "Warning",
                "reason": "Retrying",
                "message": "why",
                "source": {"component": "taskruns"},
                "reportingComponent": "taskruns",
                "firstTimestamp": "2026-01-01T12:00:00Z",
                "lastTimestamp": "2026-01-01T12:00:00Z",
                "count": 1,
            },
        )
    ]


async def test_a_repeated_event_increments_the_count() -> None:
    wire = Wire()
    recorder = wire.recorder
    for seconds in (0, 60):
        recorder.record(RUN, event(seconds=seconds, message=f"after {seconds}"))
        await recorder.drain(1)
    (_, _, first), (call, path, again) = wire.sent
    assert call == endpoints.PATCH_EVENT
    assert path.rpartition("/")[2] == first["metadata"]["name"]
    assert (again["count"], again["message"]) == (2, "after 60")
    assert again["lastTimestamp"] == "2026-01-01T12:01:00Z"
    assert again.keys() == {"message", "lastTimestamp", "count", "related"}


async def test_other_runs_and_other_reasons_are_other_events() -> None:
    wire = Wire()
    recorder = wire.recorder
    recorder.record(RUN, event())
    recorder.record(RUN, event(EventReason.STARTED))
    recorder.record(run(1), event())
    await recorder.drain(1)
    assert [call for call, *_ in wire.sent] == [endpoints.CREATE_EVENT] * 3
    assert len({body["metadata"]["name"] for _, _, body in wire.sent}) == 3


async def test_an_expired_event_is_created_again_with_its_count() -> None:
    wire = Wire(Response(201), Response(404), Response(201))
    recorder = wire.recorder
    for seconds in (0, 7200):
        recorder.record(RUN, event(seconds=seconds))
        await recorder.drain(1)
    assert [call for call, *_ in wire.sent] == [
        endpoints.CREATE_EVENT, endpoints.PATCH_EVENT, endpoints.CREATE_EVENT,
    ]  # fmt: skip
    assert wire.sent[-1][2]["count"] == 2
    assert wire.sent[-1][2]["firstTimestamp"] == "2026-01-01T12:00:00Z"


async def test_recording_does_not_block_and_queued_repeats_are_written_once() -> None:
    wire = Wire(Response(201), Response(404), Response(201))
    wire.open.clear()
    recorder = wire.recorder
    recorder.record(RUN, event(EventReason.POD_CREATED))
    await asyncio.sleep(0)
    for seconds in range(50):
        recorder.record(RUN, event(seconds=seconds))
    wire.open.set()
    await recorder.drain(1)
    assert len(wire.sent) == 3, "a patch that finds nothing is followed by a create"
    assert wire.sent[-1][2]["count"] == 50


async def test_the_oldest_queued_event_is_dropped_when_the_queue_is_full() -> None:
    wire = Wire()
    wire.open.clear()
    recorder = wire.recorder
    for number in range(MAX_WAITING + 10):
        ref = RunRef(f"team-{number}", "hello", f"uid-{number}")
        recorder.record(ref, event())
    wire.open.set()
    await recorder.drain(5)
    names = [path for _, path, _ in wire.sent]
    assert len(names) == MAX_WAITING
    assert names[-1] == f"/api/v1/namespaces/team-{MAX_WAITING + 9}/events"


@pytest.mark.parametrize(
    "answer",
    [
        Response(403, {"message": 'cannot create resource "events"'}),
        Response(429, retry_after="1"),
        Response(500),
        Unavailable("no answer"),
    ],
)
async def test_a_failed_write_is_logged_once_and_not_retried(
    answer: Response | Unavailable, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire(answer, answer, Response(201), answer)
    recorder = wire.recorder
    with caplog.at_level(logging.WARNING):
        for number in range(4):
            recorder.record(run(number), event())
        await recorder.drain(1)
    assert len(wire.sent) == 4
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, "again only after one has got through"
    assert lines[0].startswith("cannot write Event Retrying of TaskRun team/hello-0: ")


@pytest.mark.parametrize(
    "answer",
    [
        Response(403, {"details": {"causes": [{"reason": "NamespaceTerminating"}]}}),
        Response(404, {"details": {"kind": "namespaces"}}),
    ],
)
async def test_a_terminating_namespace_is_not_logged(
    answer: Response, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire(answer)
    recorder = wire.recorder
    with caplog.at_level(logging.WARNING):
        recorder.record(RUN, event())
        await recorder.drain(1)
    assert not caplog.records
    assert len(wire.sent) == 1


async def test_a_stop_drops_events_that_cannot_be_written_in_time() -> None:
    wire = Wire()
    wire.open.clear()
    recorder = wire.recorder
    recorder.record(RUN, event())
    await recorder.drain(0)
    wire.open.set()
    await asyncio.sleep(0)
    assert not wire.sent


async def test_log_lines_of_the_writer_name_no_run() -> None:
    subject: ContextVar[str] = ContextVar("subject", default="none")
    subjects = []

    class Listening(Wire):
        @override
        async def send(self, call: Endpoint, path: str, body: Any = None, **how: Any) -> Response:
            subjects.append(subject.get())
            return await super().send(call, path, body, **how)

    recorder = Listening().recorder
    subject.set("hello")
    recorder.record(RUN, event())
    await recorder.drain(1)
    assert subjects == ["none"]


async def test_draining_an_empty_queue_returns_at_once() -> None:
    await Wire().recorder.drain(1)


def granted(
    budget: TokenBucket, reason: EventReason, seconds: float = 0, namespace: str = "a"
) -> int:
    """Return how many Events of a kind a namespace may write at one moment."""
    count = 0
    while budget.grants(namespace, event(reason, seconds)):
        count += 1
    return count


def test_warnings_of_a_namespace_have_a_burst_and_then_a_rate() -> None:
    budget = TokenBucket()
    assert granted(budget, EventReason.FAILED) == BURST
    assert granted(budget, EventReason.FAILED, seconds=10) == 10 * PER_SECOND
    assert granted(budget, EventReason.FAILED, seconds=10_000) == BURST


def test_normal_events_leave_tokens_for_warnings() -> None:
    budget = TokenBucket()
    assert granted(budget, EventReason.SUCCEEDED) == BURST - RESERVED
    assert granted(budget, EventReason.FAILED) == RESERVED


def test_namespaces_have_separate_rate_limits() -> None:
    budget = TokenBucket()
    assert granted(budget, EventReason.FAILED) == BURST
    assert granted(budget, EventReason.FAILED, namespace="b") == BURST


def test_a_clock_set_back_changes_no_rate_limit() -> None:
    budget = TokenBucket()
    assert granted(budget, EventReason.FAILED, seconds=100) == BURST
    assert granted(budget, EventReason.FAILED, seconds=0) == 0


async def test_a_thousand_failing_runs_write_no_more_than_a_burst() -> None:
    wire = Wire()
    recorder = wire.recorder
    for number in range(1000):
        recorder.record(run(number), event(EventReason.FAILED))
    await recorder.drain(5)
    assert len(wire.sent) == BURST


async def test_repeating_a_queued_event_uses_no_token() -> None:
    wire = Wire()
    recorder = wire.recorder
    for _ in range(2 * BURST):
        recorder.record(RUN, event(EventReason.FAILED))
    for number in range(1, BURST):
        recorder.record(run(number), event(EventReason.FAILED))
    await recorder.drain(5)
    assert len(wire.sent) == BURST
    assert wire.sent[0][2]["count"] == 2 * BURST


def test_the_number_of_series_is_limited_and_the_oldest_is_dropped() -> None:
    correlator = EventCorrelator()
    for number in range(REMEMBERED + 1):
        correlator.note(run(number), event())
    assert len(correlator.all()) == REMEMBERED
    assert correlator.note(run(REMEMBERED), event()).count == 2
    assert correlator.note(run(0), event()).count == 1
