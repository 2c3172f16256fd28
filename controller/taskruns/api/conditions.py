"""Phases, failure kinds, outcomes, conditions and Event reasons of a TaskRun."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self


class Phase(StrEnum):
    """Phase of a run, for display; programs should read the conditions instead."""

    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    PENDING = "Pending"
    RUNNING = "Running"
    BACKING_OFF = "BackingOff"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the run has ended.

        None of its Pods runs, and only observedGeneration still changes in its status.
        """
        return self in TERMINAL_PHASES


TERMINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


def is_terminal(run: Mapping[str, Any]) -> bool:
    """Return whether a TaskRun is in a terminal phase; False for a status that cannot be read.

    Args:
        run: the TaskRun in wire form, possibly not validated.
    """
    status = run.get("status")
    phase = status.get("phase") if isinstance(status, dict | Mapping) else None
    return isinstance(phase, str) and phase in TERMINAL_PHASES


class FailureKind(StrEnum):
    """Class of a failure; it determines what a client should do."""

    APPLICATION = "Application"
    INFRASTRUCTURE = "Infrastructure"
    CONFIGURATION = "Configuration"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"


class Outcome(StrEnum):
    """How an attempt ended, and which limit counts it."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """Counted by `backoffLimit`."""
    DISRUPTED = "Disrupted"
    """Ended by the cluster after main may have started; counted by `disruptionLimit`."""
    REPLACED = "Replaced"
    """Ended by the cluster before main started; the replacement repeats no work."""
    REQUEUED = "Requeued"
    """Ended by its queue (Kueue) and queued again; counted by no limit."""
    IGNORED = "Ignored"
    """Ignored by a podFailurePolicy rule; counted by no limit."""
    STOPPED = "Stopped"
    """Stopped by taskruns: cancel, suspend, a deadline, or a start-up failure."""


class ConditionType(StrEnum):
    """Types of the conditions in `status.conditions`."""

    COMPLETE = "Complete"
    """True when the run succeeded (as on a Job)."""
    FAILED = "Failed"
    """True when the run failed or was cancelled (as on a Job)."""
    FINISHED = "Finished"
    """True when the run has ended in any way, for `kubectl wait --for=condition=Finished`."""
    SUSPENDED = "Suspended"
    """True while suspended, False after a resume (as on a Job)."""
    RECONCILING = "Reconciling"
    """True until the run has ended (kstatus)."""
    STALLED = "Stalled"
    """True when the run failed, so that kstatus and Helm stop waiting for it."""
    POD_REFUSED = "PodRefused"
    """True while Pod creation is rejected for a transient reason, since its transition time."""
    RESULT_STORED = "ResultStored"
    """False, with reason ResultTooLarge, if the result was truncated and so not stored."""


class EventType(StrEnum):
    """Types of Kubernetes Events."""

    NORMAL = "Normal"
    WARNING = "Warning"


class EventReason(StrEnum):
    """Reason of a Kubernetes Event: the change of the run. Its cause is in the Event's message."""

    type: EventType
    meaning: str

    def __new__(cls, value: str, type_: EventType, meaning: str) -> Self:
        """Create a member whose value is a string, with type and meaning as attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.type = type_
        member.meaning = meaning
        return member

    POD_CREATED = (
        "PodCreated",
        EventType.NORMAL,
        "The Pod of an attempt was created and may be scheduled.",
    )
    STARTED = (
        "Started",
        EventType.NORMAL,
        "The main container has been running for more than a second; shorter tasks skip it.",
    )
    BLOCKED = (
        "Blocked",
        EventType.WARNING,
        "No Pod can be created yet: a quota is used up, or the service account is missing.",
    )
    GATED = (
        "Gated",
        EventType.NORMAL,
        "The Pod waits at a scheduling gate of another controller.",
    )
    CANNOT_START = (
        "CannotStart",
        EventType.WARNING,
        "Main cannot start: no node, no image, or an object that its configuration names.",
    )
    STOPPING = (
        "Stopping",
        EventType.NORMAL,
        "The attempt is being stopped: cancelled, suspended, past a deadline, or unable to start.",
    )
    OVERDUE = (
        "Overdue",
        EventType.WARNING,
        "The Pod was deleted, and its node has not reported that it ended.",
    )
    RETRYING = (
        "Retrying",
        EventType.WARNING,
        "An attempt ended and another follows.",
    )
    SUSPENDED = (
        "Suspended",
        EventType.NORMAL,
        "spec.suspend is true and nothing of the run is running.",
    )
    RESUMED = (
        "Resumed",
        EventType.NORMAL,
        "spec.suspend was set to false or removed.",
    )
    SUCCEEDED = (
        "Succeeded",
        EventType.NORMAL,
        "The run ended successfully.",
    )
    FAILED = (
        "Failed",
        EventType.WARNING,
        "The run failed.",
    )
    CANCELLED = (
        "Cancelled",
        EventType.NORMAL,
        "The run was cancelled, or its TaskRun was deleted.",
    )
