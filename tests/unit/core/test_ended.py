"""Rules for an ended attempt: its record, and the next attempt (rules/ended.py)."""

from typing import Any

import pytest

from taskruns.core.plan import ConfirmPodGone, PodRef
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    disrupted,
    ended,
    pod_uid,
    running,
    stamp,
)
from tests.support.decision import gone, plan_for, status_for


def record_of(outcome: str, number: int) -> dict[str, Any]:
    return a_record(number, outcome=outcome, finishedTime=stamp(1))


def at_attempt(number: int, before: list[dict[str, Any]], **status: Any) -> dict[str, Any]:
    return a_claimed_status("Running", number, attempts=[*before, a_record(number)], **status)


@pytest.mark.parametrize(("limit", "phase"), [(None, "Failed"), (0, "Failed"), (1, "BackingOff")])
def test_failures_are_retried_within_the_backoff_limit(limit: int | None, phase: str) -> None:
    run = a_run(backoffLimit=limit, status=a_claimed_status("Running"))
    written = status_for(run, a_pod(main=ended(1)), seconds=5)
    assert (written.phase, written.failed) == (phase, 1)


def test_a_failure_beyond_the_backoff_limit_fails_the_run() -> None:
    before = [record_of("Failed", 1), record_of("Failed", 2)]
    run = a_run(backoffLimit=2, status=at_attempt(3, before, failed=2))
    written = status_for(run, a_pod(run, 3, main=ended(1)), seconds=5)
    assert (written.phase, written.failed, written.attempt) == ("Failed", 3, 3)
    assert "Attempt 3 of 3. " in (written.message or "")


def test_the_message_of_a_retry_states_its_due_time() -> None:
    run = a_run(backoffLimit=1, backoff={"duration": "60s"}, status=a_claimed_status("Running"))
    written = status_for(run, a_pod(main=ended(1, finished=4)), seconds=300)
    assert "The next attempt is due at 2026-01-01T12:01:" in (written.message or ""), (
        "counted from the end, however late it is seen"
    )
    assert written.completion_time is None


def test_counts_stop_at_the_maximum_of_the_status() -> None:
    full = a_claimed_status("Running", failed=2**31 - 1, disrupted=2**31 - 1)
    for pod in (a_pod(main=ended(1)), a_pod(main=ended(1), reason="Evicted")):
        written = status_for(a_run(status=full), pod, seconds=5)
        assert (written.failed, written.disrupted) == (2**31 - 1, 2**31 - 1)


ENDED_IN_PART = a_pod(main=running(), phase="Failed", reason="DeadlineExceeded")
"""A Pod as kubelets of 1.36 report it when it was stopped during an apiserver outage."""


def test_an_ended_pod_whose_main_is_reported_running_is_not_judged_yet() -> None:
    run = a_run(status=a_claimed_status("Running"))
    written = status_for(run, ENDED_IN_PART, seconds=5)
    assert written.attempts is not None
    assert (written.phase, written.attempts[-1].outcome) == ("Running", None)
    assert written.attempts[-1].finished_time == at(5)
    run = a_run(status=written.to_json())
    waits = plan_for(run, ENDED_IN_PART, seconds=34)
    assert (waits.idle, waits.wake_at) == (True, at(35))
    pod = a_pod(main=ended(9, finished=3), phase="Failed", reason="DeadlineExceeded")
    written = status_for(run, pod, seconds=6)
    assert (written.exit_code, written.phase) == (9, "Failed")
    assert written.attempts is not None
    assert written.attempts[-1].finished_time == at(3)


@pytest.mark.parametrize("noted", [stamp(0), stamp(1000)])
def test_a_missing_exit_code_is_awaited_for_a_limited_time(noted: str) -> None:
    status = a_claimed_status("Running", attempts=[a_record(finishedTime=noted)])
    written = status_for(a_run(status=status), a_pod(main=running(), phase="Failed"), seconds=30)
    assert (written.phase, written.reason) == ("Failed", "FinalStateUnknown")
    assert (written.exit_code, written.disrupted) == (None, 1)


def test_an_exit_code_is_not_awaited_from_a_lost_kubelet() -> None:
    lost = a_pod(main=running(), phase="Failed", conditions=[disrupted("DeletionByPodGC")])
    written = status_for(a_run(status=a_claimed_status("Running")), lost, seconds=5)
    assert (written.phase, written.reason) == ("Failed", "NodeLost")


