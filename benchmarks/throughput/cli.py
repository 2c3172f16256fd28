"""Throughput, latency and cost of taskruns beside bare Pods and Jobs, in one run on one cluster.

Systems take turns on each workload, so that the machine's other load meets all of them alike; only
ratios within one run are meaningful. A kubelet is simulated by kwok, whose Pods run for 0.1 s,
except in the workloads on the kubelet. Everything shares this machine's processors, so runs/s
reflects the processor time of all components together.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.throughput import report
from benchmarks.throughput.figures import Measurement, summarise
from benchmarks.throughput.system import System
from benchmarks.throughput.systems import SYSTEMS
from benchmarks.throughput.testbed import testbed
from benchmarks.throughput.turn import play
from benchmarks.throughput.workloads import WORKLOADS, Workload, make

FOLDER = Path(__file__).parents[2] / ".build" / "bench"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    program = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cluster = os.environ.get("TASKRUNS_BENCH_CLUSTER", "bench")
    add = program.add_argument
    add(
        "--workload",
        default=["burst"],
        type=_names(WORKLOADS),
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(WORKLOADS)} (burst)",
    )
    add(
        "--system",
        default=["pods", "jobs", "taskruns"],
        type=_names(SYSTEMS),
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(SYSTEMS)} (pods,jobs,taskruns)",
    )
    add("--rounds", type=int, default=3, metavar="N", help="turns of each system (3)")
    add("--size", type=int, metavar="N", help="runs of a workload; seconds of `steady`")
    add(
        "--json",
        type=Path,
        default=FOLDER / "throughput.json",
        metavar="FILE",
        help="where all figures are written (.build/bench/throughput.json)",
    )
    add("--cluster", default=cluster, metavar="NAME", help=f"test cluster to use ({cluster})")
    add("--keep", action="store_true", help="leave the cluster up")
    return program


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}: choose of {', '.join(known)}")
        return names

    return parse


async def measure(
    args: argparse.Namespace, systems: Sequence[System], workloads: Sequence[Workload]
) -> list[Measurement]:
    """Play all turns, and return their figures."""
    measurements = []
    async with testbed(args.cluster, FOLDER / "log", keep=args.keep) as bed:
        for workload in workloads:
            for number in range(1, args.rounds + 1):
                for system in systems:
                    label = f"{workload.title}, round {number} of {args.rounds}, {system.title}"
                    measurements.append(await play(bed, system, workload, label))
    return measurements


def main(argv: list[str]) -> int:
    """Run the benchmark and print the tables."""
    args = parser().parse_args(argv)
    systems = [SYSTEMS[name] for name in args.system]
    workloads = [make(name, args.size) for name in args.workload]
    measurements = asyncio.run(measure(args, systems, workloads))
    summaries = summarise(measurements)
    titles = {each.name: each.title for each in workloads}
    names = {each.name: each.title for each in systems}
    print(report.text(summaries, titles, names))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report.as_json(summaries, {}), indent=2) + "\n")
    return 0
