"""Throughput, latency and cost of taskruns beside bare Pods and Jobs, in one run on one cluster.

Systems take turns on each workload, so that the machine's other load meets all of them alike; only
ratios within one run are meaningful. kwok simulates the node, with Pods that run for 0.1 s, except
in the workloads on the kubelet. All components share this machine's processors, so runs/s reflects
the processor time of all of them together. The cluster is created, and removed afterwards.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from benchmarks.throughput import checkout, plan, plot, report
from benchmarks.throughput.plan import PLANS, Part
from benchmarks.throughput.results import Results, measure
from benchmarks.throughput.system import Controller, System
from benchmarks.throughput.systems import AT_ONCE, SYSTEMS
from benchmarks.throughput.systems.taskruns import TaskRuns
from benchmarks.throughput.testbed import testbed

FOLDER = Path(__file__).parents[2] / ".build" / "bench"
OLD, NEW = "old", "new"
INTERRUPTED = 130
DEFAULT_WORKLOADS = ("one", "burst")
DEFAULT_SYSTEMS = ("pods", "jobs", "taskruns")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    form = argparse.RawDescriptionHelpFormatter
    program = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=__doc__, formatter_class=form
    )
    add = program.add_argument
    add("--plan", choices=PLANS, help="all turns of a benchmark, in place of the other choices")
    add(
        "--workload",
        default=DEFAULT_WORKLOADS,
        type=_names(plan.NAMES),
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(plan.NAMES)} ({','.join(DEFAULT_WORKLOADS)})",
    )
    add(
        "--system",
        type=_names(SYSTEMS),
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(SYSTEMS)} ({','.join(DEFAULT_SYSTEMS)})",
    )
    add("--rounds", type=int, default=plan.ROUNDS, metavar="N", help="turns of each system (3)")
    add("--size", type=int, metavar="N", help="runs of a workload; seconds of `steady`")
    add(
        "--compare",
        nargs=2,
        metavar=("OLD", "NEW"),
        help="compare the controllers of two commits, with a delete delay of 0",
    )
    add(
        "--json",
        type=Path,
        default=FOLDER / "throughput.json",
        metavar="FILE",
        help="file for all figures (.build/bench/throughput.json); plots are written beside it",
    )
    cluster = os.environ.get("TASKRUNS_BENCH_CLUSTER", "bench")
    add("--cluster", default=cluster, metavar="NAME", help=f"test cluster to use ({cluster})")
    add("--keep", action="store_true", help="do not remove the cluster")
    return program


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [each for each in names if each not in known]:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}: choose of {', '.join(known)}")
        return names

    return parse


def _commits(revisions: Sequence[str]) -> dict[str, System]:
    """Return the controllers of two commits as systems `old` and `new`.

    Raises:
        ValueError: git does not know one of them.
    """
    systems: dict[str, System] = {}
    for key, revision in zip((OLD, NEW), revisions, strict=True):
        commit = checkout.resolve(revision)
        folder = checkout.extract(commit, FOLDER / "checkouts")
        systems[key] = TaskRuns(key, f"{key}, {commit[:8]}", Controller(AT_ONCE, folder))
    return systems


def _turns(args: argparse.Namespace) -> tuple[Sequence[Part], Mapping[str, System]]:
    """Return the turns that are asked for, and all systems by name.

    Raises:
        ValueError: git does not know a commit, or no chosen system can play a workload.
    """
    if args.plan:
        return PLANS[args.plan], SYSTEMS
    systems = {**SYSTEMS, **(_commits(args.compare) if args.compare else {})}
    chosen = (OLD, NEW) if args.compare else args.system or DEFAULT_SYSTEMS
    if plan.START in args.workload and not any(systems[each].controller for each in chosen):
        raise ValueError(f"only systems of taskruns play {plan.START}: choose one with --system")
    return plan.chosen(args.workload, chosen, args.rounds, args.size), systems


async def _run(
    args: argparse.Namespace, parts: Sequence[Part], systems: Mapping[str, System]
) -> Results:
    """Measure, and write the figures after each workload, so that a failure loses none."""
    results = Results.of(parts, systems, " ".join(sys.argv[1:]))
    folder: Path = args.json.parent
    async with testbed(args.cluster, folder / "log", keep=args.keep) as bed:
        for part in parts:
            await measure(bed, part, systems, results)
            write(results, args.json)
    return results


def write(results: Results, file: Path) -> None:
    """Write the figures as JSON, and the plots beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results.as_json(), indent=2) + "\n")
    for name, picture in plot.pictures(results.summaries, results.titles, results.names).items():
        file.with_name(f"{file.stem}-{name}.svg").write_text(picture)


def main(argv: list[str]) -> int:
    """Run the benchmark, print the tables, and write the figures and the plots."""
    args = parser().parse_args(argv)
    try:
        parts, systems = _turns(args)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        results = asyncio.run(_run(args, parts, systems))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    print(report.text(results))
    return 1 if results.failures else 0
