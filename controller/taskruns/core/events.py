"""Kubernetes Events for changes of status, derived from the status before and after.

Rules do not create Events. Events contain no output of the task, because more people may read
Events than statuses.
"""

from collections.abc import Mapping
from datetime import datetime

from taskruns.api.conditions import EventReason, EventType, FailureKind, Phase
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import TaskRun, TaskRunStatus
from taskruns.api.v1alpha1.status import split_output
from taskruns.core.plan import Event, PodRef

MAX_EVENT_BYTES = 1024
"""Maximum size of a message in events.k8s.io/v1, in bytes; core/v1 allows more."""

_BY_REASON: Mapping[Reason | None, EventReason | None] = {
    Reason.QUOTA_EXCEEDED: EventReason.BLOCKED,
    Reason.SCHEDULING_GATED: EventReason.GATED,
    Reason.UNSCHEDULABLE: EventReason.CANNOT_START,
    Reason.START_DELAYED: EventReason.CANNOT_START,
    Reason.RESUMED: EventReason.RESUMED,
    # Every task with a second ordinary container ends like this; the Event of the end is enough.
    Reason.MAIN_ENDED: None,
}
_BY_PHASE: Mapping[Phase, EventReason] = {
    Phase.QUEUED: EventReason.BLOCKED,
    Phase.RUNNING: EventReason.STARTED,
    Phase.BACKING_OFF: EventReason.RETRYING,
    Phase.STOPPING: EventReason.STOPPING,
    Phase.SUSPENDED: EventReason.SUSPENDED,
    Phase.SUCCEEDED: EventReason.SUCCEEDED,
    Phase.FAILED: EventReason.FAILED,
    Phase.CANCELLED: EventReason.CANCELLED,
}
_WITH_POD = frozenset({Phase.PENDING, Phase.RUNNING})
_WITHOUT_POD = frozenset({EventReason.BLOCKED, EventReason.RESUMED})
"""Events between two attempts; the Pod in status then belongs to the previous attempt."""


def events_of(run: TaskRun, after: TaskRunStatus, now: datetime) -> tuple[Event, ...]:
    """Return the Events for the change from the run's status to `after`: one or none."""
    reason = _change(run.status, after)
    if reason is None:
        return ()
    message = f"Created Pod {after.pod_name} for attempt {after.attempt}"
    if reason is not EventReason.POD_CREATED:
        message = _why(reason, after)
    pod = None
    if after.pod_name and after.pod_uid and reason not in _WITHOUT_POD:
        pod = PodRef(run.metadata.namespace, after.pod_name, after.pod_uid)
    return (Event(reason, cut(message), pod, now),)


def _change(before: TaskRunStatus, after: TaskRunStatus) -> EventReason | None:
    if after.phase is Phase.PENDING and after.attempt != before.attempt:
        return EventReason.POD_CREATED
    shown, shown_before = ((each.phase, each.reason, each.message) for each in (after, before))
    if after.phase is None or shown == shown_before:
        return None
    reason = Reason.named(after.reason)
    if reason in _BY_REASON and not after.phase.terminal:
        return _BY_REASON[reason]
    if reason and reason.kind is FailureKind.INFRASTRUCTURE and after.phase in _WITH_POD:
        return EventReason.OVERDUE
    if after.phase is Phase.PENDING:
        return EventReason.CANNOT_START if reason and reason.kind else None
    return _BY_PHASE[after.phase]


def _why(reason: EventReason, after: TaskRunStatus) -> str:
    cause, _ = split_output(after.message or "")
    return f"{after.reason}: {cause}" if reason.type is EventType.WARNING else cause


def cut(message: str) -> str:
    """Truncate a message to MAX_EVENT_BYTES without splitting a character."""
    return message.encode(errors="replace")[:MAX_EVENT_BYTES].decode(errors="ignore")
