"""Results of a run of the benchmark, and how its turns are played."""

import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.throughput.checkout import resolve
from benchmarks.throughput.figures import Measurement, Percentiles, Summary, summarise
from benchmarks.throughput.growth import Grown, Growth, grow
from benchmarks.throughput.plan import Part
from benchmarks.throughput.population import Population, Start, starts
from benchmarks.throughput.system import System
from benchmarks.throughput.targets import Target, targets
from benchmarks.throughput.testbed import Testbed
from benchmarks.throughput.turn import play


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
    grown: list[Grown] = field(default_factory=list)
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

    @property
    def targets(self) -> list[Target]:
        """The targets for which there are figures."""
        return targets(self.summaries, self.starts, self.grown)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the results that a run of the benchmark has written as JSON."""
        content = json.loads(file.read_text())
        rounds = (each for result in content["results"] for each in result["rounds"])
        return cls(
            titles=content["workloads"],
            names=content["systems"],
            settings=content["settings"],
            measurements=[_measurement(each) for each in rounds],
            starts=[Start(**each) for each in content["starts"]],
            grown=[Grown(**each) for each in content["growth"]],
            failures=content["failures"],
        )

    def as_json(self) -> dict[str, Any]:
        """Return all figures, and every round that they come from."""
        return {
            "settings": self.settings,
            "workloads": dict(self.titles),
            "systems": dict(self.names),
            "targets": [{**asdict(each), "met": each.met} for each in self.targets],
            "results": [each.as_json() for each in self.summaries],
            "starts": [asdict(each) for each in self.starts],
            "growth": [asdict(each) for each in self.grown],
            "failures": self.failures,
        }


def _measurement(fields: Mapping[str, Any]) -> Measurement:
    durations = {name: Percentiles(**each) for name, each in fields["durations"].items()}
    return Measurement(**{**fields, "durations": durations})


class Turns:
    """Plays the turns of a run of the benchmark, and counts them."""

    def __init__(
        self,
        bed: Testbed,
        systems: Mapping[str, System],
        results: Results,
        total: int,
        written: Callable[[], None],
    ) -> None:
        """Take what turns need.

        Args:
            bed: the cluster.
            systems: all systems by name.
            results: receives the figures.
            total: number of all turns.
            written: called after each turn.
        """
        self._bed = bed
        self._systems = systems
        self._results = results
        self._total = total
        self._written = written
        self._numbers = itertools.count(1)

    async def play(self, part: Part) -> None:
        """Play the turns of a workload, and add their figures to the results."""
        chosen = [self._systems[each] for each in part.systems]
        workload, results = part.workload, self._results
        if isinstance(workload, Population):
            with self._turn(workload.title, part.turns):
                serving = [each for each in chosen if each.controller]
                results.starts += await starts(self._bed, serving, workload, part.rounds)
            return
        for _ in range(part.rounds):
            for system in chosen:
                with self._turn(f"{workload.title}, {system.title}") as label:
                    if isinstance(workload, Growth):
                        results.grown.append(await grow(self._bed, system, workload, label))
                    else:
                        measurement = await play(self._bed, system, workload, label)
                        results.measurements.append(measurement)

    @contextmanager
    def _turn(self, title: str, turns: int = 1) -> Iterator[str]:
        """Record the failure of a turn, so that the other turns are played; yield its label."""
        number, *_ = (next(self._numbers) for _ in range(turns))
        label = f"turn {number} of {self._total}: {title}"
        try:
            yield label
        except Exception as error:  # noqa: BLE001 - whatever happens to one turn, the others go on
            self._results.failures.append(f"{title}: {error!r}")
            self._bed.progress.say(f"{label}: failed: {error!r}")
        finally:
            self._written()
