"""How much memory does the controller need for what there is?

    python -m benchmarks.memory [--finished 10000] [--active 1000] [--env 20] [--cluster NAME]

On a test cluster that is up (`make cluster-up`). A controller first brings one run to its end, and
the active ones to where somebody else's scheduling gate holds their Pods; then it is stopped, and
as many finished TaskRuns are made as copies of the one that has ended. What is measured is a new
controller's start on all of that, and its next list of what exists. It prints the memory beside the
chart's limit.
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
"""Requests of the seeding that are under way at the same time."""
MIB = 2**20
HELD = pod_spec(schedulingGates=[{"name": "example.test/hold"}])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured: memory in MiB, times in seconds from the controller's start."""

    finished: int
    active: int
    limit: str
    """The chart's."""
    empty: float
    """Memory with no run at all."""
    peak: float
    """The most from its start on, the next list included."""
    at_rest: float
    """After that."""
    cpu: float
    """Seconds of processor time that it took to be ready, however busy the machine is."""
    ready: float
    looked_at: float
    listed_again: float


class Place:
    """A namespace of the cluster that is filled with runs."""

    def __init__(self, cluster: Cluster, env: int) -> None:
        self.cluster = cluster
        self.kube = Kube(cluster.kubeconfig)
        made = self.kube.create(NAMESPACES, None, {"metadata": {"generateName": "memory-"}})
        self.name: str = made["metadata"]["name"]
        self._env = [{"name": f"SETTING_{n}", "value": f"value number {n}"} for n in range(env)]

    def create(self, name: str, script: str, **spec: object) -> Object:
        """Make one run."""
        manifest = task_run(name, self.name, shell(script, env=self._env, **spec))
        return self.kube.create(RUNS, self.name, manifest)

    def status(self, name: str) -> Object:
        """Return what is told of a run; empty before it is."""
        found = self.kube.get(RUNS, self.name, name) or {}
        return found.get("status") or {}

    def seed_active(self, number: int) -> None:
        """Make runs whose Pods somebody else's gate holds, and wait until all have theirs."""
        names = [f"active-{n:05d}" for n in range(number)]
        _each(lambda name: self.create(name, "true", **HELD), names)
        for name in names:
            _await(partial(self._waits, name), f"{name} waits at its gate")

    def seed_finished(self, number: int, pattern: Object) -> None:
        """Make runs that have ended as another one has."""

        def make(name: str) -> None:
            self.create(name, "true")
            self.kube.merge(RUNS, self.name, name, {"status": pattern}, "status")

        _each(make, [f"finished-{n:05d}" for n in range(number)])

    def _waits(self, name: str) -> bool:
        return bool(self.status(name).get("phase") == Phase.QUEUED)

    def ended(self) -> Object:
        """Bring one run to its end and return its status."""
        self.create("pattern", "echo hello")
        _await(lambda: self.status("pattern").get("phase") in TERMINAL_PHASES, "a run has ended")
        return self.status("pattern")

    def remove(self) -> None:
        """Delete it with all that is in it, which takes a controller to let go of the Pods."""
        with watched(self.cluster):
            self.kube.delete(NAMESPACES, None, self.name)
            gone = f"namespace {self.name} is gone"
            _await(lambda: self.kube.get(NAMESPACES, None, self.name) is None, gone)


