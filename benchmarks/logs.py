"""Memory of the Airflow processes that read a long log.

    python -m benchmarks.logs [--megabytes 100] [--rate 2] [--cluster NAME] [--json]

It requires a running test cluster (`make cluster-up`) and the Airflow that `make airflow` builds,
and starts its own controller and Airflow. A task that writes one megabyte and one that writes
`--megabytes` run twice, once waiting in a worker and once deferred. Lines have a hundred bytes. It
prints the peak memory of each process that handles the log: the task's process or the triggerer,
and Airflow's supervisor of it, which writes the log.

The rate is that of the container, in megabytes per second. The kubelet serves only the newest file
of a log, and starts a new one at 10 MiB by default. Lines are lost if a container writes that much
before they are read, or faster than they are read. Therefore the container waits before it writes.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.ground import cluster_with_definition, options
from tests.cluster import Cluster
from tests.support.airflow.processes import PROGRAM, TRIGGERER, Airflow, parent_of
from tests.support.builders.manifests import IMAGE
from tests.support.cluster.client import NAMESPACES, Kube
from tests.support.cluster.controller_process import ControllerProcess

MODES = ("worker", "triggerer")
LINE = 100
MEGABYTE = 1_000_000
RUN = "benchmark"
PATIENCE = 3600.0
PAUSE = 15
TERMINAL = {"success", "failed"}
WRITE = """
BEGIN {{ system("sleep {pause}"); for (n = 1; n <= {lines}; n++) {{
  printf "%099d\\n", n; if (n % {burst} == 0) system("sleep 1")
}} }}
"""
_EVENT = b"Trigger fired event"
"""Log entry of Airflow that repeats the last line of the task."""
_NUMBER = re.compile(rb"\d{99}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Cost of one task's log."""

    waits_in: str
    megabytes: float
    written: int
    """Number of lines that the task wrote."""
    shown: int
    """Number of lines in Airflow's log."""
    seconds: float
    """Time from the task's start to its end."""
    reader: float
    """Peak memory of the process that read the log, in MiB."""
    supervisor: float
    """Peak memory of the process that wrote Airflow's log, in MiB."""


class Memory:
    """Peak memory of several processes, recorded while they exist."""

    def __init__(self) -> None:
        self.peaks: dict[int, float] = {}

    def look(self, pids: list[int]) -> None:
        """Record the peak memory of the processes that still exist."""
        for pid in pids:
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            if match := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
                self.peaks[pid] = int(match[1]) / 1024


def dag_id(mode: str, megabytes: float) -> str:
    """Return the id of a task's DAG."""
    return f"{mode}_{megabytes:g}".replace(".", "_")


def scenario(mode: str, megabytes: float, rate: float) -> dict[str, Any]:
    """Return the description of a task for tests/airflow/dags."""
    lines = int(megabytes * MEGABYTE / LINE)
    program = WRITE.format(pause=PAUSE, lines=lines, burst=int(rate * MEGABYTE / LINE))
    arguments = {
        "image": IMAGE,
        "command": ["awk"],
        "arguments": [program],
        "deferrable": mode == "triggerer",
    }
    return {
        "dag_id": dag_id(mode, megabytes),
        "arguments": arguments,
        "mapped": {},
        "at_once": 1,
        "patience": None,
    }


def measure(airflow: Airflow, mode: str, megabytes: float) -> Outcome:
    """Run one task to its end."""
    memory, dag = Memory(), dag_id(mode, megabytes)
    reader = supervisor = 0
    began = time.monotonic()
    airflow.rest.trigger(dag, RUN)
    while True:
        (instance,) = airflow.rest.instances(dag, RUN)
        if instance["state"] in TERMINAL:
            break
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"{dag} did not end within {PATIENCE:.0f} s")
        if mode == "triggerer":
            supervisor, reader = airflow.pids(TRIGGERER)[:2]
        elif instance["state"] == "running" and not reader:
            reader = instance["pid"]
            supervisor = parent_of(reader)
        memory.look([reader, supervisor])
        time.sleep(0.5)
    if instance["state"] != "success":
        raise RuntimeError(f"{dag}: {airflow.rest.log(dag, RUN, 'task', 1)}")
    return Outcome(
        waits_in=mode,
        megabytes=megabytes,
        written=int(megabytes * MEGABYTE / LINE),
        shown=_count_lines(airflow.home / "logs" / f"dag_id={dag}"),
        seconds=round(time.monotonic() - began, 1),
        reader=round(memory.peaks[reader], 1),
        supervisor=round(memory.peaks[supervisor], 1),
    )


def _count_lines(folder: Path) -> int:
    """Return the number of the task's lines in Airflow's log."""
    count = 0
    for path in folder.rglob("*.log*"):
        with path.open("rb") as log:
            entries = (entry for entry in log if _EVENT not in entry)
            count += sum(len(_NUMBER.findall(entry)) for entry in entries)
    return count


@contextmanager
def airflow_on(cluster: Cluster, scenarios: Sequence[Mapping[str, Any]]) -> Iterator[Airflow]:
    """Start an Airflow with these tasks, and a controller for their runs, for the block."""
    kube = Kube(cluster.kubeconfig)
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "logs-"}})
    namespace: str = made["metadata"]["name"]
    connection = {"kube_config_path": str(cluster.kubeconfig), "namespace": namespace}
    try:
        with tempfile.TemporaryDirectory() as home, ControllerProcess(cluster).at_work():
            airflow = Airflow(Path(home), {"taskruns_default": connection})
            try:
                airflow.up(scenarios)
                yield airflow
            finally:
                airflow.down()
                kube.delete(NAMESPACES, None, namespace)
    finally:
        kube.close()


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table for readers."""
    heads = ("waits in", "log", "lines shown", "time", "reader", "supervisor")
    lines = [f"{heads[0]:12}{heads[1]:>8}{heads[2]:>22}{heads[3]:>9}{heads[4]:>11}{heads[5]:>12}"]
    lines += [
        f"{each.waits_in:12}{each.megabytes:>5g} MB{f'{each.shown} of {each.written}':>22}"
        f"{each.seconds:>7.0f} s{each.reader:>7.0f} MiB{each.supervisor:>8.0f} MiB"
        for each in outcomes
    ]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcomes."""
    parser = options("logs", __doc__)
    parser.add_argument("--megabytes", type=float, default=100, metavar="N", help="long log (100)")
    parser.add_argument("--rate", type=float, default=2, metavar="N", help="MB per second (2)")
    args = parser.parse_args(argv)
    if not PROGRAM.exists():
        parser.error("there is no Airflow: run `make airflow`")
    tasks = [(mode, size) for mode in MODES for size in (1, args.megabytes)]
    scenarios = [scenario(mode, size, args.rate) for mode, size in tasks]
    with airflow_on(cluster_with_definition(args.cluster), scenarios) as airflow:
        outcomes = [measure(airflow, mode, size) for mode, size in tasks]
    figures = [asdict(each) for each in outcomes]
    print(json.dumps(figures, indent=2) if args.json else table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
