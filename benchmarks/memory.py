"""Memory of the controller with many finished and active runs.

    python -m benchmarks.memory [--finished 10000] [--active 1000] [--env 20] [--cluster NAME]

It requires a running test cluster (`make cluster-up`). A first controller runs one TaskRun to its
end, and creates the Pods of the active runs, which a scheduling gate of the benchmark holds. After
that controller has stopped, finished TaskRuns are created as copies of the ended one. The benchmark
measures the start of a new controller with all these objects, and its next list of all objects. It
prints the memory and the chart's limit.
"""

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.ground import cluster_with_definition, options
from taskruns.api.conditions import TERMINAL_PHASES, Phase
from tests.cluster import Cluster
from tests.cluster.deadline import wait_until
from tests.support.builders.manifests import pod_spec, shell, task_run
from tests.support.cluster.client import NAMESPACES, RUNS, Kube, Object
from tests.support.cluster.controller_process import ControllerProcess

ROOT = Path(__file__).parents[1]
VALUES = ROOT / "charts/taskruns/values.yaml"
PATIENCE = 1800
AT_ONCE = 16
"""Number of concurrent requests when runs are created."""
MIB = 2**20
HELD = pod_spec(schedulingGates=[{"name": "example.test/hold"}])


@dataclass(frozen=True, slots=True)
class Outcome:
    """Memory in MiB, and times in seconds from the controller's start."""

    finished: int
    active: int
    limit: str
    """Memory limit in the chart."""
    empty: float
    """Memory without any run."""
    peak: float
    """Peak memory from the start to the end of the next list."""
    at_rest: float
    """Memory after the next list."""
    cpu: float
    """Processor time until it is ready, which does not depend on the machine's load."""
    ready: float
    looked_at: float
    listed_again: float


class Place:
    """A namespace that is filled with runs."""

    def __init__(self, cluster: Cluster, env: int) -> None:
        self.cluster = cluster
        self.kube = Kube(cluster.kubeconfig)
        made = self.kube.create(NAMESPACES, None, {"metadata": {"generateName": "memory-"}})
        self.name: str = made["metadata"]["name"]
        self._env = [{"name": f"SETTING_{n}", "value": f"value number {n}"} for n in range(env)]

    def create(self, name: str, script: str, **spec: object) -> Object:
        """Create one run."""
        manifest = task_run(name, self.name, shell(script, env=self._env, **spec))
        return self.kube.create(RUNS, self.name, manifest)

    def status(self, name: str) -> Object:
        """Return a run's status, or an empty object."""
        run = self.kube.get(RUNS, self.name, name) or {}
        return run.get("status") or {}

    def seed_active(self, number: int) -> None:
        """Create runs whose Pods another scheduling gate holds, and wait for the Pods."""
        names = [f"active-{n:05d}" for n in range(number)]
        _each(lambda name: self.create(name, "true", **HELD), names)
        for name in names:
            _await(partial(self._waits, name), f"{name} waits at its gate")

    def seed_finished(self, number: int, pattern: Object) -> None:
        """Create runs with the terminal status of another run."""

        def make(name: str) -> None:
            self.create(name, "true")
            self.kube.merge(RUNS, self.name, name, {"status": pattern}, "status")

        _each(make, [f"finished-{n:05d}" for n in range(number)])

    def _waits(self, name: str) -> bool:
        return bool(self.status(name).get("phase") == Phase.QUEUED)

    def ended(self) -> Object:
        """Run one TaskRun to its end and return its status."""
        self.create("pattern", "echo hello")
        _await(lambda: self.status("pattern").get("phase") in TERMINAL_PHASES, "a run has ended")
        return self.status("pattern")

    def remove(self) -> None:
        """Delete the namespace; a controller runs meanwhile to remove the finalizers of Pods."""
        with watched(self.cluster):
            self.kube.delete(NAMESPACES, None, self.name)
            gone = f"namespace {self.name} is gone"
            _await(lambda: self.kube.get(NAMESPACES, None, self.name) is None, gone)


