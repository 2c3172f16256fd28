"""Retries: whether another attempt follows, by the limit that applies to the outcome."""

from dataclasses import replace
from datetime import datetime

from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import TaskRun, TaskRunStatus
from taskruns.api.v1alpha1.status import MAX_COUNT
from taskruns.core import deadlines
from taskruns.core.verdict import Verdict

MAX_REPLACEMENTS = 3
"""Maximum number of replacements: new attempts for ones that ended before main started."""

MAX_ATTEMPTS_IGNORED = 100
"""Number of attempts, without requeued ones, after which an ignored failure is not retried."""


def next_due(run: TaskRun, verdict: Verdict, end: datetime) -> datetime | None:
    """Return when the attempt after the open one is due, or None if there is none.

    Args:
        run: the run, without the outcome of its open attempt in status.
        verdict: the verdict on that attempt.
        end: time at which that attempt ended.
    """
    status = run.status
    attempts = (status.attempt or 0) - (status.requeued or 0)
    again = {
        Outcome.FAILED: (status.failed or 0) < (run.spec.backoff_limit or 0),
        Outcome.REPLACED: replacements(status) < MAX_REPLACEMENTS,
        Outcome.DISRUPTED: (status.disrupted or 0) < (run.spec.disruption_limit or 0),
        Outcome.REQUEUED: (status.attempt or 0) < MAX_COUNT,
        Outcome.IGNORED: attempts < MAX_ATTEMPTS_IGNORED,
    }
    if verdict.final or not again.get(verdict.outcome):
        return None
    return deadlines.retry_at(run, end, verdict.outcome)


def replacements(status: TaskRunStatus) -> int:
    """Return how many attempts have been replaced.

    Older controllers wrote no count. The recorded attempts, at most 20, are counted instead.
    """
    if status.replaced is not None:
        return status.replaced
    return sum(attempt.outcome == Outcome.REPLACED for attempt in status.attempts or ())


def explain_end(verdict: Verdict) -> Verdict:
    """Add to a verdict why no attempt follows, if its outcome normally leads to another one."""
    if verdict.outcome == Outcome.IGNORED:
        return replace(
            verdict, cause=f"{verdict.cause}; {MAX_ATTEMPTS_IGNORED} attempts are the limit"
        )
    if verdict.outcome == Outcome.REPLACED and not verdict.final:
        return replace(verdict, cause=f"{verdict.cause}; replaced {MAX_REPLACEMENTS} times before")
    return verdict
