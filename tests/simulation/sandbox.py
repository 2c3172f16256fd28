"""The real state of one Pod's containers on a node, whether or not it was reported."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from taskruns.core.unstructured import Object
from tests.simulation.script import Script

NEVER_STARTED = datetime.fromtimestamp(0, UTC)
"""Start time that the kubelet reports for a container that the runtime could not start."""


class Role(Enum):
    """The role of a container, which decides what its end means for the Pod."""

    INIT = auto()
    SIDECAR = auto()
    """An init container with restartPolicy Always."""
    ORDINARY = auto()


@dataclass(frozen=True, slots=True)
class End:
    """The end of a container."""

    exit_code: int
    reason: str
    message: str
    finished_at: datetime
    started_at: datetime | None


@dataclass(slots=True)
class Container:
    """One container; `started_at` and `end` are None until they happen."""

    spec: Object
    role: Role
    script: Script
    waiting: str | None = None
    due: bool = False
    """Whether it has been its turn to start."""
    started_at: datetime | None = None
    end: End | None = None

    @property
    def name(self) -> str:
        """The container's name within the Pod."""
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        """Whether the program runs now."""
        return self.started_at is not None and self.end is None

    @property
    def failed(self) -> bool:
        """Whether the container ended with an exit code other than 0."""
        return self.end is not None and self.end.exit_code != 0


@dataclass(frozen=True, slots=True)
class Disruption:
    """Reason why a Pod is ended while its containers run, as the kubelet will report it."""

    reason: str
    message: str
    target: str | None = None
    """Reason of the DisruptionTarget condition, or None for no such condition."""


@dataclass(slots=True)
class Sandbox:
    """The containers of one Pod on its node."""

    uid: str
    node: str
    started_at: datetime
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    containers: list[Container]
    ending: bool = False
    """Whether the Pod is stopping: nothing starts any more, and the running containers end."""
    over: bool = False
    disruption: Disruption | None = None
    deadline: float | None = None
    """The last activeDeadlineSeconds that was scheduled."""

    def of(self, *roles: Role) -> list[Container]:
        """Return the containers of some roles, in the order of the Pod's specification."""
        return [container for container in self.containers if container.role in roles]

    @property
    def initialized(self) -> bool:
        """Whether every init container has succeeded and every sidecar has started."""
        done = (c.end is not None and not c.failed for c in self.of(Role.INIT))
        return all(done) and all(c.started_at for c in self.of(Role.SIDECAR))

    @property
    def running(self) -> list[Container]:
        """The containers that run now."""
        return [container for container in self.containers if container.running]
