"""Effect of bad runs in one namespace on the latency of runs in another.

    python -m benchmarks.fairness [--bad 1000] [--good 20] [--cluster NAME] [--json]

It requires a running test cluster (`make cluster-up`) and starts its own controller. Short runs are
created one after the other in one namespace: first alone, then while a thousand bad runs are
created in another. A quarter each have an invalid Pod, are refused by admission, crash at once and
are retried, or are very large and crash. A quota admits five Pods of the last two kinds at a time,
so that the result depends on the controller, not on the node. It prints the time of the good runs
from their creation to their Pod, and to their end.
"""

import json
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmarks.ground import options, watched
from taskruns.api.conditions import TERMINAL_PHASES
from tests.support.builders.manifests import pod_spec, shell, task_run
from tests.support.cluster.client import NAMESPACES, RUNS, Kube, Object, Resource
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.watch_recorder import WatchRecorder

QUOTAS = Resource("/api/v1", "resourcequotas")
PATIENCE = 300
PLACES = 5
GIANT = 100_000

RETRIED: Object = {"backoffLimit": 6, "backoff": {"duration": "1s", "factor": 1}}
BAD: tuple[Object, ...] = (
    shell("exit 0", **pod_spec(nodeSelektor={"disk": "ssd"})),
    shell("exit 0", priorityClassName="no-such-class"),
    shell("exit 1", **RETRIED),
    shell("exit 1", **RETRIED, env=[{"name": "GIANT", "value": "x" * GIANT}]),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and maximum duration of some runs, in seconds."""

    median: float
    longest: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations of good runs, counted from their creation."""

    runs: int
    to_pod: Spread
    to_end: Spread


@dataclass(frozen=True, slots=True)
class Outcome:
    """Durations alone and beside bad runs."""

    bad: int
    alone: Latency
    beside: Latency
    poured: int
    """Number of bad runs created by the end of the last good run."""

    @property
    def ratios(self) -> dict[str, float]:
        """Ratios of the median durations beside bad runs to those alone."""
        return {
            part: round(getattr(self.beside, part).median / getattr(self.alone, part).median, 2)
            for part in ("to_pod", "to_end")
        }


class Namespaces:
    """Two namespaces of one cluster: one for good runs and one for bad runs."""

    def __init__(self, kube: Kube, watch_recorder: WatchRecorder) -> None:
        self._kube = kube
        self._watch_recorder = watch_recorder
        self.good, self.bad = (self._made(f"fairness-{kind}-") for kind in ("good", "bad"))
        hard = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": str(PLACES)}}}
        kube.create(QUOTAS, self.bad, hard)
        self.poured = 0

    def _made(self, prefix: str) -> str:
        made = self._kube.create(NAMESPACES, None, {"metadata": {"generateName": prefix}})
        name: str = made["metadata"]["name"]
        return name

    def remove(self) -> None:
        """Delete both namespaces while the controller still removes the finalizers of Pods."""
        for name in (self.good, self.bad):
            self._kube.delete(NAMESPACES, None, name)

        def gone() -> bool | None:
            left = [self._kube.get(NAMESPACES, None, name) for name in (self.good, self.bad)]
            return True if left == [None, None] else None

        self._watch_recorder.wait(gone, PATIENCE, "the namespaces are gone")

    def pour(self, number: int) -> None:
        """Create bad runs, of each kind in turn."""
        for index in range(number):
            manifest = task_run(f"bad-{index:05d}", self.bad, BAD[index % len(BAD)])
            self._kube.create(RUNS, self.bad, manifest)
            self.poured += 1

    def measure(self, enough: Callable[[int], bool]) -> Latency:
        """Create good runs one after the other until `enough` returns true."""
        to_pod: list[float] = []
        to_end: list[float] = []
        while not enough(len(to_end)):
            begin = datetime.now(UTC)
            manifest = task_run("good-", self.good, shell("true"))
            uid = self._kube.create(RUNS, self.good, manifest)["metadata"]["uid"]
            ended = self._watch_recorder.wait(partial(self._end_of, uid), PATIENCE, "a run ends")
            to_pod.append((self._watch_recorder.pods_of(uid)[0][0].at - begin).total_seconds())
            to_end.append((ended - begin).total_seconds())
        return Latency(len(to_end), _spread(to_pod), _spread(to_end))

    def _end_of(self, uid: str) -> datetime | None:
        for observation in self._watch_recorder.history(uid):
            if (observation.found.get("status") or {}).get("phase") in TERMINAL_PHASES:
                return observation.at
        return None


def _spread(seconds: list[float]) -> Spread:
    return Spread(round(statistics.median(seconds), 3), round(max(seconds), 3))


def compare(namespaces: Namespaces, good: int, bad: int) -> Outcome:
    """Measure good runs alone, then beside bad runs until all of these are created."""
    namespaces.measure(lambda ended: ended >= 1)  # warm-up, not measured
    alone = namespaces.measure(lambda ended: ended >= good)
    pouring = threading.Thread(target=namespaces.pour, args=(bad,), daemon=True)
    pouring.start()
    beside = namespaces.measure(lambda ended: ended >= good and not pouring.is_alive())
    return Outcome(bad, alone, beside, namespaces.poured)


@contextmanager
def stage(name: str) -> Iterator[Namespaces]:
    """Start a controller and create two namespaces for the block."""
    with (
        watched(name) as ground,
        ControllerProcess(ground.cluster, "--default-delete-delay=0s").at_work(),
    ):
        namespaces = Namespaces(ground.kube, ground.watch_recorder)
        try:
            yield namespaces
        finally:
            namespaces.remove()


def table(outcome: Outcome) -> str:
    """Return the outcome as a table for readers."""
    beside = f"beside {outcome.poured} bad runs"
    lines = [f"{'seconds, median (longest)':28}{'alone':>16}{beside:>26}{'ratio':>8}"]
    for part, words in (("to_pod", "creation to Pod"), ("to_end", "creation to end")):
        alone, with_bad = getattr(outcome.alone, part), getattr(outcome.beside, part)
        cells = [f"{latency.median:.3f} ({latency.longest:.3f})" for latency in (alone, with_bad)]
        lines.append(f"{words:28}{cells[0]:>16}{cells[1]:>26}{outcome.ratios[part]:>8.2f}")
    counts = f"{outcome.alone.runs} and {outcome.beside.runs}"
    return "\n".join([*lines, f"{counts} good runs, one after the other"])


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcome."""
    parser = options("fairness", __doc__)
    parser.add_argument("--bad", type=int, default=1000, metavar="N", help="bad runs (1000)")
    parser.add_argument("--good", type=int, default=20, metavar="N", help="good runs at least (20)")
    args = parser.parse_args(argv)
    with stage(args.cluster) as namespaces:
        outcome = compare(namespaces, args.good, args.bad)
    figures: dict[str, Any] = {**asdict(outcome), "ratios": outcome.ratios}
    print(json.dumps(figures, indent=2) if args.json else table(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
