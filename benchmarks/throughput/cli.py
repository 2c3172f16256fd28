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
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from benchmarks.throughput import checkout, plan, plot, report
from benchmarks.throughput.plan import Part
from benchmarks.throughput.results import Results, Turns
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
    add("--plan", choices=plan.PLANS, help="turns to play; the next options choose some of them")
    add(
        "--workload",
        type=_names((*plan.NAMES, *plan.KEYS)),
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(plan.NAMES)} ({','.join(DEFAULT_WORKLOADS)}); "
        f"with --plan also of {', '.join(plan.KEYS)}",
    )
    add(
        "--system",
        type=_names(SYSTEMS),
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(SYSTEMS)} ({','.join(DEFAULT_SYSTEMS)})",
    )
    add("--rounds", type=int, metavar="N", help=f"turns of each system ({plan.ROUNDS})")
    add("--size", type=int, metavar="N", help="runs of a workload; seconds of `steady`")
    _add_places(program)
    return program


def _add_places(program: argparse.ArgumentParser) -> None:
    """Add the options for commits, files and the cluster."""
    add = program.add_argument
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
    add(
        "--report",
        type=Path,
        metavar="FILE",
        help="measure nothing: print the tables and draw the plots of an earlier --json FILE",
    )
    cluster = os.environ.get("TASKRUNS_BENCH_CLUSTER", "bench")
    add("--cluster", default=cluster, metavar="NAME", help=f"test cluster to use ({cluster})")
    add("--keep", action="store_true", help="do not remove the cluster")


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
        parts = [*plan.narrowed(plan.PLANS[args.plan], args.workload, args.system, args.rounds)]
        if not parts:
            raise ValueError(
                f"plan {args.plan} has no such turn: see benchmarks/throughput/plan.py"
            )
        return parts, SYSTEMS
    systems = {**SYSTEMS, **(_commits(args.compare) if args.compare else {})}
    chosen = (OLD, NEW) if args.compare else args.system or DEFAULT_SYSTEMS
    workloads = args.workload or DEFAULT_WORKLOADS
    if keys := [each for each in workloads if each not in plan.NAMES]:
        raise ValueError(f"only a plan has {keys[0]}: name it with --plan, or use --size")
    for name in plan.CONTROLLERS_ONLY:
        if name in workloads and not all(systems[each].controller for each in chosen):
            raise ValueError(f"only systems of taskruns play {name}: choose them with --system")
    return plan.chosen(workloads, chosen, args.rounds or plan.ROUNDS, args.size), systems


async def _run(
    args: argparse.Namespace,
    parts: Sequence[Part],
    systems: Mapping[str, System],
    results: Results,
) -> None:
    """Measure, and write the figures after each turn, so that a failure loses none."""
    folder: Path = args.json.parent
    async with testbed(args.cluster, folder / "log", keep=args.keep) as bed:
        total = sum(part.turns for part in parts)
        turns = Turns(bed, systems, results, total, lambda: write(results, args.json))
        for part in parts:
            await turns.play(part)


def write(results: Results, file: Path) -> None:
    """Write the figures as JSON, and the plots beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results.as_json(), indent=2) + "\n")
    draw(results, file)


def draw(results: Results, file: Path) -> None:
    """Write the plots beside a file of figures."""
    for name, picture in plot.pictures(results.summaries, results.titles, results.names).items():
        file.with_name(f"{file.stem}-{name}.svg").write_text(picture)


def main(argv: list[str]) -> int:
    """Run the benchmark, print the tables, and write the figures and the plots."""
    args = parser().parse_args(argv)
    if args.report:
        results = Results.read(args.report)
        draw(results, args.report)
        print(report.text(results))
        return 0
    try:
        parts, systems = _turns(args)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    results = Results.of(parts, systems, " ".join(argv))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the cluster is removed
    try:
        asyncio.run(_run(args, parts, systems, results))
    except KeyboardInterrupt:
        print(f"{report.text(results)}\n\ninterrupted: later turns are missing")
        return INTERRUPTED
    print(report.text(results))
    return 1 if results.failures else 0
