"""Rules for a TaskRun that is being deleted: delete its Pods and record the outcome.

The object still exists because of a finalizer of another program, or because foreground deletion
waits for the Pods. TaskRuns have none of our finalizers. The finalizer on the running attempt's Pod
stays until the Pod has ended, but no longer than its grace period plus OVERDUE_SHOWN_AFTER.
"""

from dataclasses import replace
from datetime import datetime

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt
from taskruns.core import deadlines, status
from taskruns.core.facts import PodFacts
from taskruns.core.plan import DeletePod, Plan, ReleasePod
from taskruns.core.retry import next_due
from taskruns.core.rules import ended, no_attempt
from taskruns.core.situation import (
    DecisionContext,
    Deleting,
    Due,
    Ended,
    Missing,
    Underway,
    Unreadable,
)
from taskruns.core.verdict import finished_at, judge_deleted


def record_end(situation: Deleting, context: DecisionContext) -> Plan | None:
    """Pod ended: record its outcome and the run's end."""
    apart = situation.apart
    if not isinstance(apart, Ended):
        return None
    waiting = ended.await_exit_code(apart, context)
    return waiting or _conclude(situation, apart.attempt, apart.pod, context)


def record_missing(situation: Deleting, context: DecisionContext) -> Plan | None:
    """Claimed Pod not in the cache: read it live, then record the run's end."""
    apart = situation.apart
    if not isinstance(apart, Missing):
        return None
    confirming = ended.confirm_missing(apart, context)
    return confirming or _conclude(situation, apart.attempt, apart.last_seen, context)


def release(situation: Deleting, context: DecisionContext) -> Plan | None:
    """Pods with our finalizer, except a running attempt's: remove the finalizer."""
    held = (pod for pod in situation.pods if pod.held and not _is_awaited(pod, situation, context))
    # With the resourceVersion, a Pod that has ended since is judged before it is released.
    actions = tuple(ReleasePod(pod.ref, pod.resource_version) for pod in held)
    return Plan(actions=actions) if actions else None


def delete_pods(situation: Deleting, context: DecisionContext) -> Plan | None:
    """Pods of the run exist: delete them, unless they are orphaned."""
    pods = (pod for pod in situation.pods if _is_ours(pod, situation) and not pod.deleting)
    # With the resourceVersion as a precondition, a Pod that the garbage collector has orphaned
    # since is not deleted.
    actions = tuple(DeletePod(pod.ref, pod.resource_version) for pod in pods)
    return Plan(actions=actions) if actions else None


def await_end(situation: Deleting, context: DecisionContext) -> Plan | None:
    """Pods of the run have not ended: wait for their end."""
    apart = situation.apart
    if isinstance(apart, Underway):
        at = _release_at(apart.pod)
        awaited = apart.pod.held and _is_awaited(apart.pod, situation, context)
        return Plan(wake_at=at if awaited else None)
    live = (pod for pod in apart.pods if not pod.gated and not pod.ended)
    return Plan() if any(_is_ours(pod, situation) for pod in live) else None


def end(situation: Deleting, context: DecisionContext) -> Plan | None:
    """No Pod runs: Cancelled, TaskRunDeleted."""
    if isinstance(situation.apart, Unreadable) and not situation.apart.finished:
        return no_attempt.fail(situation.apart, context)
    if not isinstance(situation.apart, Due):
        return None
    reason = Reason.TASK_RUN_DELETED
    message = "The TaskRun was deleted while no Pod of it was running"
    return Plan(status=status.failed(situation.run, reason, message, context.now))


def _conclude(
    situation: Deleting, attempt: Attempt, pod: PodFacts | None, context: DecisionContext
) -> Plan:
    run = situation.run
    verdict = judge_deleted(pod, attempt, run, situation.deleted_at)
    if next_due(run, verdict, finished_at(pod, context.now)) is not None:
        cause = f"{verdict.cause}; the TaskRun was deleted, so no other attempt follows"
        verdict = replace(verdict, cause=cause)
    return Plan(status=status.concluded(run, pod, verdict, context.now, context.site.place))


def _is_ours(pod: PodFacts, situation: Deleting) -> bool:
    """Return whether the deletion of the run also deletes this Pod."""
    return not situation.orphaning and pod.owner_uid == situation.run.metadata.uid


def _is_awaited(pod: PodFacts, situation: Deleting, context: DecisionContext) -> bool:
    """Return whether our finalizer must stay on the Pod until its outcome is recorded."""
    apart = situation.apart
    if not isinstance(apart, Underway) or pod.ref != apart.pod.ref:
        return False
    at = _release_at(pod)
    return _is_ours(pod, situation) and (at is None or context.now < at)


def _release_at(pod: PodFacts) -> datetime | None:
    due = pod.deletion_due
    return None if due is None else deadlines.later(due, deadlines.OVERDUE_SHOWN_AFTER)


RULES = (record_end, record_missing, release, delete_pods, await_end, end)
