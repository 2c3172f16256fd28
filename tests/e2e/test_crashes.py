"""A controller that is killed at each step of a run's life, and another that takes over.

Only the test's own controllers run: the first is killed by SIGKILL right before or right after the
step's request, and the second is an ordinary one. The task's lines in the start counter show
whether anything was lost or done twice.
"""

from collections.abc import Iterator

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import HEARD, pod_spec, shell
from tests.support.builders.scenarios import LIVES
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import DELETE_DELAY, Installation, stopped
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

CRASH_WITHIN = 30


@pytest.fixture(scope="module", autouse=True)
def no_other_controller(installation: Installation, scenario: Scenario) -> Iterator[Scenario]:
    with stopped(installation):
        yield scenario


@pytest.mark.guarantee("Nothing is lost or repeated when the controller dies at any step of a run")
@pytest.mark.parametrize("step", LIVES)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_nothing_is_lost_or_repeated_when_the_controller_dies(
    scenario: Scenario, cluster: Cluster, moment: str, step: str
) -> None:
    life = LIVES[step]
    run = scenario.create(f"{moment}-{step}-", life.spec | scenario.start_counter.mount())
    first = _controller(cluster, "--crash", f"{moment}:{step}", "--", crashing=True)
    first.start(until_ready=False)
    first.died(CRASH_WITHIN)
    with _controller(cluster).at_work():
        life.check(run, scenario.start_counter)


@pytest.mark.guarantee("Deletion of a run never hangs, and deletes its Pod too")
def test_the_pod_of_a_run_deleted_without_a_controller_is_deleted(
    scenario: Scenario, cluster: Cluster
) -> None:
    spec = shell(f"{START}; sleep 600; {END}", **pod_spec(terminationGracePeriodSeconds=1))
    run = scenario.create("deleted-unseen", spec | scenario.start_counter.mount())
    with _controller(cluster).at_work():
        run.main_started()
    run.delete()
    run.gone(seconds=10)
    with _controller(cluster).at_work():
        run.pods_gone(seconds=30)
    assert (scenario.start_counter.starts(run.uid), scenario.start_counter.ends(run.uid)) == (1, 0)


@pytest.mark.guarantee(
    "Deletion of a run with `--cascade=orphan` leaves its Pod unchanged, and nothing blocks the Pod"
)
def test_a_pod_orphaned_without_a_controller_loses_its_finalizer_and_keeps_running(
    scenario: Scenario, cluster: Cluster
) -> None:
    run = scenario.create(
        "orphaned-unseen", shell(f"{START}; sleep 4; {END}") | scenario.start_counter.mount()
    )
    with _controller(cluster).at_work():
        run.main_started()
    run.delete(propagation="Orphan")
    run.gone(seconds=10)
    with _controller(cluster).at_work():
        run.pod_free(seconds=30)
    run.pod_ended()
    assert (scenario.start_counter.starts(run.uid), scenario.start_counter.ends(run.uid)) == (1, 1)


@pytest.mark.guarantee("An outcome that the kubelet has reported is never lost")
def test_an_end_without_a_controller_is_recorded_afterwards(
    scenario: Scenario, cluster: Cluster
) -> None:
    spec = shell(f"{START}; sleep 2; {END}; echo well done; {HEARD}; exit 3")
    run = scenario.create("ended-unseen", spec | scenario.start_counter.mount())
    with _controller(cluster).at_work():
        run.main_started()
    run.pod_ended()
    with _controller(cluster).at_work():
        ending = Ending(
            Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 3, (r"well done",), (Outcome.FAILED,)
        )
        ending.check(run)
        run.pods_gone()
    assert (scenario.start_counter.starts(run.uid), scenario.start_counter.ends(run.uid)) == (1, 1)


def _controller(cluster: Cluster, *arguments: str, crashing: bool = False) -> ControllerProcess:
    module = "tests.support.faults.crashing" if crashing else "taskruns.operator"
    return ControllerProcess(
        cluster, *arguments, "--default-delete-delay", DELETE_DELAY, module=module
    )
