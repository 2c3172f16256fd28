"""Tests of the trigger: number of requests, log, cancel after a user marks the task."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, cast
from unittest.mock import AsyncMock

import airflow
import pytest
from typing_extensions import override

from taskruns_airflow import log_entries, trigger
from taskruns_airflow.client import Ref
from taskruns_airflow.connection import Access
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.trigger import TaskRunTrigger

ON_AIRFLOW_2 = airflow.__version__.startswith("2.")
HUNDREDS = 200


def trigger_of(name: str) -> TaskRunTrigger:
    return TaskRunTrigger(
        access=Access().to_json(), namespace="jobs", name=name, uid=f"uid-{name}", logs=None
    )


def run(name: str, phase: str, version: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "jobs", "uid": f"uid-{name}"}
    metadata["resourceVersion"] = str(version)
    return {"metadata": metadata, "spec": {"image": "a"}, "status": {"phase": phase}}


class Response:
    """Response of the apiserver: a body, or a stream of the events that a test adds."""

    status = 200

    def __init__(self, body: Any = None) -> None:
        self._body = json.dumps(body).encode()
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.content = self

    async def read(self) -> bytes:
        return self._body

    async def iter_any(self) -> AsyncIterator[bytes]:
        while True:
            yield json.dumps(await self.events.get()).encode() + b"\n"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Apiserver:
    """Apiserver with active runs; records its requests."""

    def __init__(self, names: list[str]) -> None:
        runs = [run(name, "Running", 1) for name in names]
        self._page = Response({"items": runs, "metadata": {"resourceVersion": "1"}})
        self.watch = Response()
        self.watched = asyncio.Event()
        self.requests: list[str] = []

    async def call_api(self, path: str, method: str, **request: Any) -> Response:
        query = dict(request["query_params"])
        resource = "watch" if "watch" in query else path.rpartition("/")[2]
        self.requests.append(f"{method} {resource}")
        if resource != "watch":
            return self._page
        self.watched.set()
        return self.watch


async def test_deferred_runs_share_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"run-{number}" for number in range(HUNDREDS)]
    apiserver = Apiserver(names)

    @asynccontextmanager
    async def client(_: TaskRunHook) -> AsyncIterator[Apiserver]:
        yield apiserver

    monkeypatch.setattr(TaskRunHook, "client", client)
    monkeypatch.setattr(TaskRunHook, "settings", _settings)
    monkeypatch.setattr(trigger, "_MAX_SECONDS", 0.0)
    waits = [asyncio.create_task(_event_of(trigger_of(name))) for name in names]
    await asyncio.wait_for(apiserver.watched.wait(), 60)
    for name in names:
        apiserver.watch.events.put_nowait({"type": "MODIFIED", "object": run(name, "Succeeded", 2)})
    events = await asyncio.wait_for(asyncio.gather(*waits), 60)
    assert {each.payload["run"]["status"]["phase"] for each in events} == {"Succeeded"}
    assert apiserver.requests == ["GET taskruns", "GET watch"]


@pytest.mark.parametrize("in_time", [True, False])
async def test_the_event_comes_after_the_log(
    monkeypatch: pytest.MonkeyPatch, *, in_time: bool
) -> None:
    is_read = asyncio.Event()

    async def drain() -> bool:
        await is_read.wait()
        return in_time

    monkeypatch.setattr(log_entries, "drain", drain)
    monkeypatch.setattr(trigger, "_MAX_SECONDS", 0.0)
    monkeypatch.setattr(TaskRunTrigger, "_outcome", AsyncMock(return_value={"run": {}}))
    event = asyncio.create_task(_event_of(trigger_of("hello")))
    await asyncio.sleep(0.05)
    assert not event.done()
    is_read.set()
    assert ("undelivered" in (await event).payload) is not in_time


async def _event_of(trigger: TaskRunTrigger) -> Any:
    return await anext(trigger.run())


async def _settings(_: TaskRunHook) -> dict[str, Any]:
    return {"engine": "kubernetes"}


class SlowRuns:
    """Client whose cancel blocks until the test allows it to finish."""

    def __init__(self) -> None:
        self.requested, self.may_end = asyncio.Event(), asyncio.Event()
        self.cancelled: list[Ref] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Self]:
        yield self

    async def cancel(self, ref: Ref) -> None:
        self.requested.set()
        await self.may_end.wait()
        self.cancelled.append(ref)


async def test_a_cancellation_continues_when_the_trigger_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = SlowRuns()

    async def edge(_: TaskRunHook, __: str) -> SlowRuns:
        return runs

    monkeypatch.setattr(TaskRunHook, "edge", edge)
    killed = asyncio.create_task(trigger_of("a").on_kill())
    await asyncio.wait_for(runs.requested.wait(), 60)
    killed.cancel()
    await asyncio.wait({killed})
    assert killed.cancelled()
    runs.may_end.set()
    async with asyncio.timeout(60):
        while not runs.cancelled:  # noqa: ASYNC110 - no event is left to wait for
            await asyncio.sleep(0)
    assert runs.cancelled == [Ref("jobs", "a", "uid-a")]


class Instance:
    """Task instance of Airflow 2 with a given state."""

    task_id = "load"

    def __init__(self, state: str | None) -> None:
        self.state = state

    def refresh_from_db(self) -> None:
        if self.state == "unknown":
            raise RuntimeError("no database")


class Trigger(TaskRunTrigger):
    """Trigger that records the runs that it cancels."""

    def __init__(self) -> None:
        super().__init__(
            access=Access().to_json(), namespace="jobs", name="a", uid="uid-a", logs=None
        )
        self.cancelled: list[Ref] = []

    @override
    async def on_kill(self) -> None:
        self.cancelled.append(self._ref)


@pytest.mark.parametrize(
    ("state", "cancels"),
    [
        ("failed", True),
        ("success", True),
        ("deferred", False),
        (None, False),
        ("scheduled", False),
        ("unknown", False),
    ],
)
async def test_without_on_kill_a_trigger_queries_the_tasks_state(
    state: str | None, *, cancels: bool
) -> None:
    trigger = Trigger()
    trigger.task_instance = cast("Any", Instance(state))
    await trigger.cleanup()
    assert bool(trigger.cancelled) is (cancels and ON_AIRFLOW_2)
