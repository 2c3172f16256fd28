"""The barrier at the start, the handling of events, and the responses of the probes."""

import asyncio
import socket
from typing import Any

import aiohttp
import kopf
import pytest

from taskruns.api import names
from taskruns.engines.cache import Cache, RunKey
from taskruns.operator.cache_sync import CacheSync
from taskruns.operator.health import CannotServe, Health, Heartbeat, probes
from taskruns.operator.watch import DirectProcessor, EventHandler


def test_the_cache_is_synced_when_every_listed_object_has_arrived() -> None:
    barrier = CacheSync()
    assert barrier.problem() == "starting"
    barrier.expect(["a", "b"])
    barrier.arrive("a")
    barrier.arrive("other")
    assert barrier.problem() == "1 objects not yet seen"
    barrier.arrive("b")
    assert barrier.is_open
    assert barrier.problem() == ""


def test_the_cache_sync_does_not_wait_for_deleted_objects() -> None:
    barrier = CacheSync()
    barrier.expect(["a", "b"])
    barrier.arrive("a")
    barrier.expect(["a", "c"])
    assert barrier.is_open


def test_a_cache_sync_without_objects_is_complete() -> None:
    barrier = CacheSync()
    barrier.expect([])
    assert barrier.is_open


async def test_waiting_for_the_cache_sync_ends_when_it_completes() -> None:
    barrier = CacheSync()
    barrier.expect(["a"])
    assert not await barrier.wait(0)
    barrier.arrive("a")
    assert await barrier.wait(60)
    await barrier.opened()


async def test_the_cache_sync_is_awaited_as_long_as_objects_arrive() -> None:
    barrier = CacheSync()
    awaited = [str(number) for number in range(50)]
    barrier.expect(awaited)

    async def arrive() -> None:
        for each in awaited:
            await asyncio.sleep(0)
            barrier.arrive(each)

    arriving = asyncio.create_task(arrive())
    assert await barrier.wait(0)
    await arriving


class Desk:
    def __init__(self) -> None:
        self.cache = Cache()
        self.asked: list[RunKey] = []
        self.arrived: list[str] = []
        self.later: list[RunKey] = []
        self.intake = EventHandler(
            self.cache, self.asked.append, self.later.append, self.arrived.append
        )


def a_run(version: int = 1) -> dict[str, Any]:
    metadata = {"namespace": "n", "name": "r", "uid": "run-1", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}}


def a_pod(version: int = 1, phase: str = "Succeeded") -> dict[str, Any]:
    metadata = {"namespace": "n", "name": "p", "uid": "pod-1", "resourceVersion": str(version)}
    labels = {names.LABEL_UID: "run-1"}
    return {"metadata": {**metadata, "labels": labels}, "status": {"phase": phase}}


def event(type_: str | None, obj: dict[str, Any]) -> Any:
    return {"type": type_, "object": obj}


KEY = RunKey("n", "run-1")


@pytest.mark.parametrize("type_", [None, "ADDED", "MODIFIED"])
def test_an_event_updates_the_cache_and_enqueues_the_run(type_: str | None) -> None:
    desk = Desk()
    desk.intake.take_run(event(type_, a_run()))
    desk.intake.take_pod(event(type_, a_pod()))
    view = desk.cache.view(KEY)
    assert view.run == a_run()
    assert view.pods == (a_pod(),)
    assert desk.asked == [KEY, KEY]
    assert desk.arrived == ["run-1", "pod-1"]


def test_a_deletion_enqueues_the_run() -> None:
    desk = Desk()
    desk.intake.take_run(event("ADDED", a_run()))
    desk.intake.take_pod(event("ADDED", a_pod()))
    desk.intake.take_run(event("DELETED", a_run(2)))
    desk.intake.take_pod(event("DELETED", a_pod(2, "Succeeded")))
    assert desk.cache.view(KEY).run is None
    assert desk.cache.view(KEY).pods == ()
    assert desk.asked == [KEY] * 4
    assert desk.cache.drop_pod("pod-1") == a_pod(2, "Succeeded")


