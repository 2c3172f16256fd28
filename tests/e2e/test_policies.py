"""A Job's podFailurePolicy: FailJob, Ignore and Count, by exit code and by condition."""

from typing import Any

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.cluster_client import Object
from tests.support.ending import Ending
from tests.support.ledger import START, Ledger
from tests.support.manifests import SOON, pod_spec, shell
from tests.support.run import Run
from tests.support.stage import Stage


def by_code(action: str, *codes: int) -> Object:
    return {"action": action, "onExitCodes": {"operator": "In", "values": list(codes)}}


def policy(*rules: Any) -> Object:
    return {"podFailurePolicy": {"rules": list(rules)}, "backoffLimit": 1, **SOON}


FATAL, PASSING, ORDINARY = by_code("FailJob", 42), by_code("Ignore", 43), by_code("Count", 44)
EVICTION = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
ALL = policy(FATAL, PASSING, ORDINARY, EVICTION)


@pytest.mark.taskrun(shell(f"{START}; exit 42", **ALL), ledger=True)
def test_fail_job_ends_the_run_whatever_is_left_to_retry(run: Run, ledger: Ledger) -> None:
    ending = Ending(
        Phase.FAILED,
        Reason.NON_ZERO_EXIT_CODE,
        42,
        (r"code 42", r"FailJob by rule 1 of podFailurePolicy"),
        (Outcome.FAILED,),
    )
    ending.check(run)
    run.pods_gone()
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell('[ "$TASKRUN_ATTEMPT" -ge 4 ] || exit 43', **ALL))
def test_what_is_ignored_is_repeated_beyond_every_limit(run: Run) -> None:
    outcomes = (Outcome.IGNORED,) * 3 + (Outcome.SUCCEEDED,)
    status = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes).check(run)
    assert status["failed"] == 0


@pytest.mark.taskrun(shell("exit 44", **ALL))
def test_what_is_counted_uses_up_the_limit(run: Run) -> None:
    outcomes = (Outcome.FAILED,) * 2
    Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 44, attempts=outcomes).check(run)


@pytest.mark.taskrun(
    shell(
        '[ "$TASKRUN_ATTEMPT" -ge 2 ] || sleep 600',
        **ALL,
        **pod_spec(terminationGracePeriodSeconds=1),
    )
)
def test_an_eviction_that_is_ignored_is_no_disruption(run: Run, stage: Stage) -> None:
    run.main_started()
    stage.kube.evict(run.namespace, run.pod_name())
    outcomes = (Outcome.IGNORED, Outcome.SUCCEEDED)
    status = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes).check(run)
    assert (status["failed"], status["disrupted"]) == (0, 0)
