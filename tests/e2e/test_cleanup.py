"""Lifetime of ended objects: Pods by podGC, TaskRuns by TTL, and nothing after a deletion."""

from datetime import datetime, timedelta

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import pod_spec, shell
from tests.support.cluster.client import NAMESPACES, PODS
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START, StartCounter
from tests.support.cluster.watch_recorder import WaitTimeout

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
FAILED = Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 1, attempts=(Outcome.FAILED,))
LONG = {"podGC": {"deleteDelayDuration": "1h"}}
QUICK_TO_KILL = pod_spec(terminationGracePeriodSeconds=1)


def gc(strategy: str, delay: str = "0s") -> dict[str, dict[str, str]]:
    return {"podGC": {"strategy": strategy, "deleteDelayDuration": delay}}


# ---------------------------------------------------------------------------- TaskRuns by TTL


@pytest.mark.taskrun(shell("exit 0", ttlSecondsAfterFinished=0))
def test_a_ttl_of_0_deletes_the_run_and_its_pod_at_once(run: Run) -> None:
    SUCCEEDED.check(run)
    run.gone()
    run.pods_gone()


@pytest.mark.guarantee(
    "A run is deleted `ttlSecondsAfterFinished` after its end, with the Pods that were kept"
)
@pytest.mark.taskrun(shell("exit 1", ttlSecondsAfterFinished=2, **gc("Never")))
def test_a_ttl_counts_from_the_end_and_deletes_kept_pods(run: Run) -> None:
    FAILED.check(run)
    run.gone()
    assert run.history()[-1].at >= _finished(run) + timedelta(seconds=2)
    run.pods_gone()


# ------------------------------------------------------------------------------ Pods by podGC


@pytest.mark.guarantee("A Pod is deleted `deleteDelayDuration` after the end of its attempt")
@pytest.mark.taskrun(shell("exit 0", podGC={"deleteDelayDuration": "3s"}))
def test_a_pod_is_deleted_after_its_delete_delay(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone()
    (pod,) = run.pods()
    deleted = next(version for version in pod if version.found["metadata"].get("deletionTimestamp"))
    assert deleted.at >= _finished(run) + timedelta(seconds=3)


@pytest.mark.taskrun(shell("exit 0"))
def test_a_pod_is_deleted_after_the_sites_default_delay(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone(seconds=20)


@pytest.mark.guarantee(
    "A Pod that the annotation `collected` names is deleted before that delay is over"
)
@pytest.mark.taskrun(shell("echo read me", **LONG))
def test_the_annotation_collected_ends_the_delete_delay_of_its_pod(run: Run) -> None:
    status = SUCCEEDED.check(run)
    assert run.log() == "read me\n"
    run.annotate({names.ANNOTATION_COLLECTED: status["podUID"]})
    run.pods_gone(seconds=20)


@pytest.mark.taskrun(shell("exit 0", **LONG))
def test_the_annotation_collected_with_another_uid_is_ignored(run: Run) -> None:
    SUCCEEDED.check(run)
    run.annotate({names.ANNOTATION_COLLECTED: "00000000-0000-0000-0000-000000000000"})
    with pytest.raises(WaitTimeout):
        run.pods_gone(seconds=3)


@pytest.mark.taskrun(shell("exit 1", **gc("Never")))
def test_strategy_never_keeps_the_pod_until_its_run_is_deleted(run: Run) -> None:
    FAILED.check(run)
    with pytest.raises(WaitTimeout):
        run.pods_gone(seconds=3)
    assert not run.pod()["metadata"].get("finalizers"), "a kept Pod has no finalizer"
    run.delete()
    run.gone()
    run.pods_gone()


@pytest.mark.taskrun(shell("exit 1", **gc("OnPodSuccess")))
def test_on_pod_success_keeps_the_pod_of_a_failure(run: Run) -> None:
    FAILED.check(run)
    with pytest.raises(WaitTimeout):
        run.pods_gone(seconds=3)


@pytest.mark.taskrun(shell("exit 0", **gc("OnPodSuccess")))
def test_on_pod_success_removes_the_pod_of_a_success(run: Run) -> None:
    SUCCEEDED.check(run)
    run.pods_gone()


# --------------------------------------------------------------------------------- by deletion


@pytest.mark.guarantee("Deletion of a run never hangs, and deletes its Pod too")
@pytest.mark.taskrun(
    shell(f"{START}; sleep 600; {END}", backoffLimit=3, **QUICK_TO_KILL), start_counter=True
)
def test_deletion_of_a_running_run_deletes_its_pod(run: Run, start_counter: StartCounter) -> None:
    run.main_started()
    run.delete()
    run.gone(seconds=10)
    run.pods_gone(seconds=30)
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (1, 0)


@pytest.mark.taskrun(
    shell(START, nodeSelector={"taskruns.dev/no-such-node": "true"}), start_counter=True
)
def test_deletion_of_an_unscheduled_run_deletes_its_pod(
    run: Run, start_counter: StartCounter
) -> None:
    run.reaches(Phase.PENDING)
    run.delete()
    run.gone(seconds=10)
    run.pods_gone(seconds=10)
    assert start_counter.starts(run.uid) == 0


@pytest.mark.guarantee(
    "Deletion of a run with `--cascade=orphan` leaves its Pod unchanged, and nothing blocks the Pod"
)
@pytest.mark.taskrun(shell(f"{START}; sleep 4; {END}"), start_counter=True)
def test_an_orphaned_pod_loses_its_finalizer_and_keeps_running(
    run: Run, start_counter: StartCounter
) -> None:
    run.main_started()
    run.delete(propagation="Orphan")
    run.gone(seconds=10)
    run.pod_ended()
    run.pod_free(seconds=10)
    assert run.pod()["status"]["phase"] == "Succeeded"
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (1, 1)


@pytest.mark.taskrun(shell("exit 0", **gc("Never")))
def test_the_kept_pod_of_an_orphaned_ended_run_is_not_deleted(
    run: Run, scenario: Scenario, cluster: Cluster
) -> None:
    """The garbage collector, which is usually faster, is stopped until the controller has acted."""
    run.reaches(Phase.SUCCEEDED)
    run.pod_free()
    cluster.stop("kube-controller-manager")
    try:
        run.delete(propagation="Orphan")
        scenario.create("reconciled-afterwards", shell("exit 0")).ended()
    finally:
        cluster.start("kube-controller-manager")
    run.gone()
    kept = scenario.kube.get(PODS, scenario.namespace, run.pod_name())
    assert kept is not None
    assert "deletionTimestamp" not in kept["metadata"]


@pytest.mark.guarantee("A namespace with running runs can be deleted")
def test_a_namespace_with_running_runs_can_be_deleted(scenario: Scenario) -> None:
    doomed = f"{scenario.namespace}-doomed"
    scenario.kube.create(NAMESPACES, None, {"metadata": {"name": doomed}})
    run = scenario.create("at-work", shell("sleep 600", **QUICK_TO_KILL), doomed)
    run.main_started()
    scenario.kube.delete(NAMESPACES, None, doomed)
    run.gone(seconds=60)
    run.pods_gone(seconds=60)


def _finished(run: Run) -> datetime:
    """Return the completionTime of the run's status."""
    ended = (version.found.get("status") or {} for version in run.history())
    return next(
        datetime.fromisoformat(status["completionTime"])
        for status in ended
        if "completionTime" in status
    )
