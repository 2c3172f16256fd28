"""Ends of Pods that the cluster or a user causes, before and after main may have started."""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import NEVER_AT_FIRST, SOON, pod_spec, shell
from tests.support.cluster.client import PODS
from tests.support.cluster.expected_end import Ending, disrupted, succeeded_after
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, ONCE, START, STAYS, UNTIL_CUE, StartCounter

GRACE = pod_spec(terminationGracePeriodSeconds=1)
SLOW_TO_START = pod_spec(terminationGracePeriodSeconds=1, **NEVER_AT_FIRST)
NEVER_STARTS = pod_spec(schedulingGates=[{"name": "example.test/never"}])
PLACED_BY_HAND = pod_spec(schedulerName="nobody")
TOO_MUCH = {"resources": {"requests": {"cpu": "1000"}}}
MOST_ATTEMPTS = 4
"""The first attempt and its three replacements."""


def failed_after_replacements(reason: Reason, *message: str) -> Ending:
    """Return the end of a run whose attempts never started and used up all replacements."""
    patterns = (*message, r"replaced 3 times before")
    return Ending(Phase.FAILED, reason, None, patterns, (Outcome.REPLACED,) * MOST_ATTEMPTS)


@pytest.mark.guarantee("A Pod that is deleted before main starts is replaced, up to 3 times")
@pytest.mark.taskrun(shell(START, backoffLimit=0, **SOON, **SLOW_TO_START), start_counter=True)
def test_a_pod_deleted_before_main_starts_is_replaced_by_default(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    run.preparing()
    scenario.kube.delete(PODS, run.namespace, run.pod_name())
    succeeded_after(Outcome.REPLACED).check(run)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee("A Pod that is deleted before main starts is replaced, up to 3 times")
@pytest.mark.taskrun(shell(START, **SOON, **NEVER_STARTS), start_counter=True)
def test_a_run_whose_pods_are_deleted_before_they_start_fails_after_three_replacements(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    for attempt in range(1, MOST_ATTEMPTS + 1):
        run.released(attempt)
        scenario.kube.delete(PODS, run.namespace, run.pod_name(attempt))
    status = failed_after_replacements(Reason.POD_DELETED).check(run)
    assert (status["failureKind"], status.get("disrupted") or 0) == ("Infrastructure", 0)
    run.pods_gone()
    assert len(run.pods()) == MOST_ATTEMPTS
    assert start_counter.starts(run.uid) == 0


@pytest.mark.guarantee("A Pod that its node refuses is `PodRejected` and replaced, up to 3 times")
@pytest.mark.taskrun(shell(START, **SOON, **TOO_MUCH, **PLACED_BY_HAND), start_counter=True)
def test_a_run_whose_pods_are_rejected_by_their_node_fails_after_three_replacements(
    run: Run, scenario: Scenario, cluster: Cluster, start_counter: StartCounter
) -> None:
    for attempt in range(1, MOST_ATTEMPTS + 1):
        run.released(attempt)
        scenario.kube.bind(run.namespace, run.pod_name(attempt), cluster.node_name)
    status = failed_after_replacements(
        Reason.POD_REJECTED, r"OutOfcpu", r"enough resource: cpu"
    ).check(run)
    assert (status["failureKind"], status.get("disrupted") or 0) == ("Infrastructure", 0)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 0


@pytest.mark.guarantee(
    "A running Pod that is evicted, as by `kubectl drain`, is `Evicted`, counted by "
    "`disruptionLimit`"
)
@pytest.mark.guarantee(
    "Work that may have started is repeated only if `backoffLimit`, `disruptionLimit`, "
    "`podFailurePolicy` or Kueue's label allows it"
)
@pytest.mark.taskrun(shell(STAYS, **GRACE), start_counter=True)
def test_an_evicted_task_is_not_repeated_by_default(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    run.main_started()
    scenario.kube.evict(run.namespace, run.pod_name())
    status = disrupted(Reason.EVICTED, 137).check(run)
    assert (status["failureKind"], status["disrupted"]) == ("Infrastructure", 1)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A running Pod that is evicted, as by `kubectl drain`, is `Evicted`, counted by "
    "`disruptionLimit`"
)
@pytest.mark.taskrun(shell(ONCE, disruptionLimit=1, **SOON, **GRACE), start_counter=True)
def test_an_evicted_task_is_repeated_within_its_disruption_limit(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    run.main_started()
    scenario.kube.evict(run.namespace, run.pod_name())
    status = succeeded_after(Outcome.DISRUPTED).check(run)
    assert (status["failed"], status["disrupted"]) == (0, 1)
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee(
    "A running Pod that is deleted is `PodDeleted`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **GRACE), start_counter=True)
def test_deletion_of_a_running_pod_is_a_disruption(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    run.main_started()
    scenario.kube.delete(PODS, run.namespace, run.pod_name())
    disrupted(Reason.POD_DELETED, 137).check(run)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "The end of a Pod whose finalizer was removed by force is unknown, `FinalStateUnknown`; the "
    "work is not repeated by default"
)
@pytest.mark.taskrun(shell(STAYS, **GRACE), start_counter=True)
def test_a_pod_whose_finalizer_is_removed_by_force_has_an_unknown_final_state(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    run.main_started()
    scenario.kube.merge(PODS, run.namespace, run.pod_name(), {"metadata": {"finalizers": None}})
    scenario.kube.delete(PODS, run.namespace, run.pod_name(), {"gracePeriodSeconds": 0})
    disrupted(Reason.FINAL_STATE_UNKNOWN, None).check(run)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "With `podReplacementPolicy: TerminatingOrFailed`, two Pods may do the work at the same time "
    "while the first terminates or its node does not report"
)
@pytest.mark.taskrun(
    shell(
        f"{START}; [ \"$TASKRUN_ATTEMPT\" -ge 2 ] || {{ trap '' TERM; {UNTIL_CUE}; }}; {END}",
        disruptionLimit=1,
        podReplacementPolicy="TerminatingOrFailed",
        **SOON,
        **pod_spec(terminationGracePeriodSeconds=60),
    ),
    start_counter=True,
    lawful=False,  # the run permits two Pods at a time
)
def test_a_terminating_pod_is_replaced_at_once_if_the_policy_allows(
    run: Run, scenario: Scenario, start_counter: StartCounter
) -> None:
    run.main_started()
    scenario.kube.delete(PODS, run.namespace, run.pod_name())
    status = succeeded_after(Outcome.DISRUPTED).check(run)
    assert status["disrupted"] == 1
    assert run.pod()["status"]["phase"] == "Running", "the first is in its grace period still"
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (2, 1)
    start_counter.cue(run.uid)
    run.pods_gone()
