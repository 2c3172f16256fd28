"""spec.suspend in every situation (design.md, Stop; Deadlines and delays)."""

from typing import Any

import pytest

from taskruns.core.plan import CreatePod, DiscardPod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    ended,
    running,
    stamp,
)
from tests.support.decision import gone, plan_for, status_for

SUSPENDED = {"phase": "Suspended", "reason": "Suspended"}


def conditions_of(status: Any) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions or ()}


def backing_off(**overrides: Any) -> dict[str, Any]:
    failed = a_record(1, finishedTime=stamp(10), outcome="Failed", exitCode=1)
    return a_claimed_status("BackingOff", attempts=[failed], failed=1, **overrides)


@pytest.mark.parametrize("status", [{}, {"phase": "Queued", "startTime": stamp(0)}, backing_off()])
def test_without_a_pod_a_run_is_suspended_at_once_and_loses_its_start_time(status: Any) -> None:
    written = status_for(a_run(suspend=True, activeDeadlineSeconds=1, status=status), seconds=0.5)
    assert (written.phase, written.reason, written.start_time) == ("Suspended", "Suspended", None)
    assert conditions_of(written) == {"Suspended": "True"}


def test_a_suspended_run_neither_acts_nor_waits() -> None:
    run = a_run(suspend=True, activeDeadlineSeconds=1, scheduleTimeoutSeconds=1, status=SUSPENDED)
    plan = plan_for(run, seconds=1000)
    assert plan.idle
    assert plan.wake_at is None


def test_a_suspended_run_is_cancelled_at_once() -> None:
    run = a_run(suspend=True, cancel=True, status=SUSPENDED)
    assert status_for(run).phase == "Cancelled"


@pytest.mark.parametrize("status", [{}, SUSPENDED])
def test_an_unclaimed_pod_of_a_suspended_run_is_discarded(status: Any) -> None:
    plan = plan_for(a_run(suspend=True, status=status), a_pod(gated=True))
    assert [type(action) for action in plan.actions] == [DiscardPod]


def test_a_resumed_run_gets_a_new_start_time() -> None:
    condition = {
        "type": "Suspended",
        "status": "True",
        "lastTransitionTime": stamp(1),
        "reason": "Suspended",
        "message": "",
    }
    run = a_run(activeDeadlineSeconds=10, status={**SUSPENDED, "conditions": [condition]})
    written = status_for(run, seconds=100)
    assert (written.phase, written.reason, written.start_time) == ("Queued", "Resumed", at(100))
    assert conditions_of(written) == {"Reconciling": "True", "Suspended": "False"}
    assert len(written.conditions or ()) == 2, "no type twice: they are the keys of a map"
    after = a_run(activeDeadlineSeconds=10, status=written.to_json())
    (action,) = plan_for(after, seconds=100).actions
    assert isinstance(action, CreatePod)
    assert status_for(after, seconds=110).reason == "DeadlineExceeded"


def test_a_resumed_run_keeps_the_due_time_of_its_retry() -> None:
    waits = {"duration": "60s", "factor": 1}
    status = backing_off() | {**SUSPENDED, "startTime": None}
    run = a_run(backoffLimit=3, backoff=waits, status=status)
    written = status_for(run, seconds=30)
    assert (written.phase, written.reason) == ("BackingOff", "Resumed")
    after = a_run(backoffLimit=3, backoff=waits, status=written.to_json())
    waiting = plan_for(after, seconds=30)
    assert waiting.idle
    assert waiting.wake_at is not None
    assert at(70) <= waiting.wake_at <= at(76)


@pytest.mark.parametrize("pod", [a_pod(gated=True), a_pod(), a_pod(main=running())])
def test_a_pod_is_stopped_after_the_stop_is_recorded(pod: Any) -> None:
    plan = plan_for(a_run(suspend=True, status=a_claimed_status()), pod, seconds=5)
    assert plan.actions == ()
    assert plan.status is not None
    assert (plan.status.phase, plan.status.reason) == ("Stopping", "Suspended")


def stopping() -> Any:
    record = a_record(stopTime=stamp(5), reason="Suspended")
    return a_run(suspend=True, status=a_claimed_status("Stopping", attempts=[record], failed=0))


@pytest.mark.parametrize("code", [0, 143])
def test_a_stopped_attempt_is_not_counted_and_keeps_its_exit_code(code: int) -> None:
    written = status_for(stopping(), a_pod(main=ended(code, finished=6)), seconds=7)
    assert (written.phase, written.exit_code, written.failed) == ("Suspended", code, 0)
    assert (written.start_time, written.failure_kind) == (None, None)
    (record,) = written.attempts or []
    assert (record.outcome, record.reason) == ("Stopped", "Suspended")


def test_a_success_before_the_stop_is_a_success() -> None:
    written = status_for(stopping(), a_pod(main=ended(0, finished=4)), seconds=7)
    assert written.phase == "Succeeded"


def test_a_pod_that_is_missing_during_its_stop_leaves_the_run_suspended() -> None:
    written = status_for(stopping(), findings=gone("51d3b2c0-0000-4000-8000-000000000001"))
    assert written.phase == "Suspended"


def test_after_a_suspended_attempt_the_next_is_due_at_once() -> None:
    stopped = a_record(1, finishedTime=stamp(10), outcome="Stopped", reason="Suspended")
    status = a_claimed_status("Queued", attempts=[stopped], startTime=stamp(20))
    (action,) = plan_for(a_run(status=status), seconds=20).actions
    assert isinstance(action, CreatePod)
    assert action.manifest["metadata"]["labels"]["taskruns.dev/attempt"] == "2"
