"""Targets of taskruns, most of them as ratios to its peers within one run of the benchmark."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.throughput.figures import Percentiles, Summary
from benchmarks.throughput.growth import Grown
from benchmarks.throughput.population import Start
from benchmarks.throughput.processes import MIB

OURS = ("taskruns", "taskruns-default")
CONTROLLER_WRITES = frozenset(
    {
        "create pods",
        "delete pods",
        "patch pods",
        "update pods",
        "patch taskruns",
        "patch taskruns/status",
        "update taskruns/status",
        "delete taskruns",
    }
)
"""Requests per run that only the controller sends, Events not counted."""
_MEGABYTE = 10**6
NOISE = 0.1
"""Growth of memory per 1,000 runs, in MiB, below which it counts as none."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target, and the figure that it is compared with."""

    title: str
    system: str
    """System whose figure it is."""
    limit: float
    measured: float
    at_least: bool = False
    """Whether the limit is a minimum; otherwise it is a maximum."""

    @property
    def met(self) -> bool:
        """Whether the figure is within the limit."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def wanted(self) -> str:
        """The limit as text."""
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


Figure = Callable[["Figures", Summary], float | None]


class Figures:
    """The figures of a run of the benchmark, by workload and system."""

    def __init__(self, summaries: Sequence[Summary]) -> None:
        self._summaries = {(each.workload, each.system): each for each in summaries}

    def of(self, workload: str, system: str) -> Summary | None:
        """Return the rounds of a system on a workload, or None if it has none."""
        return self._summaries.get((workload, system))


@dataclass(frozen=True, slots=True)
class Rule:
    """How a target is computed from the summary of one system on one workload."""

    title: str
    workload: str
    limit: float
    figure: Figure
    at_least: bool = False


def targets(
    summaries: Sequence[Summary], starts: Sequence[Start], grown: Sequence[Grown]
) -> list[Target]:
    """Return the targets for which there are figures."""
    figures = Figures(summaries)
    return [*_of_runs(figures), *_of_starts(starts), *_of_growth(grown)]


def _of_runs(figures: Figures) -> Iterator[Target]:
    for rule in RULES:
        for system in OURS:
            mine = figures.of(rule.workload, system)
            measured = rule.figure(figures, mine) if mine else None
            if measured is not None:
                yield Target(rule.title, system, rule.limit, measured, rule.at_least)


def _of_starts(starts: Sequence[Start]) -> Iterator[Target]:
    for each in starts:
        title = "start with 10,000 ended and 1,000 live runs"
        if each.workload == "start-10000":
            peak = each.peak * MIB / _MEGABYTE
            yield Target(f"{title}: peak memory, MB", each.system, 160, peak)
            yield Target(f"{title}: ready, s", each.system, 8, each.ready)


def _of_growth(grown: Sequence[Grown]) -> Iterator[Target]:
    for each in grown:
        if each.workload == "growth-50000":
            title = "50,000 runs: growth of memory per 1,000 runs, MiB"
            yield Target(title, each.system, NOISE, each.per_thousand)


def _rate(peer: str) -> Figure:
    """Return a figure: runs per second by those of a peer."""

    def figure(figures: Figures, mine: Summary) -> float | None:
        other = figures.of(mine.workload, peer)
        return mine.rate.median / other.rate.median if other else None

    return figure


def _apiserver(figures: Figures, mine: Summary) -> float | None:
    """Return the API server's processor time by that for a Job."""
    jobs = figures.of(mine.workload, "jobs")
    used = jobs.cpu("apiserver") if jobs else 0.0
    return mine.cpu("apiserver") / used if used else None


def _controller(figures: Figures, mine: Summary) -> float | None:  # noqa: ARG001 - a Figure
    return mine.cpu("controller")


def _order(figures: Figures, mine: Summary) -> float | None:  # noqa: ARG001 - a Figure
    """Return the median time of a run by that of the whole burst."""
    done = mine.duration("create to done")
    return done.p50 / mine.spread(lambda each: each.seconds).median if done else None


def _latency(figures: Figures, mine: Summary) -> float | None:
    """Return the median time of a run by that of a bare Pod."""
    pods = figures.of(mine.workload, "pods")
    ours, theirs = (each.duration("create to done") if each else None for each in (mine, pods))
    return ours.p50 / theirs.p50 if ours and theirs else None


def _to_status(part: Callable[[Percentiles], float]) -> Figure:
    """Return a figure: a percentile of the time from a Pod's end to the status, in ms."""

    def figure(figures: Figures, mine: Summary) -> float | None:  # noqa: ARG001 - a Figure
        duration = mine.duration("Pod end to status")
        return 1000 * part(duration) if duration else None

    return figure


def _flat(figures: Figures, mine: Summary) -> float | None:
    """Return runs per second in a large burst by those in a burst of 300."""
    small = figures.of("burst-300", mine.system)
    return mine.rate.median / small.rate.median if small else None


def _writes(figures: Figures, mine: Summary) -> float | None:  # noqa: ARG001 - a Figure
    requests = mine.requests()
    return sum(number for name, number in requests.items() if name in CONTROLLER_WRITES)


_KILO, _STEADY = "burst-1000", tuple(f"steady-{20 * seconds}" for seconds in (120, 300))

RULES: Sequence[Rule] = (
    Rule("1,000 at once: runs/s by bare Pods", _KILO, 0.6, _rate("pods"), at_least=True),
    Rule("1,000 at once: runs/s by Job, lifted limits", _KILO, 0.9, _rate("jobs"), at_least=True),
    Rule(
        "100 at once: runs/s by Job, stock limits",
        "burst-100",
        12,
        _rate("jobs-stock"),
        at_least=True,
    ),
    Rule("1,000 at once: API server CPU by Job", _KILO, 1.2, _apiserver),
    Rule("1,000 at once: controller CPU per run, ms", _KILO, 7, _controller),
    Rule("1,000 at once: p50 create to done by whole burst", _KILO, 0.6, _order),
    Rule("one at a time, kwok: create to done by bare Pod", "one-20", 1.25, _latency),
    Rule("one at a time, kubelet: create to done by bare Pod", "kubelet-one-10", 1.25, _latency),
    *(
        Rule(f"20 runs/s: Pod end to status, {name}, ms", workload, limit, _to_status(part))
        for workload in _STEADY
        for name, limit, part in (
            ("p50", 25, lambda each: each.p50),
            ("p99", 100, lambda each: each.p99),
        )
    ),
    Rule("5,000 at once: runs/s by 300 at once", "burst-5000", 0.85, _flat, at_least=True),
    Rule("1,000 at once: writes per run by the controller", _KILO, 7, _writes),
)
"""In the order of the table."""
