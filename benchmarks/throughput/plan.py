"""Which turns a run of the benchmark has: workloads, systems and rounds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.throughput.growth import Growth
from benchmarks.throughput.population import Population
from benchmarks.throughput.workloads import WORKLOADS, Workload, make

SYSTEMS_OF_A_BURST = ("pods", "jobs", "taskruns-default", "taskruns")
PEERS = ("pods", "jobs", "taskruns")
STOCK = ("jobs-stock", "taskruns")
OURS = ("taskruns",)
START, GROWTH = "start", "growth"
NAMES = (*WORKLOADS, START, GROWTH)
"""Names of all workloads on the command line."""
CONTROLLERS_ONLY = (START, GROWTH)
"""Workloads that measure a controller, so that only systems with one play them."""
ROUNDS = 3

Played = Workload | Population | Growth


@dataclass(frozen=True, slots=True)
class Part:
    """A workload, and the systems that take turns on it."""

    workload: Played
    systems: Sequence[str]
    rounds: int = ROUNDS

    @property
    def key(self) -> str:
        """Name of the workload in results."""
        return self.workload.key

    @property
    def name(self) -> str:
        """Name of the workload on the command line."""
        return self.key.rpartition("-")[0]

    @property
    def turns(self) -> int:
        """Number of turns."""
        return self.rounds * len(self.systems)


QUICK = (Part(make("one"), SYSTEMS_OF_A_BURST, 1), Part(make("burst"), SYSTEMS_OF_A_BURST, 1))
"""Under five minutes on two idle processors."""

TARGETS = (
    Part(make("burst", 300), SYSTEMS_OF_A_BURST, 2),
    Part(make("burst", 1000), SYSTEMS_OF_A_BURST, 2),
    Part(make("one"), ("pods", "taskruns"), 2),
    Part(make("kubelet-one"), ("pods", "taskruns"), 2),
    Part(make("steady", 120), OURS, 1),
    Part(make("burst", 100), STOCK, 1),
    Part(make("burst", 5000), OURS, 1),
    Part(Population(), OURS, 1),
)
"""The figures that have a target, in about half an hour; the most important ones come first."""

FULL = (
    Part(make("one"), PEERS),
    Part(make("burst", 100), STOCK, 1),
    Part(make("burst", 300), SYSTEMS_OF_A_BURST),
    Part(make("burst", 1000), SYSTEMS_OF_A_BURST),
    Part(make("burst", 5000), ("pods", "taskruns"), 1),
    Part(make("steady", 300), OURS, 1),
    Part(make("retries"), PEERS, 1),
    Part(make("cancel"), PEERS, 1),
    Part(make("kubelet-one"), PEERS, 2),
    Part(make("kubelet-burst"), PEERS, 1),
    Part(Population(), OURS, 1),
)
"""All workloads in about an hour. What takes longer than some minutes has one round, and Jobs with
stock limits take part only where they end within a minute."""

LONG = (Part(Growth(), OURS, 1),)
"""Half an hour of one workload."""

PLANS: Mapping[str, Sequence[Part]] = {
    "quick": QUICK,
    "targets": TARGETS,
    "full": FULL,
    "growth": LONG,
}

KEYS = tuple(dict.fromkeys(part.key for parts in PLANS.values() for part in parts))
"""Names of the plans' workloads with their sizes in runs, such as `burst-300`."""


def chosen(
    workloads: Sequence[str], systems: Sequence[str], rounds: int, size: int | None
) -> tuple[Part, ...]:
    """Return the turns of systems on workloads, each of a size or of its default size."""
    return tuple(Part(_workload(name, size), systems, rounds) for name in workloads)


def narrowed(
    parts: Sequence[Part],
    workloads: Collection[str] | None,
    systems: Collection[str] | None,
    rounds: int | None,
) -> Iterator[Part]:
    """Yield those parts of a plan that remain for a choice; None chooses all.

    Args:
        parts: a plan.
        workloads: names such as `burst`, or keys such as `burst-300`.
        systems: names of systems.
        rounds: the number of turns of each system, or None for the plan's.
    """
    for part in parts:
        names = [each for each in part.systems if systems is None or each in systems]
        if names and (workloads is None or {part.name, part.key} & {*workloads}):
            yield replace(part, systems=names, rounds=rounds or part.rounds)


def _workload(name: str, size: int | None) -> Played:
    if name == START:
        return Population() if size is None else Population(size, size // 10)
    if name == GROWTH:
        return Growth() if size is None else Growth(size)
    return make(name, size)
