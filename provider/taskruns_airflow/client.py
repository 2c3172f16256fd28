"""Where TaskRuns are kept, as this provider needs it: a cluster, or a Docker host."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self

from typing_extensions import override

from taskruns.api.errors import is_too_large
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.log_position import Piece


class Refused(Exception):
    """A request was answered with an error, `status` as in HTTP.

    The message is its sentence and, where there is something to be done, `advice`.
    """

    def __init__(self, status: int, sentence: str, advice: str = "") -> None:
        super().__init__(f"{sentence} (HTTP {status})" + (f": {advice}" if advice else ""))
        self.status = status
        self.sentence = sentence

    @property
    def is_too_large(self) -> bool:
        """Whether the object is too large to be stored, which a retry does not change."""
        return is_too_large(self.status, self.sentence)


class Unreachable(Exception):
    """There was no answer for as long as was waited for one."""


class Gone(Exception):
    """The TaskRun was deleted before its end was seen."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One TaskRun, and no other of its name."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def to(cls, run: TaskRun) -> Self:
        """Name the TaskRun that was read."""
        return cls(run.metadata.namespace, run.metadata.name, run.metadata.uid)

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def crossing(run: TaskRun) -> dict[str, Any]:
    """Return the part of a run that may pass through Airflow: which it is, and how it is.

    Airflow logs what a trigger yields and keeps it in its database, and a spec may hold secrets.
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
        """Create a TaskRun, or find that it is there: the answer to an earlier try got lost."""

    async def get(self, ref: Ref) -> TaskRun | None:
        """Read a run; None when it is gone, or another has taken its name."""

    async def find(self, label: str, value: str) -> list[TaskRun]:
        """Read the runs that have a label."""

    async def cancel(self, ref: Ref, *, leaving: bool = False) -> None:
        """Have a run stopped; one that has ended or is gone is left as it is.

        Args:
            ref: the run.
            leaving: whether this process is about to end, so that it cannot see to the rest.
        """

    async def collect(self, ref: Ref, pod_uid: str) -> None:
        """Tell that the log and the outcome of a Pod are read, so that it need not be kept."""

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
            pod: its Pod.
            container: its name.
            since: the time of the first record, a whole second as RFC 3339; all by default.
            follow: whether to wait for what the container has not written yet.
            previous: whether to read what the container wrote before its last restart.
        """

    async def log_end(self, pod: str, pieces: int | None) -> bytes:
        """Return the end of the log of a Pod's only container, byte for byte.

        Args:
            pod: the Pod's name.
            pieces: how many, each a line or 16 KiB of one; None: the whole log.
        """


class Watch(Protocol):
    """Follows runs for whoever waits for one."""

    def follow(self, ref: Ref) -> AsyncIterator[TaskRun]:
        """Yield how a run is, at once and whenever it has changed; the last has ended.

        Raises:
            Gone: the run is not there any more.
            Refused: it may not be looked at.
            Unreachable: there is no way to it.
        """


Connect = Callable[[], AbstractAsyncContextManager[Runs]]
"""Opens a connection with credentials as they are now."""


class Client(Protocol):
    """The way to one namespace."""

    @property
    def unseen_advice(self) -> str:
        """What to check when a run gets no status."""

    def connect(self) -> AbstractAsyncContextManager[Runs]:
        """Open the way to its TaskRuns."""

    def watch(self, ref: Ref) -> Watch:
        """Return what waits for one run."""

    def shared_watch(self) -> Watch:
        """Return what waits for this run and that in one event loop, with as little as it takes."""
