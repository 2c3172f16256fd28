"""Rules for a run without an open attempt: end it, wait, claim the existing Pod, or create one."""

from datetime import datetime

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import PodReplacementPolicy, TaskRunStatus
from taskruns.core import deadlines, status
from taskruns.core.message import address
from taskruns.core.plan import CreatePod, Plan, Refusal, RefusalKind
from taskruns.core.pods import InvalidTemplate, build_pod
from taskruns.core.retry import due_at
from taskruns.core.situation import DecisionContext, Due
from taskruns.core.status import refused_since, with_refusal

_FINAL_REFUSALS = {
    RefusalKind.INVALID: Reason.INVALID_POD_TEMPLATE,
    RefusalKind.FORBIDDEN: Reason.ADMISSION_REFUSED,
    RefusalKind.NAME_TAKEN: Reason.POD_NAME_CONFLICT,
}

_PASSING_REFUSALS = {
    RefusalKind.NO_SERVICE_ACCOUNT: (
        Reason.SERVICE_ACCOUNT_NOT_FOUND,
        deadlines.NO_SERVICE_ACCOUNT_RETRY,
    ),
    RefusalKind.WEBHOOK_FAILED: (Reason.WEBHOOK_FAILED, deadlines.WEBHOOK_RETRY),
}
"""Reason and retry interval, before jitter, of transient errors of a create."""


def cancel(situation: Due, context: DecisionContext) -> Plan | None:
    """spec.cancel is true: Cancelled."""
    if not situation.run.spec.cancel:
        return None
    message = "The run was cancelled while no Pod of it was running"
    return Plan(status=status.failed(situation.run, Reason.CANCELLED, message, context.now))


def hold(situation: Due, context: DecisionContext) -> Plan | None:
    """spec.suspend is true: Suspended, until it is false."""
    if not situation.run.spec.suspend:
        return None
    if situation.run.status.phase is Phase.SUSPENDED:
        return Plan()
    return Plan(status=status.suspended(situation.run, None, None, context.now))


def resume(situation: Due, context: DecisionContext) -> Plan | None:
    """No longer suspended: Queued or BackingOff, with a new startTime."""
    if situation.run.status.phase is not Phase.SUSPENDED:
        return None
    waits = due_at(situation.run, context.now) > context.now
    phase = Phase.BACKING_OFF if waits else Phase.QUEUED
    return Plan(status=status.resumed(situation.run, phase, context.now))


def end_at_deadline(situation: Due, context: DecisionContext) -> Plan | None:
    """activeDeadlineSeconds exceeded: Failed, DeadlineExceeded."""
    deadline = deadlines.deadline_at(situation.run)
    if deadline is None or context.now < deadline:
        return None
    message = f"activeDeadlineSeconds passed before attempt {situation.number} could start"
    return _fail(situation, Reason.DEADLINE_EXCEEDED, message, context)


def end_at_schedule_timeout(situation: Due, context: DecisionContext) -> Plan | None:
    """scheduleTimeoutSeconds exceeded without a Pod: Failed, ScheduleTimeout."""
    timeout = _schedule_timeout(situation, context)
    if timeout is None or context.now < timeout:
        return None
    before = situation.run.status
    cause = f": {before.message}" if before.phase is Phase.QUEUED and before.message else ""
    message = f"Attempt {situation.number} got no Pod within scheduleTimeoutSeconds{cause}"
    return _fail(situation, Reason.SCHEDULE_TIMEOUT, message, context)


def end_on_refusal(situation: Due, context: DecisionContext) -> Plan | None:
    """Create rejected permanently: Failed, with the apiserver's message."""
    refusal = context.findings.refusal
    reason = _FINAL_REFUSALS.get(refusal.kind) if refusal is not None else None
    if refusal is None or reason is None:
        return None
    return _fail(situation, reason, refusal.message, context)


def ignore_terminating_namespace(situation: Due, context: DecisionContext) -> Plan | None:
    """Namespace being deleted: do nothing."""
    refusal = context.findings.refusal
    return Plan() if refusal and refusal.kind == RefusalKind.NAMESPACE_TERMINATING else None


def wait_for_admission(situation: Due, context: DecisionContext) -> Plan | None:
    """Service account missing or webhook failing: Queued for a minute, then Failed."""
    refusal = context.findings.refusal
    if refusal is None or refusal.kind not in _PASSING_REFUSALS:
        return None
    run = situation.run
    reason, interval = _PASSING_REFUSALS[refusal.kind]
    since = refused_since(run)
    if since is not None and context.now >= deadlines.later(since, deadlines.ADMISSION_PATIENCE):
        return _fail(situation, reason, refusal.message, context)
    delay = interval * (1 + deadlines.jitter(run.metadata.uid, situation.number))
    wake_at = deadlines.earliest(deadlines.later(context.now, delay), _limit(situation, context))
    if since is not None and _is_recorded(run.status, reason, refusal):
        return Plan(wake_at=wake_at)
    queued = status.queued(run, reason, refusal.message, context.now)
    return Plan(status=with_refusal(queued, run, reason, context.now), wake_at=wake_at)


