"""Command line and plans of a benchmark."""

from pathlib import Path

import pytest

from benchmarks.throughput import checkout, cli, plan
from benchmarks.throughput.population import Population
from benchmarks.throughput.systems import SYSTEMS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", plan.PLANS)
def test_a_plan_names_known_systems_and_no_workload_twice(name: str) -> None:
    parts = plan.PLANS[name]
    assert {each for part in parts for each in part.systems} <= SYSTEMS.keys()
    assert len({part.key for part in parts}) == len(parts)


def test_the_full_plan_has_every_workload() -> None:
    kinds = {part.key.rpartition("-")[0] for part in plan.FULL}
    assert kinds == set(plan.NAMES)


def test_a_size_is_that_of_every_chosen_workload() -> None:
    burst, start = plan.chosen(["burst", "start"], ["taskruns"], 1, 70)
    assert burst.key == "burst-70"
    assert start.workload == Population(70, 7)


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--system", "pods,tekton"])
    assert "no 'tekton': choose of pods, jobs" in capsys.readouterr().err


def test_an_unknown_commit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--compare", "no-such-branch", "HEAD"]) == 2
    assert "git knows no commit 'no-such-branch'" in capsys.readouterr().err


def test_a_system_without_a_controller_cannot_start_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["--workload", "start", "--system", "pods"]) == 2
    assert "only systems of taskruns play start" in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an archive has no commits")
def test_a_commit_is_extracted_once(tmp_path: Path) -> None:
    commit = checkout.resolve("HEAD")
    folder = checkout.extract(commit, tmp_path)
    assert (folder / "controller/taskruns/operator/__main__.py").is_file()
    assert (folder / "crds/taskruns.yaml").is_file()
    assert checkout.extract(commit, tmp_path) == folder
    assert [*tmp_path.iterdir()] == [folder]
