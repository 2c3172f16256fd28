"""Deadlines and due times of a run, computed from its spec and status only.

Nothing is kept in memory between reconciles, so a restarted controller keeps every due time.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from taskruns.api import names
from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import Attempt, Backoff, PodGC, PodGCStrategy, TaskRun
from taskruns.core.defaults import SiteDefaults

FAR = datetime.max.replace(tzinfo=UTC)
"""The latest time; used for times that overflow."""

RUNNING_SHOWN_AFTER = timedelta(seconds=2)
"""Time that main runs before phase Running is written; saves that write for short runs.

The kubelet truncates startedAt to the second, so main has run for at least one second.
"""

OVERDUE_SHOWN_AFTER = timedelta(seconds=10)
"""Delay after a deleted Pod's grace period before its status shows it as overdue."""

EXIT_CODE_PATIENCE = timedelta(seconds=30)
"""Time to wait for main's exit code after the Pod's end was reported.

The kubelet reports it within moments unless it dies in between.
"""

QUOTA_RETRY = timedelta(seconds=10)
"""Interval at which a create is retried while a quota is used up, before jitter."""

NO_SERVICE_ACCOUNT_RETRY = timedelta(seconds=2)
"""Interval at which a create is retried while the service account is missing, before jitter.

It is short because a new namespace gets its default service account after a moment.
"""

WEBHOOK_RETRY = timedelta(seconds=6)
"""Interval at which a create is retried while a webhook fails, before jitter."""

ADMISSION_PATIENCE = timedelta(seconds=60)
"""Time for which a create is retried while a prerequisite (service account, webhook) is missing."""

_JITTER = 0.1
_MAX_EXPONENT = 300


def later(moment: datetime, delay: timedelta) -> datetime:
    """Return a moment plus a delay; FAR if the sum overflows."""
    try:
        return moment + delay
    except OverflowError:
        return FAR


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the earliest of some moments; None if there is none before FAR."""
    return min((each for each in moments if each is not None and each < FAR), default=None)


def deadline_at(run: TaskRun) -> datetime | None:
    """Return when activeDeadlineSeconds ends, counted from status.startTime, or None."""
    seconds, start = run.spec.active_deadline_seconds, run.status.start_time
    return None if seconds is None or start is None else later(start, timedelta(seconds=seconds))


def attempt_deadline_at(run: TaskRun, started_at: datetime | None) -> datetime | None:
    """Return when attemptDeadlineSeconds ends, counted from main's start, or None."""
    seconds = run.spec.attempt_deadline_seconds
    if seconds is None or started_at is None:
        return None
    return later(started_at, timedelta(seconds=seconds))


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
    ended = _ended_at(attempts[-1], end) if attempts else None
    if ended is None or attempts[-1].outcome is Outcome.STOPPED:
        return start
    retry = _retry_number(run, attempts[-1])
    delay = backoff_delay(run.spec.backoff or Backoff(), retry, run.metadata.uid)
    due = later(ended, delay)
    return due if start is None else max(start, due)


def _retry_number(run: TaskRun, attempt: Attempt) -> int:
    """Return the number of the retry after an attempt, from 0; the exponent of its backoff.

    Requeued attempts do not count, because their queue decides when the next one may start.
    """
    if attempt.outcome is Outcome.REQUEUED:
        return 0
    return max(attempt.number - 1 - (run.status.requeued or 0), 0)


def _ended_at(attempt: Attempt, end: datetime | None = None) -> datetime | None:
    """Return when an attempt ended; `end` for an attempt whose outcome is not recorded yet.

    Another client may write a finished record without an end time. Its latest time is used instead,
    because a due time that is counted from the current time is never reached. A record without any
    time gives None.
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
    """Return when scheduleTimeoutSeconds ends for an attempt that was due at `due`, or None."""
    seconds = run.spec.schedule_timeout_seconds
    return None if seconds is None else later(due, timedelta(seconds=seconds))


def startup_timeout_at(
    run: TaskRun, scheduled_at: datetime | None, site: SiteDefaults
) -> datetime | None:
    """Return when startupTimeoutSeconds ends for a Pod scheduled at `scheduled_at`, or None."""
    if scheduled_at is None:
        return None
    seconds = run.spec.startup_timeout_seconds or site.startup_timeout_seconds
    return later(scheduled_at, timedelta(seconds=seconds))


def backoff_delay(backoff: Backoff, retry: int, uid: str) -> timedelta:
    """Return the delay before a retry (0 is the first), with jitter derived from the uid."""
    growth = backoff.factor ** min(retry, _MAX_EXPONENT)
    seconds = min(backoff.duration.total_seconds() * growth, backoff.longest.total_seconds())
    return timedelta(seconds=min(seconds * (1 + _JITTER * jitter(uid, retry)), 1e13))


def jitter(uid: str, number: int) -> float:
    """Return a fraction from 0 to 1, a pure function of the arguments."""
    digest = hashlib.sha256(f"{uid}/{number}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def pod_deletion_at(
    run: TaskRun, attempt: Attempt | None, site: SiteDefaults, now: datetime
) -> datetime | None:
    """Return when the Pod of a finished attempt is to be deleted.

    Args:
        run: the run, which holds podGC and the annotation `collected`.
        attempt: the attempt's record; None if it is no longer among those kept in status.
        site: the administrator's defaults.
        now: the time, in UTC.

    Returns:
        datetime | None: None if the Pod is kept until its TaskRun is deleted.
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
    """Return when the TTL of a finished run ends, or None if it is never deleted.

    If another client removed completionTime, the TTL counts from the run's creation.
    """
    seconds = run.spec.ttl_seconds_after_finished
    if seconds is None:
        seconds = site.ttl_seconds_after_finished
    ended = run.status.completion_time or run.metadata.creation_timestamp
    if seconds < 0 or ended is None:
        return None
    return later(ended, timedelta(seconds=seconds))
