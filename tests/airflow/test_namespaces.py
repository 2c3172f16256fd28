"""Names and quota that a task shares with others in its namespace."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from tests.support.airflow.dag_test import Home
from tests.support.airflow.processes import DAGS, SCENARIOS, Airflow
from tests.support.airflow.task import ONCE, OWN_UID, SYNC, TWICE, Observers, Task
from tests.support.cluster.client import Kube
from tests.support.cluster.start_counter import START, UNTIL_CUE
from tests.support.faults.full_namespace import FULL, make_room

RESULT = "echo '\"done\"' > /airflow/xcom/return.json"
DATE = "2026-01-01T00:00:00+00:00"
RUN = f"manual__{DATE}"
"""ID that Airflow gives a manual DAG run with this logical date."""

NEIGHBOUR = """
import sys
from datetime import datetime
sys.path.append({folder!r})
import scenarios
if __name__ == "__main__":
    date = datetime.fromisoformat({date!r})
    scenarios.{dag_id}.test(run_after=date, logical_date=date)
"""


def run_as_neighbour(home: Home, task: Task, script: str, connection: Mapping[str, str]) -> str:
    """Run a task of the same names in another Airflow, with another script."""
    path = home.folder / "scenarios.json"
    known = json.loads((task.airflow.home / "scenarios.json").read_text())
    (same,) = (each for each in known if each["dag_id"] == task.dag_id)
    same["arguments"]["arguments"] = [script]
    path.write_text(json.dumps([same]))
    dag = NEIGHBOUR.format(folder=str(DAGS), dag_id=task.dag_id, date=DATE)
    settings = {"AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), SCENARIOS: str(path)}
    return home.run(dag, **home.connect(**connection), **settings)


@pytest.mark.task(OWN_UID, modes=SYNC, later=True)
def test_two_airflows_with_runs_and_tasks_of_the_same_names_have_a_run_each(
    task: Task,
    airflow: Airflow,
    observers: Observers,
    connections: Mapping[str, Mapping[str, str]],
    tmp_path: Path,
) -> None:
    """The neighbour's run looks like one of an earlier DAG run, and is ignored."""
    neighbour = Home.make(tmp_path / "neighbour", airflow.empty)
    ours = Task(airflow, observers, task.dag_id, RUN)
    script = f"{START}; {UNTIL_CUE}; {OWN_UID}"
    with ThreadPoolExecutor(1) as beside:
        connection = connections["taskruns_default"]
        ending = beside.submit(run_as_neighbour, neighbour, task, script, connection)
        neighbours_run = ours.at_work()
        ours.start()
        ours.succeeds()
        assert neighbours_run.status["phase"] == Phase.RUNNING
        ours.cue(neighbours_run)
        printed = ending.result()
    assert neighbour.states() == {"task": "success"}, printed
    assert neighbour.xcom("task") == neighbours_run.uid
    assert ours.xcom() == ours.run(2).uid
    assert ours.counted() == TWICE


@pytest.fixture(scope="module")
def room(started: dict[str, Task], kube: Kube, full: str) -> None:
    """Raise the quota once all tasks wait for it."""
    waiting = [task for node, task in started.items() if "for_room" in node]
    for task in waiting:
        run = task.run()
        assert run.reaches(Phase.QUEUED)["reason"] == Reason.QUOTA_EXCEEDED
        task.says("is Queued: ")
        assert not run.pods()
    make_room(kube, full)


@pytest.mark.usefixtures("room")
@pytest.mark.task(RESULT, taskruns_conn_id=FULL)
def test_a_task_waits_for_quota_in_its_namespace(task: Task) -> None:
    task.succeeds()
    assert task.xcom() == "done"
    assert task.run().phases()[0] == Phase.QUEUED
    assert task.counted() == ONCE
