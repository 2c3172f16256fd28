"""The TaskRun is gone: its Pods are released, never judged."""

from taskruns.core.plan import ConfirmRunGone, Plan, ReleasePod
from taskruns.core.situation import Look, Ownerless


def confirm_gone(situation: Ownerless, look: Look) -> Plan | None:
    """Held Pods, run not seen: read it live."""
    if situation.gone or not any(pod.held for pod in situation.pods):
        return None
    return Plan(actions=(ConfirmRunGone(),))


def let_go(situation: Ownerless, look: Look) -> Plan | None:
    """Held Pods: remove our finalizer."""
    held = tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held)
    return Plan(actions=held) if held else None


RULES = (confirm_gone, let_go)
