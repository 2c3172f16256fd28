"""Command line and plans of a benchmark."""

from pathlib import Path

import pytest

from benchmarks.throughput import checkout, cli, plan, targets
from benchmarks.throughput.growth import Growth
from benchmarks.throughput.plan import Part
from benchmarks.throughput.population import Population
from benchmarks.throughput.systems import SYSTEMS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", plan.PLANS)
def test_a_plan_names_known_systems_and_no_workload_twice(name: str) -> None:
    parts = plan.PLANS[name]
    assert {each for part in parts for each in part.systems} <= SYSTEMS.keys()
    assert len({part.key for part in parts}) == len(parts)


def test_the_full_plan_has_every_workload_but_the_longest() -> None:
    assert {part.name for part in plan.FULL} == {*plan.NAMES} - {plan.GROWTH}
    assert [part.name for part in plan.LONG] == [plan.GROWTH]


def test_a_plan_of_the_targets_has_the_figures_of_every_target() -> None:
    figures = {(part.key, system) for part in plan.TARGETS for system in part.systems}
    needed = {(rule.workload, "taskruns") for rule in targets.RULES}
    assert needed - figures == {("steady-6000", "taskruns")}  # that of the full plan
    assert needed - {(part.key, name) for part in plan.FULL for name in part.systems} == {
        ("steady-2400", "taskruns")
    }
    peers = [("burst-1000", "pods"), ("burst-1000", "jobs"), ("burst-100", "jobs-stock")]
    assert {*peers, ("one-20", "pods"), ("kubelet-one-10", "pods")} <= figures
    assert ("start-10000", "taskruns") in figures


def test_a_size_is_that_of_every_chosen_workload() -> None:
    burst, start, growth = plan.chosen(["burst", "start", "growth"], ["taskruns"], 1, 70)
    assert burst.key == "burst-70"
    assert start.workload == Population(70, 7)
    assert growth.workload == Growth(70)


def test_a_choice_narrows_a_plan() -> None:
    narrowed = [*plan.narrowed(plan.FULL, ["burst-300", "one"], ["jobs", "pods"], 1)]
    assert [(part.key, part.systems, part.rounds) for part in narrowed] == [
        ("one-20", ["pods", "jobs"], 1),
        ("burst-300", ["pods", "jobs"], 1),
    ]
    assert [part.key for part in plan.narrowed(plan.FULL, None, ["jobs-stock"], None)] == [
        "burst-100"
    ]


def test_turns_are_those_of_all_rounds() -> None:
    assert Part(Growth(), ("taskruns", "taskruns-default"), 3).turns == 6


def test_bursts_between_two_samples_have_a_tenth_of_the_runs() -> None:
    assert Growth(12_000).bursts == [500, 500, 200]
    assert Growth(40).bursts == [4]


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


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (["--workload", "burst-300"], "only a plan has burst-300"),
        (["--plan", "quick", "--workload", "growth"], "plan quick has no such turn"),
    ],
)
def test_a_choice_without_a_turn_is_refused(
    choice: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(choice) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an archive has no commits")
def test_a_commit_is_extracted_once(tmp_path: Path) -> None:
    commit = checkout.resolve("HEAD")
    folder = checkout.extract(commit, tmp_path)
    assert (folder / "controller/taskruns/operator/__main__.py").is_file()
    assert (folder / "crds/taskruns.yaml").is_file()
    assert checkout.extract(commit, tmp_path) == folder
    assert [*tmp_path.iterdir()] == [folder]
