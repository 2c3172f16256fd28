"""Deaths of Airflow's components and of the cluster's: no task is lost or run twice.

The work waits for a cue of the test, so that each death comes at a known point. Several tests may
share one death and await its consequences in parallel.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.support.airflow.processes import SCHEDULER, TRIGGERER, Airflow, parent_of, paused
from tests.support.airflow.task import DEFERRED, ONCE, SYNC, Task
from tests.support.cluster.installation import Installation, stopped
from tests.support.cluster.start_counter import UNTIL_CUE
from tests.support.faults.fault_proxy import Fault
from tests.support.faults.faulty_creates import FaultyCreates, with_fault

DONE = "echo '\"done\"' > /airflow/xcom/return.json"
WORK = f"echo begun; {UNTIL_CUE}; echo over; {DONE}"
COUNTING = (
    f"seq 300; for n in 301 302 303; do sleep 0.1; echo $n; done; {UNTIL_CUE}; seq 304 400; {DONE}"
)


def ends_well(task: Task, try_number: int = 1) -> None:
    task.succeeds(try_number=try_number)
    assert task.xcom() == "done"
    assert task.counted() == ONCE


def goes_on(task: Task, try_number: int) -> None:
    """Wait until another try has found the run, and release that run."""
    run = task.run()
    task.says(f"Reattaching to TaskRun {run.namespace}/{run.name}", try_number)
    task.cue(run)
    ends_well(task, try_number)


def tasks_of(started: dict[str, Task], test: Callable[..., Any], mode: str = "") -> list[Task]:
    """Return the tasks that a test declares, in all modes or in one, if they are selected."""
    return [task for node, task in started.items() if f"::{test.__name__}[{mode}" in node]


@pytest.fixture(scope="module", autouse=True)
def killed(started: dict[str, Task]) -> None:
    """Kill the workers before all else, because Airflow needs half a minute to notice."""
    for task in tasks_of(
        started, test_a_worker_killed_before_the_create_response_leaves_its_run_to_the_next_try
    ):
        task.run()
        task.kill_worker()
    for task in tasks_of(started, test_a_killed_worker_leaves_its_run_to_the_next_try):
        task.at_work()
        task.kill_worker()
    for task in tasks_of(started, test_a_result_at_the_death_of_a_worker_is_the_next_trys):
        run = task.at_work()
        with paused(task.pid()):
            task.cue(run)
            run.ended()
            task.kill_worker()


@pytest.mark.task(WORK, modes=SYNC, retries=1)
def test_a_stopped_worker_leaves_its_run_to_the_next_try(task: Task) -> None:
    task.at_work()
    task.says("\nbegun")
    task.stop_worker()
    goes_on(task, try_number=2)
    assert "the next try reattaches to it" in task.log(1)


@pytest.mark.task(WORK, modes=SYNC, retries=1)
def test_a_result_at_the_stop_of_a_worker_is_the_next_trys(task: Task) -> None:
    run = task.at_work()
    pid = task.pid()
    with paused(pid):
        task.cue(run)
        run.ended()
        os.kill(parent_of(pid), signal.SIGTERM)
        task.is_told_to_stop(pid)
    ends_well(task, try_number=2)


@pytest.mark.task(WORK, modes=SYNC, retries=1)
def test_a_killed_worker_leaves_its_run_to_the_next_try(task: Task) -> None:
    goes_on(task, try_number=2)


@pytest.mark.task(WORK, modes=SYNC, retries=1)
def test_a_result_at_the_death_of_a_worker_is_the_next_trys(task: Task) -> None:
    ends_well(task, try_number=2)


@pytest.mark.task(WORK, retries=1, **with_fault(Fault.HELD))
def test_a_worker_killed_before_the_create_response_leaves_its_run_to_the_next_try(
    task: Task, creates: FaultyCreates
) -> None:
    goes_on(task, try_number=2)
    assert task.run().name in creates.met
    assert "Created TaskRun" not in task.log(1)


def ends_as_if_nothing_were(task: Task, creates: FaultyCreates) -> None:
    ends_well(task)
    assert task.run().name in creates.met


@pytest.mark.task(DONE, **with_fault(Fault.UNANSWERED))
def test_a_create_whose_response_is_lost_makes_one_run(task: Task, creates: FaultyCreates) -> None:
    ends_as_if_nothing_were(task, creates)


@pytest.mark.task(DONE, modes=SYNC, **with_fault(Fault.CUT))
def test_a_create_whose_response_is_truncated_makes_one_run(
    task: Task, creates: FaultyCreates
) -> None:
    ends_as_if_nothing_were(task, creates)


@pytest.mark.task(DONE, modes=DEFERRED, **with_fault(Fault.LATE))
def test_a_create_that_arrives_after_its_timeout_makes_one_run(
    task: Task, creates: FaultyCreates
) -> None:
    ends_as_if_nothing_were(task, creates)


@pytest.mark.task(COUNTING, modes=DEFERRED)
def test_a_killed_triggerer_loses_no_run_and_no_log_line(task: Task, airflow: Airflow) -> None:
    run = task.at_work()
    task.reaches("deferred")
    task.says("\n303")
    airflow.kill(TRIGGERER, with_children=True)
    task.cue(run)
    run.ended()
    airflow.start(TRIGGERER)
    ends_well(task)
    numbers = [line for line in task.log().splitlines() if line.isdecimal()]
    assert numbers == [str(n + 1) for n in range(400)]


@pytest.fixture(scope="module")
def without_controller(started: dict[str, Task], installation: Installation) -> None:
    """Provide tasks that were started while the controller was stopped."""
    tasks = tasks_of(started, test_a_task_waits_for_a_controller_that_is_down)
    with stopped(installation):
        for task in tasks:
            task.start()
        for task in tasks:
            task.run()
            task.says("has no status yet")


@pytest.mark.usefixtures("without_controller")
@pytest.mark.task(WORK, later=True)
def test_a_task_waits_for_a_controller_that_is_down(task: Task) -> None:
    task.cue(task.run())
    ends_well(task)


@pytest.fixture(scope="module")
def succeeded(started: dict[str, Task], airflow: Airflow) -> None:
    """Kill the scheduler, start another, and release the tasks that wait in the triggerer."""
    test = test_a_killed_scheduler_loses_no_run
    waiting = tasks_of(started, test, "deferred")
    for task in tasks_of(started, test):
        task.at_work()
    for task in waiting:
        task.reaches("deferred")
    airflow.kill(SCHEDULER)
    for task in waiting:
        task.cue(task.run())
        task.run().ended()
    airflow.start(SCHEDULER)


@pytest.mark.usefixtures("succeeded")
@pytest.mark.task(WORK)
def test_a_killed_scheduler_loses_no_run(task: Task, mode: str) -> None:
    if mode == "sync":  # the new scheduler does not know the worker, and starts another try
        goes_on(task, try_number=2)
    else:
        ends_well(task)


@pytest.fixture(scope="module")
def restarted(started: dict[str, Task], cluster: Cluster) -> None:
    """Kill the apiserver under running tasks, and start it again."""
    tasks = tasks_of(started, test_a_task_waits_for_a_killed_apiserver)
    for task in tasks:
        task.start()
    for task in tasks:
        task.at_work()
        task.says("\nbegun")
    cluster.stop("kube-apiserver", grace=0)
    cluster.start("kube-apiserver")


@pytest.mark.usefixtures("restarted")
@pytest.mark.task(WORK, later=True)
def test_a_task_waits_for_a_killed_apiserver(task: Task) -> None:
    task.cue(task.run())
    ends_well(task)
    assert [line for line in task.log().splitlines() if line in {"begun", "over"}] == [
        "begun",
        "over",
    ]
