"""Tables for readers."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.throughput.figures import DURATIONS, Percentiles, Spread, Summary
from benchmarks.throughput.growth import SAMPLES, Grown
from benchmarks.throughput.population import Start
from benchmarks.throughput.results import Results
from benchmarks.throughput.targets import Target

REFERENCES = ("pods", "jobs", "old")
"""Systems whose rate those of all others are divided by."""
VISIBLE = 0.05
"""Milliseconds below which a component is left out of a table."""

Row = Sequence[str]
Summaries = Sequence[Summary]
Names = Mapping[str, str]


def text(results: Results) -> str:
    """Return all tables."""
    blocks = [part(results, workload) for workload in results.titles]
    blocks.append(goals(results.targets, results.names))
    if results.failures:
        blocks.append("\n".join(("Turns that failed:", *results.failures)))
    return "\n\n".join(filter(None, blocks))


def part(results: Results, workload: str) -> str:
    """Return the tables of one workload; nothing if it has no figures."""
    title = results.titles[workload]
    mine = [each for each in results.summaries if each.workload == workload]
    starts = [each for each in results.starts if each.workload == workload]
    grown = [each for each in results.grown if each.workload == workload]
    blocks = []
    if mine:
        blocks.append(f"## {title}, {_rounds(mine)}")
        blocks += [each(mine, results.names) for each in (speed, cost, requests, comparison)]
    if starts:
        blocks += [f"## {title}", memory(starts, results.names)]
    if grown:
        blocks += [f"## {title}", growth(grown, results.names)]
    return "\n\n".join(filter(None, blocks))


def _rounds(summaries: Summaries) -> str:
    number = max(len(each.rounds) for each in summaries)
    return "one round" if number == 1 else f"medians of {number} rounds (minimum-maximum)"


def speed(summaries: Summaries, names: Names) -> str:
    """Return runs per second, as a ratio to each reference too, and durations."""
    durations = [name for name in DURATIONS if any(s.duration(name) for s in summaries)]
    references = [s for s in summaries if s.system in REFERENCES]
    header = [
        "seconds: p50 / p99",
        "runs/s",
        *(f"/ {names[each.system]}" for each in references),
        *durations,
    ]
    rows = [
        [
            names[each.system],
            spread(each.rate),
            *(f"{ratio(each.rate.median, reference.rate.median):.2f}" for reference in references),
            *(percentiles(each.duration(name)) for name in durations),
        ]
        for each in summaries
    ]
    return table([header, *rows])


def cost(summaries: Summaries, names: Names) -> str:
    """Return processor time per run of each component, and the controller's memory."""
    measured = dict.fromkeys(name for each in summaries for name in each.components)
    components = [name for name in measured if any(s.cpu(name) >= VISIBLE for s in summaries)]
    header = ["CPU per run, ms", *components, "controller, peak MiB"]
    rows = [
        [
            names[each.system],
            *(f"{each.cpu(c):.1f}" if c in each.components else "-" for c in components),
            f"{each.memory.median:.0f}" if each.memory else "-",
        ]
        for each in summaries
    ]
    return table([header, *rows])


def requests(summaries: Summaries, names: Names) -> str:
    """Return API requests per run by verb and resource."""
    counts = [each.requests() for each in summaries]
    keys = sorted({key for each in counts for key in each}, key=lambda key: key.split()[::-1])
    header = ["requests per run", *(names[each.system] for each in summaries)]
    rows = [[key, *(_number(each.get(key)) for each in counts)] for key in keys]
    total = ["all", *(_number(sum(each.values())) for each in counts)]
    return table([header, *rows, total])


def comparison(summaries: Summaries, names: Names) -> str:
    """Return all figures of a new commit as ratios to those of an old one, or nothing."""
    by_system = {each.system: each for each in summaries}
    if not {"old", "new"} <= by_system.keys():
        return ""
    old, new = (_figures(by_system[each]) for each in ("old", "new"))
    header = ["", names["old"], names["new"], "new / old"]
    rows = [
        [name, f"{old[name]:.3f}", f"{new[name]:.3f}", f"{ratio(new[name], old[name]):.2f}"]
        for name in old
        if name in new
    ]
    return table([header, *rows])


def _figures(summary: Summary) -> dict[str, float]:
    figures = {"runs/s": summary.rate.median}
    for name in DURATIONS:
        if duration := summary.duration(name):
            figures |= {f"{name}, p50, s": duration.p50, f"{name}, p99, s": duration.p99}
    figures |= {f"CPU of {name}, ms": summary.cpu(name) for name in summary.components}
    figures["requests"] = sum(summary.requests().values())
    return figures | ({"peak MiB": summary.memory.median} if summary.memory else {})


def memory(starts: Sequence[Start], names: Names) -> str:
    """Return the figures of controllers that were started on many runs."""
    columns: Mapping[str, Callable[[Start], float]] = {
        "ready, s": lambda each: each.ready,
        "CPU until ready, s": lambda each: each.cpu,
        "peak, MiB": lambda each: each.peak,
        "at rest, MiB": lambda each: each.at_rest,
    }
    rows = []
    for system in dict.fromkeys(each.system for each in starts):
        mine = [each for each in starts if each.system == system]
        spreads = (Spread.of([figure(each) for each in mine]) for figure in columns.values())
        rows.append([names[system], *map(spread, spreads)])
    return table([["", *columns], *rows])


def growth(grown: Sequence[Grown], names: Names) -> str:
    """Return the memory of controllers after equal numbers of runs."""
    header = ["MiB", *(f"{number}/10" for number in range(1, SAMPLES + 1)), "peak", "per 1,000"]
    rows = [
        [
            names[each.system],
            *(f"{sample:.1f}" for sample in each.samples),
            f"{each.peak:.1f}",
            f"{each.per_thousand:+.3f}",
        ]
        for each in grown
    ]
    return table([header, *rows])


def goals(targets: Sequence[Target], names: Names) -> str:
    """Return the targets beside what was measured, or nothing."""
    if not targets:
        return ""
    header = ["target", "system", "wanted", "measured", ""]
    rows = [
        [
            each.title,
            names[each.system],
            each.wanted,
            f"{each.measured:.2f}",
            "met" if each.met else "missed",
        ]
        for each in targets
    ]
    return "## Targets\n\n" + table([header, *rows])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def table(rows: Sequence[Row]) -> str:
    """Align columns: the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def spread(value: Spread) -> str:
    """Return a median, with minimum and maximum if they differ."""
    median, least, most = (f"{each:.1f}" for each in (value.median, value.least, value.most))
    return median if least == most else f"{median} ({least}-{most})"


def percentiles(value: Percentiles | None) -> str:
    """Return p50 and p99 of a duration, in seconds."""
    return f"{_seconds(value.p50)} / {_seconds(value.p99)}" if value else "-"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def ratio(value: float, reference: float) -> float:
    """Return a value as a multiple of its reference; not a number if that is 0."""
    return value / reference if reference else float("nan")
