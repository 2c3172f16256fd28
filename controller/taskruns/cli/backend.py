"""Interface that the commands use for both Docker hosts and clusters."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from taskruns.cli.streams import as_plugin, program_name
from taskruns.core.unstructured import Object

DOCKER, KUBERNETES = "docker", "kubernetes"
BACKEND_VARIABLE = "TASKRUN_ON"

IMAGE_PULL = "image pull"
"""Name of the Step for an image pull."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an attempt that the TaskRun does not record, such as the pull of its image."""

    name: str
    began: str
    """Start time, RFC 3339."""
    ended: str
    """End time, RFC 3339; empty while the step continues."""


class Following(Protocol):
    """One run that is being followed."""

    def changes(self) -> AsyncIterator[Object]:
        """Yield the TaskRun after every change, until it has ended or is deleted."""

    def log(self, pod: str) -> AsyncIterator[bytes]:
        """Yield an attempt's log from its beginning to its end; wait until there is one.

        Raises:
            CommandError, EngineError: part of the log cannot be read; the message says why.
        """

    def stages(self, pod: str) -> AsyncIterator[str]:
        """Yield a description of what an attempt waits for before its start; may yield nothing."""

    async def cancel(self) -> None:
        """Cancel the run.

        Raises:
            CommandError, EngineError: the cancellation was not accepted.
        """

    async def kill(self, pod: str) -> None:
        """End an attempt without its grace period.

        Raises:
            CommandError: the request was refused.
            Unavailable: the daemon or the apiserver does not respond.
        """


@dataclass(frozen=True, slots=True)
class Listing:
    """TaskRuns in order of creation, the oldest first."""

    runs: Sequence[Object]
    problems: Sequence[str] = ()
    """Reasons why other TaskRuns cannot be read, one sentence each."""


class Backend(Protocol):
    """The TaskRuns of one namespace of a Docker host or cluster.

    Methods raise CommandError for errors that the user can fix.
    """

    kind: str
    """`docker` or `kubernetes`."""
    namespace: str

    async def runs(self, *, everywhere: bool = False) -> Listing:
        """Return the TaskRuns of the namespace, or of all namespaces."""

    async def run(self, name: str) -> Object:
        """Return one TaskRun."""

    async def create(self, manifest: Object) -> Object:
        """Create a TaskRun and return it."""

    async def patch(self, name: str, patch: Object) -> Object:
        """Apply a merge patch to a TaskRun, ensure that it takes effect, and return the TaskRun."""

    async def delete(self, name: str) -> None:
        """Delete a TaskRun. A running attempt is stopped with its grace period."""

    def following(self, name: str) -> AbstractAsyncContextManager[Following]:
        """Follow a run while the block runs."""

    def leave_follower(self, name: str) -> None:
        """Ensure that the run is followed after this program has exited."""

    def log(self, run: Object, pod: str) -> AsyncIterator[bytes]:
        """Yield the log that an attempt has written so far."""

    async def steps(self, run: Object, pod: str) -> Sequence[Step]:
        """Return the steps of an attempt that its record does not contain."""

    async def versions(self) -> Mapping[str, str]:
        """Return the versions of the server components, by component name."""


def command_for(backend: Backend, verb: str, name: str) -> str:
    """Return the command line that applies a command to a run of this backend.

    Args:
        backend: the backend that has the run.
        verb: the command, such as `logs`.
        name: the run's name.
    """
    words = [program_name(), verb]
    if backend.kind == KUBERNETES and not (as_plugin() or os.environ.get(BACKEND_VARIABLE)):
        words += ["--on", KUBERNETES]
    if backend.namespace != "default":
        words += ["--namespace", backend.namespace]
    return " ".join([*words, name])
