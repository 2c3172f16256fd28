"""When things are due: every clock of a run, computed from its spec and status alone.

Nothing is remembered between looks, so a restarted controller keeps every due time.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from taskruns.api import names
from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import Attempt, Backoff, PodGC, PodGCStrategy, TaskRun
from taskruns.core.defaults import SiteDefaults

FAR = datetime.max.replace(tzinfo=UTC)
"""Later than anything; what a time too far to be counted becomes."""

RUNNING_SHOWN_AFTER = timedelta(seconds=2)
"""How long main runs before phase Running is written: short runs save that write.

The kubelet reports startedAt cut to the second, so this is one second of work at least.
"""

OVERDUE_SHOWN_AFTER = timedelta(seconds=10)
"""How long after its grace period a deleted Pod may go on before that is shown."""

LAST_WORDS_PATIENCE = timedelta(seconds=30)
"""How long a Pod that has ended is asked for its main container's exit code. The kubelet tells it
in the next moment, unless it dies in between.
"""

NO_ROOM_RETRY = timedelta(seconds=10)
NO_SERVICE_ACCOUNT_RETRY = timedelta(seconds=2)
"""A new namespace gets its default service account a moment after it can be used."""

WEBHOOK_RETRY = timedelta(seconds=6)
ADMISSION_PATIENCE = timedelta(seconds=60)
"""How long it is waited for what a create needs and somebody else has to provide."""

_JITTER = 0.1
_MAX_EXPONENT = 300


def later(moment: datetime, delay: timedelta) -> datetime:
    """Add a delay to a moment; FAR where the sum cannot be counted."""
    try:
        return moment + delay
    except OverflowError:
        return FAR


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the first of some moments; None when there is none before FAR."""
    return min((found for found in moments if found is not None and found < FAR), default=None)


def deadline_at(run: TaskRun) -> datetime | None:
    """When activeDeadlineSeconds is over, counted from the first look at the run."""
    seconds, start = run.spec.active_deadline_seconds, run.status.start_time
    return None if seconds is None or start is None else later(start, timedelta(seconds=seconds))


def attempt_deadline_at(run: TaskRun, started_at: datetime | None) -> datetime | None:
    """When attemptDeadlineSeconds is over, counted from the start of main."""
    seconds = run.spec.attempt_deadline_seconds
    if seconds is None or started_at is None:
        return None
    return later(started_at, timedelta(seconds=seconds))


def retry_at(run: TaskRun, end: datetime, outcome: Outcome | None = None) -> datetime:
    """Return when the attempt after the open one is due.

    Args:
        run: the run; its open attempt is not recorded yet.
        end: when that attempt ended.
        outcome: how it ended.
    """
    attempts = run.status.attempts or []
    if outcome is not None and attempts and attempts[-1].outcome is None:
        ended = {"outcome": outcome, "finished_time": attempts[-1].finished_time or end}
        attempts = [*attempts[:-1], attempts[-1].model_copy(update=ended)]
    return _due_after(run, attempts, end) or end


def due_at(run: TaskRun, now: datetime) -> datetime:
    """When the next attempt is due of a run that has none open; `now` for one just seen."""
    return _due_after(run, run.status.attempts or []) or now


def open_since(run: TaskRun, now: datetime) -> datetime:
    """When the open attempt was due."""
    return _due_after(run, (run.status.attempts or [])[:-1]) or now


def _due_after(
    run: TaskRun, attempts: Sequence[Attempt], end: datetime | None = None
) -> datetime | None:
    start = run.status.start_time
    ended = _ended_at(attempts[-1], end) if attempts else None
    if ended is None or attempts[-1].outcome is Outcome.STOPPED:
        return start
    retry = _retry_number(run, attempts[-1])
    delay = backoff_delay(run.spec.backoff or Backoff(), retry, run.metadata.uid)
    due = later(ended, delay)
    return due if start is None else max(start, due)


def _retry_number(run: TaskRun, attempt: Attempt) -> int:
    """Return the number, from 0, of the retry after an attempt, which its backoff grows with.

    A requeued attempt has no part in that: its queue decides when the next one may start.
    """
    if attempt.outcome is Outcome.REQUEUED:
        return 0
    return max(attempt.number - 1 - (run.status.requeued or 0), 0)


def _ended_at(attempt: Attempt, end: datetime | None = None) -> datetime | None:
    """When an attempt ended; `end` for one that is not recorded yet.

    A record without an end is forged. It counts from the last that it tells of: what was counted
    from each look anew would never be due. One that tells nothing has no end.
    """
    if attempt.outcome is None and end is not None:
        return attempt.finished_time or end
    return (
        attempt.finished_time
        or attempt.started_time
        or attempt.scheduled_time
        or attempt.created_time
    )


def schedule_timeout_at(run: TaskRun, due: datetime) -> datetime | None:
    """When scheduleTimeoutSeconds is over for an attempt that was due at `due`."""
    seconds = run.spec.schedule_timeout_seconds
    return None if seconds is None else later(due, timedelta(seconds=seconds))


def startup_timeout_at(
    run: TaskRun, scheduled_at: datetime | None, site: SiteDefaults
) -> datetime | None:
    """When startupTimeoutSeconds is over for a Pod that got its node at `scheduled_at`."""
    if scheduled_at is None:
        return None
    seconds = run.spec.startup_timeout_seconds or site.startup_timeout_seconds
    return later(scheduled_at, timedelta(seconds=seconds))


def backoff_delay(backoff: Backoff, retry: int, uid: str) -> timedelta:
    """Return the wait before a retry (0 is the first), spread so that runs do not go in step."""
    growth = backoff.factor ** min(retry, _MAX_EXPONENT)
    seconds = min(backoff.duration.total_seconds() * growth, backoff.longest.total_seconds())
    return timedelta(seconds=min(seconds * (1 + _JITTER * jitter(uid, retry)), 1e13))


def jitter(uid: str, number: int) -> float:
    """Return a fraction from 0 to 1 that is always the same for the same arguments."""
    digest = hashlib.sha256(f"{uid}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def pod_deletion_at(
    run: TaskRun, attempt: Attempt | None, site: SiteDefaults, now: datetime
) -> datetime | None:
    """When the Pod of a recorded attempt is deleted; None: it is kept until its TaskRun goes.

    `attempt` is its record; None for one so old that its record is gone.
    """
    gc = run.spec.pod_gc or PodGC()
    succeeded = attempt is not None and attempt.outcome == Outcome.SUCCEEDED
    if gc.strategy == PodGCStrategy.NEVER:
        return None
    if gc.strategy == PodGCStrategy.ON_POD_SUCCESS and not succeeded:
        return None
    if attempt is None:
        return now
    if run.metadata.annotations.get(names.ANNOTATION_COLLECTED) == attempt.pod_uid:
        return now
    is_last = attempt.pod_uid == run.status.pod_uid
    recorded = (run.status.completion_time if is_last else None) or _ended_at(attempt)
    delay = site.delete_delay if gc.delete_delay_duration is None else gc.delete_delay_duration
    return now if recorded is None else later(recorded, delay)


def run_deletion_at(run: TaskRun, site: SiteDefaults) -> datetime | None:
    """When a run that has ended is deleted; None: never.

    An end without its time, which only a forger writes, counts from the creation.
    """
    seconds = run.spec.ttl_seconds_after_finished
    if seconds is None:
        seconds = site.ttl_seconds_after_finished
    ended = run.status.completion_time or run.metadata.creation_timestamp
    if seconds < 0 or ended is None:
        return None
    return later(ended, timedelta(seconds=seconds))
