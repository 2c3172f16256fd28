"""Rules for a run without an open attempt (rules/due.py; design.md, Errors of create)."""

from typing import Any

import pytest

from taskruns.api import names
from taskruns.core.plan import (
    CreatePod,
    DiscardPod,
    Findings,
    Plan,
    Refusal,
    RefusalKind,
    ReleasePod,
    StopPod,
)
from tests.support.builders.objects import (
    RUN_UID,
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    pod_uid,
    running,
    stamp,
)
from tests.support.decision import plan_for, refused, status_for


def backing_off(**overrides: Any) -> dict[str, Any]:
    failed = a_record(1, finishedTime=stamp(10), outcome="Failed", exitCode=1)
    return a_claimed_status("BackingOff", attempts=[failed], failed=1, **overrides)


def test_the_first_reconcile_creates_the_pod() -> None:
    plan = plan_for(a_run())
    (action,) = plan.actions
    assert isinstance(action, CreatePod)
    assert action.manifest["metadata"]["name"] == names.pod_name("hello", RUN_UID, 1)
    assert plan.status is None


def test_a_pod_is_created_with_gate_and_finalizer() -> None:
    (action,) = plan_for(a_run()).actions
    assert isinstance(action, CreatePod)
    assert action.manifest["spec"]["schedulingGates"] == [{"name": names.GATE_CLAIM}]
    assert names.FINALIZER_OUTCOME in action.manifest["metadata"]["finalizers"]


@pytest.mark.parametrize("recorded_times", [{}, {"createdTime": stamp(1)}])
def test_a_record_without_an_end_delays_no_attempt(recorded_times: dict[str, str]) -> None:
    forged = {"number": 1, "podName": "p", "podUID": "1", "outcome": "Failed", **recorded_times}
    status = a_claimed_status("BackingOff", attempts=[forged], failed=1)
    run = a_run(backoffLimit=1, status=status)
    (action,) = plan_for(run, seconds=20).actions
    assert isinstance(action, CreatePod)


def test_another_record_of_the_claimed_pod_is_replaced() -> None:
    run = a_run(status={"attempts": [a_record(7, podUID=pod_uid(1), outcome="Failed")]})
    written = status_for(run, a_pod(run, 1, gated=True))
    assert [(kept.number, kept.pod_uid) for kept in written.attempts or ()] == [(1, pod_uid(1))]


@pytest.mark.parametrize("status", [{}, {"phase": "Queued", "startTime": stamp(0)}, None])
def test_cancel_without_a_pod_ends_the_run_at_once(status: dict[str, Any] | None) -> None:
    written = status_for(a_run(cancel=True, status=status or backing_off()))
    assert (written.phase, written.reason, written.failure_kind) == (
        "Cancelled",
        "Cancelled",
        "Cancelled",
    )
    assert written.completion_time == at(0)


def test_the_deadline_of_the_run_counts_while_waiting() -> None:
    run = a_run(activeDeadlineSeconds=60, backoffLimit=3, status=backing_off())
    assert plan_for(run, seconds=59.9).status is None
    written = status_for(run, seconds=60)
    assert (written.phase, written.reason, written.failure_kind) == (
        "Failed",
        "DeadlineExceeded",
        "Timeout",
    )
    assert "attempt 2" in (written.message or "")


def test_cancel_takes_precedence_over_the_deadline() -> None:
    run = a_run(activeDeadlineSeconds=1, cancel=True, status=backing_off())
    assert status_for(run, seconds=100).reason == "Cancelled"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (RefusalKind.INVALID, "InvalidPodTemplate"),
        (RefusalKind.FORBIDDEN, "AdmissionRefused"),
        (RefusalKind.NAME_TAKEN, "PodNameConflict"),
    ],
)
def test_a_permanently_rejected_create_fails_the_run_with_the_apiservers_message(
    kind: RefusalKind, reason: str
) -> None:
    written = status_for(a_run(), findings=refused(kind))
    assert (written.phase, written.reason) == ("Failed", reason)
    assert written.failure_kind == "Configuration"
    assert (written.message or "").startswith("the server's words")
    assert written.exit_code is None


@pytest.mark.guarantee(
    "In a namespace that is terminating or gone nothing is created; the run is deleted with it"
)
def test_a_run_in_a_terminating_namespace_is_left_alone() -> None:
    assert plan_for(a_run(), findings=refused(RefusalKind.NAMESPACE_TERMINATING)) == Plan()


def no_room(quota: str, used: int = 3, retry: float | None = None) -> Findings:
    message = f"exceeded quota: {quota}, requested: pods=1, used: pods={used}, limited: pods=3"
    at_ = None if retry is None else at(retry)
    return Findings(refusal=Refusal(RefusalKind.QUOTA_EXCEEDED, message, at_))


