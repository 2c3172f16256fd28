"""Memory of a controller over many runs, none of which stays.

Runs are deleted as soon as they have ended, so that memory which grows with their number is a leak.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.throughput.load import Load
from benchmarks.throughput.processes import memory, peak_memory
from benchmarks.throughput.system import System, Task
from benchmarks.throughput.testbed import CONTROLLER, Testbed
from benchmarks.throughput.workloads import Burst

AT_ONCE = 500
"""Number of runs in a burst."""
SAMPLES = 10
"""Number of samples of the memory."""
SETTLE_SECONDS = 10.0
"""How long the controller is left alone before a sample."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Many bursts, each after the runs of the one before are gone."""

    runs: int = 50_000

    @property
    def key(self) -> str:
        """Name in results."""
        return f"growth-{self.runs}"

    @property
    def title(self) -> str:
        """Title in a table."""
        return f"memory over {self.runs} runs"

    @property
    def bursts(self) -> list[int]:
        """Sizes of the bursts between two samples."""
        whole, rest = divmod(self.runs // SAMPLES, AT_ONCE)
        return [*[AT_ONCE] * whole, *([rest] if rest else [])]


@dataclass(frozen=True, slots=True)
class Grown:
    """Memory of one controller, at rest and without any run."""

    system: str
    workload: str
    samples: Sequence[float]
    """Resident memory after each tenth of the runs, in MiB."""
    peak: float
    """Peak resident memory, in MiB."""

    @property
    def per_thousand(self) -> float:
        """Growth per thousand runs after the first sample, in MiB."""
        runs = int(self.workload.rpartition("-")[2]) * (len(self.samples) - 1) / len(self.samples)
        return (self.samples[-1] - self.samples[0]) / runs * 1000 if runs else 0.0


async def grow(bed: Testbed, system: System, growth: Growth, label: str) -> Grown:
    """Play all bursts on one controller, and return its memory."""
    samples = []
    with bed.serving(system) as pids:
        pid = pids[CONTROLLER]
        async with bed.namespace() as namespace, Load(bed.api, system, namespace) as load:
            for number in range(1, SAMPLES + 1):
                for size in growth.bursts:
                    await Burst(size, Task(transient=True)).play(load)
                    await load.until(lambda: not load.pods and not load.objects)
                    load.reset()
                await asyncio.sleep(SETTLE_SECONDS)
                samples.append(memory(pid))
                runs = growth.runs * number // SAMPLES
                bed.progress.say(f"{label}: {samples[-1]:.0f} MiB after {runs}")
        return Grown(system.name, growth.key, samples, peak_memory(pid))