@pytest.mark.parametrize(
    ("phase", "status", "metadata", "later"),
    [
        ("Pending", {}, {}, True),
        ("Running", {"containerStatuses": [{"state": {"running": {}}}]}, {}, True),
        ("Running", {"containerStatuses": [{"state": {"terminated": {}}}]}, {}, False),
        ("Running", {}, {"deletionTimestamp": "2026-01-01T12:00:00Z"}, False),
        ("Succeeded", {}, {}, False),
        ("Failed", {}, {}, False),
    ],
)
def test_a_run_is_enqueued_later_while_its_pod_starts_or_runs(
    phase: str,
    status: dict[str, Any],
    metadata: dict[str, Any],
    later: bool,  # noqa: FBT001
) -> None:
    desk = Desk()
    pod = a_pod(1, phase)
    pod["status"] |= status
    pod["metadata"] |= metadata
    desk.intake.take_pod(event("MODIFIED", pod))
    assert (desk.asked, desk.later) == (([], [KEY]) if later else ([KEY], []))


def test_the_event_of_our_own_deletion_enqueues_nothing() -> None:
    desk = Desk()
    desk.cache.put_pod(a_pod(4))
    desk.cache.drop_pod("pod-1")
    desk.intake.take_pod(event("DELETED", a_pod(5)))
    assert desk.asked == []


def test_an_event_of_a_cached_version_enqueues_nothing() -> None:
    """It comes from a write of our own: its response is in the cache already."""
    desk = Desk()
    desk.cache.put_run(a_run(2))
    desk.cache.put_pod(a_pod(4))
    desk.intake.take_run(event("MODIFIED", a_run(1)))
    desk.intake.take_run(event("MODIFIED", a_run(2)))
    desk.intake.take_pod(event("ADDED", a_pod(4)))
    assert desk.asked == []
    assert desk.arrived == ["run-1", "run-1", "pod-1"]
    desk.intake.take_pod(event("MODIFIED", a_pod(5)))
    desk.intake.take_run(event("MODIFIED", a_run(3)))
    assert desk.asked == [KEY, KEY]


def test_a_pod_without_a_run_is_ignored() -> None:
    desk = Desk()
    pod = a_pod()
    del pod["metadata"]["labels"]
    desk.intake.take_pod(event("ADDED", pod))
    assert desk.asked == []


async def test_an_event_that_cannot_be_handled_is_logged_and_the_next_is_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    pods = kopf.Resource("", "v1", "pods")
    process = DirectProcessor(desk.intake)
    await process(resource=pods, raw_event=event("ADDED", {"metadata": {}}), stream_pressure=None)
    assert "an event of pods could not be handled" in caplog.text
    await process(resource=pods, raw_event=event("ADDED", a_pod()), stream_pressure=None)
    assert desk.asked == [KEY]


def test_a_pulse_is_missed_only_once_it_has_begun() -> None:
    ticks = [100.0]
    heartbeat = Heartbeat(lambda: ticks[0])
    assert heartbeat.missing(10) == ""
    heartbeat.beat()
    ticks[0] = 110.0
    assert heartbeat.missing(10) == ""
    ticks[0] = 111.0
    assert heartbeat.missing(10) == "no activity for 11 s"


@pytest.mark.parametrize(
    ("alive", "ready", "livez", "readyz"),
    [
        ("", "", (200, "ok\n"), (200, "ok\n")),
        ("", "waits", (200, "ok\n"), (500, "b: waits\n")),
        ("dead", "", (500, "a: dead\n"), (500, "a: dead\n")),
        ("dead", "waits", (500, "a: dead\n"), (500, "a: dead\nb: waits\n")),
    ],
)
async def test_probes_name_the_problem(
    alive: str, ready: str, livez: tuple[int, str], readyz: tuple[int, str]
) -> None:
    health = Health({"a": lambda: alive}, {"b": lambda: ready})
    site = probes(health, "127.0.0.1", 0)
    await site.start()
    assert site.address is not None
    port = site.address[1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            for path, (code, text) in (("/livez", livez), ("/readyz", readyz)):
                async with session.get(path) as answer:
                    assert (answer.status, await answer.text()) == (code, text)
    finally:
        await site.stop()


async def test_a_port_in_use_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = probes(Health(), "127.0.0.1", port)
        pattern = f"^probes cannot be served on 127.0.0.1:{port}: .*address already in use"
        try:
            with pytest.raises(CannotServe, match=pattern):
                await site.start()
        finally:
            await site.stop()
