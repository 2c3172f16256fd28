"""What becomes of tasks when parts of Airflow or of the cluster die: nothing is lost or done twice.

The work waits for a word of the test, so that each death comes when it should.
"""

import os
import signal

import pytest

from tests.support.airflow import SCHEDULER, TRIGGERER, Airflow, parent_of, paused
from tests.support.airflow_task import DEFERRED, ONCE, SYNC, Task
from tests.support.installation import Installation, stopped
from tests.support.ledger import UNTIL_CUE

WORK = f"echo begun; {UNTIL_CUE}; echo '\"done\"' > /airflow/xcom/return.json"


def ends_well(task: Task, try_number: int = 1) -> None:
    task.succeeds(try_number=try_number)
    assert task.xcom() == "done"
    assert task.counted() == ONCE


@pytest.mark.task(WORK, modes=SYNC, retries=1)
def test_a_result_that_came_when_the_worker_was_told_to_stop_is_the_next_trys(task: Task) -> None:
    run = task.at_work()
    pid = task.pid()
    with paused(pid):
        task.cue(run)
        run.ended()
        os.kill(parent_of(pid), signal.SIGTERM)
        task.is_told_to_stop(pid)
    ends_well(task, try_number=2)


@pytest.mark.task(WORK, modes=SYNC, retries=1)
def test_a_result_that_came_when_the_worker_was_killed_is_the_next_trys(task: Task) -> None:
    run = task.at_work()
    with paused(task.pid()):
        task.cue(run)
        run.ended()
        task.kill_worker()
    ends_well(task, try_number=2)


@pytest.mark.task(WORK, modes=DEFERRED)
def test_a_triggerer_that_is_killed_loses_no_run(task: Task, airflow: Airflow) -> None:
    run = task.at_work()
    task.reaches("deferred")
    task.says("\nbegun")
    airflow.kill(TRIGGERER, with_children=True)
    task.cue(run)
    run.ended()
    airflow.start(TRIGGERER)
    ends_well(task)


@pytest.mark.task(WORK, modes=DEFERRED)
def test_a_scheduler_that_is_killed_loses_no_run(task: Task, airflow: Airflow) -> None:
    run = task.at_work()
    task.reaches("deferred")
    airflow.kill(SCHEDULER)
    task.cue(run)
    run.ended()
    airflow.start(SCHEDULER)
    ends_well(task)


@pytest.mark.task(WORK, later=True)
def test_a_task_waits_for_a_controller_that_is_down(task: Task, installation: Installation) -> None:
    with stopped(installation):
        task.start()
        run = task.run()
        task.says("not yet seen by a controller")
    task.cue(run)
    ends_well(task)
