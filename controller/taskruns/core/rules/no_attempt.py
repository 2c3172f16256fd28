"""Rules for runs without another attempt: deleted, unreadable or finished."""

from taskruns.api.reasons import Reason
from taskruns.core import deadlines, status
from taskruns.core.plan import ConfirmRunGone, DeleteRun, DiscardPod, Plan, ReleasePod, StopPod
from taskruns.core.situation import DecisionContext, Finished, Ownerless, Unreadable


def confirm_gone(situation: Ownerless, context: DecisionContext) -> Plan | None:
    """Pods with our finalizer, run not in the cache: read the run live."""
    if situation.gone or not any(pod.held for pod in situation.pods):
        return None
    return Plan(actions=(ConfirmRunGone(),))


def release(situation: Ownerless, context: DecisionContext) -> Plan | None:
    """Run deleted: remove our finalizer from its Pods."""
    held = tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held)
    return Plan(actions=held) if held else None


OWNERLESS_RULES = (confirm_gone, release)


def stop_running_pods(situation: Unreadable, context: DecisionContext) -> Plan | None:
    """Pods run: stop them, and wait for their end."""
    live = [pod for pod in situation.pods if not pod.ended]
    discards = tuple(DiscardPod(pod.ref, pod.resource_version) for pod in live if pod.gated)
    stops = tuple(StopPod(pod.ref) for pod in live if not pod.gated and not pod.stop_requested)
    return Plan(actions=(*discards, *stops)) if live else None


def release_ended_pods(situation: Unreadable, context: DecisionContext) -> Plan | None:
    """Terminal phase: remove our finalizer from its Pods."""
    if not situation.finished:
        return None
    return Plan(actions=tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held))


def fail(situation: Unreadable, context: DecisionContext) -> Plan | None:
    """No Pod runs: Failed, InvalidTaskRun."""
    reason = Reason.INVALID_TASK_RUN
    message = f"The TaskRun is invalid: {situation.problem}. {reason.advice}"
    return Plan(status=status.failed(situation.run, reason, message, context.now))


UNREADABLE_RULES = (stop_running_pods, release_ended_pods, fail)


def expire(situation: Finished, context: DecisionContext) -> Plan | None:
    """TTL expired: delete the TaskRun."""
    at = deadlines.run_deletion_at(situation.run, context.site)
    if at is None:
        return None
    return (
        Plan(actions=(DeleteRun(),)) if context.now >= at else Plan(wake_at=deadlines.earliest(at))
    )


FINISHED_RULES = (expire,)
