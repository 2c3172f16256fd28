"""Where TaskRuns are: what every command needs of a Docker host, and of a cluster."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Object = Mapping[str, Any]

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
        """Yield an attempt's log from its begin to its end, once it has one."""

    def stages(self, pod: str) -> AsyncIterator[str]:
        """Yield what an attempt that has not started yet waits for; may tell nothing."""

    async def kill(self, pod: str) -> None:
        """End an attempt without its grace period.

        Raises:
            CommandError: that cannot be done.
        """


class Place(Protocol):
    """The TaskRuns of one namespace somewhere. What a person can mend is a CommandError."""

    kind: str
    """`docker` or `kubernetes`."""
    namespace: str

    async def runs(self, *, everywhere: bool = False) -> Sequence[Object]:
        """Return the TaskRuns of the namespace, or of all, the oldest first."""

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
