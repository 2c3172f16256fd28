"""Deadlines and deletion times of a run, computed from its spec and status only.

Nothing is kept in memory between reconciles, so a restarted controller keeps every time. `retry`
computes when an attempt is due.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from taskruns.api import names
from taskruns.api.conditions import Outcome
from taskruns.api.v1alpha1 import Attempt, PodGC, PodGCStrategy, TaskRun
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


def ended_at(attempt: Attempt, end: datetime | None = None) -> datetime | None:
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
    recorded = (run.status.completion_time if is_last else None) or ended_at(attempt)
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
