"""What is cancelled where a try was stopped before it knew its run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.api import Api
from taskruns_airflow.edge import Ref
from taskruns_airflow.following import cancel_all
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 2, 2, "2026-11-25T04:00:00.000001+00:00", "i2", "v1")
BEFORE = Try("sales", "load", "manual", -1, 1, 2, "2026-11-25T04:00:00.000001+00:00", "i1", "v1")


class Found:
    """Finds what it was made with, and keeps what it is asked to cancel."""

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
async def test_what_a_try_has_at_work_is_cancelled_and_nothing_that_has_ended(
    runs: list[TaskRun], cancelled: list[str]
) -> None:
    found = Found(*runs)
    await cancel_all(found.connect, OWN)
    assert found.cancelled == cancelled
