"""Workloads: when runs are created, and what they do."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from benchmarks.throughput.load import Load
from benchmarks.throughput.system import Behaviour, Task

SIMULATED = Task()
KUBELET = Task(simulated=False)
HELD = Task(Behaviour.HOLD)


class Workload(Protocol):
    """A way to use a system."""

    @property
    def key(self) -> str:
        """Name in results, which contains the size."""
        ...

    @property
    def task(self) -> Task:
        """Behaviour of each run."""
        ...

    @property
    def title(self) -> str:
        """Title in tables."""
        ...

    @property
    def size(self) -> int:
        """Number of runs."""
        ...

    async def play(self, load: Load) -> None:
        """Create the runs, and return when all are done."""
        ...


@dataclass(frozen=True, slots=True)
class Sequential:
    """One run after the other."""

    size: int
    task: Task = SIMULATED
    kind: str = "one"

    @property
    def key(self) -> str:
        """Name in results."""
        return f"{self.kind}-{self.size}"

    @property
    def title(self) -> str:
        """Title in a table."""
        return f"{self.size} runs, one at a time{_place(self.task)}"

    async def play(self, load: Load) -> None:
        """Create each run when the one before it is done."""
        for number in range(1, self.size + 1):
            await load.create(self.task)
            await load.until(lambda number=number: load.done == number)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Burst:
    """All runs at once."""

    size: int
    task: Task = SIMULATED
    kind: str = "burst"

    @property
    def key(self) -> str:
        """Name in results."""
        return f"{self.kind}-{self.size}"

    @property
    def title(self) -> str:
        """Title in a table."""
        retried = ", each failing twice" if self.task.behaviour is Behaviour.FAIL_TWICE else ""
        return f"{self.size} runs at once{retried}{_place(self.task)}"

    async def play(self, load: Load) -> None:
        """Create all runs, and wait for their ends."""
        await asyncio.gather(*(load.create(self.task) for _ in range(self.size)))
        await load.until(lambda: load.done == self.size)


@dataclass(frozen=True, slots=True)
class Steady:
    """Runs at a constant rate."""

    rate: float
    """Runs per second."""
    seconds: float
    task: Task = SIMULATED
    kind: str = "steady"

    @property
    def size(self) -> int:
        """Number of runs."""
        return round(self.rate * self.seconds)

    @property
    def key(self) -> str:
        """Name in results."""
        return f"{self.kind}-{self.size}"

    @property
    def title(self) -> str:
        """Title in a table."""
        return f"{self.rate:g} runs/s for {self.seconds:g} s"

    async def play(self, load: Load) -> None:
        """Create runs by the clock, however long the earlier ones take."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(self.size):
                await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
                group.create_task(load.create(self.task))
        await load.until(lambda: load.done == self.size)


@dataclass(frozen=True, slots=True)
class CancelStorm:
    """All runs are cancelled at once while their Pods run."""

    size: int
    task: Task = HELD
    kind: str = "cancel"

    @property
    def key(self) -> str:
        """Name in results."""
        return f"{self.kind}-{self.size}"

    @property
    def title(self) -> str:
        """Title in a table."""
        return f"{self.size} runs, cancelled at once"

    async def play(self, load: Load) -> None:
        """Create runs that do not end, wait until all run, and cancel them."""
        runs = await asyncio.gather(*(load.create(self.task) for _ in range(self.size)))
        await load.until(lambda: load.pods_running == self.size)
        await asyncio.gather(*(load.cancel(run) for run in runs))
        await load.until(lambda: load.done == self.size)


WORKLOADS: Mapping[str, tuple[Callable[[int], Workload], int]] = {
    "one": (Sequential, 20),
    "burst": (Burst, 300),
    "steady": (lambda seconds: Steady(20, seconds), 300),
    "retries": (lambda size: Burst(size, Task(Behaviour.FAIL_TWICE), "retries"), 300),
    "cancel": (CancelStorm, 300),
    "kubelet-one": (lambda size: Sequential(size, KUBELET, "kubelet-one"), 10),
    "kubelet-burst": (lambda size: Burst(size, KUBELET, "kubelet-burst"), 50),
}
"""By name: the workload for a size, and its default size (for `steady`, in seconds)."""


def _place(task: Task) -> str:
    return "" if task.simulated else ", on the kubelet"


def make(name: str, size: int | None = None) -> Workload:
    """Return a workload by name, of a size or of its default size."""
    build, default = WORKLOADS[name]
    return build(default if size is None else size)
