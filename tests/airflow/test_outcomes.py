"""Ends of tasks in a real Airflow: results, logs, and failures with their causes."""

import pytest

from tests.support.airflow.task import DEFERRED, ONCE, SYNC, TWICE, Count, Task
from tests.support.builders.manifests import HEARD, SOON
from tests.support.cluster.start_counter import UNTIL_CUE

RESULT = "echo '{\"answer\": 42}' > /airflow/xcom/return.json"
WAITS = "trap 'exit 143' TERM; sleep 600 & wait $!"
UNSTARTED = Count(created=1, released=1, started=0)
TEXT = "(echo -n '\"'; head -c {} /dev/zero | tr '\\0' x; echo -n '\"')"
"""Shell command that prints a JSON string of the given number of letters; two bytes longer."""
SECOND_TRY = {"env": {"TRY": "{{ ti.try_number }}"}, "retries": 1}


def fails_as(task: Task, failure: str, *texts: str) -> None:
    """Wait for a task's failure, and assert that its log has the exception and these texts."""
    task.fails()
    log = task.log()
    for each in (f"{failure}: TaskRun ", *texts):
        assert each in log


@pytest.mark.task(f"for n in 1 2 3; do echo line $n; sleep 1; done; {RESULT}")
def test_a_success_has_its_log_in_order_and_its_result(task: Task) -> None:
    task.succeeds()
    log = task.log().splitlines()
    assert [line for line in log if line.startswith("line ")] == ["line 1", "line 2", "line 3"]
    assert task.xcom() == {"answer": 42}
    assert task.xcom("exit_code") == 0
    assert task.counted() == ONCE
    (run,) = task.runs()
    assert task.xcom("taskrun_uid") == run.uid


@pytest.mark.task(f"echo at work; {UNTIL_CUE}")
def test_the_log_is_shown_while_the_task_runs(task: Task) -> None:
    run = task.at_work()
    task.says("\nat work")
    task.cue(run)
    task.succeeds()
    assert task.log().splitlines().count("at work") == 1
    assert task.counted() == ONCE


@pytest.mark.task(f"echo the disk is full >&2; {HEARD}; exit 3")
def test_a_failure_contains_the_last_output(task: Task) -> None:
    fails_as(task, "TaskRunApplicationFailed", "NonZeroExitCode", "code 3", "the disk is full")
    assert task.xcom("exit_code") == 3
    assert task.counted() == ONCE


@pytest.mark.task(
    "sleep 1; exec tail /dev/zero", modes=SYNC, container_resources={"limits": {"memory": "64Mi"}}
)
def test_an_out_of_memory_kill_has_its_own_exception(task: Task) -> None:
    fails_as(task, "TaskRunOOMKilled", "OOMKilled")
    assert task.counted() == ONCE


@pytest.mark.task(WAITS, modes=DEFERRED)
def test_a_deleted_pod_is_a_disruption(task: Task) -> None:
    run = task.at_work()
    task.evict(run)
    fails_as(task, "TaskRunDisrupted")
    assert task.counted() == ONCE


@pytest.mark.task("exit 0", modes=DEFERRED, image="nowhere.invalid/none:1", do_xcom_push=False)
def test_a_missing_image_is_reported(task: Task) -> None:
    fails_as(task, "TaskRunNotStarted", "nowhere.invalid/none:1")
    assert task.counted() == UNSTARTED


@pytest.mark.task(WAITS, modes=SYNC, spec={"attemptDeadlineSeconds": 3})
def test_a_deadline_of_the_run_is_a_timeout(task: Task) -> None:
    fails_as(task, "TaskRunTimedOut", "AttemptDeadlineExceeded")
    assert task.counted() == ONCE


@pytest.mark.task(WAITS, retries=1)
def test_a_cancelled_run_is_not_retried(task: Task) -> None:
    task.at_work().cancel()
    fails_as(task, "TaskRunCancelled")
    assert task.counted() == ONCE


@pytest.mark.task("exit 0", modes=SYNC, template={"spec": {"prioritty": 1}})
def test_a_misspelt_template_fails_with_the_servers_message(task: Task) -> None:
    fails_as(task, "TaskRunMisconfigured", "prioritty")
    assert task.counted() == Count(created=1, released=0, started=0)


@pytest.mark.task("echo not json > /airflow/xcom/return.json", retries=1)
def test_a_result_that_is_not_json_fails_the_task_without_a_retry(task: Task) -> None:
    task.fails()
    assert "TaskRunResultInvalid: The result is not JSON" in task.log()
    assert task.counted() == ONCE


@pytest.mark.task(f"{TEXT.format(4094)} > /airflow/xcom/return.json", modes=DEFERRED)
def test_a_result_that_is_too_large_fails_the_task_with_advice(task: Task) -> None:
    task.fails()
    log = task.log()
    assert "TaskRunResultInvalid: The result has 4096 bytes or more; at most 4095 are kept" in log
    assert "store the data elsewhere and write where it is" in log
    assert task.counted() == ONCE


@pytest.mark.task(f"{TEXT.format(4093)} > /airflow/xcom/return.json", modes=SYNC)
def test_a_result_just_below_the_limit_is_complete(task: Task) -> None:
    task.succeeds()
    assert task.xcom() == "x" * 4093
    assert task.counted() == ONCE


@pytest.mark.task("exit 99", skip_on_exit_code=99)
def test_an_exit_code_can_skip_the_task(task: Task) -> None:
    task.reaches("skipped")
    assert task.counted() == ONCE


@pytest.mark.task("exit 98", modes=DEFERRED, fail_on_exit_code=98, retries=1)
def test_an_exit_code_can_fail_the_task_without_retry(task: Task) -> None:
    fails_as(task, "TaskRunFailedForGood")
    assert task.counted() == ONCE


@pytest.mark.task('[ "$TRY" = 2 ]', **SECOND_TRY)
def test_each_try_of_airflow_has_its_own_run(task: Task) -> None:
    task.succeeds(try_number=2)
    assert task.counted() == TWICE


@pytest.mark.task('[ "$TASKRUN_ATTEMPT" = 2 ]', modes=DEFERRED, backoff_limit=1, spec=SOON)
def test_the_cluster_retries_within_one_try(task: Task) -> None:
    assert task.succeeds()["try_number"] == 1
    assert task.counted() == Count(created=1, released=2, started=2)
