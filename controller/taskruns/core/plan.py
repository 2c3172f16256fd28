"""The plan for a run: a status to write, actions to take, Events to send, a wake-up time.

An engine writes the status first, if there is one, and then takes the actions in order. If the
status write fails because the run has changed, the rest of the plan is dropped. All actions are
idempotent, so after a crash the next reconcile does the remaining work. Events are sent after the
status that they describe. Sending is best effort, and no run waits for it.
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
    """Identity of a Pod; includes the uid, because a Pod's name can be reused."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create this Pod with `fieldValidation=Strict`.

    If a Pod of that name exists, it is read live and used if this run owns it. An error, or a Pod
    that cannot be used, is reported in `Findings.refusal`.
    """

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReleaseGate:
    """Remove our scheduling gate, and no other gate, from the Pod with this uid."""

    pod: PodRef


STOP_SECONDS = 1
"""Deadline set on a Pod to stop it, in seconds: the minimum that the apiserver accepts."""


@dataclass(frozen=True, slots=True)
class StopPod:
    """Stop a Pod by setting `spec.activeDeadlineSeconds` to STOP_SECONDS.

    The kubelet sends SIGTERM and honours the grace period; the log stays readable.
    """

    pod: PodRef


@dataclass(frozen=True, slots=True)
class DiscardPod:
    """Delete an unclaimed Pod, with its uid and resourceVersion as preconditions.

    The engine reads the TaskRun live first. If the TaskRun has changed, nothing is deleted,
    because another controller may have claimed the Pod.
    """

    pod: PodRef
    resource_version: str


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """Remove our finalizer from the Pod with this uid; `resource_version`, if set, must be current.

    With it, the Pod is read live first.
    """

    pod: PodRef
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete the Pod with this uid; `resource_version`, if set, is a precondition too."""

    pod: PodRef
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete the TaskRun, with its uid and resourceVersion as preconditions."""


@dataclass(frozen=True, slots=True)
class ObserveGeneration:
    """Write this generation to `status.observedGeneration`, and change no other status field.

    `Findings.observed` is set after the request, even if the apiserver rejected it.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class ConfirmPodGone:
    """Read a Pod live by name; add its uid to `Findings.gone` if it no longer exists."""

    pod: PodRef


@dataclass(frozen=True, slots=True)
class ConfirmRunGone:
    """Read the TaskRun live by name; set `Findings.run_gone` if it no longer exists."""


@dataclass(frozen=True, slots=True)
class ReadPodEvents:
    """List the Pod's Events once and store the messages of its warnings in `Findings.events`."""

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
    """Class of an error of a Pod create (design.md, Errors of create)."""

    INVALID = "invalid"
    """400, 422, or an object that is too large to be stored: the Pod is invalid; final."""
    FORBIDDEN = "forbidden"
    """Refused by admission or a policy, or 403 by a quota that the Pod can never fit; final."""
    NAME_TAKEN = "name-taken"
    """409, and the existing Pod is not owned by this run."""
    QUOTA_EXCEEDED = "quota-exceeded"
    """403: a quota is used up at present."""
    NO_SERVICE_ACCOUNT = "no-service-account"
    """403: the service account does not exist (yet)."""
    WEBHOOK_FAILED = "webhook-failed"
    """5xx from an admission webhook or for lack of its response; not the apiserver's own error."""
    NAMESPACE_TERMINATING = "namespace-terminating"
    """403 or 404: the namespace, and so the run, is being deleted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of a Pod create, with the apiserver's message."""

    kind: RefusalKind
    message: str
    retry_at: datetime | None = None
    """For QUOTA_EXCEEDED: when to retry the create; None if the engine enqueues the run itself."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Results of the actions of one reconcile that the cached objects do not show."""

    gone: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Uids of Pods that a live read did not find, each with the last cached Pod, or None."""
    run_gone: bool = False
    """Whether a live read did not find the TaskRun."""
    refusal: Refusal | None = None
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Messages of warning Events by uid of the Pod, oldest first."""
    observed: bool = False
    """Whether observedGeneration was written in this reconcile; limits it to one write."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the run."""

    reason: EventReason
    message: str
    """One line of at most 1024 bytes, without output of the task."""
    pod: PodRef | None
    """Pod to which the Event relates as well, or None."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """Result of a decision. The empty plan means: do nothing until an object changes."""

    status: TaskRunStatus | None = None
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    """Events to send after `status` is written; empty without a status."""
    wake_at: datetime | None = None
    """Time of the next reconcile if no object changes before; None: no wake-up."""
    situation: str = field(default="", compare=False)
    """Class name of the situation in which the plan was made; for logs."""
    rule: str = field(default="", compare=False)
    """Function name of the rule that made the plan; empty if no rule applied; for logs."""

    @property
    def idle(self) -> bool:
        """Whether there is neither a status to write nor an action to take."""
        return self.status is None and not self.actions
