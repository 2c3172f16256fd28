"""All benchmarks of Airflow, on one cluster: imports, deferred tasks, short tasks, exits.

    python -m benchmarks.airflow_suite [--parts imports,deferral,tasks] [--rounds 1] [--json FILE]

It requires the Airflow that `make airflow` builds. It creates a test cluster and removes it
afterwards, unless one of that name is up. The parts are `benchmarks.imports`, `benchmarks.deferral`
and `benchmarks.tasks`, which describe what they measure. A part that fails is reported, and the
others continue.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import deferral, imports, tasks
from benchmarks.ground import cluster_with_definition
from tests.cluster import Cluster

FOLDER = Path(__file__).parents[1] / ".build" / "bench"
IMPORTS, WAITING_TASKS, WAITING_SECONDS, SHORT_TASKS, EXITS = 5, 500, 60, 60, 5
"""Sizes: imports of each operator, tasks that wait, their seconds, short tasks, exits."""

Figures = tuple[Any, str]
"""Figures for JSON, and a table for readers."""


def measure_imports(_cluster: Cluster, _rounds: int) -> Figures:
    """Measure the import in a DAG processor."""
    outcomes = imports.compare(IMPORTS)
    return [asdict(each) for each in outcomes], imports.table(outcomes)


def measure_deferral(cluster: Cluster, _rounds: int) -> Figures:
    """Measure tasks that only wait in a triggerer."""
    outcomes = deferral.measure(cluster, WAITING_TASKS, WAITING_SECONDS)
    return [asdict(each) for each in outcomes], deferral.table(outcomes)


def measure_tasks(cluster: Cluster, rounds: int) -> Figures:
    """Measure short tasks, and the time from exit to success."""
    shorts, exits = tasks.measure(cluster, SHORT_TASKS, rounds, EXITS)
    figures = {"short": [asdict(e) for e in shorts], "exits": [asdict(e) for e in exits]}
    return figures, tasks.table(shorts, exits)


PARTS: Mapping[str, Callable[[Cluster, int], Figures]] = {
    "imports": measure_imports,
    "deferral": measure_deferral,
    "tasks": measure_tasks,
}


@contextmanager
def cluster_up(name: str) -> Iterator[Cluster]:
    """Bring a test cluster up for the block, unless it is up."""
    cluster = Cluster(name)
    was_up = cluster.is_up()
    try:
        if not was_up:
            cluster.up()
        yield cluster_with_definition(name)
    finally:
        if not was_up:
            cluster.down()


def run(cluster: Cluster, parts: list[str], rounds: int, file: Path) -> bool:
    """Measure parts, print a table of each, write all figures; return whether none failed."""
    figures: dict[str, Any] = {}
    for name in parts:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        try:
            figures[name], table = PARTS[name](cluster, rounds)
        except Exception:  # noqa: BLE001 - whatever happens to one part, the others continue
            figures[name] = {"failed": traceback.format_exc()}
            table = f"{name} failed:\n{traceback.format_exc()}"
        print(f"{table}\n", flush=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(figures, indent=2) + "\n")
    return not any("failed" in each for each in figures.values())


def main(argv: list[str]) -> int:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.airflow_suite",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--parts", default=",".join(PARTS), metavar="NAMES", help=f"of {', '.join(PARTS)} (all)")
    add("--rounds", type=int, default=1, metavar="N", help="DAG runs of short tasks (1)")
    add("--cluster", default="bench-airflow", metavar="NAME", help="test cluster (bench-airflow)")
    add("--json", type=Path, default=FOLDER / "airflow.json", metavar="FILE", help="all figures")
    args = parser.parse_args(argv)
    parts = args.parts.split(",")
    if unknown := [each for each in parts if each not in PARTS]:
        parser.error(f"no part {unknown[0]!r}: choose of {', '.join(PARTS)}")
    if not imports.PYTHON.exists():
        parser.error("there is no Airflow: run `make airflow`")
    with cluster_up(args.cluster) as cluster:
        return 0 if run(cluster, parts, args.rounds, args.json) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
