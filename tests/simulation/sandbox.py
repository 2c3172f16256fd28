"""What is truly on a node: the containers of one Pod, whether or not anybody was told of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from taskruns.engines.engine import Object
from tests.simulation.script import Script

NEVER_STARTED = datetime.fromtimestamp(0, UTC)
"""What the kubelet reports as the start of a container that the runtime could not start."""


class Role(Enum):
    """What a container's end means for its Pod."""

    INIT = auto()
    SIDECAR = auto()
    """An init container with restartPolicy Always."""
    ORDINARY = auto()


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended."""

    exit_code: int
    reason: str
    message: str
    finished_at: datetime
    started_at: datetime | None


@dataclass(slots=True)
class Container:
    """One container; `started_at` and `end` are None until it came so far."""

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
        """Its name within the Pod."""
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        """Whether its program runs now."""
        return self.started_at is not None and self.end is None

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than well."""
        return self.end is not None and self.end.exit_code != 0


@dataclass(frozen=True, slots=True)
class Disruption:
    """Why a Pod is ended although its containers go on, as the kubelet will report it."""

    reason: str
    message: str
    target: str | None = None
    """The reason of a DisruptionTarget condition."""


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
    """Nothing starts any more; what runs is on its way out."""
    over: bool = False
    disruption: Disruption | None = None
    deadline: float | None = None
    """The activeDeadlineSeconds that has been noted."""

    def of(self, *roles: Role) -> list[Container]:
        """The containers of some roles, in the order of the Pod's specification."""
        return [container for container in self.containers if container.role in roles]

    @property
    def initialized(self) -> bool:
        """Whether every init container has done its part."""
        done = (c.end is not None and not c.failed for c in self.of(Role.INIT))
        return all(done) and all(c.started_at for c in self.of(Role.SIDECAR))

    @property
    def running(self) -> list[Container]:
        """The containers that run now."""
        return [container for container in self.containers if container.running]
