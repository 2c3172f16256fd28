"""Stopped runs: deadlines, cancel and suspend at every stage (design.md, Stop)."""

import pytest

from tests.engine.runtime import Runtime, summarize
from tests.engine.work import HELLO, POLITE, SECOND_TIME_LUCKY, STUBBORN, Work, exits, lasts

BRIEF = {"spec": {"terminationGracePeriodSeconds": 1}}
NOWHERE = {"taskruns.dev/no-such-node": "true"}
LONG = {"duration": "1h", "cap": "1h"}


def test_an_attempt_past_its_deadline_is_stopped(runtime: Runtime) -> None:
    task = runtime.start(STUBBORN, attemptDeadlineSeconds=2, template=BRIEF)
    status = task.ended()
    assert summarize(status) == ("Failed", "AttemptDeadlineExceeded", 137, ["Failed"])
    assert status["failureKind"] == "Timeout"
    assert "attemptDeadlineSeconds" in status["message"]
    task.pods_gone()


def test_an_attempt_past_its_deadline_is_retried_within_the_limit(runtime: Runtime) -> None:
    backoff = {"duration": "500ms", "factor": 1}
    task = runtime.start(
        POLITE, attemptDeadlineSeconds=1, backoffLimit=1, backoff=backoff, template=BRIEF
    )
    status = task.ended()
    assert summarize(status) == ("Failed", "AttemptDeadlineExceeded", 4, ["Failed", "Failed"])
    task.pods_gone()


def test_a_run_past_its_deadline_is_stopped_for_good(runtime: Runtime) -> None:
    task = runtime.start(POLITE, activeDeadlineSeconds=3, backoffLimit=5, template=BRIEF)
    status = task.ended()
    assert summarize(status) == ("Failed", "DeadlineExceeded", 4, ["Stopped"])
    assert status["failureKind"] == "Timeout"
    assert "activeDeadlineSeconds" in status["message"]
    task.pods_gone()


def test_a_deadline_counts_during_backoff(runtime: Runtime) -> None:
    task = runtime.start(exits(1), activeDeadlineSeconds=4, backoffLimit=5, backoff=LONG)
    status = task.ended()
    assert summarize(status) == ("Failed", "DeadlineExceeded", 1, ["Failed"])


@pytest.mark.of_a_cluster
def test_a_deadline_counts_while_the_pod_is_unschedulable(runtime: Runtime) -> None:
    task = runtime.start(HELLO, activeDeadlineSeconds=2, nodeSelector=NOWHERE)
    status = task.ended()
    assert summarize(status) == ("Failed", "DeadlineExceeded", None, ["Stopped"])
    task.pods_gone()


def test_a_run_created_with_cancel_never_has_a_pod(runtime: Runtime) -> None:
    task = runtime.start(HELLO, cancel=True)
    assert summarize(task.ended()) == ("Cancelled", "Cancelled", None, [])
    assert not task.pods


@pytest.mark.of_a_cluster
def test_a_run_is_cancelled_while_it_waits_for_a_node(runtime: Runtime) -> None:
    task = runtime.start(HELLO, nodeSelector=NOWHERE)
    task.reaches("Pending")
    task.cancel()
    status = task.ended()
    assert summarize(status) == ("Cancelled", "Cancelled", None, ["Stopped"])
    assert status["failureKind"] == "Cancelled"
    task.pods_gone()


@pytest.mark.parametrize(("work", "code"), [(POLITE, 4), (STUBBORN, 137)], ids=["polite", "deaf"])
def test_a_running_task_is_cancelled_with_its_grace_period(
    runtime: Runtime, work: Work, code: int
) -> None:
    task = runtime.start(work, template=BRIEF)
    task.reaches("Running")
    task.cancel()
    status = task.ended()
    assert summarize(status) == ("Cancelled", "Cancelled", code, ["Stopped"])
    assert "cancelled" in status["message"]
    assert {c["type"]: c["reason"] for c in status["conditions"]}["Failed"] == "Cancelled"
    task.pods_gone()


def test_a_run_in_backoff_is_cancelled(runtime: Runtime) -> None:
    task = runtime.start(exits(1), backoffLimit=3, backoff=LONG)
    task.reaches("BackingOff")
    task.cancel()
    assert summarize(task.ended()) == ("Cancelled", "Cancelled", 1, ["Failed"])


@pytest.mark.guarantee(
    "An attempt whose main exited with 0 before a stop was recorded is `Succeeded`, regardless of "
    "later events"
)
def test_a_late_cancel_does_not_change_a_success(runtime: Runtime) -> None:
    task = runtime.start(HELLO)
    task.ended()
    task.cancel()
    second = runtime.start(lasts(0.1), name="another")
    second.ended()
    assert summarize(task.status) == ("Succeeded", "Completed", 0, ["Succeeded"])


def test_a_run_created_suspended_starts_on_resume(runtime: Runtime) -> None:
    task = runtime.start(HELLO, suspend=True)
    status = task.reaches("Suspended")
    assert "startTime" not in status
    assert not task.pods
    task.suspend(wanted=False)
    assert summarize(task.ended()) == ("Succeeded", "Completed", 0, ["Succeeded"])


def test_a_suspended_task_is_not_counted_and_starts_again_on_resume(runtime: Runtime) -> None:
    task = runtime.start(SECOND_TIME_LUCKY, template=BRIEF)
    task.reaches("Running")
    task.suspend()
    status = task.reaches("Suspended")
    assert summarize(status) == ("Suspended", "Suspended", 4, ["Stopped"])
    assert status["failed"] == 0
    task.suspend(wanted=False)
    assert summarize(task.ended()) == ("Succeeded", "Completed", 0, ["Stopped", "Succeeded"])
    task.pods_gone()


def test_a_run_in_backoff_is_suspended_resumed_and_cancelled(runtime: Runtime) -> None:
    task = runtime.start(exits(1), backoffLimit=3, backoff=LONG)
    task.reaches("BackingOff")
    task.suspend()
    task.reaches("Suspended")
    task.suspend(wanted=False)
    task.reaches("BackingOff")
    task.cancel()
    assert summarize(task.ended()) == ("Cancelled", "Cancelled", 1, ["Failed"])


@pytest.mark.of_a_cluster
def test_an_unschedulable_run_fails_after_its_schedule_timeout(runtime: Runtime) -> None:
    task = runtime.start(HELLO, scheduleTimeoutSeconds=2, nodeSelector=NOWHERE)
    assert summarize(task.ended()) == ("Failed", "ScheduleTimeout", None, ["Stopped"])
    task.pods_gone()
