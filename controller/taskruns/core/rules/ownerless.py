"""The TaskRun is gone or going: its Pods are let go, never judged."""

from taskruns.core.plan import ConfirmRunGone, DeletePod, Plan, ReleasePod
from taskruns.core.situation import Look, Ownerless


def confirm_gone(situation: Ownerless, look: Look) -> Plan | None:
    """Held Pods, run not seen: read it live."""
    if situation.going or situation.gone or not any(pod.held for pod in situation.pods):
        return None
    return Plan(actions=(ConfirmRunGone(),))


def let_go(situation: Ownerless, look: Look) -> Plan | None:
    """Held Pods: remove our finalizer."""
    held = tuple(ReleasePod(pod.ref) for pod in situation.pods if pod.held)
    return Plan(actions=held) if held else None


def take_along(situation: Ownerless, look: Look) -> Plan | None:
    """Run being deleted, Pods left: delete them."""
    if not situation.going or situation.orphaning:
        return None
    owned = (pod for pod in situation.pods if pod.owner_uid == situation.uid and not pod.deleting)
    actions = tuple(DeletePod(pod.ref) for pod in owned)
    return Plan(actions=actions) if actions else None


RULES = (confirm_gone, let_go, take_along)
