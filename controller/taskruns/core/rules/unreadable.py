"""The TaskRun cannot be understood: nothing of it goes on running, and it ends as Failed."""

from taskruns.api.reasons import Reason
from taskruns.core import status
from taskruns.core.plan import DiscardPod, Plan, ReleasePod, StopPod
from taskruns.core.situation import Look, Unreadable


def stop_what_runs(situation: Unreadable, look: Look) -> Plan | None:
    """Pods are left: stop them, and wait for their end."""
    live = [pod for pod in situation.pods if not pod.ended]
    discards = tuple(DiscardPod(pod.ref, pod.resource_version) for pod in live if pod.gated)
    stops = tuple(StopPod(pod.ref) for pod in live if not pod.gated and not pod.told_to_stop)
    return Plan(actions=(*discards, *stops)) if live else None


def fail(situation: Unreadable, look: Look) -> Plan | None:
    """Nothing runs: Failed, InvalidTaskRun."""
    reason = Reason.INVALID_TASK_RUN
    message = f"The TaskRun cannot be understood: {situation.problem}. {reason.advice}"
    return Plan(status=status.failed(situation.run, reason, message, look.now))


def let_go(situation: Unreadable, look: Look) -> Plan | None:
    """Its status says that it has ended: let its Pods go."""
    if not situation.finished:
        return None
    return Plan(actions=tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held))


RULES = (stop_what_runs, let_go, fail)
