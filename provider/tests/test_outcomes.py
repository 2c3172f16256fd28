"""What Airflow is told of how a run ended: a class by cause, a skip, or the result."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow import failures
from taskruns_airflow.failures import ExitCodes, failure_of
from taskruns_airflow.result import result_of

NO_CODES = ExitCodes()


def run(**status: Any) -> TaskRun:
    metadata = {"name": "hello", "namespace": "jobs", "uid": "uid-1"}
    return TaskRun.model_validate({"metadata": metadata, "spec": {}, "status": status})


def failed(reason: Reason, **status: Any) -> TaskRun:
    told = {"phase": "Failed", "reason": reason.value, "failureKind": reason.kind}
    return run(**told, **status)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.NON_ZERO_EXIT_CODE, failures.TaskRunApplicationFailed),
        (Reason.KILLED_BY_SIGNAL, failures.TaskRunApplicationFailed),
        (Reason.INIT_CONTAINER_FAILED, failures.TaskRunApplicationFailed),
        (Reason.OOM_KILLED, failures.TaskRunOOMKilled),
        (Reason.EVICTED, failures.TaskRunDisrupted),
        (Reason.NODE_LOST, failures.TaskRunDisrupted),
        (Reason.POD_DELETED, failures.TaskRunDisrupted),
        (Reason.FINAL_STATE_UNKNOWN, failures.TaskRunDisrupted),
        (Reason.IMAGE_PULL_FAILED, failures.TaskRunNotStarted),
        (Reason.CONTAINER_CONFIG_ERROR, failures.TaskRunNotStarted),
        (Reason.SCHEDULE_TIMEOUT, failures.TaskRunNotStarted),
        (Reason.STARTUP_TIMEOUT, failures.TaskRunNotStarted),
        (Reason.DEADLINE_EXCEEDED, failures.TaskRunTimedOut),
        (Reason.ATTEMPT_DEADLINE_EXCEEDED, failures.TaskRunTimedOut),
        (Reason.INVALID_POD_TEMPLATE, failures.TaskRunMisconfigured),
        (Reason.ADMISSION_REFUSED, failures.TaskRunMisconfigured),
        (Reason.CANCELLED, failures.TaskRunCancelled),
    ],
)
def test_each_cause_has_its_class(reason: Reason, expected: type[Exception]) -> None:
    assert type(failure_of(failed(reason), NO_CODES)) is expected


@pytest.mark.parametrize("reason", [each for each in Reason if each.kind is not None])
def test_no_failure_is_without_a_class(reason: Reason) -> None:
    failure = failure_of(failed(reason), NO_CODES)
    assert isinstance(failure, failures.TaskRunFailed)
    assert type(failure) is not failures.TaskRunFailed
    assert failure.reason == reason


def test_a_reason_of_a_newer_controller_is_a_failure_all_the_same() -> None:
    failure = failure_of(run(phase="Failed", reason="Bored"), NO_CODES)
    assert type(failure) is failures.TaskRunFailed


def test_a_failure_tells_which_run_why_and_with_which_code() -> None:
    failure = failure_of(
        failed(Reason.NON_ZERO_EXIT_CODE, exitCode=3, message="main exited with code 3"), NO_CODES
    )
    assert isinstance(failure, failures.TaskRunFailed)
    assert failure.exit_code == 3
    assert str(failure) == ("TaskRun jobs/hello Failed, NonZeroExitCode: main exited with code 3")


@pytest.mark.parametrize("reason", [Reason.CANCELLED])
def test_what_somebody_cancelled_is_not_retried(reason: Reason) -> None:
    assert isinstance(failure_of(failed(reason), NO_CODES), AirflowFailException)


def test_exit_codes_can_skip_a_task_or_fail_it_for_good() -> None:
    codes = ExitCodes(skip={99}, fail={2})
    skip, fail, retry = (
        failure_of(failed(Reason.NON_ZERO_EXIT_CODE, exitCode=code), codes) for code in (99, 2, 1)
    )
    assert isinstance(skip, AirflowSkipException)
    assert isinstance(fail, failures.TaskRunFailedForGood)
    assert isinstance(fail, AirflowFailException)
    assert not isinstance(retry, AirflowSkipException | AirflowFailException)


def test_the_exit_code_of_a_run_that_was_stopped_means_nothing() -> None:
    stopped = failed(Reason.DEADLINE_EXCEEDED, exitCode=99)
    assert isinstance(failure_of(stopped, ExitCodes(skip={99})), failures.TaskRunTimedOut)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"rows": 42}\n', {"rows": 42}),
        ("[1, 2]", [1, 2]),
        ('"text"', "text"),
        ("null", None),
        (None, None),
        (" \n", None),
    ],
)
def test_json_is_the_result(text: str | None, value: Any) -> None:
    assert result_of(run(phase="Succeeded", result=text)) == value


def test_what_is_not_json_is_shown_with_what_to_do() -> None:
    with pytest.raises(failures.TaskRunResultInvalid, match="not JSON") as error:
        result_of(run(phase="Succeeded", result="hello " + "x" * 4000))
    assert "do_xcom_push=False" in str(error.value)
    assert len(str(error.value)) < 400


def test_a_result_that_was_cut_says_so_with_its_limit() -> None:
    condition = {
        "type": "ResultStored",
        "status": "False",
        "reason": "ResultTooLarge",
        "message": "The result reached the limit of 4096 bytes.",
        "lastTransitionTime": "2026-11-25T04:00:00Z",
    }
    with pytest.raises(failures.TaskRunResultInvalid, match="limit of 4096 bytes"):
        result_of(run(phase="Succeeded", conditions=[condition]))
