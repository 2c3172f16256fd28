"""Rules for runs that need no further attempt: gone, unreadable or finished."""

from taskruns.api.reasons import Reason
from taskruns.core import deadlines, status
from taskruns.core.plan import ConfirmRunGone, DeleteRun, DiscardPod, Plan, ReleasePod, StopPod
from taskruns.core.situation import DecisionContext, Finished, Ownerless, Unreadable


def confirm_gone(situation: Ownerless, context: DecisionContext) -> Plan | None:
    """Held Pods, run not seen: read it live."""
    if situation.gone or not any(pod.held for pod in situation.pods):
        return None
    return Plan(actions=(ConfirmRunGone(),))


def release(situation: Ownerless, context: DecisionContext) -> Plan | None:
    """Held Pods: remove our finalizer."""
    held = tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held)
    return Plan(actions=held) if held else None


OWNERLESS_RULES = (confirm_gone, release)


def stop_what_runs(situation: Unreadable, context: DecisionContext) -> Plan | None:
    """Pods are left: stop them, and wait for their end."""
    live = [pod for pod in situation.pods if not pod.ended]
    discards = tuple(DiscardPod(pod.ref, pod.resource_version) for pod in live if pod.gated)
    stops = tuple(StopPod(pod.ref) for pod in live if not pod.gated and not pod.stop_requested)
    return Plan(actions=(*discards, *stops)) if live else None


def release_of_ended(situation: Unreadable, context: DecisionContext) -> Plan | None:
    """Its status says that it has ended: let its Pods go."""
    if not situation.finished:
        return None
    return Plan(actions=tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held))


def fail(situation: Unreadable, context: DecisionContext) -> Plan | None:
    """Nothing runs: Failed, InvalidTaskRun."""
    reason = Reason.INVALID_TASK_RUN
    message = f"The TaskRun is invalid: {situation.problem}. {reason.advice}"
    return Plan(status=status.failed(situation.run, reason, message, context.now))


UNREADABLE_RULES = (stop_what_runs, release_of_ended, fail)


def expire(situation: Finished, context: DecisionContext) -> Plan | None:
    """Past its TTL: delete the TaskRun."""
    at = deadlines.run_deletion_at(situation.run, context.site)
    if at is None:
        return None
    return (
        Plan(actions=(DeleteRun(),)) if context.now >= at else Plan(wake_at=deadlines.earliest(at))
    )


FINISHED_RULES = (expire,)
