"""Cost of hundreds of deferred tasks that only wait: requests, processor time and memory.

    python -m benchmarks.deferral [--runs 500] [--seconds 60] [--cluster NAME] [--json]

It requires a running test cluster (`make cluster-up`), without a controller, and the Airflow that
`make airflow` builds. It creates the same number of TaskRuns and of Pods, with a status of running;
none gets a node, because they are only waited for. First the triggers of TaskRunOperator, then
those of KubernetesPodOperator with its defaults, wait for all of them in one process and one event
loop, as in a triggerer. It prints the number of requests of each in the API server's audit log, and
the resources that the process used.

Live logs are excluded for both: TaskRunOperator's trigger follows a log by one more request, which
lasts as long as the container; KubernetesPodOperator's shows none unless `logging_interval` is set.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.ground import cluster_with_definition, options
from taskruns.api.conditions import Phase
from tests.cluster import Cluster
from tests.cluster.deadline import wait_until
from tests.support.builders.manifests import IMAGE, task_run
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object
from tests.support.cluster.service_account import account, kubeconfig_of

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".build/airflow-3/bin/python"
TRIGGERER = ROOT / "benchmarks/triggerer.py"
OURS, THEIRS = "taskruns", "pods"
OPERATORS = {OURS: "TaskRunOperator", THEIRS: "KubernetesPodOperator"}
WAITER = "waiter"
AT_ONCE = 8
PATIENCE = 600
NEVER = {"schedulingGates": [{"name": "example.test/never"}]}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Cost of waiting, for one operator."""

    operator: str
    runs: int
    seconds: float
    requests: int
    by_kind: dict[str, int]
    """Number of requests, by verb and resource."""
    cpu: float
    """Processor time, in seconds."""
    memory: float
    """Peak growth of the process in MiB, without its imports and the triggers."""


class Place:
    """A namespace with objects to wait for, and a service account that waits."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self._cluster = cluster
        self._home = home
        self._kube = Kube(cluster.kubeconfig)
        made = self._kube.create(NAMESPACES, None, {"metadata": {"generateName": "deferral-"}})
        self.name: str = made["metadata"]["name"]
        account(cluster, self.name, WAITER, "cluster-admin")
        self._kubeconfig = kubeconfig_of(cluster, self.name, WAITER, home)

    def remove(self) -> None:
        """Delete the namespace and wait until it is gone."""
        self._kube.delete(NAMESPACES, None, self.name)
        wait_until(
            lambda: self._kube.get(NAMESPACES, None, self.name) is None,
            within=PATIENCE,
            condition=f"namespace {self.name} is gone",
        )
        self._kube.close()

    def make(self, kind: str, runs: int) -> list[Object]:
        """Create `runs` objects of one kind with a status of running."""
        make = {OURS: self._task_run, THEIRS: self._pod}[kind]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(make, [f"waits-{number:04d}" for number in range(runs)]))

    def wait(self, kind: str, objects: list[Object], seconds: float) -> Outcome:
        """Wait for all objects for `seconds`, and return the cost."""
        audit = Audit(self._cluster)
        output = subprocess.run(  # noqa: S603 - a program of this checkout
            [PYTHON, "-W", "ignore", TRIGGERER, kind, self._kubeconfig, str(seconds)],
            input=json.dumps([each["metadata"] for each in objects]),
            env=self._environ(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        used = json.loads(output.splitlines()[-1])
        api_requests = audit.of_user(f"system:serviceaccount:{self.name}:{WAITER}")
        return Outcome(
            operator=OPERATORS[kind],
            runs=len(objects),
            seconds=seconds,
            requests=len(api_requests),
            by_kind=dict(Counter(map(str, api_requests))),
            cpu=round(used["cpu"], 1),
            memory=round(used["memory"], 1),
        )

    def _environ(self) -> dict[str, str]:
        """Return the environment of an Airflow without a database; connections are variables."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "KUBE"))}
        return {
            **kept,
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_TASKRUNS_DEFAULT": '{"conn_type": "taskruns"}',
            "AIRFLOW_CONN_KUBERNETES_DEFAULT": '{"conn_type": "kubernetes"}',
        }

    def _task_run(self, name: str) -> Object:
        manifest = task_run(name, self.name, {"image": IMAGE})
        manifest["metadata"]["labels"] = {"airflow.taskruns.dev/task": name}
        self._kube.create(RUNS, self.name, manifest)
        status = {"phase": Phase.RUNNING, "observedGeneration": 1, "attempt": 1}
        return self._kube.merge(RUNS, self.name, name, {"status": status}, "status")

    def _pod(self, name: str) -> Object:
        spec = {"containers": [{"name": "base", "image": IMAGE}], **NEVER}
        self._kube.create(PODS, self.name, {"metadata": {"name": name}, "spec": spec})
        base = {"name": "base", "image": IMAGE, "imageID": "", "ready": True, "restartCount": 0}
        running = {**base, "state": {"running": {}}}
        status = {"phase": "Running", "containerStatuses": [running]}
        return self._kube.merge(PODS, self.name, name, {"status": status}, "status")


@contextmanager
def place(cluster: Cluster) -> Iterator[Place]:
    """Create a namespace for the block."""
    with tempfile.TemporaryDirectory() as home:
        namespace = Place(cluster, Path(home))
        try:
            yield namespace
        finally:
            namespace.remove()


def measure(cluster: Cluster, runs: int, seconds: float) -> list[Outcome]:
    """Measure the wait for `runs` TaskRuns, then the wait for as many Pods."""
    outcomes = []
    for kind in (OURS, THEIRS):
        with place(cluster) as namespace:
            outcomes.append(namespace.wait(kind, namespace.make(kind, runs), seconds))
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table for readers."""
    ours, theirs = outcomes
    title = f"{ours.runs} deferred tasks that wait for {ours.seconds:.0f} s"
    lines = [f"{title:42}{'requests':>10}{'CPU':>10}{'memory':>12}"]
    for each in outcomes:
        lines.append(
            f"{each.operator:42}{each.requests:>10}{each.cpu:>8.1f} s{each.memory:>8.1f} MiB"
        )
        lines += [f"    {number} x {request}" for request, number in sorted(each.by_kind.items())]
    return "\n".join([*lines, f"ratio of requests: {theirs.requests / max(ours.requests, 1):.0f}"])


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcomes."""
    parser = options("deferral", __doc__)
    parser.add_argument("--runs", type=int, default=500, metavar="N", help="of each kind (500)")
    parser.add_argument("--seconds", type=float, default=60, metavar="N", help="of waiting (60)")
    args = parser.parse_args(argv)
    if not PYTHON.exists():
        parser.error("there is no Airflow: run `make airflow`")
    outcomes = measure(cluster_with_definition(args.cluster), args.runs, args.seconds)
    figures = [asdict(each) for each in outcomes]
    print(json.dumps(figures, indent=2) if args.json else table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
