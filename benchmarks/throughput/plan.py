"""Which turns a run of the benchmark has: workloads, systems and rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.throughput.population import Population
from benchmarks.throughput.workloads import WORKLOADS, Workload, make

PEERS = ("pods", "jobs", "taskruns-default", "taskruns")
ALL = ("pods", "jobs", "jobs-stock", "taskruns-default", "taskruns")
START = "start"
NAMES = (*WORKLOADS, START)
"""Names of all workloads on the command line."""
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A workload, and the systems that take turns on it."""

    workload: Workload | Population
    systems: Sequence[str]
    rounds: int = ROUNDS

    @property
    def key(self) -> str:
        """Name of the workload in results."""
        return self.workload.key


QUICK = (Part(make("one"), PEERS, 1), Part(make("burst"), PEERS, 1))
"""Under five minutes on two cores."""

FULL = (
    Part(make("one"), ALL),
    Part(make("burst", 300), ALL),
    Part(make("burst", 1000), ALL),
    Part(make("burst", 5000), ("pods", "jobs", "taskruns")),
    Part(make("steady", 300), PEERS, 1),
    Part(make("retries"), PEERS),
    Part(make("cancel"), PEERS),
    Part(make("kubelet-one"), PEERS),
    Part(make("kubelet-burst"), PEERS),
    Part(Population(), ("taskruns",)),
)
"""About two hours and a half. Jobs with stock limits take part where they end in minutes."""

PLANS: Mapping[str, Sequence[Part]] = {"quick": QUICK, "full": FULL}


def chosen(
    workloads: Sequence[str], systems: Sequence[str], rounds: int, size: int | None
) -> tuple[Part, ...]:
    """Return the turns of systems on workloads, each of a size or of its default size."""
    return tuple(Part(_workload(name, size), systems, rounds) for name in workloads)


def _workload(name: str, size: int | None) -> Workload | Population:
    if name != START:
        return make(name, size)
    return Population() if size is None else Population(size, size // 10)
