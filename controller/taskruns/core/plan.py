"""What a decision consists of: a status to write, actions to take, a time to look again.

An engine first writes the status, if there is one, and only then takes the actions in order; when
the status cannot be written because the run has changed, nothing else of the plan happens. All
actions are safe to repeat, so a crash anywhere only leaves work that the next look does. Events
tell of a status that has been written; nobody waits for them, and one that is lost stays lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from taskruns.api.conditions import EventReason
from taskruns.api.v1alpha1 import TaskRunStatus


@dataclass(frozen=True, slots=True)
class PodRef:
    """Exactly one Pod: a name alone may mean another Pod by the time a request arrives."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create this Pod with `fieldValidation=Strict`; a Pod of the same name is read live instead.

    A refusal, or a Pod there that is not this run's, is reported in `Findings.refusal`.
    """

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReleaseGate:
    """Remove our scheduling gate, and no other, from exactly this Pod."""

    pod: PodRef


STOP_SECONDS = 1
"""The deadline of a Pod that is to stop: the shortest that the apiserver takes."""


@dataclass(frozen=True, slots=True)
class StopPod:
    """Set `spec.activeDeadlineSeconds` to STOP_SECONDS: SIGTERM, grace period, log kept."""

    pod: PodRef


@dataclass(frozen=True, slots=True)
class DiscardPod:
    """Delete a Pod that nobody claimed, only while it is as it was seen.

    First the TaskRun is read live: when it has changed since it was seen, nothing is deleted,
    for somebody else may have claimed the Pod. `resource_version` is the Pod's, a precondition.
    """

    pod: PodRef
    resource_version: str


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """Remove our finalizer from exactly this Pod."""

    pod: PodRef


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete exactly this Pod; with `resource_version` only while it is as it was seen."""

    pod: PodRef
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete the TaskRun, only while it is as it was seen."""


@dataclass(frozen=True, slots=True)
class ObserveGeneration:
    """Write this generation into `status.observedGeneration`, and nothing else of the status.

    A try is reported in `Findings.observed`, also one that the apiserver refused.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class ConfirmPodGone:
    """Read a Pod live by name; report its uid in `Findings.gone` if it is no longer there."""

    pod: PodRef


@dataclass(frozen=True, slots=True)
class ConfirmRunGone:
    """Read the TaskRun live by name; report its uid in `Findings.gone` if it is no longer there."""


@dataclass(frozen=True, slots=True)
class ReadPodEvents:
    """List the Pod's Events once; their sentences are reported in `Findings.events`."""

    pod: PodRef


Action = (
    CreatePod
    | ReleaseGate
    | StopPod
    | DiscardPod
    | ReleasePod
    | DeletePod
    | DeleteRun
    | ObserveGeneration
    | ConfirmPodGone
    | ConfirmRunGone
    | ReadPodEvents
)


class RefusalKind(StrEnum):
    """What the answer to a create means for the run (design.md, Errors of create)."""

    INVALID = "invalid"
    """400, 422: the Pod is not valid; it never will be."""
    FORBIDDEN = "forbidden"
    """403 by admission, or a quota that can never fit; it will not help to wait."""
    NAME_TAKEN = "name-taken"
    """409, and the Pod of that name is not this run's, or is being deleted."""
    NO_ROOM = "no-room"
    """403, a quota that is used up now."""
    NO_SERVICE_ACCOUNT = "no-service-account"
    """403, the service account does not exist (yet)."""
    WEBHOOK_FAILED = "webhook-failed"
    """5xx by an admission webhook, or for want of its answer: not the apiserver's own trouble."""
    NAMESPACE_GOING = "namespace-going"
    """403 or 404: the namespace is being deleted, and the run with it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A create that the apiserver answered with no, and its sentence."""

    kind: RefusalKind
    message: str
    retry_at: datetime | None = None
    """For want of room: when it is worth asking again; None: whoever knows will say."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What actions found out that the objects themselves cannot show."""

    gone: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Uids that a live read has proved absent, each with the object as last seen, if it was."""
    refusal: Refusal | None = None
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The warnings of Pods whose Events were read, by uid, oldest first."""
    observed: bool = False
    """Whether observedGeneration was written in this look: at most one write for each look."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be told to people, as a Kubernetes Event about the run."""

    reason: EventReason
    message: str
    """One line of at most a KiB, without anything that a task has printed."""
    pod: PodRef | None
    """The Pod that it is about, too."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to one look at a run. The empty plan means: nothing until something changes."""

    status: TaskRunStatus | None = None
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    """What tells of `status`, once it is written; without one there are none."""
    wake_at: datetime | None = None
    """When to look again although nothing has changed; None: never."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do now."""
        return self.status is None and not self.actions