@pytest.mark.parametrize("retry", [12.0, None])
def test_an_exceeded_quota_queues_the_run_until_the_retry(retry: float | None) -> None:
    plan = plan_for(a_run(), findings=no_room("small", retry=retry))
    assert plan.status is not None
    assert (plan.status.phase, plan.status.reason) == ("Queued", "QuotaExceeded")
    assert plan.status.start_time == at(0)
    assert plan.wake_at == (None if retry is None else at(retry))


def test_the_status_of_a_queued_run_changes_only_for_another_quota() -> None:
    run = a_run(status=status_for(a_run(), findings=no_room("small")).to_json())
    plan = plan_for(run, seconds=30, findings=no_room("small", used=2, retry=41))
    assert plan.idle
    assert plan.wake_at == at(41)
    assert "other" in (status_for(run, findings=no_room("other")).message or "")


def test_a_queued_run_wakes_for_its_deadline() -> None:
    plan = plan_for(
        a_run(activeDeadlineSeconds=5, status={"startTime": stamp(0)}),
        findings=refused(RefusalKind.QUOTA_EXCEEDED),
    )
    assert plan.wake_at == at(5)


@pytest.mark.guarantee(
    "A create whose admission webhook does not respond is retried for a minute, then the run ends "
    "as `WebhookFailed`"
)
@pytest.mark.parametrize(
    ("kind", "reason", "interval"),
    [
        (RefusalKind.NO_SERVICE_ACCOUNT, "ServiceAccountNotFound", 2),
        (RefusalKind.WEBHOOK_FAILED, "WebhookFailed", 6),
    ],
)
def test_a_transient_rejection_is_retried_for_a_minute(
    kind: RefusalKind, reason: str, interval: int
) -> None:
    """The minute counts from the first such refusal, after any wait for quota."""
    run = a_run(status={"phase": "Queued", "reason": "QuotaExceeded", "startTime": stamp(0)})
    waiting = plan_for(run, seconds=900, findings=refused(kind))
    assert waiting.status is not None
    assert (waiting.status.phase, waiting.status.reason) == ("Queued", reason)
    assert waiting.wake_at is not None
    assert at(900 + interval) <= waiting.wake_at <= at(900 + 2 * interval)
    queued = a_run(status=waiting.status.to_json())
    still = plan_for(queued, seconds=959.5, findings=refused(kind))
    assert still.idle
    assert still.wake_at is not None
    written = status_for(queued, seconds=960, findings=refused(kind))
    assert (written.phase, written.reason) == ("Failed", reason)
    assert written.failure_kind == "Configuration"


def test_one_minute_applies_to_all_transient_rejections_together() -> None:
    run = a_run()
    for seconds, kind in ((5, RefusalKind.NO_SERVICE_ACCOUNT), (50, RefusalKind.WEBHOOK_FAILED)):
        written = status_for(run, seconds=seconds, findings=refused(kind))
        assert written.phase == "Queued"
        run = a_run(status=written.to_json())
    assert status_for(run, seconds=65, findings=refused(kind)).phase == "Failed"


def test_the_minute_restarts_after_a_wait_for_quota() -> None:
    run = a_run(status=status_for(a_run(), findings=refused(RefusalKind.WEBHOOK_FAILED)).to_json())
    run = a_run(status=status_for(run, seconds=30, findings=no_room("small")).to_json())
    written = status_for(run, seconds=90, findings=refused(RefusalKind.WEBHOOK_FAILED))
    assert (written.phase, written.reason) == ("Queued", "WebhookFailed")


def test_the_time_of_the_first_rejection_is_recorded_if_an_older_controller_did_not() -> None:
    findings = refused(RefusalKind.WEBHOOK_FAILED)
    status = status_for(a_run(), findings=findings).to_json()
    older = a_run(status={**status, "conditions": []})
    noted = (status_for(older, seconds=3, findings=findings).conditions or [])[-1]
    assert (noted.type, noted.last_transition_time) == ("PodRefused", at(3))


def test_a_gated_pod_of_the_attempt_is_claimed() -> None:
    plan = plan_for(a_run(), a_pod(gated=True), seconds=3)
    written = plan.status
    assert plan.actions == ()
    assert written is not None
    assert (written.phase, written.attempt, written.pod_uid) == ("Pending", 1, pod_uid(1))
    assert written.start_time == at(0)
    (record,) = written.attempts or []
    assert (record.number, record.pod_uid, record.outcome) == (1, pod_uid(1), None)


def test_a_late_pod_of_an_attempt_that_is_not_due_is_discarded() -> None:
    run = a_run(backoffLimit=3, status=backing_off())
    plan = plan_for(run, a_pod(number=3, gated=True), seconds=11)
    assert [type(action) for action in plan.actions] == [DiscardPod]
    assert plan.status is None


