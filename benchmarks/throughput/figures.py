"""Figures of a turn, and their medians over rounds."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.throughput.load import Run

DURATIONS = ("create to Pod", "Pod end to status", "create to done", "cancel to done")


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Distribution of a duration, in seconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Percentiles | None":
        """Return the percentiles of values, or None if there are none."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(percentile(ordered, 0.50), percentile(ordered, 0.99))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the ordered values that is not below this share of them."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One turn: one workload on one system."""

    system: str
    workload: str
    runs: int
    seconds: float
    """Time from the first create to the last end."""
    durations: Mapping[str, Percentiles]
    cpu: Mapping[str, float]
    """Processor time per run above idle by component, in milliseconds."""
    requests: Mapping[str, float]
    """Requests per run by verb and resource."""
    memory: float | None = None
    """Peak resident memory of the controller, in MiB."""

    @property
    def rate(self) -> float:
        """Runs per second."""
        return self.runs / self.seconds


def durations(runs: Iterable[Run]) -> dict[str, Percentiles]:
    """Return the distributions of all durations that the runs have."""
    kept = [*runs]
    to_pod, to_status, to_done, from_cancel = DURATIONS
    values = {
        to_pod: [r.pod - r.created for r in kept if r.pod],
        # A bare Pod has no other object whose status could follow.
        to_status: [
            r.done - r.pod_ended for r in kept if r.done and r.pod_ended and r.done != r.pod_ended
        ],
        to_done: [r.done - r.created for r in kept if r.done],
        from_cancel: [r.done - r.cancelled for r in kept if r.done and r.cancelled],
    }
    distributions = {name: Percentiles.of(each) for name, each in values.items()}
    return {name: each for name, each in distributions.items() if each}


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum over rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Summary:
    """The rounds of one workload on one system."""

    system: str
    workload: str
    rounds: Sequence[Measurement] = field(default_factory=tuple)

    def spread(self, figure: Callable[[Measurement], float]) -> Spread:
        """Return the spread of one figure over the rounds."""
        return Spread.of([figure(each) for each in self.rounds])

    @property
    def rate(self) -> Spread:
        """Runs per second."""
        return self.spread(lambda each: each.rate)

    @property
    def memory(self) -> Spread | None:
        """Peak memory of the controller, in MiB."""
        values = [each.memory for each in self.rounds if each.memory is not None]
        return Spread.of(values) if values else None

    def duration(self, name: str) -> Percentiles | None:
        """Return the medians of a duration's percentiles, or None if it does not exist."""
        rounds = [each.durations[name] for each in self.rounds if name in each.durations]
        if not rounds:
            return None
        return Percentiles(
            statistics.median(each.p50 for each in rounds),
            statistics.median(each.p99 for each in rounds),
        )

    def cpu(self, component: str) -> float:
        """Return the median processor time per run of a component, in milliseconds."""
        return statistics.median(each.cpu.get(component, 0.0) for each in self.rounds)

    def requests(self) -> dict[str, float]:
        """Return the median requests per run by verb and resource."""
        keys = sorted({key for each in self.rounds for key in each.requests})
        return {
            key: statistics.median(each.requests.get(key, 0.0) for each in self.rounds)
            for key in keys
        }

    def as_json(self) -> dict[str, Any]:
        """Return the figures, and every round that they come from."""
        durations = {name: self.duration(name) for name in DURATIONS}
        return {
            "workload": self.workload,
            "system": self.system,
            "runs_per_second": asdict(self.rate),
            "durations": {name: asdict(each) for name, each in durations.items() if each},
            "cpu_milliseconds_per_run": {name: self.cpu(name) for name in self.components},
            "memory": asdict(self.memory) if self.memory else None,
            "requests_per_run": self.requests(),
            "rounds": [asdict(each) for each in self.rounds],
        }

    @property
    def components(self) -> list[str]:
        """Names of the measured components, in order."""
        return [*dict.fromkeys(name for each in self.rounds for name in each.cpu)]


def summarise(measurements: Iterable[Measurement]) -> list[Summary]:
    """Group measurements by workload and system, in the order of their first turns."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for each in measurements:
        groups.setdefault((each.workload, each.system), []).append(each)
    return [Summary(system, workload, rounds) for (workload, system), rounds in groups.items()]