class Watched:
    """A controller as its metrics and the kernel tell of it."""

    def __init__(self, controller: ControllerProcess) -> None:
        self._controller = controller
        self._born = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return round(time.monotonic() - self._born, 1)

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of a metric that have these labels."""
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
        """VmRSS, what it has now, or VmHWM, the most that it ever had."""
        status = Path(f"/proc/{self._controller.pid}/status").read_text()
        (kib,) = re.findall(rf"^{which}:\s+(\d+) kB$", status, re.MULTILINE)
        return round(int(kib) * 1024 / MIB, 1)

    def is_ready(self) -> bool:
        """Whether it says that it is."""
        return bool(self._controller.address("metrics")) and self.total("taskruns_ready") == 1

    def has_seen(self, runs: int) -> bool:
        """Whether it knows of so many runs and has looked at all that ask for it."""
        waiting = self.total("taskruns_queue_depth") + self.total("taskruns_workers_busy")
        return not waiting and self.total("taskruns_runs") >= runs

    def lists(self) -> float:
        """How often it has listed Pods."""
        return self.total("taskruns_api_requests_total", resource="pods", verb="list", code="200")


@contextmanager
def watched(cluster: Cluster) -> Iterator[Watched]:
    """A new controller, from when it is ready to its end."""
    controller = ControllerProcess(cluster, "--default-delete-delay=0s")
    found = Watched(controller)
    controller.start(until_ready=False)
    try:
        _await(found.is_ready, "the controller is ready")
        yield found
        controller.stop()
    finally:
        controller.kill()


def fresh_start(cluster: Cluster, runs: int) -> dict[str, float]:
    """Start a controller on so many runs, and look at it until it is at rest."""
    with watched(cluster) as found:
        ready, cpu, lists = found.age, found.total("process_cpu_seconds_total"), found.lists()
        _await(lambda: found.has_seen(runs), "every run has been looked at")
        looked_at = found.age
        _await(lambda: found.lists() > lists, "everything is listed again")
        listed_again = found.age
        _await(lambda: found.has_seen(runs), "it is at rest")
        memory = {"at_rest": found.memory("VmRSS"), "peak": found.memory("VmHWM")}
    times = {"ready": ready, "looked_at": looked_at, "listed_again": listed_again}
    return {**memory, "cpu": round(cpu, 1), **times}


def measure(cluster: Cluster, finished: int, active: int, env: int) -> Outcome:
    """Fill a namespace, start a controller on it, and look at it."""
    place = Place(cluster, env)
    try:
        with watched(cluster) as seeder:
            empty = seeder.memory("VmRSS")
            pattern = place.ended()
            place.seed_active(active)
        place.seed_finished(finished, pattern)
        found = fresh_start(cluster, finished + active)
    finally:
        place.remove()
    return Outcome(finished=finished, active=active, limit=_limit(), empty=empty, **found)


def _limit() -> str:
    limit: str = yaml.safe_load(VALUES.read_text())["resources"]["limits"]["memory"]
    return limit


def _each(make: Callable[[str], object], names: list[str]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(make, names):
            pass


def _await(look: Callable[[], bool], what: str) -> None:
    wait_until(look, within=PATIENCE, what=what)


def table(outcome: Outcome) -> str:
    """Tell the outcome to a person."""
    rows = {
        "memory with no run": f"{outcome.empty:.0f} MiB",
        "memory at rest": f"{outcome.at_rest:.0f} MiB",
        "memory at most": f"{outcome.peak:.0f} MiB, of {outcome.limit} that the chart allows",
        "ready after": f"{outcome.ready:.1f} s, and {outcome.cpu:.1f} s of processor time",
        "every run looked at after": f"{outcome.looked_at:.1f} s",
        "everything listed again after": f"{outcome.listed_again:.1f} s",
    }
    title = f"{outcome.finished} finished and {outcome.active} active runs"
    return "\n".join([title, *(f"{name:32}{told}" for name, told in rows.items())])


def main(argv: list[str]) -> int:
    """Measure and print."""
    parser = options("memory", __doc__)
    for flag, default, text in (
        ("--finished", 10_000, "runs that have ended"),
        ("--active", 1_000, "runs that have a Pod"),
        ("--env", 20, "variables in the env of each run"),
    ):
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{text} ({default})"
        )
    given = parser.parse_args(argv)
    cluster = cluster_with_definition(given.cluster)
    outcome = measure(cluster, given.finished, given.active, given.env)
    print(json.dumps(asdict(outcome), indent=2) if given.json else table(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
