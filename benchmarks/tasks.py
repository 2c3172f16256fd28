"""Duration of short tasks in a real Airflow, and the time from a container's exit to success.

    python -m benchmarks.tasks [--tasks 60] [--rounds 1] [--exits 5] [--cluster NAME] [--json]

It requires a running test cluster (`make cluster-up`) and the Airflow that `make airflow` builds,
and starts its own controller and Airflow.

First DAG runs of `--tasks` deferrable tasks, whose containers run for 1 to 3 s, take turns: with
the default of `defer_after`, so that the worker follows a run for its first seconds, and with
`defer_after=0`, which defers every task. Sixteen tasks are active at a time.

Then `--exits` tasks of TaskRunOperator and as many of KubernetesPodOperator wait in a worker and
deferred. Their containers run for 40 s and longer, and end one after the other. The last act of
each is to write the machine's clock to its log; it is compared with the end of the task instance.
"""

import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.ground import cluster_with_definition, options
from tests.cluster import Cluster
from tests.support.airflow.processes import PROGRAM, Airflow
from tests.support.builders.manifests import IMAGE
from tests.support.cluster.client import NAMESPACES, Kube
from tests.support.cluster.controller_process import ControllerProcess

AT_ONCE = 16
"""Number of active tasks of a DAG; the default of Airflow."""
PATIENCE = 900.0
TERMINAL = {"success", "failed"}
DEFAULT, AT_START = "followed_first", "deferred_at_once"
SHORT: Mapping[str, Mapping[str, Any]] = {
    DEFAULT: {"deferrable": True},
    AT_START: {"deferrable": True, "defer_after": 0},
}
"""DAGs of short tasks, with the arguments that differ."""
TARGET = 0.6
"""Target for the time of the first of these DAGs by that of the second."""
OPERATORS = {"taskrun": "TaskRunOperator", "pod": "KubernetesPodOperator"}
MODES = {"worker": False, "deferred": True}
FIRST_EXIT, BETWEEN_EXITS = 40, 3
"""Seconds until the first container exits, and between two exits."""
_UPTIME = re.compile(r"exit at (\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Short:
    """One DAG run of short tasks."""

    dag: str
    tasks: int
    seconds: float
    """Time from the trigger of the DAG run until the last task has ended."""
    failed: int
    retried: int
    """Number of tasks that needed more than one try."""


@dataclass(frozen=True, slots=True)
class Exit:
    """Times from a container's exit to the success of its task, in seconds."""

    operator: str
    waits_in: str
    median: float
    longest: float
    tasks: int


def scenarios(tasks: int, exits: int, kubeconfig: Path, namespace: str) -> list[dict[str, Any]]:
    """Return the descriptions of all DAGs for tests/airflow/dags."""
    durations = [["-c", f"sleep {1 + 2 * n / tasks:.2f}"] for n in range(tasks)]
    common = {"image": IMAGE, "retries": 2}
    short = [
        _scenario(dag, {**common, "command": ["sh"], **arguments}, durations)
        for dag, arguments in SHORT.items()
    ]
    script = "sleep {}; read up idle < /proc/uptime; echo exit at $up"
    ends = [["-c", script.format(FIRST_EXIT + BETWEEN_EXITS * n)] for n in range(exits)]
    ours = {"image": IMAGE, "command": ["sh"]}
    theirs = {
        "image": IMAGE,
        "cmds": ["sh"],
        "name": "exit",
        "namespace": namespace,
        "config_file": str(kubeconfig),
        "kubernetes_conn_id": None,
        "in_cluster": False,
    }
    arguments: dict[str, dict[str, Any]] = {"taskrun": ours, "pod": theirs}
    waits = [
        _scenario(
            f"{operator}_{mode}",
            {**arguments[operator], "deferrable": deferrable},
            ends,
            original=operator == "pod",
        )
        for operator in OPERATORS
        for mode, deferrable in MODES.items()
    ]
    return [*short, *waits]


def _scenario(
    dag_id: str, arguments: Mapping[str, Any], mapped: Sequence[Any], *, original: bool = False
) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "arguments": dict(arguments),
        "mapped": {"arguments": list(mapped)},
        "at_once": AT_ONCE,
        "patience": None,
        "original": original,
    }


def play(airflow: Airflow, dag: str, run: str, tasks: int) -> list[dict[str, Any]]:
    """Run a DAG to its end; return its task instances."""
    print(f"{dag}, {run}: starting", file=sys.stderr, flush=True)
    airflow.rest.trigger(dag, run)

    def ended() -> list[dict[str, Any]] | None:
        instances = airflow.rest.instances(dag, run)
        # Before the scheduler expands a mapped task, there is one instance without an index.
        expanded = [each for each in instances if each["map_index"] >= 0]
        done = len(expanded) == tasks and all(each["state"] in TERMINAL for each in expanded)
        return expanded if done else None

    instances: list[dict[str, Any]] = airflow.wait(
        ended, f"all tasks of {dag} have ended", PATIENCE
    )
    return instances


