"""Targets of a benchmark, and what becomes of a turn that fails."""

import asyncio
from typing import Any, cast

import pytest

from benchmarks.throughput import report, results, testbed
from benchmarks.throughput.figures import Measurement, Percentiles, summarise
from benchmarks.throughput.growth import Grown
from benchmarks.throughput.plan import Part
from benchmarks.throughput.population import Start
from benchmarks.throughput.processes import MIB
from benchmarks.throughput.results import Results, Turns
from benchmarks.throughput.system import System
from benchmarks.throughput.systems import SYSTEMS
from benchmarks.throughput.targets import Target, targets
from benchmarks.throughput.workloads import Workload, make


def _measurement(system: str, workload: str, seconds: float, **fields: Any) -> Measurement:
    given = {"durations": {}, "cpu": {}, "requests": {}, **fields}
    return Measurement(system, workload, 100, seconds, **given)


def _measured(*measurements: Measurement) -> dict[str, Target]:
    found = targets(summarise(measurements), (), ())
    assert {each.system for each in found} <= {"taskruns"}
    return {each.title: each for each in found}


def _done(p50: float) -> dict[str, Percentiles]:
    return {"create to done": Percentiles(p50, 9.0)}


def test_a_burst_is_compared_with_its_peers() -> None:
    requests = {"create pods": 1.0, "patch taskruns/status": 3.0, "patch pods/status": 2.0}
    found = _measured(
        _measurement("pods", "burst-1000", 10),
        _measurement("jobs", "burst-1000", 18, cpu={"apiserver": 20.0}),
        _measurement(
            "taskruns",
            "burst-1000",
            20,
            durations=_done(14.0),
            cpu={"apiserver": 30.0, "controller": 6.5},
            requests=requests,
        ),
    )
    assert {title: (each.measured, each.met) for title, each in found.items()} == {
        "1,000 at once: runs/s by bare Pods": (0.5, False),
        "1,000 at once: runs/s by Job, lifted limits": (0.9, True),
        "1,000 at once: API server CPU by Job": (1.5, False),
        "1,000 at once: controller CPU per run, ms": (6.5, True),
        "1,000 at once: p50 create to done by whole burst": (0.7, False),
        "1,000 at once: writes per run by the controller": (4.0, True),
    }


def test_one_at_a_time_is_compared_with_bare_pods() -> None:
    pods = _measurement("pods", "one-20", 1, durations=_done(0.2))
    found = _measured(pods, _measurement("taskruns", "one-20", 1, durations=_done(0.25)))
    (target,) = found.values()
    assert target.measured == pytest.approx(1.25)
    assert target.wanted == "<= 1.25"


def test_a_steady_rate_has_its_own_limits() -> None:
    durations = {"Pod end to status": Percentiles(0.020, 0.200)}
    found = _measured(_measurement("taskruns", "steady-2400", 120, durations=durations))
    assert [(each.measured, each.met) for each in found.values()] == [(20, True), (200, False)]


def test_a_large_burst_is_compared_with_a_small_one() -> None:
    found = _measured(
        _measurement("taskruns", "burst-300", 10), _measurement("taskruns", "burst-5000", 12.5)
    )
    target = found["5,000 at once: runs/s by 300 at once"]
    assert (target.measured, target.met) == (0.8, False)


def test_stock_jobs_are_compared_where_they_end_in_time() -> None:
    stock = _measurement("jobs-stock", "burst-100", 30)
    found = _measured(stock, _measurement("taskruns", "burst-100", 2.5))
    target = found["100 at once: runs/s by Job, stock limits"]
    assert (target.measured, target.met) == (12, True)


def test_memory_is_compared_in_megabytes() -> None:
    start = Start("taskruns", "start-10000", 7.9, 5.0, 160 * 10**6 / MIB + 0.1, 150.0)
    memory, ready = targets((), [start], ())
    assert (memory.met, ready.met) == (False, True)
    assert targets((), [Start("taskruns", "start-50", 99.0, 5.0, 999.0, 150.0)], ()) == []


@pytest.mark.parametrize(("last", "verdict"), [(78.0, "missed"), (73.0, "met")])
def test_growth_counts_from_the_first_sample(last: float, verdict: str) -> None:
    grown = Grown("taskruns", "growth-50000", [70.0, *[71.0] * 8, last], 90.0)
    (target,) = targets((), (), [grown])
    assert target.measured == pytest.approx((last - 70) / 45)
    assert verdict in report.goals([target], {"taskruns": "T"})


def test_a_table_states_which_targets_are_met() -> None:
    text = report.goals([Target("speed", "taskruns", 0.6, 0.5, at_least=True)], {"taskruns": "T"})
    assert text.splitlines()[-1].split() == ["speed", "T", ">=", "0.6", "0.50", "missed"]


class _Bed:
    """A cluster on which nothing runs."""

    class progress:  # noqa: N801 - as an attribute of the cluster's
        lines: list[str] = []  # noqa: RUF012 - of one test

        @classmethod
        def say(cls, line: str) -> None:
            cls.lines.append(line)


def test_a_turn_that_fails_is_reported_and_the_others_are_played(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(_bed: object, system: System, workload: Workload, _label: str) -> Measurement:
        if system.name == "jobs":
            raise ExceptionGroup("several", [OSError("gone")])
        return _measurement(system.name, workload.key, 1.0)

    monkeypatch.setattr(results, "play", play)
    part = Part(make("burst"), ("jobs", "pods"), 2)
    figures, written = Results.of([part], SYSTEMS, ""), []
    turns = Turns(
        cast("testbed.Testbed", _Bed()), SYSTEMS, figures, part.turns, lambda: written.append(1)
    )
    asyncio.run(turns.play(part))
    assert [each.system for each in figures.measurements] == ["pods", "pods"]
    assert len(figures.failures) == 2
    assert "OSError('gone')" in figures.failures[0]
    assert "turn 3 of 4: 300 runs at once, Job, lifted limits: failed" in _Bed.progress.lines[1]
    assert len(written) == 4
