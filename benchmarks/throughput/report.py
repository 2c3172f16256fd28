"""Reports of the summaries: tables for readers and JSON for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.throughput.figures import Percentiles, Spread, Summary

DURATIONS = ("create to Pod", "Pod end to status", "create to done", "cancel to done")
CPU = ("apiserver", "etcd", "scheduler", "controller-manager", "kwok", "kubelet", "controller")
GENERATOR = "load generator"
REFERENCES = ("pods", "jobs")
"""Systems to whose rate those of all others are compared."""

Row = Sequence[str]


def text(summaries: Sequence[Summary], titles: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Return all tables.

    Args:
        summaries: the figures, in order.
        titles: title of each workload.
        names: title of each system.
    """
    blocks = []
    for workload, title in titles.items():
        mine = [each for each in summaries if each.workload == workload]
        if mine:
            blocks += [f"## {title}, {_rounds(mine)}"]
            blocks += [part(mine, names) for part in (_speed, _cost, _requests)]
    return "\n\n".join(blocks)


def _rounds(summaries: Sequence[Summary]) -> str:
    number = max(len(each.rounds) for each in summaries)
    return "one round" if number == 1 else f"medians of {number} rounds (minimum-maximum)"


def _speed(summaries: Sequence[Summary], names: Mapping[str, str]) -> str:
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
            *(f"{ratio(each.rate.median, other.rate.median):.2f}" for other in references),
            *(percentiles(each.duration(name)) for name in durations),
        ]
        for each in summaries
    ]
    return table([header, *rows])


def _cost(summaries: Sequence[Summary], names: Mapping[str, str]) -> str:
    components = [name for name in (*CPU, GENERATOR) if any(_has(s, name) for s in summaries)]
    header = ["CPU per run, ms", *components, "controller's peak MiB"]
    rows = [
        [
            names[each.system],
            *(f"{each.cpu(name):.1f}" if _has(each, name) else "-" for name in components),
            f"{each.memory.median:.0f}" if each.memory else "-",
        ]
        for each in summaries
    ]
    return table([header, *rows])


def _has(summary: Summary, component: str) -> bool:
    return any(component in each.cpu for each in summary.rounds)


def _requests(summaries: Sequence[Summary], names: Mapping[str, str]) -> str:
    counts = [each.requests() for each in summaries]
    keys = sorted({key for each in counts for key in each}, key=lambda key: key.split()[::-1])
    header = ["requests per run", *(names[each.system] for each in summaries)]
    rows = [[key, *(_number(each.get(key)) for each in counts)] for key in keys]
    total = ["all", *(_number(sum(each.values())) for each in counts)]
    return table([header, *rows, total])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def table(rows: Sequence[Row]) -> str:
    """Align columns: the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def spread(value: Spread) -> str:
    """Return a median with its minimum and maximum if they differ."""
    if value.least == value.most:
        return f"{value.median:.1f}"
    return f"{value.median:.1f} ({value.least:.1f}-{value.most:.1f})"


def percentiles(value: Percentiles | None) -> str:
    """Return p50 and p99 of a duration, in seconds."""
    return f"{_seconds(value.p50)} / {_seconds(value.p99)}" if value else "-"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def ratio(value: float, reference: float) -> float:
    """Return a value as a multiple of its reference; not a number if that is 0."""
    return value / reference if reference else float("nan")


def as_json(summaries: Sequence[Summary], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return all figures, and every round that they come from."""

    def figures(each: Summary) -> dict[str, Any]:
        durations = {name: each.duration(name) for name in DURATIONS}
        return {
            "workload": each.workload,
            "system": each.system,
            "runs_per_second": asdict(each.rate),
            "durations": {name: asdict(d) for name, d in durations.items() if d},
            "requests_per_run": each.requests(),
            "rounds": [asdict(one) for one in each.rounds],
        }

    return {"settings": dict(settings), "results": [figures(each) for each in summaries]}
