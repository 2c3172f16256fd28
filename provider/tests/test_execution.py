"""What a task does about its run where the wait for it was lost."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.execution import Execution
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")


class Cluster:
    """Has the run of one try at work, and is hook, edge and client in one."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def namespace(self, _: str | None) -> str:
        return "jobs"

    async def edge(self, _: str) -> "Cluster":
        return self

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Cluster"]:
        yield self

    async def find(self, *_: str) -> list[TaskRun]:
        annotations = dict(OWN.annotations)
        metadata = {"name": "a", "namespace": "jobs", "uid": "u", "annotations": annotations}
        told = {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}}
        return [TaskRun.model_validate(told)]

    async def cancel(self, ref: Any, *, leaving: bool) -> None:
        assert leaving
        self.cancelled.append(ref.uid)


@pytest.mark.parametrize(
    ("retries", "too_long", "cancelled"),
    [(0, True, ["u"]), (1, True, ["u"]), (0, False, ["u"]), (1, False, [])],
)
def test_a_run_whose_trigger_failed_is_left_to_the_next_try_alone(
    retries: int,
    too_long: bool,  # noqa: FBT001  # a column of the table
    cancelled: list[str],
) -> None:
    ti = SimpleNamespace(max_tries=retries, try_number=1)
    cluster: Any = Cluster()
    execution = Execution(cluster, {"ti": ti}, logging.getLogger("task"))
    execution.abandon(OWN, None, too_long=too_long)
    assert cluster.cancelled == cancelled
