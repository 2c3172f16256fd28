"""Many runs at once: none is lost, none is done twice, and small ones get their turn."""

from collections import Counter

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import SOON, shell
from tests.support.cluster import invariants
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import DELETE_DELAY, EACH_INSTALLATION
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START

pytestmark = EACH_INSTALLATION
MANY = 50
FEW = 10
SECONDS = 180


@pytest.mark.guarantee("At most one Pod of a run does the work at a time")
def test_50_runs_at_once_all_succeed_and_each_starts_once(scenario: Scenario) -> None:
    spec = shell(f"{START}; {END}") | scenario.start_counter.mount()
    runs = [scenario.create(f"many-{number}", spec) for number in range(MANY)]
    for run in runs:
        run.ended(SECONDS)
    ending = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
    for run in runs:
        ending.check(run)
        run.pods_gone()
        invariants.check(run)
    assert _of(runs, scenario.start_counter.all_starts()) == {run.uid: 1 for run in runs}


@pytest.mark.guarantee("Nothing is lost or repeated when two controllers run at once")
def test_two_controllers_at_once_start_no_attempt_twice(
    scenario: Scenario, cluster: Cluster
) -> None:
    spec = shell(f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ]', backoffLimit=1, **SOON)
    ending = Ending(
        Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.FAILED, Outcome.SUCCEEDED)
    )
    second = ControllerProcess(cluster, "--default-delete-delay", DELETE_DELAY)
    with second.at_work():
        runs = [
            scenario.create(f"shared-{n}", spec | scenario.start_counter.mount())
            for n in range(FEW)
        ]
        for run in runs:
            ending.check(run)
            run.pods_gone()
            invariants.check(run)
    assert _of(runs, scenario.start_counter.all_starts()) == {run.uid: 2 for run in runs}


def _of(runs: list[Run], counts: Counter[str]) -> dict[str, int]:
    return {run.uid: counts[run.uid] for run in runs}
