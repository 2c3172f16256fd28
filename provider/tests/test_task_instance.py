"""Tests of a stopped task's state in Airflow, which decides whether its run continues."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from taskruns_airflow import task_instance
from taskruns_airflow.task_instance import (
    TaskState,
    another_try_follows,
    current_state,
    is_of_another_try,
    is_wanted,
    store_uid,
)


def context(retries: int = 0, try_number: int = 1, **response: Any) -> dict[str, Any]:
    """Return a task's context in a worker of Airflow 3; `response` is Airflow's response."""

    def get_task_states(**_: Any) -> dict[str, Any]:
        if not response:
            raise RuntimeError("the supervisor is gone")
        return {"manual": {"load": response["state"]}}

    ti = SimpleNamespace(
        dag_id="sales",
        task_id="load",
        run_id="manual",
        map_index=-1,
        max_tries=retries,
        try_number=try_number,
        get_task_states=get_task_states,
    )
    return {"ti": ti}


@pytest.mark.parametrize("state", ["failed", "success", "restarting"])
def test_a_task_that_a_user_has_marked_or_cleared_is_not_wanted(state: str) -> None:
    assert not is_wanted(current_state(context(state=state)).states)


@pytest.mark.parametrize("state", ["running", "deferred", "up_for_retry", "queued", None])
def test_a_task_without_a_worker_or_scheduler_is_wanted(state: str | None) -> None:
    assert is_wanted(current_state(context(state=state)).states)


def test_an_unknown_state_is_wanted() -> None:
    assert is_wanted(current_state(context()).states)


@pytest.mark.parametrize(
    ("retries", "try_number", "state", "expected"),
    [
        (0, 1, "running", False),
        (1, 1, "running", True),
        (1, 2, "running", False),
        (0, 1, None, True),
        (0, 1, "scheduled", True),
        (1, 2, "queued", True),
    ],
)
def test_another_try_follows_by_retries_or_state(
    retries: int, try_number: int, state: str | None, expected: object
) -> None:
    running = context(retries, try_number, state=state)
    assert another_try_follows(running, current_state(running).states) is expected


class Store:
    """Task state store of one try; returns values only to the latest try."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.latest = True

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def get(self, key: str) -> str | None:
        return self.values.get(key) if self.latest else None


@pytest.mark.parametrize("latest", [True, False])
def test_a_try_is_superseded_by_a_later_one(latest: object) -> None:
    running = context(state="running") | {"task_state_store": Store()}
    store_uid(running, "uid-1")
    running["task_state_store"].latest = latest
    assert current_state(running, "uid-1").superseded is not latest


def test_without_a_store_no_try_is_superseded() -> None:
    running = context(state="running")
    store_uid(running, "uid-1")
    assert not current_state(running, "uid-1").superseded


def test_a_try_without_a_stored_uid_is_not_superseded() -> None:
    assert not current_state(context(state="running") | {"task_state_store": Store()}).superseded


def test_the_query_has_a_time_limit(monkeypatch: Any) -> None:
    monkeypatch.setattr(task_instance, "_QUERY_SECONDS", 0.01)
    answered = threading.Event()
    failed = context(retries=1, state="failed")
    answer = failed["ti"].get_task_states
    failed["ti"].get_task_states = lambda **query: answered.wait() and answer(**query)
    assert current_state(failed) == TaskState()
    answered.set()


def test_a_partial_response_has_the_state(monkeypatch: Any) -> None:
    requested, answered = threading.Event(), threading.Event()

    class Asking(threading.Thread):
        @override
        def join(self, timeout: float | None = None) -> None:
            requested.wait()

    def get(_: str) -> None:
        requested.set()
        answered.wait()

    monkeypatch.setattr(task_instance, "Thread", Asking)
    failed = context(state="failed") | {"task_state_store": SimpleNamespace(get=get)}
    assert current_state(failed, "uid-1") == TaskState(states=["failed"])
    answered.set()


def test_a_run_with_another_stored_uid_is_of_another_try() -> None:
    running = context(state="running") | {"task_state_store": Store()}
    assert not is_of_another_try(running, "uid-1")
    store_uid(running, "uid-2")
    assert is_of_another_try(running, "uid-1")
    assert not is_of_another_try(running, "uid-2")
    assert not is_of_another_try(running, "")


@pytest.mark.parametrize("store", [None, SimpleNamespace()])
def test_without_a_stored_uid_a_run_is_of_this_try(store: object) -> None:
    assert not is_of_another_try(context() | {"task_state_store": store}, "uid-1")
