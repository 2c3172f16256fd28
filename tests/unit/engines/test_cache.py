"""The cache keeps the newest version of each object, and deleted objects stay deleted."""

from dataclasses import astuple
from typing import Any

import pytest

from taskruns.api import names
from taskruns.engines.cache import Cache, RunKey, slim

KEY = RunKey("team", "run-1")


def a_run(version: int = 1, uid: str = "run-1", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "team",
            "name": "hello",
            "uid": uid,
            "resourceVersion": str(version),
            "managedFields": ["long"],
        },
        "spec": {"image": "busybox:1"},
        "status": status,
    }


def a_pod(version: int = 1, uid: str = "pod-1", *, labelled: bool = True) -> dict[str, Any]:
    labels = {names.LABEL_UID: "run-1", names.LABEL_NAME: "hello"} if labelled else {}
    metadata = {"namespace": "team", "name": uid, "uid": uid, "labels": labels}
    return {"metadata": {**metadata, "resourceVersion": str(version)}, "spec": {}}


def versions(cache: Cache) -> list[int]:
    return [int(pod["metadata"]["resourceVersion"]) for pod in cache.view(KEY).pods]


@pytest.mark.parametrize(("first", "second", "kept"), [(1, 2, 2), (2, 1, 2), (9, 10, 10)])
def test_the_cache_keeps_the_newest_version_in_any_order(
    first: int, second: int, kept: int
) -> None:
    cache = Cache()
    cache.put_pod(a_pod(first))
    cache.put_pod(a_pod(second))
    cache.put_run(a_run(first))
    cache.put_run(a_run(second))
    assert versions(cache) == [kept]
    run = cache.view(KEY).run
    assert run is not None
    assert run["metadata"]["resourceVersion"] == str(kept)


def test_a_dropped_run_does_not_return() -> None:
    cache = Cache()
    cache.put_run(a_run(1))
    cache.drop_run("run-1")
    cache.put_run(a_run(99))
    assert cache.view(KEY).run is None


def test_a_lost_run_returns_with_a_live_read_and_a_dropped_one_does_not() -> None:
    cache = Cache()
    cache.put_run(a_run(5))
    cache.lose_run("run-1")
    cache.put_run(a_run(5))
    assert cache.view(KEY).run is None
    cache.keep_run(a_run(5))
    assert cache.view(KEY).run is not None
    cache.drop_run("run-1")
    cache.keep_run(a_run(5))
    assert cache.view(KEY).run is None


def test_a_dropped_pod_does_not_return_and_its_last_state_is_kept() -> None:
    cache = Cache()
    pod = a_pod(1)
    cache.put_pod(pod)
    assert cache.drop_pod("pod-1") == pod
    cache.put_pod(a_pod(99))
    assert cache.view(KEY).pods == ()
    assert cache.drop_pod("pod-1") == pod


def test_a_lost_pod_returns_only_with_a_newer_version() -> None:
    cache = Cache()
    cache.put_pod(a_pod(5))
    cache.lose_pod("pod-1")
    cache.put_pod(a_pod(5))
    assert cache.view(KEY).pods == ()
    cache.put_pod(a_pod(6))
    assert versions(cache) == [6]


def test_a_lost_pod_is_judged_by_its_last_known_state() -> None:
    cache = Cache()
    last = a_pod(5)
    cache.put_pod(last)
    cache.lose_pod("pod-1")
    assert cache.drop_pod("pod-1") == last


def test_a_pod_without_our_label_is_cached_after_a_live_read() -> None:
    cache = Cache()
    cache.put_pod(a_pod(5))
    cache.lose_pod("pod-1")
    cache.keep_pod(a_pod(5, labelled=False), KEY)
    assert versions(cache) == [5]
    cache.lose_pod("pod-1")
    assert cache.view(KEY).pods == ()
    assert list(cache.keys()) == []


def test_a_live_read_does_not_replace_a_newer_version() -> None:
    cache = Cache()
    cache.put_pod(a_pod(6))
    cache.keep_pod(a_pod(5), KEY)
    assert versions(cache) == [6]


def test_a_pod_without_a_run_is_not_cached() -> None:
    cache = Cache()
    assert cache.put_pod(a_pod(labelled=False)) is None
    assert list(cache.pods()) == []


def test_the_number_of_tombstones_is_limited() -> None:
    cache = Cache()
    for number in range(3000):
        cache.drop_run(f"run-{number}")
    cache.put_run(a_run(uid="run-0"))
    cache.put_run(a_run(uid="run-2999"))
    assert [uid for _, uid in map(astuple, cache.keys())] == ["run-0"]


def test_unfinished_runs_are_active_or_have_a_pod() -> None:
    cache = Cache()
    cache.put_run(a_run(uid="new"))
    cache.put_run(a_run(uid="running", phase="Running"))
    cache.put_run(a_run(uid="ended", phase="Succeeded"))
    cache.put_run(a_run(uid="run-1", phase="Failed"))
    cache.put_pod(a_pod())
    orphan = a_pod(uid="orphan")
    orphan["metadata"]["labels"][names.LABEL_UID] = "nobody"
    cache.put_pod(orphan)
    assert {key.uid for key in cache.unfinished()} == {"new", "running", "run-1", "nobody"}


def test_a_run_that_is_not_cached_is_named_by_its_pods() -> None:
    cache = Cache()
    cache.put_pod(a_pod())
    assert cache.view(KEY).ref.name == "hello"


def test_an_ended_run_is_reduced() -> None:
    run = a_run(phase="Succeeded", result="x" * 4000, completionTime="2026-01-01T12:00:00Z")
    run["metadata"]["annotations"] = {names.ANNOTATION_COLLECTED: "pod-1", "other": "y" * 4000}
    run["spec"] |= {"ttlSecondsAfterFinished": 5, "podGC": {"strategy": "Never"}}
    kept = slim(run)
    assert len(str(kept)) < 700
    assert kept["metadata"]["annotations"] == {names.ANNOTATION_COLLECTED: "pod-1"}
    assert kept["spec"] == {"ttlSecondsAfterFinished": 5, "podGC": {"strategy": "Never"}}
    assert kept["status"]["completionTime"] == "2026-01-01T12:00:00Z"
    assert "managedFields" not in kept["metadata"]
