"""Adapters of the compared systems, each of which can run a task to completion.

An adapter defines how a run is created, when it is done, how it is cancelled, and which settings
the control plane has. It has no state of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from benchmarks.throughput.api import Object
from benchmarks.throughput.stages import FAIL_TWICE, HOLD
from tests.cluster.cluster import SIMULATED
from tests.cluster.tuning import Tuning

LIFTED = Tuning(audit=False, client_limits=False)
"""Settings of the control plane under which no component waits for its own client."""
STOCK = Tuning(audit=False, client_limits=True)
RUN = "benchmarks.taskruns.dev/run"
"""Label on every Pod of a benchmark: the name of its run."""
IMAGE = "busybox:1"
COMMAND = ["true"]


class Behaviour(Enum):
    """Behaviour of the container of a run on the simulated node."""

    SUCCEED = "succeed"
    FAIL_TWICE = "fail-twice"
    """Fail in the first two attempts, and succeed in the third."""
    HOLD = "hold"
    """Run until it is stopped."""


class End(Enum):
    """How a run has ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Task:
    """Behaviour of a run, and the node that it needs."""

    behaviour: Behaviour = Behaviour.SUCCEED
    simulated: bool = True
    """Whether kwok runs it; otherwise the kubelet does."""
    variables: int = 0
    """Number of environment variables, which make an object larger."""
    transient: bool = False
    """Whether the run's object is deleted as soon as it has ended."""

    @property
    def expected(self) -> End:
        """The end that a run must have to be counted."""
        return End.CANCELLED if self.behaviour is Behaviour.HOLD else End.SUCCEEDED

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the Pod by which kwok chooses its stages."""
        return {Behaviour.FAIL_TWICE: FAIL_TWICE, Behaviour.HOLD: HOLD}.get(self.behaviour, {})

    @property
    def env(self) -> list[Object]:
        """Environment variables of the container."""
        numbers = range(self.variables)
        return [{"name": f"SETTING_{n}", "value": f"value number {n}"} for n in numbers]

    @property
    def placement(self) -> Object:
        """Fields of the Pod's spec that choose the node."""
        if not self.simulated:
            return {}
        key, value = SIMULATED
        toleration = {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
        return {"nodeSelector": {key: value}, "tolerations": [toleration]}

    def pod(self, run: str, labels: Mapping[str, str] | None = None) -> Object:
        """Return a Pod template that is the same for every system that takes one."""
        container = {"name": "main", "image": IMAGE, "command": COMMAND, "env": self.env}
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            **self.placement,
        }
        return {"metadata": {"labels": {RUN: run, **self.labels, **(labels or {})}}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the load generator; `path` is below the namespace."""

    method: str
    path: str
    body: Object | None = None


@dataclass(frozen=True, slots=True)
class Controller:
    """How a controller of taskruns is started."""

    flags: tuple[str, ...] = ()
    checkout: Path = field(default=Path(__file__).parents[2])
    """Folder with `controller/` and `crds/`; the default is this checkout."""


class System(Protocol):
    """A way to run tasks."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...

    @property
    def title(self) -> str:
        """Title in tables."""
        ...

    @property
    def tuning(self) -> Tuning:
        """Settings of the control plane."""
        ...

    @property
    def controller(self) -> Controller | None:
        """The controller that it needs besides those of Kubernetes."""
        ...

    @property
    def root(self) -> str:
        """Path of the API group of a run's object, such as /apis/batch/v1."""
        ...

    @property
    def plural(self) -> str:
        """Plural of the kind of a run's object."""
        ...

    @property
    def removes_pods(self) -> bool:
        """Whether Pods are removed without further requests after the run is done."""
        ...

    def create(self, run: str, task: Task) -> Object:
        """Return the object of a new run."""
        ...

    def end(self, change: str, obj: Object) -> End | None:
        """Return the end of the run that a change of its object reports, or None."""
        ...

    def cancel(self, run: str) -> Request:
        """Return the request that cancels a run."""
        ...

    def react(self, change: str, obj: Object) -> Request | None:
        """Return the load generator's next request after a change of the object, or None."""
        ...


def metadata(run: str) -> dict[str, Any]:
    """Return the metadata of a run's own object."""
    return {"name": run, "labels": {RUN: run}}
