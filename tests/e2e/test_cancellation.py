"""spec.cancel at every stage of a run: without a Pod, without a node, running, backing off."""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import KEEP_POD, pod_spec, shell
from tests.support.cluster.client import Refused
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import START, StartCounter

GRACE = pod_spec(terminationGracePeriodSeconds=2)
POLITE = "trap 'echo tidied up; exit 0' TERM; echo working; while :; do sleep 600 & wait; done"
STUBBORN = "trap '' TERM; echo working; while :; do sleep 1; done"


def cancelled(exit_code: int | None, *outcomes: Outcome) -> Ending:
    return Ending(Phase.CANCELLED, Reason.CANCELLED, exit_code, (r"cancelled",), outcomes)


@pytest.mark.guarantee("Cancel and suspend act at once if there is no Pod")
@pytest.mark.taskrun(shell("exit 0", cancel=True))
def test_a_run_created_with_cancel_never_has_a_pod(run: Run) -> None:
    cancelled(None).check(run)
    assert not run.pods()


@pytest.mark.taskrun(
    shell(f"{START}", nodeSelector={"taskruns.dev/no-such-node": "true"}), start_counter=True
)
def test_a_pending_run_is_cancelled_and_never_starts(run: Run, start_counter: StartCounter) -> None:
    run.reaches(Phase.PENDING)
    run.cancel()
    cancelled(None, Outcome.STOPPED).check(run)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 0


@pytest.mark.guarantee("A cancelled run ends as `Cancelled` and keeps main's exit code")
@pytest.mark.taskrun(shell(POLITE, **GRACE, **KEEP_POD))
def test_a_task_that_handles_the_cancel_keeps_its_exit_code_and_log(run: Run) -> None:
    run.reaches(Phase.RUNNING)
    run.cancel()
    cancelled(0, Outcome.STOPPED).check(run)
    assert run.phases() == ["Pending", "Running", "Stopping", "Cancelled"]
    assert run.log() == "working\ntidied up\n"


@pytest.mark.taskrun(shell(STUBBORN, **GRACE))
def test_a_task_that_ignores_the_cancel_is_killed_after_its_grace_period(run: Run) -> None:
    run.reaches(Phase.RUNNING)
    run.cancel()
    cancelled(137, Outcome.STOPPED).check(run)
    run.pods_gone()


@pytest.mark.guarantee("Cancel and suspend act at once if there is no Pod")
@pytest.mark.taskrun(
    shell(f"{START}; exit 1", backoffLimit=3, backoff={"duration": "1h", "cap": "1h"}),
    start_counter=True,
)
def test_a_run_in_backoff_is_cancelled_at_once(run: Run, start_counter: StartCounter) -> None:
    run.reaches(Phase.BACKING_OFF)
    run.cancel()
    status = run.ended(seconds=15)
    assert (status["phase"], status["reason"]) == (Phase.CANCELLED, Reason.CANCELLED)
    assert [attempt["outcome"] for attempt in status["attempts"]] == [Outcome.FAILED]
    run.pods_gone()
    assert start_counter.starts(run.uid) == 1


@pytest.mark.taskrun(shell("exit 0"))
def test_a_cancel_of_an_ended_run_has_no_effect(run: Run) -> None:
    before = run.ended()
    run.cancel()
    run.observed(generation=2)
    run.pods_gone()
    assert run.status == {**before, "observedGeneration": 2}


@pytest.mark.taskrun(shell("exit 0", cancel=True))
def test_a_cancel_cannot_be_reset(run: Run) -> None:
    with pytest.raises(Refused, match="cancel"):
        run.change(cancel=False)