def short(airflow: Airflow, dag: str, run: str, tasks: int) -> Short:
    """Measure one DAG run of short tasks."""
    instances = play(airflow, dag, run, tasks)
    began = datetime.fromisoformat(airflow.rest.dag_run(dag, run)["queued_at"])
    last = max(datetime.fromisoformat(each["end_date"]) for each in instances)
    return Short(
        dag=dag,
        tasks=tasks,
        seconds=round((last - began).total_seconds(), 1),
        failed=sum(each["state"] != "success" for each in instances),
        retried=sum(each["try_number"] > 1 for each in instances),
    )


def exit_times(airflow: Airflow, operator: str, mode: str, tasks: int) -> Exit:
    """Measure the time from exit to success, for tasks of one operator.

    Raises:
        RuntimeError: a task has failed, or the container's last line is missing in its log.
    """
    dag = f"{operator}_{mode}"
    instances = play(airflow, dag, "exit", tasks)
    taken = []
    for each in instances:
        content = airflow.rest.log(dag, "exit", "task", each["try_number"], each["map_index"])
        match = _UPTIME.search(json.dumps(content))
        if each["state"] != "success" or not match:
            raise RuntimeError(f"{dag}: {each['state']}: {json.dumps(content)[-2000:]}")
        ended = datetime.fromisoformat(each["end_date"]).timestamp()
        taken.append(ended - _wall_clock(float(match[1])))
    return Exit(
        operator=OPERATORS[operator],
        waits_in=mode,
        median=round(statistics.median(taken), 2),
        longest=round(max(taken), 2),
        tasks=tasks,
    )


def _wall_clock(uptime: float) -> float:
    """Return the Unix time of an uptime of this machine."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + uptime


@contextmanager
def airflow_on(cluster: Cluster, tasks: int, exits: int) -> Iterator[Airflow]:
    """Start an Airflow with the DAGs, and a controller for their runs, for the block."""
    kube = Kube(cluster.kubeconfig)
    made = kube.create(NAMESPACES, None, {"metadata": {"generateName": "tasks-"}})
    namespace: str = made["metadata"]["name"]
    connection = {"kube_config_path": str(cluster.kubeconfig), "namespace": namespace}
    try:
        with tempfile.TemporaryDirectory() as home, ControllerProcess(cluster).at_work():
            connections = {"taskruns_default": connection}
            # As for users, each process of a task imports its modules itself.
            airflow = Airflow(Path(home), connections, preload=False)
            try:
                airflow.up(scenarios(tasks, exits, cluster.kubeconfig, namespace))
                yield airflow
            finally:
                airflow.down()
                kube.delete(NAMESPACES, None, namespace)
    finally:
        kube.close()


def measure(
    cluster: Cluster, tasks: int, rounds: int, exits: int
) -> tuple[list[Short], list[Exit]]:
    """Measure short tasks in turns, and then exits."""
    with airflow_on(cluster, tasks, exits) as airflow:
        shorts = [
            short(airflow, dag, f"round-{number}", tasks)
            for number in range(1, rounds + 1)
            for dag in SHORT
        ]
        modes = [(operator, mode) for operator in OPERATORS for mode in MODES] if exits else []
        return shorts, [exit_times(airflow, *each, exits) for each in modes]


def ratio(shorts: Sequence[Short]) -> float:
    """Return the median time of the default by that of tasks that are deferred at once."""
    times = {
        dag: statistics.median(each.seconds for each in shorts if each.dag == dag) for dag in SHORT
    }
    return times[DEFAULT] / times[AT_START]


def table(shorts: Sequence[Short], exits: Sequence[Exit]) -> str:
    """Return the outcomes as tables for readers."""
    lines = []
    if shorts:
        title = f"{shorts[0].tasks} deferrable tasks of 1 to 3 s"
        lines.append(f"{title:42}{'time':>10}{'failed':>9}{'retried':>9}")
        lines += [f"{e.dag:42}{e.seconds:>8.1f} s{e.failed:>9}{e.retried:>9}" for e in shorts]
        met = ratio(shorts) <= TARGET and not any(each.failed + each.retried for each in shorts)
        verdict = "met" if met else "missed"
        lines.append(f"ratio: {ratio(shorts):.2f}; target <= {TARGET}, none failed: {verdict}")
    if exits:
        lines += ["", f"{'from exit to success':42}{'median':>10}{'longest':>10}"]
        lines += [
            f"{f'{e.operator}, {e.waits_in}':42}{e.median:>8.2f} s{e.longest:>8.2f} s"
            for e in exits
        ]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcomes."""
    parser = options("tasks", __doc__)
    for flag, default, text in (
        ("--tasks", 60, "short tasks of a DAG run"),
        ("--rounds", 1, "DAG runs of short tasks"),
        ("--exits", 5, "tasks whose exit is measured, of each operator and mode; 0: none"),
    ):
        parser.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{text} ({default})"
        )
    args = parser.parse_args(argv)
    if not PROGRAM.exists():
        parser.error("there is no Airflow: run `make airflow`")
    cluster = cluster_with_definition(args.cluster)
    shorts, exits = measure(cluster, args.tasks, args.rounds, args.exits)
    figures = {"short": [asdict(e) for e in shorts], "exits": [asdict(e) for e in exits]}
    print(json.dumps(figures, indent=2) if args.json else table(shorts, exits))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
