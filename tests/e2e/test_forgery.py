"""Forged labels, owners and statuses, which the controller does not trust.

docs/security.md lists the effect of each; these tests verify it.
"""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import IMAGE, SOON, pod_spec, shell
from tests.support.cluster.client import NAMESPACES, PODS, RUNS
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START
from tests.support.faults.foreign_pods import BUSY, lookalike_pod

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")


@pytest.mark.taskrun(shell(f"{START}; sleep 5; {END}"), start_counter=True)
def test_a_lookalike_pod_in_another_namespace_is_ignored(run: Run, scenario: Scenario) -> None:
    elsewhere = f"{scenario.namespace}-elsewhere"
    scenario.kube.create(NAMESPACES, None, {"metadata": {"name": elsewhere}})
    run.main_started()
    scenario.kube.create(PODS, elsewhere, lookalike_pod(run, "forged", BUSY, attempt=2, gated=True))
    SUCCEEDED.check(run)
    run.pods_gone()
    assert (scenario.start_counter.starts(run.uid), scenario.start_counter.ends(run.uid)) == (1, 1)
    scenario.kube.delete(NAMESPACES, None, elsewhere)


@pytest.mark.taskrun(shell("sleep 5"), lawful=False)
def test_a_pod_with_a_runs_labels_and_no_owner_is_not_touched(run: Run, scenario: Scenario) -> None:
    run.main_started()
    pods = [
        lookalike_pod(run, name, BUSY, attempt=2, gated=gated, ownerReferences=[])
        for name, gated in (("gated", True), ("not-gated", False))
    ]
    made = [scenario.kube.create(PODS, run.namespace, pod)["metadata"]["name"] for pod in pods]
    SUCCEEDED.check(run)
    for name in made:
        _is_untouched(scenario, name)


@pytest.mark.parametrize("phase", ["Running", "Stopping"])
def test_a_forged_status_cannot_affect_pods_of_other_owners(scenario: Scenario, phase: str) -> None:
    container = {"name": "main", "image": IMAGE, **BUSY}
    pod = {"metadata": {"generateName": "bystander-"}, "spec": {"containers": [container]}}
    bystander = scenario.kube.create(PODS, scenario.namespace, pod)["metadata"]
    run = scenario.create(f"forged-{phase.lower()}-", shell("exit 0", suspend=True))
    run.reaches(Phase.SUSPENDED)
    record = {"number": 1, "podName": bystander["name"], "podUID": bystander["uid"]}
    claim = {"attempt": 1, "podName": bystander["name"], "podUID": bystander["uid"]}
    forged = {"phase": phase, "reason": "Cancelled", "attempts": [record], **claim}
    scenario.kube.merge(RUNS, run.namespace, run.name, {"status": forged}, subresource="status")
    assert run.ended()["reason"] == Reason.INVALID_TASK_RUN
    _is_untouched(scenario, bystander["name"])
    scenario.kube.delete(PODS, scenario.namespace, bystander["name"], {"gracePeriodSeconds": 1})


def _is_untouched(scenario: Scenario, pod: str) -> None:
    live = scenario.kube.get(PODS, scenario.namespace, pod)
    assert live is not None
    assert "deletionTimestamp" not in live["metadata"]
    assert "activeDeadlineSeconds" not in live["spec"]


def create_ungated_pod(run: Run, scenario: Scenario) -> None:
    pod = lookalike_pod(run, run.pod_name(), BUSY, attempt=1, gated=False)
    scenario.kube.create(PODS, run.namespace, pod)


@pytest.mark.taskrun(shell("exit 0"), prepare=create_ungated_pod, lawful=False)
def test_an_ungated_pod_is_not_adopted_as_an_attempt(run: Run) -> None:
    Ending(Phase.FAILED, Reason.POD_NAME_CONFLICT, None).check(run)


@pytest.mark.taskrun(
    shell(
        "trap 'sleep 3; exit 0' TERM; while :; do sleep 600 & wait; done",
        backoffLimit=1,
        **SOON,
        **pod_spec(terminationGracePeriodSeconds=20),
    ),
    lawful=False,
)
def test_a_forged_status_cannot_cause_two_concurrent_pods(run: Run, scenario: Scenario) -> None:
    run.main_started()
    record = run.status["attempts"][0]
    over = {**record, "outcome": "Failed", "finishedTime": record["createdTime"]}
    forged = {"phase": "BackingOff", "attempts": [over]}
    scenario.kube.merge(RUNS, run.namespace, run.name, {"status": forged}, subresource="status")
    run.main_started(attempt=2)
    (first,) = run.pod(1)["status"]["containerStatuses"]
    assert first["state"]["terminated"]["finishedAt"] <= run.pod(2)["metadata"]["creationTimestamp"]
    run.cancel()
    run.pods_gone()
