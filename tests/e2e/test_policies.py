"""A Job's podFailurePolicy: FailJob, Ignore and Count, by exit code and by condition."""

import pytest
import yaml

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import IMAGE, SOON, pod_spec, shell
from tests.support.cluster.client import Object, Resource
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import START, StartCounter

pytestmark = pytest.mark.guarantee(
    "A `podFailurePolicy` rule that matches decides before an end is classified as a disruption"
)

OF_A_JOB = """
rules:
- action: FailJob
  onExitCodes:
    containerName: main
    operator: In
    values: [42]
- action: Ignore
  onExitCodes:
    operator: In
    values: [43]
- action: Count
  onExitCodes:
    operator: NotIn
    values: [42, 43, 137]
- action: Ignore
  onPodConditions:
  - type: DisruptionTarget
"""
ALL: Object = {"podFailurePolicy": yaml.safe_load(OF_A_JOB), "backoffLimit": 1, **SOON}


@pytest.mark.guarantee("A Job's policy is accepted unchanged")
def test_a_job_accepts_the_same_policy(scenario: Scenario) -> None:
    jobs = Resource("/apis/batch/v1", "jobs")
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": IMAGE}]}
    spec = {"template": {"spec": pod}, "suspend": True, "podFailurePolicy": ALL["podFailurePolicy"]}
    made = scenario.kube.create(
        jobs, scenario.namespace, {"metadata": {"name": "same"}, "spec": spec}
    )
    actions = [rule["action"] for rule in made["spec"]["podFailurePolicy"]["rules"]]
    assert actions == ["FailJob", "Ignore", "Count", "Ignore"]


@pytest.mark.guarantee("`FailJob` ends the run, however many retries are left")
@pytest.mark.taskrun(shell(f"{START}; exit 42", **ALL), start_counter=True)
def test_fail_job_ends_the_run_despite_remaining_retries(
    run: Run, start_counter: StartCounter
) -> None:
    ending = Ending(
        Phase.FAILED,
        Reason.NON_ZERO_EXIT_CODE,
        42,
        (r"code 42", r"FailJob by rule 1 of podFailurePolicy"),
        (Outcome.FAILED,),
    )
    ending.check(run)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee("`Ignore` repeats uncounted, with backoff, up to 100 attempts in all")
@pytest.mark.taskrun(shell('[ "$TASKRUN_ATTEMPT" -ge 4 ] || exit 43', **ALL))
def test_ignored_failures_are_retried_beyond_every_limit(run: Run) -> None:
    outcomes = (Outcome.IGNORED,) * 3 + (Outcome.SUCCEEDED,)
    status = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes).check(run)
    assert status["failed"] == 0


@pytest.mark.guarantee("`Count` counts for `backoffLimit`")
@pytest.mark.taskrun(shell("exit 44", **ALL))
def test_counted_failures_count_for_the_backoff_limit(run: Run) -> None:
    outcomes = (Outcome.FAILED,) * 2
    Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 44, attempts=outcomes).check(run)


@pytest.mark.guarantee("An eviction that `Ignore` matches is no disruption")
@pytest.mark.taskrun(
    shell(
        '[ "$TASKRUN_ATTEMPT" -ge 2 ] || sleep 600',
        **ALL,
        **pod_spec(terminationGracePeriodSeconds=1),
    )
)
def test_an_ignored_eviction_is_no_disruption(run: Run, scenario: Scenario) -> None:
    run.main_started()
    scenario.kube.evict(run.namespace, run.pod_name())
    outcomes = (Outcome.IGNORED, Outcome.SUCCEEDED)
    status = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes).check(run)
    assert (status["failed"], status["disrupted"]) == (0, 0)
