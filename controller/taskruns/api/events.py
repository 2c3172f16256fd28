"""The words in which Kubernetes Events tell what became of a run: their reasons and types.

An Event is for whoever looks: it is cut, dropped and expires, and the status alone is the truth.
"""

from enum import StrEnum
from typing import Self


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
