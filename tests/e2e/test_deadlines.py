"""Time limits of an attempt and of the whole run, and logs that outlive both."""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import KEEP_POD, SOON, pod_spec, shell
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run

WORK = "echo working; exec sleep 3600"
STUBBORN = "echo working; trap '' TERM; while :; do sleep 1; done"
SHORT_GRACE = pod_spec(terminationGracePeriodSeconds=1)


@pytest.mark.guarantee(
    "A run past its deadline ends as `DeadlineExceeded`; an attempt past its own is stopped as "
    "`AttemptDeadlineExceeded`"
)
@pytest.mark.taskrun(shell(STUBBORN, attemptDeadlineSeconds=2, **SHORT_GRACE, **KEEP_POD))
def test_an_attempt_past_its_deadline_is_stopped_and_its_log_is_kept(run: Run) -> None:
    ending = Ending(
        Phase.FAILED,
        Reason.ATTEMPT_DEADLINE_EXCEEDED,
        137,
        (r"attemptDeadlineSeconds",),
        (Outcome.FAILED,),
    )
    ending.check(run)
    assert run.phases()[-2:] == ["Stopping", "Failed"]
    assert run.log() == "working\n"


@pytest.mark.guarantee(
    "`attemptDeadlineSeconds` counts from main's start; an attempt that exceeds it is retried "
    "within `backoffLimit`"
)
@pytest.mark.taskrun(
    shell(
        STUBBORN.replace("echo working", '[ "$TASKRUN_ATTEMPT" -ge 2 ] && exit 0'),
        attemptDeadlineSeconds=2,
        backoffLimit=1,
        **SHORT_GRACE,
        **SOON,
    )
)
def test_an_attempt_past_its_deadline_is_retried_within_backoff_limit(run: Run) -> None:
    outcomes = (Outcome.FAILED, Outcome.SUCCEEDED)
    status = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes).check(run)
    assert status["attempts"][0]["reason"] == Reason.ATTEMPT_DEADLINE_EXCEEDED
    run.pods_gone()


@pytest.mark.guarantee(
    "A run past its deadline ends as `DeadlineExceeded`; an attempt past its own is stopped as "
    "`AttemptDeadlineExceeded`"
)
@pytest.mark.taskrun(
    shell(STUBBORN, activeDeadlineSeconds=4, backoffLimit=5, **SHORT_GRACE, **KEEP_POD)
)
def test_a_run_past_its_deadline_ends_despite_remaining_retries(run: Run) -> None:
    ending = Ending(
        Phase.FAILED,
        Reason.DEADLINE_EXCEEDED,
        137,
        (r"activeDeadlineSeconds",),
        (Outcome.STOPPED,),
    )
    ending.check(run)
    assert run.log() == "working\n"


@pytest.mark.guarantee(
    "`activeDeadlineSeconds` counts from the first reconcile, also during backoff and while no "
    "node accepts the Pod"
)
@pytest.mark.taskrun(
    shell(
        "exit 1", activeDeadlineSeconds=6, backoffLimit=5, backoff={"duration": "1h", "cap": "1h"}
    )
)
def test_the_runs_deadline_counts_during_backoff(run: Run) -> None:
    run.reaches(Phase.BACKING_OFF)
    status = run.ended()
    assert (status["phase"], status["reason"]) == (Phase.FAILED, Reason.DEADLINE_EXCEEDED)
    assert status["attempt"] == 1
    assert "activeDeadlineSeconds" in status["message"]
    run.pods_gone()


@pytest.mark.guarantee(
    "`activeDeadlineSeconds` counts from the first reconcile, also during backoff and while no "
    "node accepts the Pod"
)
@pytest.mark.taskrun(
    shell(WORK, activeDeadlineSeconds=3, nodeSelector={"taskruns.dev/no-such-node": "true"})
)
def test_the_runs_deadline_counts_while_its_pod_is_unschedulable(run: Run) -> None:
    ending = Ending(
        Phase.FAILED,
        Reason.DEADLINE_EXCEEDED,
        None,
        (r"activeDeadlineSeconds",),
        (Outcome.STOPPED,),
    )
    ending.check(run)
    run.pods_gone()
