"""Where TaskRuns are: what every command needs of a Docker host, and of a cluster."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from taskruns.cli.streams import as_plugin, program_name

Object = Mapping[str, Any]

DOCKER, KUBERNETES = "docker", "kubernetes"
PLACE_VARIABLE = "TASKRUN_ON"

IMAGE_PULL = "image pull"
"""The name of a Step."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that befell an attempt and stands in no TaskRun: the pull of its image, say."""

    name: str
    began: str
    """RFC 3339."""
    ended: str
    """RFC 3339; empty while it goes on."""


class Following(Protocol):
    """One run, for as long as somebody looks at it."""

    def changes(self) -> AsyncIterator[Object]:
        """Yield the TaskRun whenever it has changed, until it has ended or is gone."""

    def log(self, pod: str) -> AsyncIterator[bytes]:
        """Yield an attempt's log from its begin to its end, once it has one.

        Raises:
            CommandError, EngineError: a part of it cannot be read; the message says why.
        """

    def stages(self, pod: str) -> AsyncIterator[str]:
        """Yield what an attempt that has not started yet waits for; may tell nothing."""

    async def cancel(self) -> None:
        """Cancel the run.

        Raises:
            CommandError, EngineError: that cannot be done.
        """

    async def kill(self, pod: str) -> None:
        """End an attempt without its grace period.

        Raises:
            CommandError: that cannot be done.
            Unavailable: nothing answers.
        """


@dataclass(frozen=True, slots=True)
class Listing:
    """TaskRuns, the oldest first."""

    runs: Sequence[Object]
    problems: Sequence[str] = ()
    """Why others cannot be read, a sentence for each."""


class Backend(Protocol):
    """The TaskRuns of one namespace somewhere. What a person can mend is a CommandError."""

    kind: str
    """`docker` or `kubernetes`."""
    namespace: str

    async def runs(self, *, everywhere: bool = False) -> Listing:
        """Return the TaskRuns of the namespace, or of all."""

    async def run(self, name: str) -> Object:
        """Return a TaskRun."""

    async def create(self, manifest: Object) -> Object:
        """Create a TaskRun and return it."""

    async def patch(self, name: str, patch: Object) -> Object:
        """Change a TaskRun by a merge patch, have it acted upon, and return it."""

    async def delete(self, name: str) -> None:
        """Delete a TaskRun; what runs of it ends with its grace period."""

    def following(self, name: str) -> AbstractAsyncContextManager[Following]:
        """Look at a run while the block runs."""

    def leave_follower(self, name: str) -> None:
        """See that somebody looks after a run when this program has gone."""

    def log(self, run: Object, pod: str) -> AsyncIterator[bytes]:
        """Yield what an attempt's log has by now."""

    async def steps(self, run: Object, pod: str) -> Sequence[Step]:
        """Return what is known of an attempt beside its record."""

    async def versions(self) -> Mapping[str, str]:
        """Return the versions of what runs there, by its name."""


def command_for(place: Backend, verb: str, name: str) -> str:
    """Return what to type for a command about a run of this place."""
    words = [program_name(), verb]
    if place.kind == KUBERNETES and not (as_plugin() or os.environ.get(PLACE_VARIABLE)):
        words += ["--on", KUBERNETES]
    if place.namespace != "default":
        words += ["--namespace", place.namespace]
    return " ".join([*words, name])