class Watched:
    """A controller that is observed through its metrics and /proc."""

    def __init__(self, controller: ControllerProcess) -> None:
        self._controller = controller
        self._born = time.monotonic()

    @property
    def age(self) -> float:
        """Time since its start, in seconds."""
        return round(time.monotonic() - self._born, 1)

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        with urllib.request.urlopen(
            f"http://{self._controller.address('metrics')}/metrics", timeout=60
        ) as answer:
            page = answer.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def memory(self, which: str) -> float:
        """Return VmRSS (current memory) or VmHWM (peak memory), in MiB."""
        status = Path(f"/proc/{self._controller.pid}/status").read_text()
        (kib,) = re.findall(rf"^{which}:\s+(\d+) kB$", status, re.MULTILINE)
        return round(int(kib) * 1024 / MIB, 1)

    def is_ready(self) -> bool:
        """Return whether its metrics report that it is ready."""
        return bool(self._controller.address("metrics")) and self.total("taskruns_ready") == 1

    def has_seen(self, runs: int) -> bool:
        """Return whether it has cached at least `runs` runs and its work queue is empty."""
        waiting = self.total("taskruns_queue_depth") + self.total("taskruns_workers_busy")
        return not waiting and self.total("taskruns_runs") >= runs

    def lists(self) -> float:
        """Return how often it has listed Pods."""
        return self.total("taskruns_api_requests_total", resource="pods", verb="list", code="200")


@contextmanager
def watched(cluster: Cluster) -> Iterator[Watched]:
    """Start a new controller for the block; the block begins when it is ready."""
    controller = ControllerProcess(cluster, "--default-delete-delay=0s")
    controller_view = Watched(controller)
    controller.start(until_ready=False)
    try:
        _await(controller_view.is_ready, "the controller is ready")
        yield controller_view
        controller.stop()
    finally:
        controller.kill()


def fresh_start(cluster: Cluster, runs: int) -> dict[str, float]:
    """Start a controller on a cluster with `runs` runs, and measure until it is at rest."""
    with watched(cluster) as view:
        ready, cpu, lists = view.age, view.total("process_cpu_seconds_total"), view.lists()
        _await(lambda: view.has_seen(runs), "every run has been looked at")
        looked_at = view.age
        _await(lambda: view.lists() > lists, "everything is listed again")
        listed_again = view.age
        _await(lambda: view.has_seen(runs), "it is at rest")
        memory = {"at_rest": view.memory("VmRSS"), "peak": view.memory("VmHWM")}
    times = {"ready": ready, "looked_at": looked_at, "listed_again": listed_again}
    return {**memory, "cpu": round(cpu, 1), **times}


def measure(cluster: Cluster, finished: int, active: int, env: int) -> Outcome:
    """Fill a namespace, start a controller on it, and measure the controller."""
    place = Place(cluster, env)
    try:
        with watched(cluster) as seeder:
            empty = seeder.memory("VmRSS")
            pattern = place.ended()
            place.seed_active(active)
        place.seed_finished(finished, pattern)
        measured = fresh_start(cluster, finished + active)
    finally:
        place.remove()
    return Outcome(finished=finished, active=active, limit=_limit(), empty=empty, **measured)


def _limit() -> str:
    limit: str = yaml.safe_load(VALUES.read_text())["resources"]["limits"]["memory"]
    return limit


def _each(make: Callable[[str], object], names: list[str]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(make, names):
            pass


def _await(look: Callable[[], bool], condition: str) -> None:
    wait_until(look, within=PATIENCE, condition=condition)


def table(outcome: Outcome) -> str:
    """Return the outcome as a table for readers."""
    rows = {
        "memory without runs": f"{outcome.empty:.0f} MiB",
        "memory at rest": f"{outcome.at_rest:.0f} MiB",
        "peak memory": f"{outcome.peak:.0f} MiB; the chart's limit is {outcome.limit}",
        "ready after": f"{outcome.ready:.1f} s, and {outcome.cpu:.1f} s of processor time",
        "every run reconciled after": f"{outcome.looked_at:.1f} s",
        "all objects listed again after": f"{outcome.listed_again:.1f} s",
    }
    title = f"{outcome.finished} finished and {outcome.active} active runs"
    return "\n".join([title, *(f"{name:32}{value}" for name, value in rows.items())])


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcome."""
    parser = options("memory", __doc__)
    for flag, default, text in (
        ("--finished", 10_000, "runs that have ended"),
        ("--active", 1_000, "runs that have a Pod"),
        ("--env", 20, "variables in the env of each run"),
    ):
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{text} ({default})"
        )
    args = parser.parse_args(argv)
    cluster = cluster_with_definition(args.cluster)
    outcome = measure(cluster, args.finished, args.active, args.env)
    print(json.dumps(asdict(outcome), indent=2) if args.json else table(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
