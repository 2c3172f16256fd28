"""Tests of the shared watch: one list and one watch for all waiters, and recovery from errors."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow import shared_watch as shared_watch_module
from taskruns_airflow.client import Gone, Ref, Refused
from taskruns_airflow.shared_watch import SharedWatch

SELECTOR = {"labelSelector": "x"}


class FakeApiserver:
    """Fake apiserver that stores runs and sends their changes to the watches."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.refusals: list[Exception] = []
        self.unwatchable: Exception | None = None
        self._version = 1
        self._runs: dict[str, dict[str, Any]] = {}
        self._watches: list[asyncio.Queue[Any]] = []
        self.being_watched = asyncio.Event()
        self.most_of_a_page = 500

    def put(self, name: str, phase: str, **metadata: str) -> Ref:
        self._version += 1
        ref = Ref("jobs", name, f"uid-{name}")
        merged = {"name": name, "namespace": "jobs", "uid": ref.uid} | metadata
        merged["resourceVersion"] = str(self._version)
        self._runs[name] = {"metadata": merged, "spec": {"image": "a"}, "status": {"phase": phase}}
        self._send_event("MODIFIED", self._runs[name])
        return ref

    def remove(self, name: str) -> None:
        self._version += 1
        removed = self._runs.pop(name)
        removed["metadata"]["resourceVersion"] = str(self._version)
        self._send_event("DELETED", removed)

    def bookmark(self) -> None:
        self._send_event("BOOKMARK", {"metadata": {"resourceVersion": str(self._version)}})

    def expire(self) -> None:
        self._send_event("ERROR", {"code": 410, "message": "too old resource version"})

    def interrupt(self, error: Exception | None = None) -> None:
        for queue in self._watches:
            queue.put_nowait(error)
        self.drop_watches()

    def drop_watches(self) -> None:
        self._watches = []
        self.being_watched.clear()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        yield self

    async def pages(self, selector: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        assert selector is SELECTOR
        self._record("list")
        items = [dict(run) for run in self._runs.values()]
        version = str(self._version)
        for start in range(0, len(items) or 1, self.most_of_a_page):
            page = items[start : start + self.most_of_a_page]
            yield {"items": page, "metadata": {"resourceVersion": version}}
            await self.between_pages()

    async def between_pages(self) -> None:
        """Run between two pages of a list; replaced by a test."""

    async def get(self, ref: Ref) -> TaskRun | None:
        self._record(f"get {ref.name}")
        run = self._runs.get(ref.name)
        return TaskRun.model_validate(run) if run else None

    @asynccontextmanager
    async def watch(self, selector: Mapping[str, str], version: str, _: int) -> AsyncIterator[Any]:
        assert selector is SELECTOR
        self._record(f"watch from {version}")
        if self.unwatchable:
            raise self.unwatchable
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._watches.append(queue)
        self.being_watched.set()

        async def events() -> AsyncIterator[Any]:
            while (event := await queue.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event

        yield events()

    def _record(self, request: str) -> None:
        self.requests.append(request)
        if self.refusals:
            raise self.refusals.pop(0)

    def _send_event(self, kind: str, changed: dict[str, Any]) -> None:
        for queue in self._watches:
            queue.put_nowait({"type": kind, "object": changed})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeApiserver:
    monkeypatch.setattr(shared_watch_module, "backoff_delays", lambda: iter([0.0] * 1000))
    return FakeApiserver()


async def end_of(shared_watch: SharedWatch, ref: Ref) -> list[str]:
    return [str(run.status.phase) async for run in shared_watch.follow(ref)]


async def until_watched(server: FakeApiserver) -> None:
    await server.being_watched.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_hundreds_of_waiters_share_one_list_and_one_watch(server: FakeApiserver) -> None:
    refs = [server.put(f"r{number}", "Running") for number in range(300)]
    shared_watch = SharedWatch(server.connect, SELECTOR)
    waits = [asyncio.create_task(end_of(shared_watch, ref)) for ref in refs]
    await until_watched(server)
    await settle()
    for ref in refs:
        server.put(ref.name, "Succeeded")
    assert await asyncio.gather(*waits) == [["Running", "Succeeded"]] * 300
    assert server.requests == ["list", "watch from 301"]


async def test_a_waiter_that_joins_between_two_pages_gets_its_run(server: FakeApiserver) -> None:
    server.most_of_a_page = 1
    listed, ended, late = (
        server.put(*args) for args in (("a", "Running"), ("b", "Failed"), ("c", "Running"))
    )
    shared_watch = SharedWatch(server.connect, SELECTOR)
    waits: list[asyncio.Task[list[str]]] = []

    async def between_pages() -> None:
        if len(waits) == 1:
            waits.extend(asyncio.create_task(end_of(shared_watch, ref)) for ref in (listed, ended))
            await settle()

    server.between_pages = between_pages  # type: ignore[method-assign]
    waits.append(asyncio.create_task(end_of(shared_watch, late)))
    await until_watched(server)
    await settle()
    for ref in (listed, late):
        server.put(ref.name, "Succeeded")
    ends = await asyncio.wait_for(asyncio.gather(*waits), 60)
    assert ends == [["Running", "Succeeded"], ["Running", "Succeeded"], ["Failed"]]


async def test_ended_runs_without_waiters_are_not_kept(server: FakeApiserver) -> None:
    for number in range(30):
        server.put(f"r{number}", "Succeeded")
    server.most_of_a_page = 7
    ref = server.put("a", "Running")
    shared_watch = SharedWatch(server.connect, SELECTOR)
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    assert list(shared_watch._active) == [ref.uid]
    server.put("a", "Succeeded")
    assert await wait == ["Running", "Succeeded"]


async def test_a_run_that_ended_before_is_returned_at_once(server: FakeApiserver) -> None:
    assert await end_of(SharedWatch(server.connect, SELECTOR), server.put("a", "Failed")) == [
        "Failed"
    ]


async def test_a_later_waiter_gets_the_cached_run_without_a_request(
    server: FakeApiserver,
) -> None:
    first, second = server.put("a", "Running"), server.put("b", "Running")
    shared_watch = SharedWatch(server.connect, SELECTOR)
    first_end = asyncio.create_task(end_of(shared_watch, first))
    await until_watched(server)
    second_end = asyncio.create_task(end_of(shared_watch, second))
    await settle()
    server.put("a", "Failed")
    server.put("b", "Succeeded")
    assert await first_end == ["Running", "Failed"]
    assert await second_end == ["Running", "Succeeded"]
    assert len(server.requests) == 2


async def test_a_run_that_ended_without_waiters_is_read_once(
    server: FakeApiserver,
) -> None:
    first = server.put("a", "Running")
    shared_watch = SharedWatch(server.connect, SELECTOR)
    first_end = asyncio.create_task(end_of(shared_watch, first))
    await until_watched(server)
    late = server.put("b", "Succeeded")
    await settle()
    assert await end_of(shared_watch, late) == ["Succeeded"]
    server.put("a", "Succeeded")
    await first_end
    assert server.requests[2:] == ["get b"]


@pytest.mark.parametrize("error", [None, ConnectionResetError(), TimeoutError()])
async def test_an_interrupted_watch_resumes_at_its_last_version(
    server: FakeApiserver, error: Exception | None
) -> None:
    shared_watch, ref = SharedWatch(server.connect, SELECTOR), server.put("a", "Running")
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    server._version = 40
    server.bookmark()
    server.interrupt(error)
    await settle()
    await until_watched(server)
    server.put("a", "Succeeded")
    assert await wait == ["Running", "Succeeded"]
    assert server.requests == ["list", "watch from 2", "watch from 40"]


async def test_after_an_expired_version_everything_is_listed_again(server: FakeApiserver) -> None:
    shared_watch, ref = SharedWatch(server.connect, SELECTOR), server.put("a", "Running")
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    server.expire()
    server.drop_watches()
    server.put("a", "Succeeded")
    assert (await wait)[-1] == "Succeeded"
    assert server.requests[:3] == ["list", "watch from 2", "list"]


async def test_a_deleted_run_raises_gone(server: FakeApiserver) -> None:
    shared_watch, ref = SharedWatch(server.connect, SELECTOR), server.put("a", "Running")
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    await settle()
    server.remove("a")
    with pytest.raises(Gone):
        await wait


async def test_a_run_that_was_deleted_between_two_watches_raises_gone(
    server: FakeApiserver,
) -> None:
    shared_watch, ref = SharedWatch(server.connect, SELECTOR), server.put("a", "Running")
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    await settle()
    server.expire()
    server.drop_watches()
    server.remove("a")
    with pytest.raises(Gone):
        await wait
    assert server.requests[-1] == "get a"


async def test_a_run_deleted_by_its_ttl_has_its_outcome(
    server: FakeApiserver,
) -> None:
    shared_watch, ref = SharedWatch(server.connect, SELECTOR), server.put("a", "Running")
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    await settle()
    server.put("a", "Succeeded")
    server.remove("a")
    assert await wait == ["Running", "Succeeded"]


async def test_a_refusal_is_retried(server: FakeApiserver) -> None:
    server.refusals = [Refused(401, "token expired")] * 5
    assert await end_of(SharedWatch(server.connect, SELECTOR), server.put("a", "Failed")) == [
        "Failed"
    ]


async def test_a_lasting_refusal_is_raised(server: FakeApiserver) -> None:
    server.refusals = [Refused(403, "taskruns is forbidden")] * 100
    with pytest.raises(Refused, match="forbidden"):
        await end_of(SharedWatch(server.connect, SELECTOR), Ref("jobs", "a", "uid-a"))


async def test_a_lasting_refusal_of_the_watch_alone_is_raised(
    server: FakeApiserver,
) -> None:
    server.unwatchable = Refused(403, "watching taskruns is forbidden")
    with pytest.raises(Refused, match="watching"):
        await end_of(SharedWatch(server.connect, SELECTOR), server.put("a", "Running"))


async def test_an_unexpected_error_reaches_the_waiters(server: FakeApiserver) -> None:
    shared_watch = SharedWatch(server.connect, SELECTOR)
    server.refusals = [ValueError("no such connection")]
    with pytest.raises(ValueError, match="no such connection"):
        await end_of(shared_watch, Ref("jobs", "a", "uid-a"))
    assert await end_of(shared_watch, server.put("a", "Succeeded")) == ["Succeeded"]


async def test_the_watch_ends_with_its_last_waiter(server: FakeApiserver) -> None:
    shared_watch, ref = SharedWatch(server.connect, SELECTOR), server.put("a", "Running")
    wait = asyncio.create_task(end_of(shared_watch, ref))
    await until_watched(server)
    wait.cancel()
    await asyncio.gather(wait, return_exceptions=True)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
