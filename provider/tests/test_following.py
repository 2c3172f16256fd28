"""Tests of following a run, and of cancelling the runs of a stopped try."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from taskruns.api.v1alpha1 import TaskRun, TaskRunStatus
from taskruns_airflow import launch
from taskruns_airflow.api import Api
from taskruns_airflow.client import Client, Ref
from taskruns_airflow.identity import Try
from taskruns_airflow.launch import LogSink, cancel_all, follow

OWN = Try("sales", "load", "manual", -1, 2, 2, "2026-11-25T04:00:00.000001+00:00", "i2", "v1")
BEFORE = Try("sales", "load", "manual", -1, 1, 2, "2026-11-25T04:00:00.000001+00:00", "i1", "v1")


class FakeRuns:
    """Client that returns the given runs and records the runs that are cancelled."""

    def __init__(self, *runs: TaskRun) -> None:
        self.runs = runs
        self.cancelled: list[str] = []

    async def find(self, label: str, value: str) -> list[TaskRun]:
        assert (label, value) == ("airflow.taskruns.dev/task", OWN.task_label)
        return list(self.runs)

    async def cancel(self, ref: Ref, *, leaving: bool) -> None:
        assert leaving, "the process that cancels is about to end"
        self.cancelled.append(ref.uid)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Api]:
        yield cast("Api", self)


def run(of: Try, phase: str) -> TaskRun:
    metadata: dict[str, Any] = {"name": of.name, "namespace": "jobs", "uid": of.instance}
    metadata["annotations"] = of.annotations
    return TaskRun.model_validate({"metadata": metadata, "spec": {}, "status": {"phase": phase}})


@pytest.mark.parametrize(
    ("runs", "cancelled"),
    [
        ([run(OWN, "Pending")], ["i2"]),
        ([run(BEFORE, "Running")], ["i1"]),
        ([run(OWN, "Succeeded"), run(BEFORE, "Failed")], []),
        ([], []),
    ],
)
async def test_the_active_runs_of_a_try_are_cancelled_and_no_ended_run(
    runs: list[TaskRun], cancelled: list[str]
) -> None:
    client = FakeRuns(*runs)
    await cancel_all(client.connect, OWN)
    assert client.cancelled == cancelled


class LateStatus:
    """Client whose run gets its first status once the given number of notes is logged."""

    unseen_advice = "Check the controller"

    def __init__(self, notes: int) -> None:
        self.logged: list[str] = []
        self._enough = asyncio.Event()
        self._notes = notes

    def note(self, text: str) -> None:
        self.logged.append(text)
        if sum("has had no status" in each for each in self.logged) == self._notes:
            self._enough.set()

    async def follow(self, ref: Ref) -> AsyncIterator[TaskRun]:
        assert ref.uid == "i2"
        yield run(OWN, "Pending").model_copy(update={"status": TaskRunStatus()})
        await self._enough.wait()
        yield run(OWN, "Running")
        for _ in range(20):
            await asyncio.sleep(0)
        yield run(OWN, "Succeeded")


async def test_a_run_without_a_controller_is_noted_until_it_has_a_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "_FIRST_NOTICE", 0.0)
    monkeypatch.setattr(launch, "_NEXT_NOTICES", 0.0)
    late_status = LateStatus(notes=2)
    ref = Ref("jobs", OWN.name, "i2")
    sink = LogSink(lambda _: None, late_status.note)
    await follow(cast("Client", late_status), late_status, ref, None, sink)
    notices = [each for each in late_status.logged if "has had no status" in each]
    assert notices == [f"TaskRun {ref} has had no status for 0 s. Check the controller"] * 2


def test_the_first_notice_comes_after_ten_seconds_and_the_next_after_a_minute() -> None:
    assert (launch._FIRST_NOTICE, launch._NEXT_NOTICES) == (10, 60)