@pytest.mark.parametrize(
    ("replaced", "phase"), [(0, "BackingOff"), (2, "BackingOff"), (3, "Failed")]
)
def test_an_attempt_that_never_started_is_replaced_three_times(replaced: int, phase: str) -> None:
    before = [record_of("Replaced", number) for number in range(1, replaced + 1)]
    run = a_run(status=at_attempt(replaced + 1, before))
    pod = a_pod(run, replaced + 1, phase="Failed", reason="Evicted")
    written = status_for(run, pod, seconds=5)
    assert (written.phase, written.failed, written.disrupted) == (phase, 0, 0)


def test_a_disruption_after_the_start_is_not_retried_by_default() -> None:
    run = a_run(backoffLimit=5, status=a_claimed_status("Running"))
    written = status_for(run, a_pod(main=ended(137), reason="Evicted"), seconds=5)
    assert (written.phase, written.disrupted, written.failed) == ("Failed", 1, 0)


def test_a_stopped_run_is_not_retried() -> None:
    stopping = a_record(stopTime=stamp(3), reason="DeadlineExceeded")
    run = a_run(backoffLimit=5, status=a_claimed_status("Stopping", attempts=[stopping]))
    written = status_for(run, a_pod(main=ended(137, finished=4)), seconds=5)
    assert written.phase == "Failed"


def test_an_attempt_past_its_own_deadline_is_retried() -> None:
    stopping = a_record(stopTime=stamp(3), reason="AttemptDeadlineExceeded")
    run = a_run(backoffLimit=1, status=a_claimed_status("Stopping", attempts=[stopping]))
    written = status_for(run, a_pod(main=ended(137, finished=4)), seconds=5)
    assert (written.phase, written.failed) == ("BackingOff", 1)


def test_the_record_of_an_attempt_is_complete() -> None:
    run = a_run(status=a_claimed_status("Running"))
    pod = a_pod(main=ended(137, started=2, finished=4, message="out of luck"))
    (record,) = status_for(run, pod, seconds=9).attempts or []
    assert record.to_json() == {
        "number": 1,
        "podName": pod["metadata"]["name"],
        "podUID": pod_uid(1),
        "nodeName": "node-1",
        "createdTime": stamp(0),
        "scheduledTime": stamp(1),
        "startedTime": stamp(2),
        "finishedTime": stamp(4),
        "exitCode": 137,
        "signal": 9,
        "reason": "KilledBySignal",
        "message": "Container main ended with exit code 137 (128+9, SIGKILL). "
        "Last output: out of luck",
        "outcome": "Failed",
    }


def test_only_the_last_twenty_records_are_kept() -> None:
    before = [record_of("Failed", number) for number in range(5, 24)]
    status = a_claimed_status("BackingOff", 23, attempts=[record_of("Failed", 4), *before])
    run = a_run(backoffLimit=99, status=status)
    written = status_for(run, a_pod(run, 24, gated=True), seconds=9999)
    numbers = [record.number for record in written.attempts or []]
    assert numbers == list(range(5, 25))


def test_a_recorded_verdict_is_not_judged_again() -> None:
    record = a_record(
        stopTime=stamp(5),
        finishedTime=stamp(4),
        outcome="Succeeded",
        reason="Completed",
        exitCode=0,
    )
    run = a_run(status=a_claimed_status("Stopping", attempts=[record]))
    written = status_for(run, a_pod(main=ended(0, finished=4), phase="Failed"), seconds=9)
    assert (written.phase, written.exit_code) == ("Succeeded", 0)
    failing = {**record, "outcome": "Failed", "reason": "NonZeroExitCode", "exitCode": 3}
    run = a_run(status=a_claimed_status("Stopping", attempts=[failing]))
    pod = a_pod(main=ended(3, finished=4), phase="Failed", reason="Evicted")
    written = status_for(run, pod, seconds=9)
    assert (written.phase, written.reason, written.exit_code) == ("Failed", "NonZeroExitCode", 3)


def test_a_recorded_verdict_outlives_its_pod() -> None:
    end: dict[str, Any] = {
        "finishedTime": stamp(4),
        "outcome": "Succeeded",
        "reason": "Completed",
        "exitCode": 0,
    }
    record = a_record(stopTime=stamp(5), message="well done", **end)
    run = a_run(status=a_claimed_status("Stopping", attempts=[record]))
    written = status_for(run, findings=gone(pod_uid(1)), seconds=9)
    assert (written.phase, written.exit_code) == ("Succeeded", 0)
    assert [kept.to_json() for kept in written.attempts or []] == [record]


