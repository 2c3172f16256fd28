"""Rules for a claimed Pod that has not ended: release its gate, show its state, or stop it."""

from datetime import datetime

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import PodReplacementPolicy
from taskruns.core import deadlines, status
from taskruns.core.facts import PodFacts
from taskruns.core.message import same_cause
from taskruns.core.plan import DeletePod, Plan, ReadPodEvents, ReleaseGate, StopPod
from taskruns.core.retry import next_due, open_since
from taskruns.core.situation import DecisionContext, Underway
from taskruns.core.startup import find_startup_failure
from taskruns.core.unstructured import stamp
from taskruns.core.verdict import disruption_of, judge


def carry_out_stop(situation: Underway, context: DecisionContext) -> Plan | None:
    """Phase Stopping: stop the Pod, or delete it if it has no node."""
    if situation.run.status.phase != Phase.STOPPING:
        return None
    pod = situation.pod
    if not pod.node and not pod.deleting:
        # As it was seen: a Pod that has got a node since is not deleted.
        return Plan(actions=(DeletePod(pod.ref, pod.resource_version),))
    if pod.node and not pod.stop_requested:
        return Plan(actions=(StopPod(pod.ref),))
    return Plan()


def stop_remaining_containers(situation: Underway, context: DecisionContext) -> Plan | None:
    """Main ended and other containers run: record main's verdict and Stopping."""
    pod = situation.pod
    if pod.main.ending is None or not pod.remaining:
        return None
    verdict = judge(pod, situation.attempt, situation.run.spec.pod_failure_policy)
    return Plan(status=status.stopping_remaining(situation.run, pod, verdict, context.now))


def await_end(situation: Underway, context: DecisionContext) -> Plan | None:
    """Main ended: wait for the Pod's end, and report it if it is overdue."""
    if situation.pod.main.ending is None:
        return None
    return show_overdue(situation, context) or Plan(wake_at=_overdue_wake(situation, context))


def stop(situation: Underway, context: DecisionContext) -> Plan | None:
    """Cancelled, suspended or past a deadline: record Stopping."""
    run, main = situation.run, situation.pod.main
    if run.spec.cancel:
        return _stop(situation, Reason.CANCELLED, "The run was cancelled", context)
    if run.spec.suspend:
        return _stop(situation, Reason.SUSPENDED, "The run was suspended", context)
    if _is_over(deadlines.deadline_at(run), context):
        cause = "The run passed activeDeadlineSeconds"
        return _stop(situation, Reason.DEADLINE_EXCEEDED, cause, context)
    if _is_over(deadlines.attempt_deadline_at(run, main.started_at), context):
        cause = "The attempt passed attemptDeadlineSeconds"
        return _stop(situation, Reason.ATTEMPT_DEADLINE_EXCEEDED, cause, context)
    return None


def replace_deleted(situation: Underway, context: DecisionContext) -> Plan | None:
    """Pod deleted by another client, TerminatingOrFailed: record it if a retry follows."""
    run, pod = situation.run, situation.pod
    eager = run.spec.pod_replacement_policy is PodReplacementPolicy.TERMINATING_OR_FAILED
    if not eager or not pod.deleting:
        return None
    verdict = judge(pod, situation.attempt, run.spec.pod_failure_policy)
    due = next_due(run, verdict, context.now)
    if due is None:
        return None
    return Plan(status=status.retrying(run, pod, verdict, due, context.now))


def show_overdue(situation: Underway, context: DecisionContext) -> Plan | None:
    """Deleted Pod whose end is overdue: name the node that has not reported it."""
    run, pod = situation.run, situation.pod
    at, reason = _overdue_at(situation), disruption_of(pod)
    if at is None or reason is None or context.now < at or run.status.reason == reason:
        return None
    due = "" if pod.deletion_due is None else f" by {stamp(pod.deletion_due)}"
    message = (
        f"The Pod was deleted and due to end{due}, but its node {pod.node} has not "
        f"reported its end. No other attempt starts until then. If the node is lost, run: "
        f"kubectl delete node {pod.node}"
    )
    return Plan(status=status.overdue(run, pod, reason, message, context.now))


def give_up_scheduling(situation: Underway, context: DecisionContext) -> Plan | None:
    """scheduleTimeoutSeconds exceeded: record Stopping."""
    if not _is_over(_schedule_timeout(situation, context), context):
        return None
    pod = situation.pod
    gates = (
        "the Pod has the scheduling gates " + ", ".join(pod.other_gates) if pod.other_gates else ""
    )
    details = pod.unschedulable or gates or "the scheduler has reported no reason"
    cause = f"No node was found within scheduleTimeoutSeconds: {details}"
    return _stop(situation, Reason.SCHEDULE_TIMEOUT, cause, context)


def release_gate(situation: Underway, context: DecisionContext) -> Plan | None:
    """Claimed Pod still gated: release the gate."""
    return Plan(actions=(ReleaseGate(situation.pod.ref),)) if situation.pod.gated else None


