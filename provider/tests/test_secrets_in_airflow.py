"""Tests that no part of a spec, which may hold secrets, reaches Airflow's logs or database.

A canary value in every part of a spec must not appear in anything that a deferred task passes on:
trigger arguments, events, log lines, XComs, exception messages.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import DAG, task
from airflow.serialization import serialized_objects
from airflow.triggers.base import TriggerEvent

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow import TaskRunOperator, trigger
from taskruns_airflow.client import Ref
from taskruns_airflow.compat import DockerOperator, KubernetesPodOperator
from taskruns_airflow.execution import Execution
from taskruns_airflow.failures import ExitCodes
from taskruns_airflow.hook import TaskRunHook
from taskruns_airflow.identity import Try
from taskruns_airflow.shared_watch import SharedWatch
from taskruns_airflow.trigger import TaskRunTrigger

CANARY = "tok-1234567890"
MAPPED = {"command": ["true"]}
OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
STATUS = {
    "Succeeded": {"phase": "Succeeded", "exitCode": 0, "result": "42", "podUID": "p"},
    "Failed": {
        "phase": "Failed",
        "exitCode": 3,
        "reason": "NonZeroExitCode",
        "failureKind": "Application",
        "message": "Container main exited with code 3",
    },
}


def by_operator() -> TaskRunOperator:
    env = {"A": CANARY}
    template = {"metadata": {"annotations": {"a": CANARY}}, "spec": {"hostname": CANARY}}
    return TaskRunOperator(
        task_id="load",
        image=CANARY,
        command=[CANARY],
        env=env,
        template=template,
        annotations={"note": CANARY},
    )


def by_decorator() -> TaskRunOperator:
    @task.taskrun(image="a", env={"A": CANARY})
    def load(text: str) -> str:
        return text

    with DAG("sales", schedule=None):
        return cast("TaskRunOperator", cast("Any", load(CANARY)).operator)


def by_docker_operator() -> TaskRunOperator:
    secret = {"A": CANARY}
    return DockerOperator(
        task_id="load", image="a", private_environment=secret, environment={"B": CANARY}
    )


def by_kubernetes_pod_operator() -> TaskRunOperator:
    return KubernetesPodOperator(task_id="load", image="a", env_vars={"A": CANARY})


KINDS = [by_operator, by_decorator, by_docker_operator, by_kubernetes_pod_operator]


def run_of(made: TaskRunOperator, status: str) -> dict[str, Any]:
    run = made.build_task_run(OWN)
    assert CANARY in json.dumps(run["spec"])
    place = {"namespace": "jobs", "uid": "u", "resourceVersion": "1"}
    return {**run, "metadata": run["metadata"] | place, "status": STATUS[status]}


class FakeClient:
    """Client of one run; its watch is a cluster's, or yields the whole run, as Docker's does."""

    unseen_advice = ""

    def __init__(self, run: Mapping[str, Any], *, docker: bool) -> None:
        self._run = run
        self._docker = docker

    def shared_watch(self) -> Any:
        return self if self._docker else SharedWatch(self.connect, {})

    async def follow(self, _: Ref) -> AsyncIterator[TaskRun]:
        yield TaskRun.model_validate(self._run)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        yield self

    async def pages(self, _: Mapping[str, str]) -> AsyncIterator[Any]:
        yield {"metadata": {"resourceVersion": "1"}, "items": [self._run]}

    async def collect(self, *_: Any) -> None:
        return None


class Instance:
    """Task instance that records the XComs that are pushed."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """Return a function that returns all log lines of all of Airflow's loggers."""
    lines: list[str] = []

    class Log:
        def __getattr__(self, _: str) -> Callable[..., None]:
            return lambda *args, **kwargs: lines.append(f"{args} {kwargs}")

    monkeypatch.setattr(TaskRunTrigger, "log", Log(), raising=False)
    monkeypatch.setattr(trigger, "_MAX_SECONDS", 0.0)
    with caplog.at_level(logging.DEBUG):
        yield lambda: "\n".join(lines) + caplog.text


async def event_of(trigger: TaskRunTrigger) -> TriggerEvent:
    return cast("TriggerEvent", await anext(trigger.run()))


@pytest.mark.parametrize("status", ["Succeeded", "Failed"])
@pytest.mark.parametrize("docker", [True, False])
@pytest.mark.parametrize("make", KINDS)
async def test_events_triggers_and_logs_contain_nothing_of_the_spec(
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], str],
    make: Callable[[], TaskRunOperator],
    docker: bool,  # noqa: FBT001  # a parameter of the test
    status: str,
) -> None:
    made = make()
    run = run_of(made, status)
    edge = FakeClient(run, docker=docker)

    async def client_of(*_: Any) -> FakeClient:
        return edge

    monkeypatch.setattr(TaskRunHook, "edge", client_of)
    execution = Execution(TaskRunHook(), {"ti": Instance()}, logging.getLogger("task"))
    trigger = execution.trigger(TaskRun.model_validate(run), None)
    event = await event_of(trigger)
    assert event.payload["run"]["status"]["phase"] == status
    crossed = [trigger.serialize(), trigger, event, event.payload, logged()]
    assert not [each for each in crossed if CANARY in f"{each!r} {each}"]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("status", ["Succeeded", "Failed"])
def test_xcoms_and_failures_contain_nothing_of_the_spec(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[], TaskRunOperator],
    status: str,
) -> None:
    edge = FakeClient(run_of(make(), status), docker=True)

    async def client_of(*_: Any) -> FakeClient:
        return edge

    monkeypatch.setattr(TaskRunHook, "edge", client_of)
    instance = Instance()
    execution = Execution(TaskRunHook(), {"ti": instance}, logging.getLogger("task"))
    run = TaskRun.model_validate(run_of(make(), status))
    try:
        outcome = str(execution.conclude(run, ExitCodes(), with_result=True))
    except Exception as error:  # noqa: BLE001  # any exception may contain the canary
        outcome = f"{error!r} {error.__dict__}"
    assert instance.pushed
    assert CANARY not in f"{instance.pushed} {outcome} {caplog.text}"


def test_rendered_fields_and_serialized_dags_contain_no_private_variable() -> None:
    with DAG("sales", schedule=None) as dag:
        load = DockerOperator(task_id="load", image="a", private_environment={"A": CANARY})
        mapped = DockerOperator.partial(
            task_id="mapped", image="a", private_environment={"A": CANARY}
        ).expand(command=["true"])
    spec = mapped.unmap(MAPPED).build_task_run(OWN)["spec"]
    assert {"name": "A", "value": CANARY} in spec["env"]
    load.render_template_fields({})
    assert CANARY not in str({name: getattr(load, name) for name in load.template_fields})
    on_airflow_3 = hasattr(serialized_objects, "DagSerialization")
    serializer = "DagSerialization" if on_airflow_3 else "SerializedDAG"
    serialized = str(getattr(serialized_objects, serializer).to_dict(dag))
    assert "load" in serialized
    assert CANARY not in serialized