def test_a_claimed_pod_that_is_not_cached_is_read_live_first() -> None:
    plan = plan_for(a_run(status=a_claimed_status("Running")), seconds=5)
    assert plan.actions == (ConfirmPodGone(PodRef("default", a_record()["podName"], pod_uid(1))),)
    assert plan.status is None


def test_a_claimed_pod_that_is_gone_is_not_created_again() -> None:
    run = a_run(status=a_claimed_status("Pending"))
    plan = plan_for(run, seconds=5, findings=gone(pod_uid(1)))
    assert plan.actions == ()
    assert plan.status is not None
    assert plan.status.phase == "Failed"


def test_the_end_of_a_run_sets_the_conditions() -> None:
    run = a_run(status=a_claimed_status("Running"))
    good = status_for(run, a_pod(main=ended(0)), seconds=5)
    bad = status_for(run, a_pod(main=ended(1)), seconds=5)
    assert {c.type: c.status for c in good.conditions or []} == {
        "Complete": "True",
        "Finished": "True",
    }
    assert {c.type: c.status for c in bad.conditions or []} == {
        "Failed": "True",
        "Finished": "True",
        "Stalled": "True",
    }
    assert good.completion_time == bad.completion_time == at(5)


@pytest.mark.parametrize(("limit", "phase"), [(None, "Failed"), (0, "Failed"), (1, "BackingOff")])
def test_disruptions_are_repeated_within_the_disruption_limit(
    limit: int | None, phase: str
) -> None:
    run = a_run(disruptionLimit=limit, backoffLimit=5, status=a_claimed_status("Running"))
    pod = a_pod(main=ended(143), phase="Failed", reason="Evicted")
    written = status_for(run, pod, seconds=5)
    assert (written.phase, written.failed, written.disrupted) == (phase, 0, 1)


def test_a_used_up_disruption_limit_ends_the_run() -> None:
    before = [record_of("Disrupted", 1)]
    run = a_run(disruptionLimit=1, status=at_attempt(2, before, disrupted=1))
    pod = a_pod(run, 2, main=ended(143), phase="Failed", reason="Evicted")
    written = status_for(run, pod, seconds=5)
    assert (written.phase, written.disrupted) == ("Failed", 2)
    assert "ttempt" not in (written.message or ""), "no attempt of backoffLimit"


@pytest.mark.parametrize("outcome", ["Disrupted", "Replaced", "Requeued", "Ignored"])
def test_attempts_that_do_not_count_are_not_numbered(outcome: str) -> None:
    before = [record_of(outcome, 1)]
    run = a_run(backoffLimit=2, disruptionLimit=1, status=at_attempt(2, before))
    message = status_for(run, a_pod(run, 2, main=ended(1)), seconds=5).message or ""
    assert "on node node-1. Attempt 1 of 3. The next attempt is due at 2026-" in message


DELETED = {"deletionTimestamp": stamp(3)}


@pytest.mark.parametrize(
    ("spec", "phase"),
    [
        ({"podReplacementPolicy": "TerminatingOrFailed", "disruptionLimit": 1}, "BackingOff"),
        ({"podReplacementPolicy": "TerminatingOrFailed"}, None),
        ({"podReplacementPolicy": "Failed", "disruptionLimit": 1}, None),
        ({"disruptionLimit": 1}, None),
    ],
)
def test_a_terminating_pod_is_abandoned_only_if_a_retry_follows(
    spec: Any, phase: str | None
) -> None:
    run = a_run(status=a_claimed_status("Running"), **spec)
    pod = a_pod(main={"running": {"startedAt": stamp(2)}}, metadata=DELETED)
    plan = plan_for(run, pod, seconds=5)
    assert (plan.status.phase if plan.status else None) == phase


def test_a_terminating_pod_of_a_cancelled_run_is_waited_for() -> None:
    run = a_run(
        cancel=True,
        podReplacementPolicy="TerminatingOrFailed",
        disruptionLimit=1,
        status=a_claimed_status("Running"),
    )
    pod = a_pod(main={"running": {"startedAt": stamp(2)}}, metadata=DELETED)
    assert status_for(run, pod, seconds=5).phase == "Stopping"
