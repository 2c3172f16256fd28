"""Clean-up of Pods that are not in use: discard, stop, release and delete.

A claimed Pod is released only after its outcome is recorded, so no outcome is lost.
"""

from datetime import datetime

from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns.core import deadlines
from taskruns.core.facts import PodFacts
from taskruns.core.plan import Action, DeletePod, DiscardPod, Plan, ReleasePod, StopPod
from taskruns.core.situation import DecisionContext, Due, Ended, Finished, Missing, Underway

Alive = Finished | Due | Underway | Ended | Missing


def collect_pods(situation: Alive, context: DecisionContext) -> Plan:
    """Return the clean-up actions for every Pod that is neither in use nor about to be claimed.

    A Pod that is in no record and has no gate is left alone. The cached run may be stale, and
    another controller may have claimed that Pod since.
    """
    actions: list[Action] = []
    moments: list[datetime] = []
    for pod in situation.pods:
        if _is_in_use(pod, situation):
            continue
        if _is_unclaimed(pod, situation.run):
            actions += _discard(pod)
        elif _is_past(pod, situation.run):
            planned, at = _clear(pod, situation.run, context)
            actions += planned
            moments += [] if at is None else [at]
    return Plan(actions=tuple(actions), wake_at=deadlines.earliest(*moments))


def _is_in_use(pod: PodFacts, situation: Alive) -> bool:
    match situation:
        case Due():
            candidate = situation.candidate
            claimable = not situation.run.spec.suspend and not pod.deleting
            return candidate is not None and pod.ref == candidate.ref and claimable
        case Underway() | Ended() | Missing():
            return pod.ref.uid == situation.attempt.pod_uid
        case Finished():
            return False


def _is_unclaimed(pod: PodFacts, run: TaskRun) -> bool:
    """Return whether the Pod was never claimed: it has our gate and is in no record."""
    return pod.gated and _record(pod, run) is None


def _is_past(pod: PodFacts, run: TaskRun) -> bool:
    """Return whether the Pod belongs to a finished attempt or a finished run.

    Status keeps the last 20 records only; a Pod with an older attempt number counts as finished. A
    terminal phase is final even if other fields of the status contradict it.
    """
    if run.is_terminal:
        return True
    record = _record(pod, run)
    if record is None:
        return 0 < pod.attempt < (run.status.attempt or 0)
    return record.outcome is not None


def _record(pod: PodFacts, run: TaskRun) -> Attempt | None:
    attempts = run.status.attempts or ()
    return next((attempt for attempt in attempts if attempt.pod_uid == pod.ref.uid), None)


def _discard(pod: PodFacts) -> list[Action]:
    if not pod.deleting:
        return [DiscardPod(pod.ref, pod.resource_version)]
    return [ReleasePod(pod.ref)] if pod.held else []


def _clear(
    pod: PodFacts, run: TaskRun, context: DecisionContext
) -> tuple[list[Action], datetime | None]:
    """Return the actions for the Pod of a finished attempt, and its deletion time if later."""
    record = _record(pod, run)
    if not pod.ended:
        known = record is not None or run.is_terminal
        stoppable = known and not pod.stop_requested and not pod.deleting
        return [StopPod(pod.ref)] if stoppable else [], None
    actions: list[Action] = [ReleasePod(pod.ref)] if pod.held else []
    at = deadlines.pod_deletion_at(run, record, context.site, context.now)
    if at is None or pod.deleting:
        return actions, None
    if context.now < at:
        return actions, at
    return [*actions, DeletePod(pod.ref)], None
