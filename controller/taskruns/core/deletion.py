"""How an attempt ended whose TaskRun was being deleted."""

from dataclasses import replace
from datetime import datetime

from taskruns.api.conditions import Outcome
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns.core.facts import PodFacts
from taskruns.core.verdict import Verdict, judge, judge_gone


def judge_deleted(
    pod: PodFacts | None, attempt: Attempt, run: TaskRun, deleted_at: datetime | None
) -> Verdict:
    """Judge an attempt that ended while its TaskRun was being deleted.

    An end of its own stands: exit code 0, a stop that was recorded, an eviction, an end before the
    deletion. Any other is the deletion's.

    Args:
        pod: the Pod that has ended, or as it was last seen; None when it was never seen.
        attempt: the record of the attempt.
        run: the TaskRun.
        deleted_at: when it was deleted; None when that cannot be read.
    """
    policy = run.spec.pod_failure_policy
    if attempt.outcome is not None:
        reason = Reason.named(attempt.reason) or Reason.FINAL_STATE_UNKNOWN
        cause = attempt.message or reason.meaning.rstrip(".")
        return Verdict(attempt.outcome, reason, cause, final=bool(attempt.final))
    if attempt.stop_time is not None and attempt.reason != Reason.SUSPENDED:
        return judge_gone(pod, attempt, policy)
    unstopped = attempt.model_copy(update={"stop_time": None, "reason": None, "message": None})
    if pod is None or not _has_ended(pod):
        return _deleted(pod, attempt)
    if _ended_before(pod, deleted_at):
        pod = replace(pod, deleting=False)
    verdict = judge(pod, unstopped, policy=None)
    if verdict.reason is Reason.POD_DELETED:
        return _deleted(pod, attempt, verdict.output)
    return judge(pod, unstopped, policy)


def _has_ended(pod: PodFacts) -> bool:
    return pod.ended or pod.main.ending is not None


def _ended_before(pod: PodFacts, deleted_at: datetime | None) -> bool:
    """Whether main exited before the deletion; times are cut to the second."""
    exited = pod.main.exited
    if exited is None or exited.finished_at is None or deleted_at is None:
        return False
    return exited.finished_at < deleted_at


def _deleted(pod: PodFacts | None, attempt: Attempt, output: str = "") -> Verdict:
    cause = "The TaskRun was deleted"
    if pod is not None and pod.main.exited is not None:
        cause += f"; container {pod.main.name} exited with code {pod.main.exited.exit_code}"
    elif attempt.started_time is not None or (pod is not None and pod.main.has_run):
        cause += "; the exit code of its main container is unknown"
    elif pod is not None:
        cause += " before its main container started"
    return Verdict(Outcome.STOPPED, Reason.TASK_RUN_DELETED, cause, output)
