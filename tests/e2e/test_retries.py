"""Retries that the TaskRun permits, counted by lines that the containers wrote."""

from datetime import datetime

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import HEARD, SOON, shell
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import START, StartCounter

FAIL_TWICE = f'{START}; echo "attempt $TASKRUN_ATTEMPT"; {HEARD}; [ "$TASKRUN_ATTEMPT" -ge 3 ]'


@pytest.mark.guarantee(
    "Any other exit code of main is `NonZeroExitCode`, counted by `backoffLimit`"
)
@pytest.mark.taskrun(shell(FAIL_TWICE, backoffLimit=2, **SOON), start_counter=True)
def test_a_run_succeeds_after_two_failures(run: Run, start_counter: StartCounter) -> None:
    outcomes = (Outcome.FAILED, Outcome.FAILED, Outcome.SUCCEEDED)
    status = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes).check(run)
    messages = [attempt["message"] for attempt in status["attempts"]]
    assert "attempt 1" in messages[0]
    assert "attempt 2" in messages[1]
    assert len({attempt["podUID"] for attempt in status["attempts"]}) == 3
    run.pods_gone()
    assert start_counter.starts(run.uid) == 3


@pytest.mark.taskrun(shell(f"{START}; exit 7", backoffLimit=1, **SOON), start_counter=True)
def test_a_run_that_keeps_failing_ends_with_its_last_failure(
    run: Run, start_counter: StartCounter
) -> None:
    outcomes = (Outcome.FAILED, Outcome.FAILED)
    ending = Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 7, (r"\bmain\b.* code 7\b",), outcomes)
    ending.check(run)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee(
    "Work that may have started is repeated only if `backoffLimit`, `disruptionLimit`, "
    "`podFailurePolicy` or Kueue's label allows it"
)
@pytest.mark.taskrun(shell(f"{START}; exit 7"), start_counter=True)
def test_nothing_is_retried_by_default(run: Run, start_counter: StartCounter) -> None:
    Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 7, attempts=(Outcome.FAILED,)).check(run)
    run.pods_gone()
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee("The wait before a retry grows by its factor up to its cap")
@pytest.mark.taskrun(shell("exit 1", backoffLimit=2, backoff={"duration": "1s", "factor": 3}))
def test_the_backoff_grows_by_its_factor(run: Run) -> None:
    outcomes = (Outcome.FAILED,) * 3
    status = Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 1, attempts=outcomes).check(run)
    first, second, third = status["attempts"]
    # Times have whole seconds, so a wait may look shorter by nearly one.
    assert _seconds(first["finishedTime"], second["createdTime"]) >= 1
    assert _seconds(second["finishedTime"], third["createdTime"]) >= 3
    assert run.phases().count("BackingOff") == 2
    run.pods_gone()


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
