"""The resync, which compares the cache with lists of the existing objects."""

import asyncio
from typing import Any

import pytest

from taskruns.api import names
from taskruns.engines.cache import Cache, RunKey, Versions
from taskruns.engines.engine import Unavailable
from taskruns.engines.kubernetes.listing import NotAllowed, NotInstalled
from taskruns.operator import resync
from taskruns.operator.resync import Resync, behind, still_behind


def a_run(uid: str, version: int = 1, phase: str = "Running") -> dict[str, Any]:
    metadata = {"namespace": "n", "name": uid, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase}}


def a_pod(uid: str, run: str, version: int = 1) -> dict[str, Any]:
    metadata = {"namespace": "n", "name": uid, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**metadata, "labels": {names.LABEL_UID: run}}}


class Lists:
    """Responses in order; the last one repeats."""

    def __init__(self, *answers: Versions | Exception) -> None:
        self._answers = list(answers)

    async def __call__(self, _: str) -> Versions:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def cache() -> Cache:
    filled = Cache()
    filled.put_run(a_run("run-1"))
    filled.put_run(a_run("run-2", phase="Succeeded"))
    filled.put_pod(a_pod("pod-1", "run-1"))
    return filled


def a_resync(cache: Cache, *lists: Versions | Exception) -> Resync:
    return Resync(Lists(*lists), cache, lambda _: None, 60.0)


async def test_deleted_objects_are_dropped(cache: Cache) -> None:
    await a_resync(cache, Versions({"run-2": 1}, {})).relist()
    assert cache.versions() == Versions({"run-2": 1}, {})


async def test_objects_that_arrive_during_the_list_are_kept(cache: Cache) -> None:
    async def late_list(_: str) -> Versions:
        cache.put_run(a_run("run-3"))
        return Versions({"run-1": 1, "run-2": 1}, {"pod-1": 1})

    await Resync(late_list, cache, lambda _: None, 60.0).relist()
    assert set(cache.versions().runs) == {"run-1", "run-2", "run-3"}


async def test_a_short_lag_of_the_watch_is_normal(cache: Cache) -> None:
    listed = Versions({"run-1": 5, "run-2": 1}, {"pod-1": 1})
    checker = a_resync(cache, listed)
    await checker.compare()
    assert checker.problem() == ""
    cache.put_run(a_run("run-1", 5))
    await checker.compare()
    assert checker.problem() == ""


@pytest.mark.parametrize(
    "listed",
    [
        Versions({"run-1": 5, "run-2": 1}, {"pod-1": 1}),
        Versions({"run-1": 1, "run-2": 1}, {"pod-1": 7}),
        Versions({"run-1": 1, "run-2": 1, "run-9": 3}, {"pod-1": 1}),
    ],
    ids=["a run changed", "a Pod changed", "a run was created"],
)
async def test_a_stale_watch_is_detected(cache: Cache, listed: Versions) -> None:
    checker = a_resync(cache, listed)
    await checker.compare()
    await checker.compare()
    assert "1 changed objects" in checker.problem()


async def test_a_watch_that_catches_up_is_healthy_again(cache: Cache) -> None:
    checker = a_resync(cache, Versions({"run-1": 5, "run-2": 1}, {"pod-1": 1}))
    await checker.compare()
    await checker.compare()
    cache.put_run(a_run("run-1", 5))
    await checker.compare()
    assert checker.problem() == ""


async def test_a_slow_start_of_the_watch_is_not_stale(cache: Cache) -> None:
    checker = a_resync(cache, Versions({"run-1": 5, "run-2": 1}, {"pod-1": 1}))
    await checker.relist()
    await checker.relist()
    assert checker.problem() == ""
    await checker.compare()
    assert checker.problem() == ""


def test_an_object_deleted_between_two_lists_is_not_reported() -> None:
    nothing = Versions({}, {})
    assert behind(Versions({"a": 3}, {"b": 4}), nothing) == {"a": 3, "b": 4}
    assert still_behind({"a": 3, "b": 4}, nothing, nothing) == frozenset()


async def test_lists_are_retried_until_one_succeeds(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resync, "RETRY_SECONDS", 0)
    listed = Versions({"run-1": 1}, {})
    checker = a_resync(cache, Unavailable("down"), NotInstalled("no resource taskruns"), listed)
    assert await checker.relist() == listed
    assert [record.getMessage() for record in caplog.records] == [
        "cannot list TaskRuns and Pods: down",
        "no resource taskruns; install it from crds/taskruns.yaml",
    ]


async def test_a_list_that_fails_drops_nothing(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "RETRY_SECONDS", 3600)
    stock = asyncio.create_task(a_resync(cache, Unavailable("down")).relist())
    await asyncio.sleep(0)
    stock.cancel()
    await asyncio.gather(stock, return_exceptions=True)
    assert len(cache.versions().all()) == 3


def in_two_namespaces(cache: Cache, **lists: Versions | Exception) -> Resync:
    each = {namespace: Lists(answer) for namespace, answer in lists.items()}
    return Resync(lambda name: each[name](name), cache, lambda _: None, 60.0, tuple(lists))


async def test_a_forbidden_namespace_keeps_its_cached_objects(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    away = a_run("away")
    away["metadata"]["namespace"] = "m"
    cache.put_run(away)
    caplog.set_level("INFO")
    checker = in_two_namespaces(cache, n=Versions({"run-1": 1}, {}), m=NotAllowed("no role"))
    assert await checker.relist() == Versions({"run-1": 1}, {})
    await checker.relist()
    assert cache.versions() == Versions({"run-1": 1, "away": 1}, {})
    assert checker.unserved() == "m is not served: no role"
    (message,) = caplog.messages
    assert message.startswith("namespace m is not served: no role")


async def test_a_namespace_that_is_served_again_is_logged(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    turns = {"n": Lists(Versions({}, {})), "m": Lists(NotAllowed("no role"), Versions({}, {}))}
    checker = Resync(lambda name: turns[name](name), cache, lambda _: None, 60.0, ("n", "m"))
    await checker.relist()
    await checker.relist()
    assert checker.unserved() == ""
    assert caplog.messages[1:] == ["namespace m is now served"]


async def test_without_a_permitted_namespace_the_list_is_retried(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resync, "RETRY_SECONDS", 0)
    listed = Versions({"run-1": 1}, {})
    checker = a_resync(cache, NotAllowed("no role"), listed)
    assert await checker.relist() == listed
    assert caplog.messages == ["cannot list TaskRuns and Pods: no role"]


async def test_only_unfinished_runs_are_enqueued(cache: Cache) -> None:
    enqueued: list[RunKey] = []
    listed = Versions({"run-1": 1, "run-2": 1}, {"pod-1": 1})
    turn = asyncio.create_task(Resync(Lists(listed), cache, enqueued.append, 0.0).run())
    for _ in range(20):
        await asyncio.sleep(0)
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert {key.uid for key in enqueued} == {"run-1"}
