"""User actions on a running task: marking, clearing, and time limits.

The work records that it got SIGTERM, so that "stopped within its grace period" is observed.
"""

import pytest

from taskruns.api.conditions import Phase
from taskruns.api.names import ANNOTATION_COLLECTED
from tests.support.airflow.task import DEFERRED, ONCE, OWN_UID, SYNC, TWICE, Task
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END

STOPPABLE = f"stopped() {{ {END}; exit 143; }}; trap stopped TERM; sleep 600 & wait $!"
ANEW = f'[ "$TRY" = 2 ] && exit 0; {STOPPABLE}'
TRY = {"TRY": "{{ ti.try_number }}"}


def waits(task: Task, mode: str) -> Run:
    """Wait until the work has begun and the task waits in its worker or is deferred."""
    run = task.at_work()
    task.reaches("deferred" if mode == "deferred" else "running")
    return run


def is_cancelled(task: Task, run: Run) -> None:
    status = run.ended()
    assert status["phase"] == Phase.CANCELLED
    assert task.was_asked_to_stop(run)


@pytest.mark.parametrize("state", ["failed", "success"])
@pytest.mark.task(STOPPABLE, retries=1)
def test_marking_a_task_cancels_its_run(task: Task, mode: str, state: str) -> None:
    run = waits(task, mode)
    task.mark(state)
    is_cancelled(task, run)
    task.settles(state)
    assert task.counted() == ONCE


@pytest.mark.task(ANEW, env=TRY)
def test_clearing_a_task_cancels_its_run_and_creates_another(task: Task, mode: str) -> None:
    first = waits(task, mode)
    task.clear()
    task.succeeds(try_number=2)
    is_cancelled(task, first)
    second = task.run(2)
    assert first.ended()["completionTime"] <= second.seen()["metadata"]["creationTimestamp"]
    assert second.ended()["phase"] == Phase.SUCCEEDED
    assert task.counted() == TWICE


@pytest.mark.task("exit 0", modes=DEFERRED)
def test_clearing_a_task_after_its_success_repeats_the_work(task: Task) -> None:
    task.succeeds()
    task.clear()
    task.succeeds(try_number=2)
    assert task.counted() == TWICE


@pytest.mark.task(OWN_UID)
def test_a_recreated_dag_run_has_its_own_run(task: Task) -> None:
    task.succeeds()
    first = task.run()
    assert task.xcom() == first.uid
    first.annotate({ANNOTATION_COLLECTED: None})  # a retry would take its result
    task.forget()
    task.start()
    assert task.succeeds()["try_number"] == 1
    assert task.xcom() == task.run(2).uid
    assert task.counted() == TWICE


@pytest.mark.task(STOPPABLE, execution_timeout=20)
def test_an_execution_timeout_stops_the_work(task: Task) -> None:
    run = task.at_work()
    task.fails()
    assert run.ended()["phase"] in {Phase.CANCELLED, Phase.FAILED}
    assert task.was_asked_to_stop(run)
    assert task.counted() == ONCE


@pytest.mark.task(STOPPABLE, modes=DEFERRED, patience=20, retries=1, retry_delay=600)
def test_a_deferral_that_times_out_stops_the_work(task: Task) -> None:
    run = task.at_work()
    task.reaches("up_for_retry")
    is_cancelled(task, run)
    assert task.counted() == ONCE


@pytest.mark.task(STOPPABLE, modes=SYNC)
def test_a_stopped_worker_cancels_its_run_if_no_try_follows(task: Task) -> None:
    run = waits(task, "sync")
    task.stop_worker()
    is_cancelled(task, run)
    task.fails()
    assert "no other try follows" in task.log()
    assert task.counted() == ONCE
