"""What a run may still try: the budgets that an attempt's end is charged to."""

from dataclasses import replace
from datetime import datetime

from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import TaskRun, TaskRunStatus
from taskruns.api.v1alpha1.status import MAX_COUNT
from taskruns.core import deadlines
from taskruns.core.verdict import Verdict

MAX_REPLACEMENTS = 3
"""How often an attempt that the cluster ended before main started is replaced unasked."""

MAX_ATTEMPTS_IGNORED = 100
"""Attempts in all, requeued ones excepted, up to which podFailurePolicy's Ignore is followed."""


def next_due(run: TaskRun, verdict: Verdict, end: datetime) -> datetime | None:
    """When the attempt after one that ended at `end` is due; None when there is none."""
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

    A status of an older controller has no count; its records are the last 20.
    """
    if status.replaced is not None:
        return status.replaced
    return sum(attempt.outcome == Outcome.REPLACED for attempt in status.attempts or ())


def explain_end(verdict: Verdict) -> Verdict:
    """Say why there is no other attempt where the verdict itself promises one."""
    if verdict.outcome == Outcome.IGNORED:
        return replace(verdict, cause=f"{verdict.cause}; {MAX_ATTEMPTS_IGNORED} attempts are all")
    if verdict.outcome == Outcome.REPLACED and not verdict.final:
        return replace(verdict, cause=f"{verdict.cause}; replaced {MAX_REPLACEMENTS} times before")
    return verdict
