"""Tests of the exception, skip or result that a task gets from a run's outcome."""

import json
import logging
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import airflow
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    XCom,
)

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import TaskRun, TaskRunSpec
from taskruns.api.v1alpha1.status import join_output
from taskruns_airflow import failures
from taskruns_airflow.execution import Execution
from taskruns_airflow.failures import ExitCodes, TaskRunFailed, failure_of
from taskruns_airflow.xcom import result_of

NO_CODES = ExitCodes()


def run(**status: Any) -> TaskRun:
    metadata = {"name": "hello", "namespace": "jobs", "uid": "uid-1"}
    return TaskRun.model_validate({"metadata": metadata, "spec": {}, "status": status})


def failed(reason: Reason, **status: Any) -> TaskRun:
    cause = {"phase": "Failed", "reason": reason.value, "failureKind": reason.kind}
    return run(**cause, **status)


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
        (Reason.SERVICE_ACCOUNT_NOT_FOUND, failures.TaskRunNotStarted),
        (Reason.WEBHOOK_FAILED, failures.TaskRunNotStarted),
        (Reason.POD_NAME_CONFLICT, failures.TaskRunNotStarted),
        (Reason.CANCELLED, failures.TaskRunCancelled),
    ],
)
def test_each_reason_has_its_exception(reason: Reason, expected: type[Exception]) -> None:
    assert type(failure_of(failed(reason), NO_CODES)) is expected


@pytest.mark.parametrize("reason", [each for each in Reason if each.kind is not None])
def test_every_reason_has_an_exception(reason: Reason) -> None:
    failure = failure_of(failed(reason), NO_CODES)
    assert isinstance(failure, failures.TaskRunFailed)
    assert type(failure) is not failures.TaskRunFailed
    assert failure.reason == reason


def test_an_unknown_reason_is_a_failure() -> None:
    failure = failure_of(run(phase="Failed", reason="Bored"), NO_CODES)
    assert type(failure) is failures.TaskRunFailed


def test_a_failure_contains_run_reason_and_exit_code() -> None:
    failure = failure_of(
        failed(Reason.NON_ZERO_EXIT_CODE, exitCode=3, message="main exited with code 3"), NO_CODES
    )
    assert isinstance(failure, failures.TaskRunFailed)
    assert failure.exit_code == 3
    assert str(failure) == ("TaskRun jobs/hello Failed, NonZeroExitCode: main exited with code 3")


@pytest.mark.parametrize(
    "reason",
    [
        Reason.CANCELLED,
        Reason.INVALID_POD_TEMPLATE,
        Reason.INVALID_TASK_RUN,
        Reason.ADMISSION_REFUSED,
    ],
)
def test_permanent_failures_are_not_retried(reason: Reason) -> None:
    assert isinstance(failure_of(failed(reason), NO_CODES), AirflowFailException)


@pytest.mark.parametrize(
    "reason",
    [
        Reason.NON_ZERO_EXIT_CODE,
        Reason.EVICTED,
        Reason.DEADLINE_EXCEEDED,
        Reason.IMAGE_PULL_FAILED,
        Reason.WEBHOOK_FAILED,
    ],
)
def test_other_failures_are_retried(reason: Reason) -> None:
    assert not isinstance(failure_of(failed(reason), NO_CODES), AirflowFailException)


TALKATIVE = failed(
    Reason.NON_ZERO_EXIT_CODE,
    exitCode=3,
    message=join_output("main exited with code 3 (node a)", ["reading a.csv", "no such file"]),
)


def test_the_cause_and_the_last_lines_are_one_block_a_line_each() -> None:
    assert str(failure_of(TALKATIVE, NO_CODES)).splitlines() == [
        "TaskRun jobs/hello Failed, NonZeroExitCode: main exited with code 3 (node a)",
        "Last output:",
        "  reading a.csv",
        "  no such file",
    ]


@pytest.mark.parametrize("undelivered", [True, False])
def test_a_deferred_task_warns_that_log_lines_may_be_missing(
    caplog: pytest.LogCaptureFixture, *, undelivered: bool
) -> None:
    execution = Execution(cast("Any", None), {}, logging.getLogger("task"))
    execution.run_of_event({"run": TALKATIVE.to_json(), "undelivered": undelivered})
    assert ("lines of this log may be missing" in caplog.text) is undelivered


def again_from_an_event(failure: TaskRunFailed) -> Any:
    """Return the failure that a deferred task derives from its trigger's event."""
    execution = Execution(cast("Any", None), {}, logging.getLogger("task"))
    event = json.loads(json.dumps({"run": TALKATIVE.to_json()}))
    assert str(failure) == str(failure_of(execution.run_of_event(event), NO_CODES))
    return failure_of(execution.run_of_event(event), NO_CODES)


def again_from_airflow(failure: TaskRunFailed) -> Any:
    """Return the exception that Airflow rebuilds from its serialized form."""
    path, args, known = failure.serialize()
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(*args, **json.loads(json.dumps(known)))


def again_from_a_pickle(failure: TaskRunFailed) -> Any:
    return pickle.loads(pickle.dumps(failure))


