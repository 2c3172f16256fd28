"""What an engine must be able to do, and the only ways in which it may fail.

Objects are plain mappings in Kubernetes' wire form; they are never changed once handed over.
Every write names the uid it means. "Gone" (None) always rests on an answer of the runtime itself:
there is no such object, or the name now belongs to another uid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a command line that shows a record has no need of the models
    from taskruns.core.plan import Event, PodRef, Refusal

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunRef:
    """Exactly one TaskRun."""

    namespace: str
    name: str
    uid: str


class EngineError(Exception):
    """A request that did not do what it was asked to."""


class Conflict(EngineError):
    """The object has changed since it was seen: read it again and decide anew."""


class AlreadyExists(EngineError):
    """There is an object of that name."""


class Refused(EngineError):
    """A create was answered with a no that belongs to the run, not to the moment."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Unavailable(EngineError):
    """The runtime could not answer now (overload, restart, network): try the same again later.

    `retry_after` is in seconds; None leaves it to the caller.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Engine(Protocol):
    """A runtime that keeps TaskRuns and Pods. Any method that is awaited may raise Unavailable."""

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun live; None when there is none of that name."""

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Read a Pod live; None when there is none of that name."""

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        """List the sentences of the Pod's warnings, oldest first."""

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Merge `patch` (it holds metadata.resourceVersion and status) into the run's status.

        Raises Conflict when the run has changed. None when it is gone.
        """

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod. Raises AlreadyExists or Refused."""

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our scheduling gate; a Pod without it stays as it is. None when gone."""

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """End the Pod's containers with its grace period, keeping logs. None when gone."""

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer; a Pod without it stays as it is. None when gone."""

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Delete the Pod; None when it is gone, the Pod while it is still terminating.

        With `resource_version` raises Conflict when the Pod has changed.
        """

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun; None when it is gone. Raises Conflict when it has changed."""

    def record_event(self, run: RunRef, event: Event) -> None:
        """Take note of an Event about a run, to be told when there is time, or never.

        Returns at once and does not fail: no run waits for an Event.
        """
