"""Tests of a task that is interrupted or whose deferral fails: cancel the run, or leave it."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow import TaskRunOperator, execution, task_instance
from taskruns_airflow.client import Ref
from taskruns_airflow.connection import Access
from taskruns_airflow.execution import Execution
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")


class Instance(SimpleNamespace):
    """Task instance of Airflow 3; each pushed XCom calls `on_push` with its key."""

    def __init__(
        self, on_push: Callable[[str], None], state: str = "running", retries: int = 0
    ) -> None:
        super().__init__(
            id="i1", dag_id="sales", task_id="load", run_id="manual", map_index=-1,
            try_number=1, max_tries=retries, state=state,
        )  # fmt: skip
        self.on_push = on_push

    def get_task_states(self, **_: Any) -> dict[str, Any]:
        return {"manual": {"load": self.state}}

    def xcom_push(self, key: str, value: Any) -> None:  # noqa: ARG002  # Airflow's
        self.on_push(key)

    def context(self) -> Any:
        run = SimpleNamespace(start_date=datetime(2026, 11, 25, 4, 0, 0, 1, tzinfo=UTC))
        return {"ti": self, "dag_run": run}


class Cluster:
    """Fake cluster with one try's active run; serves as hook, client and connection."""

    access = Access()
    unseen_advice = ""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def namespace(self, _: str | None) -> str:
        return "jobs"

    async def edge(self, _: str) -> "Cluster":
        return self

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Cluster"]:
        yield self

    async def link(self, _: Ref) -> str:
        return ""

    async def find(self, *_: str, phase: str = "Running") -> list[TaskRun]:
        annotations = dict(OWN.annotations)
        metadata = {"name": "a", "namespace": "jobs", "uid": "u", "annotations": annotations}
        manifest = {"metadata": metadata, "spec": {}, "status": {"phase": phase}}
        return [TaskRun.model_validate(manifest)]

    async def collect(self, *_: Any) -> None:
        """Accept the mark."""

    async def cancel(self, ref: Ref, *, leaving: bool) -> None:
        assert leaving
        self.cancelled.append(ref.uid)

    def watch(self, _: Ref) -> "Cluster":
        return self

    async def follow(self, _: Ref) -> AsyncIterator[TaskRun]:
        (run,) = await self.find(phase="Succeeded")
        yield run