def wait_for_quota(situation: Due, context: DecisionContext) -> Plan | None:
    """Quota exceeded: Queued, until the quota queue retries the create."""
    refusal = context.findings.refusal
    if refusal is None or refusal.kind != RefusalKind.QUOTA_EXCEEDED:
        return None
    reason = Reason.QUOTA_EXCEEDED
    wake_at = deadlines.earliest(refusal.retry_at, _limit(situation, context))
    if _is_recorded(situation.run.status, reason, refusal):
        return Plan(wake_at=wake_at)
    queued = status.queued(situation.run, reason, refusal.message, context.now)
    return Plan(status=queued, wake_at=wake_at)


def await_other_pods(situation: Due, context: DecisionContext) -> Plan | None:
    """Another Pod of the run still runs (status was altered): wait for its end."""
    policy = situation.run.spec.pod_replacement_policy
    if policy is PodReplacementPolicy.TERMINATING_OR_FAILED:
        return None
    candidate = situation.candidate
    pods = (pod for pod in situation.pods if candidate is None or pod.ref != candidate.ref)
    if all(pod.gated or pod.ended for pod in pods):
        return None
    return Plan(wake_at=_limit(situation, context))


def claim(situation: Due, context: DecisionContext) -> Plan | None:
    """Gated Pod of the attempt exists: claim it."""
    pod = situation.candidate
    if pod is None or not pod.gated or pod.deleting:
        return None
    return Plan(status=status.claimed(situation.run, pod, situation.number, context.now))


def await_removal(situation: Due, context: DecisionContext) -> Plan | None:
    """Unclaimed Pod of the attempt is being deleted: wait until it is deleted."""
    pod = situation.candidate
    return Plan(wake_at=_limit(situation, context)) if pod is not None and pod.deleting else None


def refuse_ungated(situation: Due, context: DecisionContext) -> Plan | None:
    """Pod of the attempt exists without our gate: Failed, PodNameConflict."""
    pod = situation.candidate
    if pod is None:
        return None
    message = f"Pod {pod.ref.name} lost its scheduling gate before it was claimed"
    return _fail(situation, Reason.POD_NAME_CONFLICT, message, context)


def back_off(situation: Due, context: DecisionContext) -> Plan | None:
    """Attempt not due yet: wait."""
    at = due_at(situation.run, context.now)
    if context.now >= at:
        return None
    return Plan(wake_at=deadlines.earliest(at, _limit(situation, context)))


def create(situation: Due, context: DecisionContext) -> Plan | None:
    """Attempt due: create its Pod, with our gate."""
    try:
        return Plan(actions=(CreatePod(build_pod(situation.run, situation.number, context.site)),))
    except InvalidTemplate as error:
        return _fail(situation, Reason.INVALID_POD_TEMPLATE, str(error), context)


def _fail(situation: Due, reason: Reason, cause: str, context: DecisionContext) -> Plan:
    """Return a plan that ends the run, with a message of cause and advice."""
    advice = address(reason.advice_in(context.site.place), situation.run, None)
    message = f"{cause.rstrip('.')}. {advice}"
    return Plan(status=status.failed(situation.run, reason, message, context.now))


def _limit(situation: Due, context: DecisionContext) -> datetime | None:
    """Return when every wait of this run ends: the earlier of its deadline and schedule timeout."""
    return deadlines.earliest(
        deadlines.deadline_at(situation.run), _schedule_timeout(situation, context)
    )


def _schedule_timeout(situation: Due, context: DecisionContext) -> datetime | None:
    due = due_at(situation.run, context.now)
    return deadlines.schedule_timeout_at(situation.run, due)


def _is_recorded(before: TaskRunStatus, reason: Reason, refusal: Refusal) -> bool:
    """Return whether the status already shows this cause.

    Only the text before the first comma is compared. It contains a quota's name; the numbers after
    it change.
    """
    if (before.phase, before.reason) != (Phase.QUEUED, reason):
        return False
    return (before.message or "").partition(",")[0] == refusal.message.partition(",")[0]


RULES = (
    cancel,
    hold,
    resume,
    end_at_deadline,
    end_at_schedule_timeout,
    end_on_refusal,
    ignore_terminating_namespace,
    wait_for_admission,
    wait_for_quota,
    await_other_pods,
    claim,
    await_removal,
    refuse_ungated,
    back_off,
    create,
)
