"""Phases, failure kinds, outcomes, conditions and Event reasons of a TaskRun."""

from enum import StrEnum
from typing import Self


class Phase(StrEnum):
    """Where a run stands, for printing and for a quick look; conditions are for machines."""

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
        """Whether the run has ended: nothing of it runs, and its status never changes again."""
        return self in TERMINAL_PHASES


TERMINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})


class FailureKind(StrEnum):
    """Whose failure it was: what a client should do about it follows from this."""

    APPLICATION = "Application"
    INFRASTRUCTURE = "Infrastructure"
    CONFIGURATION = "Configuration"
    TIMEOUT = "Timeout"
    CANCELLED = "Cancelled"


class Outcome(StrEnum):
    """How one attempt ended, and which budget it was charged to."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """Charged to `backoffLimit`."""
    DISRUPTED = "Disrupted"
    """The cluster ended it after its main container may have started."""
    REPLACED = "Replaced"
    """The cluster ended it before its main container started: no work is repeated."""
    REQUEUED = "Requeued"
    """Its queue (Kueue) took it out; charged to nothing, and queued again."""
    IGNORED = "Ignored"
    """A podFailurePolicy rule says that it does not count."""
    STOPPED = "Stopped"
    """taskruns stopped it: cancel, suspend, a deadline, or a start that cannot come."""


class ConditionType(StrEnum):
    """The types in `status.conditions`."""

    COMPLETE = "Complete"
    """True when the run succeeded (as on a Job)."""
    FAILED = "Failed"
    """True when the run failed or was cancelled (as on a Job)."""
    FINISHED = "Finished"
    """True on either end, for one `kubectl wait --for=condition=Finished`."""
    SUSPENDED = "Suspended"
    """True while suspended, False after a resume (as on a Job)."""
    RECONCILING = "Reconciling"
    """True while the run is on its way (kstatus)."""
    STALLED = "Stalled"
    """True when the run failed, so that kstatus and Helm stop waiting for it."""
    POD_REFUSED = "PodRefused"
    """True while no Pod is let in for want of what somebody may provide soon; since when."""
    RESULT_STORED = "ResultStored"
    """False, with reason ResultTooLarge, when a result was cut and so was not stored."""


class EventType(StrEnum):
    """The two types that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


class EventReason(StrEnum):
    """Which change of a run an Event tells of. Why it came is in the Event's message."""

    type: EventType
    meaning: str

    def __new__(cls, value: str, type_: EventType, meaning: str) -> Self:
        """Make a member that is its own value and carries its documentation."""
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
        "The Pod waits at somebody else's scheduling gate.",
    )
    CANNOT_START = (
        "CannotStart",
        EventType.WARNING,
        "Main cannot start: no node, no image, or what its configuration names is missing.",
    )
    STOPPING = (
        "Stopping",
        EventType.NORMAL,
        "The attempt is being stopped: cancelled, suspended, past a deadline, or without a start.",
    )
    OVERDUE = (
        "Overdue",
        EventType.WARNING,
        "Somebody deleted the Pod, and its node does not say that it has ended.",
    )
    RETRYING = (
        "Retrying",
        EventType.WARNING,
        "An attempt ended and there will be another.",
    )
    SUSPENDED = (
        "Suspended",
        EventType.NORMAL,
        "spec.suspend is true and nothing of the run is running any more.",
    )
    RESUMED = (
        "Resumed",
        EventType.NORMAL,
        "spec.suspend was taken back.",
    )
    SUCCEEDED = (
        "Succeeded",
        EventType.NORMAL,
        "The run has ended, and well.",
    )
    FAILED = (
        "Failed",
        EventType.WARNING,
        "The run has ended without success.",
    )
    CANCELLED = (
        "Cancelled",
        EventType.NORMAL,
        "The run has ended because somebody asked for it.",
    )
