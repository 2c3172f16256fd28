"""spec.suspend at every stage of a run: without a Pod, without a node, running, backing off.

The test that must act during a wait comes first, because all runs start with the first test.
"""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import NEVER_AT_FIRST, pod_spec, shell
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END, START, StartCounter

GRACE = pod_spec(terminationGracePeriodSeconds=1)
NOT_YET = pod_spec(terminationGracePeriodSeconds=1, **NEVER_AT_FIRST)
NOWHERE = {"nodeSelector": {"taskruns.dev/no-such-node": "true"}}


def succeeded(*outcomes: Outcome) -> Ending:
    return Ending(
        Phase.SUCCEEDED,
        Reason.COMPLETED,
        0,
        attempts=(*outcomes, Outcome.SUCCEEDED),
        conditions={"Suspended": "False"},
    )


@pytest.mark.guarantee("A suspension keeps the time of a retry that was due")
@pytest.mark.taskrun(
    shell('[ "$TASKRUN_ATTEMPT" -ge 2 ]', backoffLimit=1, backoff={"duration": "8s", "factor": 1})
)
def test_a_run_suspended_in_backoff_keeps_its_due_time(run: Run) -> None:
    run.reaches(Phase.BACKING_OFF)
    run.change(suspend=True)
    run.reaches(Phase.SUSPENDED)
    run.change(suspend=False)
    status = succeeded(Outcome.FAILED).check(run)
    assert run.phases().count("BackingOff") == 2
    assert status["failed"] == 1


@pytest.mark.guarantee("Suspension removes `startTime`, and resumption sets it again")
@pytest.mark.taskrun(shell("exit 0", suspend=True, activeDeadlineSeconds=60))
def test_a_run_created_suspended_has_no_pod_until_it_is_resumed(run: Run) -> None:
    status = run.reaches(Phase.SUSPENDED)
    assert "startTime" not in status
    assert not run.pods()
    run.change(suspend=False)
    succeeded().check(run)


@pytest.mark.guarantee("Cancel and suspend act at once if there is no Pod")
@pytest.mark.taskrun(shell(f"{START}", suspend=True), start_counter=True)
def test_a_suspended_run_is_cancelled_at_once(run: Run, start_counter: StartCounter) -> None:
    run.reaches(Phase.SUSPENDED)
    run.cancel()
    Ending(Phase.CANCELLED, Reason.CANCELLED).check(run)
    assert start_counter.starts(run.uid) == 0


@pytest.mark.taskrun(shell("exit 0", **NOWHERE))
def test_suspension_of_an_unscheduled_run_deletes_its_pod(run: Run) -> None:
    run.reaches(Phase.PENDING)
    run.change(suspend=True)
    status = run.reaches(Phase.SUSPENDED)
    assert [attempt["outcome"] for attempt in status["attempts"]] == [Outcome.STOPPED]
    run.cancel()
    status = run.ended()
    assert (status["phase"], status["attempt"]) == (Phase.CANCELLED, 1)
    run.pods_gone()


@pytest.mark.guarantee(
    "An attempt that a suspension stops is not counted; the next attempt starts on resumption"
)
@pytest.mark.taskrun(shell(START, **NOT_YET), start_counter=True)
def test_a_suspended_start_is_not_counted_and_is_repeated_on_resume(
    run: Run, start_counter: StartCounter
) -> None:
    run.preparing()
    run.change(suspend=True)
    status = run.reaches(Phase.SUSPENDED)
    assert (status.get("exitCode"), status.get("failed", 0)) == (None, 0)
    run.change(suspend=False)
    succeeded(Outcome.STOPPED).check(run)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee("Suspension removes `startTime`, and resumption sets it again")
@pytest.mark.guarantee(
    "An attempt that a suspension stops is not counted; the next attempt starts on resumption"
)
@pytest.mark.taskrun(
    shell(f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || sleep 600; {END}', **GRACE), start_counter=True
)
def test_a_suspended_task_is_not_counted_and_starts_again_on_resume(
    run: Run, start_counter: StartCounter
) -> None:
    first = run.reaches(Phase.RUNNING)
    run.change(suspend=True)
    status = run.reaches(Phase.SUSPENDED)
    assert (status["reason"], status["exitCode"], status.get("failed", 0)) == ("Suspended", 137, 0)
    assert "startTime" not in status
    run.change(suspend=False)
    ended = succeeded(Outcome.STOPPED).check(run)
    assert ended["startTime"] > first["startTime"], "the deadline counts from the resumption"
    assert start_counter.starts(run.uid) == 2
    assert start_counter.ends(run.uid) == 1