def give_up_starting(situation: Underway, context: DecisionContext) -> Plan | None:
    """Start-up failure or start-up timeout: record Stopping."""
    failure = find_startup_failure(situation.pod, situation.attempt)
    ends = None if failure is None else failure.ends_at(situation.attempt, context.now)
    if failure is not None and _is_over(ends, context):
        return _stop(situation, failure.reason, failure.cause, context)
    if not _is_over(_startup_timeout(situation, context), context):
        return None
    pod = situation.pod.ref
    if failure is None and pod.uid not in context.findings.events:
        return Plan(actions=(ReadPodEvents(pod),))
    events = context.findings.events.get(pod.uid, ())
    details = failure.cause if failure is not None else " ".join(events[-1:])
    cause = "Main did not start within startupTimeoutSeconds" + (f": {details}" if details else "")
    return _stop(situation, Reason.STARTUP_TIMEOUT, cause, context)


def show_waiting(situation: Underway, context: DecisionContext) -> Plan | None:
    """Reason why main has not started changed: report it."""
    pod, run = situation.pod, situation.run
    if pod.main.started_at is not None or run.status.phase is Phase.RUNNING:
        return None
    if _is_over(_overdue_at(situation), context):
        return None
    failure = find_startup_failure(pod, situation.attempt)
    if failure is not None:
        noted = failure.is_noted(situation.attempt)
        ends = failure.ends_at(situation.attempt, context.now) or _startup_timeout(
            situation, context
        )
        reason = failure.reason
        until = "" if ends is None else f". The start is retried until {stamp(ends)}"
        message = f"{failure.cause.rstrip('.')}{until}"
    else:
        reason, details = _waits_for(pod)
        message = f"{reason.meaning.rstrip('.')}: {details}" if details else reason.meaning
        has_changed = bool(details) and not same_cause(run.status.message or "", message)
        noted = reason == run.status.reason and not has_changed
    if noted:
        return None
    return Plan(status=status.pending(run, pod, reason, message, context.now))


def _waits_for(pod: PodFacts) -> tuple[Reason, str]:
    """Return the reason for which main has not started, and details such as names of gates."""
    if pod.other_gates:
        return Reason.SCHEDULING_GATED, ", ".join(pod.other_gates)
    if pod.unschedulable:
        return Reason.UNSCHEDULABLE, pod.unschedulable
    return Reason.WAITING_TO_START, ""


def show_running(situation: Underway, context: DecisionContext) -> Plan | None:
    """Main's reported start is two seconds ago: Running."""
    shown_at = _running_shown_at(situation)
    if shown_at is None or context.now < shown_at:
        return None
    return Plan(status=status.running(situation.run, situation.pod, context.now))


def wait(situation: Underway, context: DecisionContext) -> Plan | None:
    """Otherwise: wait."""
    run, main = situation.run, situation.pod.main
    failure = find_startup_failure(situation.pod, situation.attempt)
    return Plan(
        wake_at=deadlines.earliest(
            deadlines.deadline_at(run),
            deadlines.attempt_deadline_at(run, main.started_at),
            _schedule_timeout(situation, context),
            _startup_timeout(situation, context),
            None if failure is None else failure.ends_at(situation.attempt, context.now),
            _running_shown_at(situation),
            _overdue_wake(situation, context),
        )
    )


def _stop(situation: Underway, reason: Reason, cause: str, context: DecisionContext) -> Plan:
    return Plan(status=status.stopping(situation.run, situation.pod, reason, cause, context.now))


def _schedule_timeout(situation: Underway, context: DecisionContext) -> datetime | None:
    if situation.pod.node:
        return None
    due = open_since(situation.run, context.now)
    return deadlines.schedule_timeout_at(situation.run, due)


def _startup_timeout(situation: Underway, context: DecisionContext) -> datetime | None:
    pod = situation.pod
    if pod.main.started_at is not None or not pod.node:
        return None
    return deadlines.startup_timeout_at(situation.run, pod.scheduled_at, context.site)


def _overdue_at(situation: Underway) -> datetime | None:
    due = situation.pod.deletion_due
    return None if due is None else deadlines.later(due, deadlines.OVERDUE_SHOWN_AFTER)


def _overdue_wake(situation: Underway, context: DecisionContext) -> datetime | None:
    at = _overdue_at(situation)
    return None if at is None or context.now >= at else at


def _running_shown_at(situation: Underway) -> datetime | None:
    main = situation.pod.main
    shown = situation.run.status.phase == Phase.RUNNING
    if shown or main.ending is not None or main.started_at is None:
        return None
    return deadlines.later(main.started_at, deadlines.RUNNING_SHOWN_AFTER)


def _is_over(deadline: datetime | None, context: DecisionContext) -> bool:
    return deadline is not None and context.now >= deadline


RULES = (
    carry_out_stop,
    stop_remaining_containers,
    await_end,
    stop,
    replace_deleted,
    show_overdue,
    give_up_scheduling,
    release_gate,
    give_up_starting,
    show_waiting,
    show_running,
    wait,
)
