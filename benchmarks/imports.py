"""Import time of TaskRunOperator and of KubernetesPodOperator in a DAG processor.

    python -m benchmarks.imports [--times 10] [--json]

Each import runs in a new process of the Airflow that `make airflow` builds. The process has loaded
the modules that every DAG processor loads before, and all modules are compiled. The operators take
turns, so that other load of the machine affects all of them. The ratio holds on any machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

PYTHON = Path(__file__).parents[1] / ".build/airflow-3/bin/python"
OPERATORS = {
    "TaskRunOperator": "from taskruns_airflow import TaskRunOperator",
    "compat.KubernetesPodOperator": "from taskruns_airflow.compat import KubernetesPodOperator",
    "KubernetesPodOperator": (
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator"
    ),
}
ORIGINAL = "KubernetesPodOperator"
PROGRAM = """
import resource, sys, time
from airflow.providers.common.compat.sdk import DAG, BaseOperator, XCom
DAG, BaseOperator, XCom
size = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
modules, memory, began = len(sys.modules), size(), time.perf_counter()
{statement}
print(time.perf_counter() - began, (size() - memory) / 1024, len(sys.modules) - modules)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one import."""

    seconds: float
    mib: float
    """Peak growth of the process's memory, in MiB."""
    modules: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Fastest and median cost of many imports of one operator."""

    operator: str
    fastest: float
    middle: float
    mib: float
    modules: int


def measure(statement: str) -> Cost:
    """Import once, in a new process."""
    # With PYTHONDONTWRITEBYTECODE from a shell, every process would compile all modules again.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    ran = subprocess.run(  # noqa: S603 - statements of this module
        [PYTHON, "-W", "ignore", "-c", PROGRAM.format(statement=statement)],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, mib, modules = ran.stdout.split()[-3:]
    return Cost(float(seconds), float(mib), int(modules))


def compare(times: int) -> list[Outcome]:
    """Import each operator `times` times, in turns."""
    for statement in OPERATORS.values():
        measure(statement)  # compiles the modules
    costs_by_operator: dict[str, list[Cost]] = {name: [] for name in OPERATORS}
    for _ in range(times):
        for name, statement in OPERATORS.items():
            costs_by_operator[name].append(measure(statement))
    return [_outcome(name, costs) for name, costs in costs_by_operator.items()]


def _outcome(name: str, costs: list[Cost]) -> Outcome:
    seconds = [each.seconds for each in costs]
    return Outcome(
        operator=name,
        fastest=round(min(seconds), 3),
        middle=round(statistics.median(seconds), 3),
        mib=round(statistics.median(each.mib for each in costs), 1),
        modules=costs[0].modules,
    )


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table for readers."""
    (original,) = (each for each in outcomes if each.operator == ORIGINAL)
    lines = [f"{'importing':30}{'fastest':>9}{'middle':>9}{'memory':>10}{'modules':>9}{'ratio':>7}"]
    lines += [
        f"{each.operator:30}{each.fastest:>7.3f} s{each.middle:>7.3f} s{each.mib:>6.1f} MiB"
        f"{each.modules:>9}{original.fastest / each.fastest:>7.0f}"
        for each in outcomes
    ]
    return "\n".join(
        [
            *lines,
            f"ratio: fastest import of {ORIGINAL} / fastest of this operator",
        ]
    )


def main(argv: list[str]) -> int:
    """Run the benchmark and print the outcomes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.imports",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--times", type=int, default=10, metavar="N", help="imports of each (10)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    if not PYTHON.exists():
        parser.error("there is no Airflow: run `make airflow`")
    outcomes = compare(args.times)
    figures = [asdict(each) for each in outcomes]
    print(json.dumps(figures, indent=2) if args.json else table(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
