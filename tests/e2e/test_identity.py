"""Ownership of Pods: taken names, unclaimed Pods, and recreated runs.

Where an object must exist before the controller acts, the controller is stopped meanwhile, so no
test depends on being faster than the controller.
"""

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import IMAGE, pod_spec, shell
from tests.support.cluster.client import PODS, Object
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START, StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder
from tests.support.faults.foreign_pods import BUSY, lookalike_pod

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))


@pytest.mark.guarantee("A run is not affected by the Pods of an earlier run of the same name")
@pytest.mark.taskrun(
    shell(
        f"{START}; trap 'sleep 4; exit 0' TERM; while :; do sleep 600 & wait; done",
        **pod_spec(terminationGracePeriodSeconds=20),
    ),
    start_counter=True,
)
def test_a_recreated_run_neither_waits_for_nor_touches_the_old_pod(
    run: Run, scenario: Scenario
) -> None:
    run.main_started()
    run.delete()
    run.gone(seconds=10)
    recreated = scenario.create(run.name, shell(START) | scenario.start_counter.mount())
    SUCCEEDED.check(recreated)
    run.pods_gone(seconds=40)
    recreated.pods_gone()
    assert run.pod_name() != recreated.pod_name()
    assert (
        scenario.start_counter.starts(run.uid),
        scenario.start_counter.starts(recreated.uid),
    ) == (
        1,
        1,
    )


def create_pod_of_another_owner(run: Run, scenario: Scenario) -> None:
    scenario.kube.create(PODS, run.namespace, _pod(run.pod_name()))


@pytest.mark.guarantee(
    "A Pod of another owner under the attempt's name ends the run as `PodNameConflict`"
)
@pytest.mark.guarantee("Objects that the run does not own are not touched")
@pytest.mark.taskrun(shell("exit 0"), prepare=create_pod_of_another_owner)
def test_a_name_conflict_fails_the_run_and_leaves_the_other_pod_untouched(
    run: Run, scenario: Scenario
) -> None:
    ending = Ending(Phase.FAILED, Reason.POD_NAME_CONFLICT, None, (rf"(?i)pod.*{run.pod_name()}",))
    ending.check(run)
    (uid,) = scenario.watch_recorder.named(PODS, run.namespace, run.pod_name())
    first, now = scenario.watch_recorder.history(uid)[0], scenario.watch_recorder.history(uid)[-1]
    assert not now.gone
    assert "deletionTimestamp" not in now.found["metadata"]
    assert now.found["metadata"].get("labels") == first.found["metadata"].get("labels")
    assert now.found["spec"] == first.found["spec"] | {"nodeName": now.found["spec"]["nodeName"]}


@pytest.mark.guarantee("A Pod of ours that no run has claimed never runs and is deleted")
@pytest.mark.taskrun(shell(f"{START}; sleep 8; {END}"), start_counter=True)
def test_an_unclaimed_pod_never_runs_and_is_deleted(run: Run, scenario: Scenario) -> None:
    run.main_started()
    unclaimed = scenario.kube.create(
        PODS, run.namespace, _our_pod(run, scenario.start_counter, attempt=2)
    )
    uid = unclaimed["metadata"]["uid"]
    scenario.watch_recorder.wait(
        lambda: _is_gone(scenario.watch_recorder, uid), 30, "the unclaimed Pod is deleted"
    )
    assert all(
        not version.found["spec"].get("nodeName")
        for version in scenario.watch_recorder.history(uid)
    )
    SUCCEEDED.check(run)
    run.pods_gone()
    assert (scenario.start_counter.starts(run.uid), scenario.start_counter.ends(run.uid)) == (1, 1)


def create_gated_pod(run: Run, scenario: Scenario) -> None:
    scenario.kube.create(PODS, run.namespace, _our_pod(run, scenario.start_counter, attempt=1))


@pytest.mark.guarantee(
    "A Pod that was created, or existed already, is claimed and only then released to the scheduler"
)
@pytest.mark.taskrun(shell(START), start_counter=True, prepare=create_gated_pod)
def test_a_gated_pod_of_the_due_attempt_is_claimed_and_released(
    run: Run, scenario: Scenario
) -> None:
    status = SUCCEEDED.check(run)
    assert scenario.watch_recorder.named(PODS, run.namespace, run.pod_name()) == (status["podUID"],)
    run.pods_gone()
    assert scenario.start_counter.starts(run.uid) == 1


def _is_gone(watch_recorder: WatchRecorder, uid: str) -> bool | None:
    last = watch_recorder.last(uid)
    return True if last and last.gone else None


def _pod(name: str) -> Object:
    container = {"name": "main", "image": IMAGE, **BUSY}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


def _our_pod(run: Run, start_counter: StartCounter, attempt: int) -> Object:
    """Return a Pod as a controller creates it, for a create that arrives late."""
    mount = start_counter.mount()
    work = {
        "command": ["sh", "-c", START],
        "env": [{"name": "TASKRUN_UID", "value": run.uid}],
        "volumeMounts": mount["volumeMounts"],
    }
    name, finalizers = run.pod_name(attempt), [names.FINALIZER_OUTCOME]
    pod = lookalike_pod(run, name, work, attempt=attempt, gated=True, finalizers=finalizers)
    pod["spec"]["volumes"] = mount["volumes"]
    return pod
