"""One turn: a workload on a system, measured."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.throughput import requests
from benchmarks.throughput.figures import Measurement, durations
from benchmarks.throughput.load import Load, Run
from benchmarks.throughput.processes import CpuSample, above_idle, peak_memory
from benchmarks.throughput.system import End, System, Task
from benchmarks.throughput.testbed import CONTROLLER, Testbed
from benchmarks.throughput.workloads import Burst, Workload

WARM_UP = 5
"""Number of runs before the measurement, in which connections and caches are made."""
IDLE_SECONDS = 5.0
"""How long the idle cluster is measured."""
PROGRESS_INTERVAL = 10.0


async def play(bed: Testbed, system: System, workload: Workload, label: str) -> Measurement:
    """Run a workload on a system in a namespace of its own, and return its figures."""
    bed.progress.say(f"{label}: starting")
    with bed.serving(system) as pids:
        async with bed.namespace() as namespace, Load(bed.api, system, namespace) as load:
            task = Task(simulated=workload.task.simulated)
            await Burst(WARM_UP, task).play(load)
            await load.forget()
            async with _progress(bed, load, workload, label):
                measured = await _measure(bed, system, workload, load, pids)
            rate, seconds = measured.rate, measured.seconds
            bed.progress.say(f"{label}: {rate:.1f} runs/s, {seconds:.1f} s")
            return measured


async def _measure(
    bed: Testbed, system: System, workload: Workload, load: Load, pids: dict[str, int]
) -> Measurement:
    requests_before = requests.parse((await bed.api.read("GET", "/metrics")).decode())
    idle = CpuSample.take(pids)
    await asyncio.sleep(IDLE_SECONDS)
    before = CpuSample.take(pids)
    await workload.play(load)
    if system.removes_pods:  # the removal belongs to the cost of a run
        await load.until(lambda: not load.pods)
    after = CpuSample.take(pids)
    requests_after = requests.parse((await bed.api.read("GET", "/metrics")).decode())
    used = above_idle(before, after, before.rates(idle))
    runs = [*load.runs.values()]
    _require_ends(runs, workload.task.expected)
    began = min(run.cancelled or run.created for run in runs)
    return Measurement(
        system=system.name,
        workload=workload.key,
        runs=len(runs),
        seconds=max(run.done or began for run in runs) - began,
        durations=durations(runs),
        cpu={name: 1000 * seconds / len(runs) for name, seconds in used.items()},
        requests=requests.per_run(requests_before, requests_after, len(runs)),
        memory=peak_memory(pids[CONTROLLER]) if CONTROLLER in pids else None,
    )


def _require_ends(runs: Sequence[Run], expected: End) -> None:
    """Refuse figures of runs that have not done their work."""
    if others := Counter(str(run.end) for run in runs if run.end is not expected):
        counts = ", ".join(f"{number} {end}" for end, number in others.items())
        raise RuntimeError(f"not all of {len(runs)} runs have {expected.value}: {counts}")


@asynccontextmanager
async def _progress(
    bed: Testbed, load: Load, workload: Workload, label: str
) -> AsyncIterator[None]:
    """Report how many runs are done while the block runs."""

    async def report() -> None:
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL)
            bed.progress.say(f"{label}: {load.done} of {workload.size} done, {load.pods} Pods")

    reporting = asyncio.create_task(report())
    try:
        yield
    finally:
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting
