"""Reports of a benchmark: tables and JSON."""

import json

import pytest

from benchmarks.throughput import report
from benchmarks.throughput.figures import Measurement, Percentiles, Spread, Summary

NAMES = {"pods": "bare Pods", "taskruns": "taskruns"}
TITLES = {"burst": "100 runs at once"}


def _summary(system: str, *seconds: float) -> Summary:
    rounds = [
        Measurement(
            system=system,
            workload="burst",
            runs=100,
            seconds=each,
            durations={"create to done": Percentiles(0.5, 12.0)},
            cpu={"apiserver": 12.34},
            requests={"create pods": 1.0},
            memory=80.4 if system == "taskruns" else None,
        )
        for each in seconds
    ]
    return Summary(system, "burst", rounds)


def test_columns_are_aligned() -> None:
    assert report.table([["a", "b"], ["long", "1"], ["c", "22"]]) == "a      b\nlong   1\nc     22"


@pytest.mark.parametrize(
    ("value", "text"), [(Spread(2, 1, 3), "2.0 (1.0-3.0)"), (Spread(2, 2, 2), "2.0")]
)
def test_a_spread_is_shown_only_if_rounds_differ(value: Spread, text: str) -> None:
    assert report.spread(value) == text


def test_seconds_have_milliseconds_below_one() -> None:
    assert report.percentiles(Percentiles(0.1234, 12.345)) == "0.123 / 12.35"
    assert report.percentiles(None) == "-"


def test_a_ratio_to_nothing_is_no_number() -> None:
    assert report.ratio(3, 2) == 1.5
    assert report.ratio(3, 0) != report.ratio(3, 0)


def test_the_table_compares_with_bare_pods() -> None:
    text = report.text([_summary("pods", 2.0), _summary("taskruns", 5.0, 4.0)], TITLES, NAMES)
    assert "## 100 runs at once, medians of 2 rounds" in text
    (line,) = (line for line in text.splitlines() if line.startswith("taskruns") and "/" in line)
    assert line.split() == ["taskruns", "22.5", "(20.0-25.0)", "0.45", "0.500", "/", "12.00"]


def test_json_contains_every_round() -> None:
    figures = report.as_json([_summary("pods", 2.0, 4.0)], {"rounds": 2})
    (result,) = json.loads(json.dumps(figures))["results"]
    assert result["runs_per_second"] == {"median": 37.5, "least": 25.0, "most": 50.0}
    assert [each["seconds"] for each in result["rounds"]] == [2.0, 4.0]
