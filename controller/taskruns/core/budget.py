"""What a run may still try: the budgets that an attempt's end is charged to."""

from dataclasses import replace
from datetime import datetime

from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core import schedule
from taskruns.core.verdict import Verdict

MAX_REPLACEMENTS = 3
"""How often an attempt that the cluster ended before main started is replaced unasked."""

MAX_ATTEMPTS_IGNORED = 100
"""Attempts in all beyond which podFailurePolicy's Ignore is no longer followed."""


def next_due(run: TaskRun, verdict: Verdict, end: datetime) -> datetime | None:
    """When the attempt after one that ended at `end` is due; None when there is none."""
    attempts = run.status.attempts or []
    replaced = sum(attempt.outcome == Outcome.REPLACED for attempt in attempts)
    again = {
        Outcome.FAILED: (run.status.failed or 0) < (run.spec.backoff_limit or 0),
        Outcome.REPLACED: replaced < MAX_REPLACEMENTS,
        Outcome.DISRUPTED: (run.status.disrupted or 0) < (run.spec.disruption_limit or 0),
        Outcome.IGNORED: (run.status.attempt or 0) < MAX_ATTEMPTS_IGNORED,
    }
    return schedule.retry_at(run, end) if again.get(verdict.outcome) and not verdict.final else None


def explain_end(verdict: Verdict) -> Verdict:
    """Say why there is no other attempt where the verdict itself promises one."""
    if verdict.outcome == Outcome.IGNORED:
        return replace(verdict, cause=f"{verdict.cause}; {MAX_ATTEMPTS_IGNORED} attempts are all")
    if verdict.outcome == Outcome.REPLACED and not verdict.final:
        return replace(verdict, cause=f"{verdict.cause}; replaced {MAX_REPLACEMENTS} times before")
    return verdict
