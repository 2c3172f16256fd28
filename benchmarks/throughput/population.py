"""Start and memory of a controller in a cluster that is full of runs.

Runs that have ended are copies of one that has, because a controller would need an hour for them.
Live runs have a Pod that runs.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.throughput.api import Object
from benchmarks.throughput.load import Load
from benchmarks.throughput.processes import CpuSample, age, memory, peak_memory
from benchmarks.throughput.system import Behaviour, System, Task
from benchmarks.throughput.testbed import CONTROLLER, Testbed
from benchmarks.throughput.workloads import Burst

REST_SECONDS = 75.0
"""How long a controller is watched after it is ready, which includes the next resync."""
SETTLE_SECONDS = 5.0
"""How long the controller has to record that live runs run."""
VARIABLES = 20
"""Number of environment variables of each run."""


@dataclass(frozen=True, slots=True)
class Population:
    """Runs that exist when a controller starts."""

    ended: int = 10_000
    live: int = 1_000

    @property
    def key(self) -> str:
        """Name in results."""
        return f"start-{self.ended}"

    @property
    def title(self) -> str:
        """Title in a table."""
        return f"start with {self.ended} ended and {self.live} live runs"


@dataclass(frozen=True, slots=True)
class Start:
    """Figures of one start of a controller."""

    system: str
    workload: str
    ready: float
    """Seconds from the start of the process until it is ready."""
    cpu: float
    """Processor time until it is ready, in seconds."""
    peak: float
    """Peak resident memory until after the next resync, in MiB."""
    at_rest: float
    """Resident memory after the next resync, in MiB."""


async def starts(
    bed: Testbed, systems: Sequence[System], population: Population, rounds: int
) -> list[Start]:
    """Fill a namespace, and start the controllers of systems on it in turn."""
    first, *_ = systems
    title = population.title
    async with bed.namespace(served_by=first) as namespace:
        await _fill(bed, first, population, namespace)
        measured = []
        for number in range(1, rounds + 1):
            for system in systems:
                bed.progress.say(f"{title}, round {number} of {rounds}, {system.title}: starting")
                measured.append(await _start(bed, system, population.key))
        bed.progress.say(f"{title}: removing them")
    return measured


async def _start(bed: Testbed, system: System, workload: str) -> Start:
    with bed.serving(system) as pids:
        pid = pids[CONTROLLER]
        ready, cpu = age(pid), CpuSample.take({CONTROLLER: pid}).seconds[CONTROLLER]
        await asyncio.sleep(REST_SECONDS)
        return Start(system.name, workload, ready, cpu, peak_memory(pid), memory(pid))


async def _fill(bed: Testbed, system: System, population: Population, namespace: str) -> None:
    with bed.serving(system):
        async with Load(bed.api, system, namespace) as load:
            await Burst(1, Task(variables=VARIABLES)).play(load)
            (name,) = load.runs
            load.reset()
            bed.progress.say(f"{population.title}: creating live runs")
            task = Task(Behaviour.HOLD, variables=VARIABLES)
            await asyncio.gather(*(load.create(task) for _ in range(population.live)))
            await load.until(lambda: load.pods_running == population.live)
            await asyncio.sleep(SETTLE_SECONDS)
    path = f"{system.root}/namespaces/{namespace}/{system.plural}"
    pattern = await bed.api.send("GET", f"{path}/{name}")
    bed.progress.say(f"{population.title}: creating ended runs")
    bodies = _ended(system, population.ended)
    await asyncio.gather(*(_copy(bed, path, body, pattern["status"]) for body in bodies))


def _ended(system: System, number: int) -> Iterator[Object]:
    task = Task(variables=VARIABLES)
    return (system.create(f"ended-{each:05d}", task) for each in range(number))


async def _copy(bed: Testbed, path: str, body: Object, status: Object) -> None:
    """Create a run with the status of another."""
    async with bed.api.gate:
        await bed.api.read("POST", path, body)
        name = body["metadata"]["name"]
        await bed.api.read("PATCH", f"{path}/{name}/status", {"status": status})
