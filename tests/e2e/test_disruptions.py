"""Ends of Pods that the cluster or a user causes, before and after main may have started."""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import NEVER_AT_FIRST, SOON, pod_spec, shell
from tests.support.cluster.client import PODS
from tests.support.cluster.expected_end import Ending, disrupted, succeeded_after
from tests.support.cluster.namespace import Stage
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END, ONCE, START, STAYS, UNTIL_CUE, Ledger

GRACE = pod_spec(terminationGracePeriodSeconds=1)
SLOW_TO_START = pod_spec(terminationGracePeriodSeconds=1, **NEVER_AT_FIRST)
NEVER_STARTS = pod_spec(schedulingGates=[{"name": "example.test/never"}])
PLACED_BY_HAND = pod_spec(schedulerName="nobody")
TOO_MUCH = {"resources": {"requests": {"cpu": "1000"}}}
MOST_ATTEMPTS = 4
"""The first attempt and its three replacements."""


def given_up(reason: Reason, *message: str) -> Ending:
    """Return the end of a run whose attempts never started and used up all replacements."""
    words = (*message, r"replaced 3 times before")
    return Ending(Phase.FAILED, reason, None, words, (Outcome.REPLACED,) * MOST_ATTEMPTS)


@pytest.mark.taskrun(shell(START, backoffLimit=0, **SOON, **SLOW_TO_START), ledger=True)
def test_a_pod_deleted_before_main_starts_is_replaced_unasked(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    run.preparing()
    stage.kube.delete(PODS, run.namespace, run.pod_name())
    succeeded_after(Outcome.REPLACED).check(run)
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell(START, **SOON, **NEVER_STARTS), ledger=True)
def test_a_pod_deleted_again_and_again_before_it_starts_is_given_up_after_three_replacements(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    for attempt in range(1, MOST_ATTEMPTS + 1):
        run.released(attempt)
        stage.kube.delete(PODS, run.namespace, run.pod_name(attempt))
    status = given_up(Reason.POD_DELETED).check(run)
    assert (status["failureKind"], status.get("disrupted") or 0) == ("Infrastructure", 0)
    run.pods_gone()
    assert len(run.pods()) == MOST_ATTEMPTS
    assert ledger.starts(run.uid) == 0


@pytest.mark.taskrun(shell(START, **SOON, **TOO_MUCH, **PLACED_BY_HAND), ledger=True)
def test_a_pod_that_its_node_refuses_is_given_up_after_three_replacements(
    run: Run, stage: Stage, cluster: Cluster, ledger: Ledger
) -> None:
    for attempt in range(1, MOST_ATTEMPTS + 1):
        run.released(attempt)
        stage.kube.bind(run.namespace, run.pod_name(attempt), cluster.node_name)
    status = given_up(Reason.POD_REJECTED, r"OutOfcpu", r"enough resource: cpu").check(run)
    assert (status["failureKind"], status.get("disrupted") or 0) == ("Infrastructure", 0)
    run.pods_gone()
    assert ledger.starts(run.uid) == 0


@pytest.mark.taskrun(shell(STAYS, **GRACE), ledger=True)
def test_an_evicted_task_is_not_repeated_unasked(run: Run, stage: Stage, ledger: Ledger) -> None:
    run.main_started()
    stage.kube.evict(run.namespace, run.pod_name())
    status = disrupted(Reason.EVICTED, 137).check(run)
    assert (status["failureKind"], status["disrupted"]) == ("Infrastructure", 1)
    run.pods_gone()
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell(ONCE, disruptionLimit=1, **SOON, **GRACE), ledger=True)
def test_an_evicted_task_is_repeated_within_its_limit(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    run.main_started()
    stage.kube.evict(run.namespace, run.pod_name())
    status = succeeded_after(Outcome.DISRUPTED).check(run)
    assert (status["failed"], status["disrupted"]) == (0, 1)
    assert ledger.starts(run.uid) == 2


@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **GRACE), ledger=True)
def test_a_pod_deleted_at_work_is_a_disruption(run: Run, stage: Stage, ledger: Ledger) -> None:
    run.main_started()
    stage.kube.delete(PODS, run.namespace, run.pod_name())
    disrupted(Reason.POD_DELETED, 137).check(run)
    run.pods_gone()
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell(STAYS, **GRACE), ledger=True)
def test_a_pod_whose_finalizer_is_forced_off_has_an_unknown_end(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    run.main_started()
    stage.kube.merge(PODS, run.namespace, run.pod_name(), {"metadata": {"finalizers": None}})
    stage.kube.delete(PODS, run.namespace, run.pod_name(), {"gracePeriodSeconds": 0})
    disrupted(Reason.FINAL_STATE_UNKNOWN, None).check(run)
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(
    shell(
        f"{START}; [ \"$TASKRUN_ATTEMPT\" -ge 2 ] || {{ trap '' TERM; {UNTIL_CUE}; }}; {END}",
        disruptionLimit=1,
        podReplacementPolicy="TerminatingOrFailed",
        **SOON,
        **pod_spec(terminationGracePeriodSeconds=60),
    ),
    ledger=True,
    lawful=False,  # the run permits two Pods at a time
)
def test_a_terminating_pod_is_replaced_at_once_when_asked_for(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    run.main_started()
    stage.kube.delete(PODS, run.namespace, run.pod_name())
    status = succeeded_after(Outcome.DISRUPTED).check(run)
    assert status["disrupted"] == 1
    assert run.pod()["status"]["phase"] == "Running", "the first is in its grace period still"
    assert (ledger.starts(run.uid), ledger.ends(run.uid)) == (2, 1)
    ledger.cue(run.uid)
    run.pods_gone()