@pytest.mark.parametrize("again", [again_from_an_event, again_from_airflow, again_from_a_pickle])
def test_a_failures_attributes_survive_serialization(again: Callable[[TaskRunFailed], Any]) -> None:
    failure = failure_of(TALKATIVE, NO_CODES)
    assert isinstance(failure, TaskRunFailed)
    rebuilt = again(failure)
    assert type(rebuilt) is failures.TaskRunApplicationFailed
    assert str(rebuilt) == str(failure)
    assert (rebuilt.exit_code, rebuilt.reason) == (3, "NonZeroExitCode")
    assert rebuilt.log_tail == ["reading a.csv", "no such file"]


@pytest.mark.skipif(not airflow.__version__.startswith("3."), reason="Airflow 2 has no such policy")
@pytest.mark.parametrize(
    ("reason", "action"),
    [
        (Reason.OOM_KILLED, "fail"),
        (Reason.EVICTED, "retry"),
        (Reason.NODE_LOST, "retry"),
        (Reason.NON_ZERO_EXIT_CODE, "default"),
    ],
)
def test_a_retry_policy_distinguishes_the_exceptions(reason: Reason, action: str) -> None:
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule  # noqa: PLC0415

    policy = ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=failures.TaskRunOOMKilled, action=RetryAction.FAIL),
            RetryRule("taskruns_airflow.failures.TaskRunDisrupted", action=RetryAction.RETRY),
        ]
    )
    decision = policy.evaluate(failure_of(failed(reason), NO_CODES), try_number=1, max_tries=3)
    assert decision.action is RetryAction(action)


def test_exit_codes_can_skip_a_task_or_fail_it_without_retry() -> None:
    codes = ExitCodes(skip={99}, fail={2})
    skip, fail, retry = (
        failure_of(failed(Reason.NON_ZERO_EXIT_CODE, exitCode=code), codes) for code in (99, 2, 1)
    )
    assert isinstance(skip, AirflowSkipException)
    assert isinstance(fail, failures.TaskRunFailedForGood)
    assert isinstance(fail, AirflowFailException)
    assert not isinstance(retry, AirflowSkipException | AirflowFailException)


def test_the_exit_code_of_a_stopped_run_is_ignored() -> None:
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


def test_a_result_that_is_not_json_is_an_error_with_advice() -> None:
    with pytest.raises(failures.TaskRunResultInvalid, match="not JSON") as error:
        result_of(run(phase="Succeeded", result="hello " + "x" * 4000))
    assert "do_xcom_push=False" in str(error.value)
    assert len(str(error.value)) < 400


def test_a_result_that_is_too_large_is_an_error_with_size_and_limit() -> None:
    condition = {
        "type": "ResultStored",
        "status": "False",
        "reason": "ResultTooLarge",
        "message": "The result has 4096 bytes or more; at most 4095 are kept. Write less.",
        "lastTransitionTime": "2026-11-25T04:00:00Z",
    }
    cut = run(phase="Succeeded", conditions=[condition])
    spec = TaskRunSpec(result_path="/airflow/xcom/return.json")
    cut = cut.model_copy(update={"spec": spec})
    with pytest.raises(failures.TaskRunResultInvalid) as error:
        result_of(cut)
    assert str(error.value) == (
        "The result has 4096 bytes or more; at most 4095 are kept (file "
        "/airflow/xcom/return.json). Write less, or store the data elsewhere and write where it "
        "is; or set do_xcom_push=False if no other task needs it."
    )


def nested(depth: int, brackets: str) -> str:
    return brackets[0] * depth + brackets[1] * depth


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"loss": NaN}', "NaN is no JSON value"),
        ("[-Infinity]", "-Infinity is no JSON value"),
        ('{"x": 1e400}', "too large for a float"),
        ("[-1e999]", "too large for a float"),
        (str(2**64), "more than 64 bits"),
        (f"[{-(2**63) - 1}]", "more than 64 bits"),
        ("9" * 4090, "more than 64 bits"),
        (r'{"name": "a\u0000b"}', "NUL"),
        (r'{"a\u0000b": 1}', "NUL"),
        (r'"\ud83d"', "surrogate"),
        (r'{"\ude00": 1}', "surrogate"),
        (nested(101, "[]"), "more than 100 levels"),
        (nested(1500, "[]"), "more than 100 levels"),
        ('{"a":' * 600 + "1" + "}" * 600, "more than 100 levels"),
        ('[{"__classname__": "os.system"}]', "reserves for itself: __classname__"),
        ('{"__id__": 1}', "reserves for itself: __id__"),
        ('{"__type": "set", "__var": []}', "reserves for itself: __type, __var"),
        ("[1,]", "not JSON"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}1", "not JSON"),
    ],
)
def test_a_result_that_airflow_cannot_store_fails_the_task(text: str, problem: str) -> None:
    with pytest.raises(failures.TaskRunResultInvalid) as error:
        result_of(run(phase="Succeeded", result=text))
    assert problem in str(error.value)
    assert len(str(error.value)) < 400
    assert isinstance(error.value, AirflowFailException), "a retry would repeat finished work"


@pytest.mark.parametrize(
    "text",
    [
        nested(100, "[]"),
        str(2**64 - 1),
        str(-(2**63)),
        "1e308",
        '{"__type": "set"}',
        '["\U0001f600"]',
    ],
)
def test_a_result_at_a_bound_is_stored_by_airflow(text: str) -> None:
    value = result_of(run(phase="Succeeded", result=text))
    assert value == json.loads(text)
    kept = XCom.serialize_value(value)
    encoded = kept if isinstance(kept, str | bytes) else json.dumps(kept)
    assert json.loads(encoded) == value
