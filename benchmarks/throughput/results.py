"""Results of a run of the benchmark, and how its turns are played."""

import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import ClientError

from benchmarks.throughput.api import ApiError
from benchmarks.throughput.checkout import resolve
from benchmarks.throughput.figures import Measurement, Summary, summarise
from benchmarks.throughput.load import Stalled
from benchmarks.throughput.plan import Part
from benchmarks.throughput.population import Population, Start, starts
from benchmarks.throughput.system import System
from benchmarks.throughput.testbed import Testbed
from benchmarks.throughput.turn import play
from tests.cluster import ClusterError

FAILURES = (ApiError, ClientError, ClusterError, RuntimeError, Stalled, TimeoutError)
"""Errors that end a turn, and not the benchmark."""


@dataclass(slots=True)
class Results:
    """Figures of all turns so far."""

    titles: Mapping[str, str]
    """Title of each workload by its key, in order."""
    names: Mapping[str, str]
    """Title of each system by its name."""
    settings: dict[str, Any]
    measurements: list[Measurement] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Turns without figures, with the cause."""

    @classmethod
    def of(cls, parts: Sequence[Part], systems: Mapping[str, System], command: str) -> "Results":
        """Return results without figures, for these turns."""
        settings = {
            "command": command,
            "commit": resolve("HEAD"),
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "processors": os.cpu_count(),
            "machine": platform.platform(),
            "load_before": os.getloadavg()[0],
        }
        titles = {part.key: part.workload.title for part in parts}
        return cls(titles, {name: each.title for name, each in systems.items()}, settings)

    @property
    def summaries(self) -> list[Summary]:
        """The figures by workload and system."""
        return summarise(self.measurements)

    def as_json(self) -> dict[str, Any]:
        """Return all figures, and every round that they come from."""
        return {
            "settings": self.settings,
            "workloads": dict(self.titles),
            "results": [each.as_json() for each in self.summaries],
            "starts": [asdict(each) for each in self.starts],
            "failures": self.failures,
        }


async def measure(
    bed: Testbed, part: Part, systems: Mapping[str, System], results: Results
) -> None:
    """Play the turns of a workload, and add their figures to the results."""
    chosen = [systems[each] for each in part.systems]
    if isinstance(part.workload, Population):
        serving = [each for each in chosen if each.controller]
        with _recorded(bed, results, part.workload.title):
            results.starts += await starts(bed, serving, part.workload, part.rounds)
        return
    for number in range(1, part.rounds + 1):
        for system in chosen:
            label = f"{part.workload.title}, round {number} of {part.rounds}, {system.title}"
            with _recorded(bed, results, label):
                results.measurements.append(await play(bed, system, part.workload, label))


@contextmanager
def _recorded(bed: Testbed, results: Results, label: str) -> Iterator[None]:
    """Record the failure of a turn, so that the other turns are played."""
    try:
        yield
    except FAILURES as error:
        results.failures.append(f"{label}: {error!r}")
        bed.progress.say(f"{label}: failed: {error!r}")
