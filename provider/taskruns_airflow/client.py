"""Client protocols for TaskRuns, common to Kubernetes and Docker, with their errors."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from typing_extensions import override

from taskruns.api.errors import is_too_large
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.log_position import Piece


class Refused(Exception):
    """The server rejected a request; `status` is the HTTP status code.

    The message consists of the server's message and of `advice`, if there is any.
    """

    def __init__(self, status: int, sentence: str, advice: str = "") -> None:
        super().__init__(f"{sentence} (HTTP {status})" + (f": {advice}" if advice else ""))
        self.status = status
        self.sentence = sentence

    @property
    def is_too_large(self) -> bool:
        """Whether the object is too large to be stored; a retry fails as well."""
        return is_too_large(self.status, self.sentence)


class Unreachable(Exception):
    """The server did not respond within the time limit."""


class Gone(Exception):
    """The TaskRun was deleted before its end was observed."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Reference to one TaskRun, by uid; another TaskRun of the same name does not match."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def to(cls, run: TaskRun) -> Self:
        """Return the reference to a TaskRun."""
        return cls(run.metadata.namespace, run.metadata.name, run.metadata.uid)

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def redacted(run: TaskRun) -> dict[str, Any]:
    """Return the parts of a run that may pass through Airflow: its identity and its status.

    Airflow logs trigger events and stores them in its database, and a spec may hold secrets.
    """
    ref = Ref.to(run)
    return {
        "metadata": {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid},
        "spec": {},
        "status": run.status.to_json(),
    }


class Runs(Protocol):
    """The TaskRuns of one namespace. Every request may raise Refused or Unreachable."""

    async def create(self, manifest: Mapping[str, Any]) -> TaskRun:
        """Create a TaskRun, or return the existing one of that name.

        The TaskRun exists already when the response to an earlier create was lost.
        """

    async def get(self, ref: Ref) -> TaskRun | None:
        """Return a run; None if it is gone or another run has its name."""

    async def find(self, label: str, value: str) -> list[TaskRun]:
        """Return the runs that have a label."""

    async def cancel(self, ref: Ref, *, leaving: bool = False) -> None:
        """Cancel a run; no effect if it has ended or is gone.

        Args:
            ref: The run.
            leaving: Whether this process ends soon, so that it cannot wait for the run's end.
        """

    async def collect(self, ref: Ref, pod_uid: str) -> None:
        """Mark a Pod as collected: its log and outcome are read, so it may be deleted."""

    def log(
        self,
        pod: str,
        container: str,
        since: str = "",
        *,
        follow: bool = True,
        previous: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Open a container's log.

        Args:
            pod: Name of the Pod.
            container: Name of the container.
            since: Time of the first record, in whole seconds as RFC 3339; empty for the whole
                log.
            follow: Whether to wait for further output of the container.
            previous: Whether to read the log of the container before its last restart.
        """

    async def log_end(self, pod: str, pieces: int | None) -> bytes:
        """Return the end of the log of a Pod's only container, byte for byte.

        Args:
            pod: Name of the Pod.
            pieces: Number of pieces, each a line or 16 KiB of one; None for the whole log.
        """


class Watch(Protocol):
    """Follows runs until they end."""

    def follow(self, ref: Ref) -> AsyncIterator[TaskRun]:
        """Yield a run at once and after each change, up to and including its terminal state.

        Raises:
            Gone: The run no longer exists.
            Refused: The server refused the request.
            Unreachable: The server did not answer.
        """


Connect = Callable[[], AbstractAsyncContextManager[Runs]]
"""Opens a connection with current credentials."""


class Client(Protocol):
    """Client of one namespace."""

    @property
    def unseen_advice(self) -> str:
        """Advice to the user if a run gets no status."""

    def connect(self) -> AbstractAsyncContextManager[Runs]:
        """Open a connection to the namespace's TaskRuns."""

    def watch(self, ref: Ref) -> Watch:
        """Return a watch of one run."""

    def shared_watch(self) -> Watch:
        """Return a watch that all triggers of one event loop share, to save requests."""
