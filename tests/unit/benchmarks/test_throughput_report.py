"""Reports of a benchmark: tables, JSON and plots."""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.throughput import cli, plot, report
from benchmarks.throughput.figures import Measurement, Percentiles, Spread
from benchmarks.throughput.growth import Grown
from benchmarks.throughput.plot import Panel
from benchmarks.throughput.population import Start
from benchmarks.throughput.results import Results

DOCS = Path(__file__).parents[3] / "docs"
NAMES = {"pods": "bare Pods", "taskruns": "taskruns", "old": "old, 1a2b", "new": "new, 3c4d"}
TITLES = {"burst": "100 runs at once", "start-100": "start with 100 runs"}


def _results(*measurements: Measurement, starts: Sequence[Start] = ()) -> Results:
    return Results(TITLES, NAMES, {"commit": "1a2b"}, [*measurements], [*starts])


def _rounds(system: str, *seconds: float) -> list[Measurement]:
    return [
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
    text = report.text(_results(*_rounds("pods", 2.0), *_rounds("taskruns", 5.0, 4.0)))
    assert "## 100 runs at once, medians of 2 rounds" in text
    (line,) = (line for line in text.splitlines() if line.startswith("taskruns") and "/" in line)
    assert line.split() == ["taskruns", "22.5", "(20.0-25.0)", "0.45", "0.500", "/", "12.00"]


def test_two_commits_are_compared_figure_by_figure() -> None:
    text = report.text(_results(*_rounds("old", 4.0), *_rounds("new", 2.0)))
    rows = [line.split() for line in text.splitlines()]
    assert ["runs/s", "25.000", "50.000", "2.00"] in rows
    assert ["CPU", "of", "apiserver,", "ms", "12.340", "12.340", "1.00"] in rows


def test_other_systems_are_not_compared_figure_by_figure() -> None:
    assert "new / old" not in report.text(_results(*_rounds("pods", 4.0), *_rounds("old", 2.0)))


def test_starts_have_a_table_of_their_own() -> None:
    starts = [Start("taskruns", "start-100", ready, 2.0, 100.0, 90.0) for ready in (7.0, 9.0)]
    text = report.text(_results(starts=starts))
    assert "## start with 100 runs" in text
    last = text.splitlines()[-1].split()
    assert last == ["taskruns", "8.0", "(7.0-9.0)", "2.0", "100.0", "90.0"]


def test_memory_over_many_runs_has_a_sample_for_each_tenth() -> None:
    grown = Grown("taskruns", "growth-1000", [*map(float, range(70, 80))], 82.0)
    results = Results({"growth-1000": "memory"}, NAMES, {}, grown=[grown])
    last = report.text(results).splitlines()[-1].split()
    assert last == ["taskruns", *(f"{each}.0" for each in range(70, 80)), "82.0", "+10.000"]


def test_figures_that_were_written_are_reported_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = _results(*_rounds("pods", 2.0, 4.0), *_rounds("taskruns", 5.0))
    results.starts.append(Start("taskruns", "start-100", 7.0, 2.0, 100.0, 90.0))
    results.failures.append("100 runs at once, Job: TimeoutError()")
    cli.write(results, tmp_path / "figures.json")
    (tmp_path / "figures-rate.svg").unlink()
    assert cli.main(["--report", str(tmp_path / "figures.json")]) == 0
    assert capsys.readouterr().out == report.text(results) + "\n"
    assert (tmp_path / "figures-rate.svg").exists()


def test_json_contains_every_round() -> None:
    figures = json.loads(json.dumps(_results(*_rounds("pods", 2.0, 4.0)).as_json()))
    (result,) = figures["results"]
    assert figures["settings"] == {"commit": "1a2b"}
    assert result["runs_per_second"] == {"median": 37.5, "least": 25.0, "most": 50.0}
    assert [each["seconds"] for each in result["rounds"]] == [2.0, 4.0]


def test_plots_are_documents() -> None:
    results = _results(*_rounds("pods", 2.0), *_rounds("taskruns", 4.0))
    pictures = plot.pictures(results.summaries, TITLES, NAMES)
    assert pictures.keys() == {"rate", "latency", "cpu"}
    for picture in pictures.values():
        texts = [*ET.fromstring(picture).itertext()]
        assert "100 runs at once" in texts
        assert "start with 100 runs" not in texts


def test_the_longest_bar_has_the_width_of_the_plot() -> None:
    panel = Panel("title", [("a", [("x", 1.0), ("y", 3.0)]), ("b", [("x", 2.0)])], "s")
    root = ET.fromstring(plot.draw("title", [panel]))
    bars = [each for each in root if each.tag.endswith("rect") and each.get("height") == "16"]
    widths = [float(each.get("width", "")) for each in bars]
    assert widths == [125.0, 375.0, 250.0]


def test_text_is_escaped() -> None:
    panel = Panel("a < b & c", [("d", [("x", 0.0)])], "s")
    assert "a < b & c" in [*ET.fromstring(plot.draw("", [panel])).itertext()]


def test_the_plots_in_the_documentation_are_drawn_from_its_figures() -> None:
    results = Results.read(DOCS / "performance.json")
    pictures = plot.pictures(results.summaries, results.titles, results.names)
    for name, picture in pictures.items():
        assert (DOCS / f"performance-{name}.svg").read_text() == picture
