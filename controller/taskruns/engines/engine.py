"""The Engine interface, the base of its wrappers, and the errors that its methods may raise.

Objects are plain mappings in Kubernetes' wire form. They are not modified once they are passed or
returned. Every write contains the uid of its object. A method returns None for an object that is
gone only if the runtime itself has reported that: there is no such object, or its name now belongs
to another uid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from taskruns.core.unstructured import Object

if TYPE_CHECKING:  # a command line that only shows a run does not load the models
    from taskruns.core.plan import Event, PodRef, Refusal


@dataclass(frozen=True, slots=True)
class RunRef:
    """Reference to exactly one TaskRun, by namespace, name and uid."""

    namespace: str
    name: str
    uid: str


class EngineError(Exception):
    """A request failed."""


class Conflict(EngineError):
    """The object has changed since it was read: read it again and repeat the decision."""


class AlreadyExists(EngineError):
    """An object of that name already exists."""


class Refused(EngineError):
    """A create was rejected for a reason that lies in the run, as described by `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Unavailable(EngineError):
    """The runtime is unavailable (overload, restart, network): retry the same request later.

    `retry_after` is the delay that the runtime asks for, in seconds; for None the caller chooses.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Engine(Protocol):
    """A runtime that stores TaskRuns and Pods. Every coroutine method may raise Unavailable."""

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun live; return None if there is none of that name."""

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Read a Pod live; return None if there is none of that name."""

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        """Return the messages of the Pod's warning Events, oldest first."""

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Apply a merge patch to the run's status; return the run, or None if it is gone.

        Args:
            run: the run.
            patch: contains `metadata.resourceVersion` and `status`.

        Raises:
            Conflict: the run has changed.
        """

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod and return it.

        Raises:
            AlreadyExists: a Pod of that name exists.
            Refused: the Pod was rejected for a reason that lies in the run.
        """

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our scheduling gate, if present; return the Pod, or None if it is gone."""

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """Stop the Pod's containers; return the Pod, or None if it is gone.

        The Pod's grace period is honoured and its logs are kept.
        """

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer, if present; return the Pod, or None if it is gone."""

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Delete the Pod; return it while it is still terminating, or None if it is gone.

        Args:
            pod: the Pod.
            resource_version: precondition, or None.

        Raises:
            Conflict: the Pod no longer has this `resource_version`.
        """

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun; return it while it still exists, or None if it is gone.

        Raises:
            Conflict: the TaskRun has changed.
        """

    def record_event(self, run: RunRef, event: Event) -> None:
        """Queue an Event about a run, to be written later on a best-effort basis.

        The method returns at once and does not fail: no run waits for an Event.
        """


class EngineWrapper:
    """Base of engines that change some methods of another engine; all others are passed on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read_run(self, namespace: str, name: str) -> Object | None:
        """Read a TaskRun live."""
        return await self._engine.read_run(namespace, name)

    async def read_pod(self, namespace: str, name: str) -> Object | None:
        """Read a Pod live."""
        return await self._engine.read_pod(namespace, name)

    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        """Return the messages of the Pod's warning Events."""
        return await self._engine.read_pod_events(pod)

    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        """Apply a merge patch to the run's status."""
        return await self._engine.write_status(run, patch)

    async def create_pod(self, manifest: Object) -> Object:
        """Create a Pod."""
        return await self._engine.create_pod(manifest)

    async def release_gate(self, pod: PodRef) -> Object | None:
        """Remove our scheduling gate."""
        return await self._engine.release_gate(pod)

    async def stop_pod(self, pod: PodRef) -> Object | None:
        """Stop the Pod's containers."""
        return await self._engine.stop_pod(pod)

    async def release_pod(self, pod: PodRef) -> Object | None:
        """Remove our finalizer."""
        return await self._engine.release_pod(pod)

    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        """Delete the Pod."""
        return await self._engine.delete_pod(pod, resource_version)

    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        """Delete the TaskRun."""
        return await self._engine.delete_run(run, resource_version)

    def record_event(self, run: RunRef, event: Event) -> None:
        """Queue an Event to be written."""
        self._engine.record_event(run, event)
