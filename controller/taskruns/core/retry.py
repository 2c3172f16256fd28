"""Retries: whether another attempt follows, and when it is due, with the backoff formula."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import Attempt, Backoff, TaskRun, TaskRunStatus
from taskruns.api.v1alpha1.status import MAX_COUNT
from taskruns.core import deadlines
from taskruns.core.verdict import Verdict

MAX_REPLACEMENTS = 3
"""Maximum number of replacements: new attempts for ones that ended before main started."""

MAX_ATTEMPTS_IGNORED = 100
"""Number of attempts, without requeued ones, after which an ignored failure is not retried."""

_JITTER = 0.1
"""Largest jitter of a delay, as a fraction of it."""
_MAX_EXPONENT = 300
"""Largest exponent of the backoff; with the largest factor, 10, it does not overflow a float."""


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
    return retry_at(run, end, verdict.outcome)


def retry_at(run: TaskRun, end: datetime, outcome: Outcome | None = None) -> datetime:
    """Return when the attempt after the open one is due.

    Args:
        run: the run, without the outcome of its open attempt in status.
        end: time at which that attempt ended.
        outcome: outcome of that attempt, if known.
    """
    attempts = run.status.attempts or []
    if outcome is not None and attempts and attempts[-1].outcome is None:
        ended = {"outcome": outcome, "finished_time": attempts[-1].finished_time or end}
        attempts = [*attempts[:-1], attempts[-1].model_copy(update=ended)]
    return _due_after(run, attempts, end) or end


def due_at(run: TaskRun, now: datetime) -> datetime:
    """Return when the next attempt of a run without an open one is due; `now` for a new run."""
    return _due_after(run, run.status.attempts or []) or now


def open_since(run: TaskRun, now: datetime) -> datetime:
    """Return when the open attempt was due; `now` if status does not show it."""
    return _due_after(run, (run.status.attempts or [])[:-1]) or now


def _due_after(
    run: TaskRun, attempts: Sequence[Attempt], end: datetime | None = None
) -> datetime | None:
    start = run.status.start_time
    ended = deadlines.ended_at(attempts[-1], end) if attempts else None
    if ended is None or attempts[-1].outcome is Outcome.STOPPED:
        return start
    retry = _retry_number(run, attempts[-1])
    delay = backoff_delay(run.spec.backoff or Backoff(), retry, run.metadata.uid)
    due = deadlines.later(ended, delay)
    return due if start is None else max(start, due)


def _retry_number(run: TaskRun, attempt: Attempt) -> int:
    """Return the number of the retry after an attempt, from 0; the exponent of its backoff.

    Requeued attempts do not count, because their queue decides when the next one may start.
    """
    if attempt.outcome is Outcome.REQUEUED:
        return 0
    return max(attempt.number - 1 - (run.status.requeued or 0), 0)


def backoff_delay(backoff: Backoff, retry: int, uid: str) -> timedelta:
    """Return the delay before a retry (0 is the first), with jitter derived from the uid."""
    growth = backoff.factor ** min(retry, _MAX_EXPONENT)
    seconds = min(backoff.duration.total_seconds() * growth, backoff.longest.total_seconds())
    return timedelta(seconds=min(seconds * (1 + _JITTER * deadlines.jitter(uid, retry)), 1e13))


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