def test_a_pod_made_by_hand_is_not_claimed() -> None:
    """A Pod that a user made with our labels and owner must not choose what is run."""
    pod = a_pod(gated=True, metadata={"name": "made-by-hand"})
    plan = plan_for(a_run(), pod)
    assert [type(action) for action in plan.actions] == [DiscardPod, CreatePod]


def test_a_deleted_pod_of_the_attempt_is_released_and_awaited() -> None:
    pod = a_pod(gated=True, metadata={"deletionTimestamp": stamp(1)})
    plan = plan_for(a_run(), pod)
    assert [type(action) for action in plan.actions] == [ReleasePod]
    released = {**pod, "metadata": {**pod["metadata"], "finalizers": []}}
    run = a_run(activeDeadlineSeconds=9, status={"phase": "Queued", "startTime": stamp(0)})
    waiting = plan_for(run, released)
    assert waiting.idle
    assert waiting.wake_at == at(9)


def test_a_pod_of_the_attempt_without_our_gate_is_not_claimed() -> None:
    written = status_for(a_run(), a_pod(gated=False))
    assert (written.phase, written.reason) == ("Failed", "PodNameConflict")


def test_the_next_attempt_waits_until_it_is_due() -> None:
    run = a_run(backoffLimit=3, backoff={"duration": "30s"}, status=backing_off())
    plan = plan_for(run, seconds=20)
    assert plan.idle
    assert plan.wake_at is not None
    assert at(40) <= plan.wake_at <= at(43)
    (action,) = plan_for(run, seconds=43).actions
    assert isinstance(action, CreatePod)
    assert action.manifest["metadata"]["labels"][names.LABEL_ATTEMPT] == "2"


def test_a_wait_ends_early_at_the_deadline_of_the_run() -> None:
    run = a_run(
        backoffLimit=3,
        backoff={"duration": "1h", "cap": "2h"},
        activeDeadlineSeconds=60,
        status=backing_off(),
    )
    assert plan_for(run, seconds=20).wake_at == at(60)


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ({"spec": {"nodeName": "node-1"}}, "nodeSelector"),
        ({"spec": {"restartPolicy": "OnFailure"}}, "backoffLimit"),
        ({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}, "default-container"),
    ],
)
def test_an_invalid_template_fails_the_run_with_the_correction(
    template: dict[str, Any], word: str
) -> None:
    written = status_for(a_run(template=template))
    assert (written.phase, written.reason) == ("Failed", "InvalidPodTemplate")
    assert word in (written.message or "")


@pytest.mark.guarantee(
    "`scheduleTimeoutSeconds` counts from when the attempt was due; other clients' scheduling "
    "gates and full quotas count"
)
def test_waiting_for_quota_counts_for_the_schedule_timeout() -> None:
    message = "exceeded quota: pods"
    waiting = {"phase": "Queued", "startTime": stamp(0), "message": message}
    run = a_run(scheduleTimeoutSeconds=30, status=waiting)
    assert plan_for(run, seconds=25, findings=refused(RefusalKind.QUOTA_EXCEEDED)).wake_at == at(30)
    written = status_for(run, seconds=30)
    assert (written.phase, written.reason) == ("Failed", "ScheduleTimeout")
    assert message in (written.message or "")


def test_a_backoff_does_not_count_for_the_schedule_timeout() -> None:
    run = a_run(
        scheduleTimeoutSeconds=5, backoffLimit=3, backoff={"duration": "60s"}, status=backing_off()
    )
    waiting = plan_for(run, seconds=60)
    assert waiting.idle
    assert waiting.wake_at is not None
    assert at(70) <= waiting.wake_at <= at(76)


def overlooked() -> dict[str, Any]:
    """Return an altered status that calls an attempt ended while its Pod runs."""
    return a_run(backoffLimit=3, status=backing_off())


def test_no_attempt_is_created_while_a_pod_runs_that_the_status_calls_ended() -> None:
    plan = plan_for(overlooked(), a_pod(main=running()), seconds=1000)
    assert [type(action) for action in plan.actions] == [StopPod]
    assert plan.status is None


def test_an_unclaimed_pod_is_not_claimed_meanwhile() -> None:
    next_pod = a_pod(number=2, gated=True)
    plan = plan_for(overlooked(), a_pod(main=running()), next_pod, seconds=1000)
    assert plan.status is None


def test_with_terminating_or_failed_the_next_attempt_is_created() -> None:
    eager = a_run(podReplacementPolicy="TerminatingOrFailed", disruptionLimit=3)
    run = eager | {"status": backing_off()}
    plan = plan_for(run, a_pod(main=running()), seconds=1000)
    assert CreatePod in [type(action) for action in plan.actions]