@pytest.mark.parametrize(
    ("retries", "too_long", "cancelled"),
    [(0, True, ["u"]), (1, True, ["u"]), (0, False, ["u"]), (1, False, [])],
)
def test_a_run_whose_trigger_failed_continues_only_if_a_try_follows(
    retries: int,
    too_long: bool,  # noqa: FBT001  # a column of the table
    cancelled: list[str],
) -> None:
    ti = SimpleNamespace(max_tries=retries, try_number=1)
    cluster: Any = Cluster()
    Execution(cluster, {"ti": ti}, logging.getLogger("task")).abandon(OWN, None, too_long=too_long)
    assert cluster.cancelled == cancelled


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Return the cluster of every hook, with long time limits for machines under load."""
    monkeypatch.setattr(task_instance, "_QUERY_SECONDS", 60.0)
    monkeypatch.setattr(execution, "_SECONDS_TO_CANCEL", 60.0)
    fake = Cluster()
    monkeypatch.setattr(TaskRunHook, "of", lambda _: fake)
    return fake


@pytest.fixture
def handle_sigterm() -> Iterator[Callable[[TaskRunOperator, bool], None]]:
    """Return a function that makes a task handle SIGTERM as Airflow 3 or as Airflow 2 on_push.

    Airflow 2 also raises an exception.
    """
    before = signal.getsignal(signal.SIGTERM)

    def listen(task: TaskRunOperator, raising: bool) -> None:  # noqa: FBT001
        def on_term(*_: Any) -> None:
            task.on_kill()
            if raising:
                raise AirflowException("Task received SIGTERM signal")

        signal.signal(signal.SIGTERM, on_term)

    yield listen
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("raising", [False, True])
@pytest.mark.parametrize("moment", ["taskrun_name", "taskrun_uid", "taskrun_link"])
@pytest.mark.parametrize(
    ("state", "retries", "cancelled"),
    [("failed", 1, ["u"]), ("running", 0, ["u"]), ("running", 1, [])],
)
def test_a_stop_signal_just_after_the_create_leaves_no_orphan(  # noqa: PLR0913, PLR0917  # a table
    cluster: Cluster,
    handle_sigterm: Callable[[TaskRunOperator, bool], None],
    deferrable: bool,  # noqa: FBT001  # columns of the table
    raising: bool,  # noqa: FBT001
    moment: str,
    state: str,
    retries: int,
    cancelled: list[str],
) -> None:
    task = TaskRunOperator(
        task_id="load", image="a", get_logs=False, deferrable=deferrable, defer_after=0
    )
    handle_sigterm(task, raising)

    def on_push(key: str) -> None:
        if key == moment:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(AirflowException, match=r"received a stop signal|marked or cleared"):
        task.execute(Instance(on_push, state, retries).context())
    assert cluster.cancelled == cancelled


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failing_xcom_or_state_store_fails_no_task(
    deferrable: bool,  # noqa: FBT001  # as above
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TaskRunOperator, "log", logging.getLogger("task"))

    def on_push(key: str, *_: Any) -> None:
        raise RuntimeError(f"no room for {key}")

    task = TaskRunOperator(
        task_id="load", image="a", get_logs=False, deferrable=deferrable, defer_after=0
    )
    context = Instance(on_push).context() | {"task_state_store": SimpleNamespace(set=on_push)}
    if deferrable:
        with pytest.raises(TaskDeferred):
            task.execute(context)
    else:
        task.execute(context)
    assert "no room for taskrun_uid" in caplog.text


def test_a_deferrable_task_whose_run_ends_soon_does_not_defer(cluster: Cluster) -> None:
    task = TaskRunOperator(task_id="load", image="a", get_logs=False, deferrable=True)
    task.execute(Instance(lambda _: None).context())
    assert cluster.cancelled == []


def test_a_deferrable_task_defers_when_its_run_lasts_longer(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow(ref: Ref) -> AsyncIterator[TaskRun]:
        (run,) = await cluster.find()
        yield run
        await asyncio.Event().wait()
        raise AssertionError(ref)

    monkeypatch.setattr(cluster, "follow", follow)
    task = TaskRunOperator(
        task_id="load", image="a", get_logs=False, deferrable=True, defer_after=0.01
    )
    with pytest.raises(TaskDeferred):
        task.execute(Instance(lambda _: None).context())
    assert cluster.cancelled == []


@pytest.mark.parametrize("value", [-1, "10", None, True, float("nan"), float("inf")])
def test_defer_after_is_a_number_of_seconds(value: Any) -> None:
    task = TaskRunOperator(task_id="load", image="a", deferrable=True, defer_after=value)
    with pytest.raises(TaskRunMisconfigured, match="defer_after"):
        task.build_task_run(OWN)


def test_a_stopped_last_try_without_a_stored_uid_leaves_no_run(
    cluster: Cluster, handle_sigterm: Callable[[TaskRunOperator, bool], None]
) -> None:
    def on_push(key: str) -> None:
        if key == "taskrun_uid":
            os.kill(os.getpid(), signal.SIGTERM)

    task = TaskRunOperator(task_id="load", image="a", get_logs=False)
    handle_sigterm(task, False)  # noqa: FBT003  # as Airflow 3
    store = SimpleNamespace(get=lambda _: None)  # without `set`, so that storing fails
    with pytest.raises(AirflowException, match="no other try follows"):
        task.execute(Instance(on_push).context() | {"task_state_store": store})
    assert cluster.cancelled == ["u"]
