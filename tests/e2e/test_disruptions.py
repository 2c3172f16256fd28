"""Ends that the cluster, or a person, brings upon a Pod, before and after main may have started.

The Pod that must be caught before its main starts stands first: runs start with the first test.
"""

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.cluster_client import PODS
from tests.support.ending import Ending
from tests.support.ledger import START, Ledger
from tests.support.manifests import IMAGE, SOON, pod_spec, shell
from tests.support.run import Run
from tests.support.stage import Stage

GRACE = pod_spec(terminationGracePeriodSeconds=1)
STAYS = f"{START}; sleep 600"
ONCE = f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || sleep 600'
SLOW_TO_START = pod_spec(
    terminationGracePeriodSeconds=1,
    initContainers=[
        {
            "name": "prepare",
            "image": IMAGE,
            "command": ["sh", "-c", "sleep 8"],
        }
    ],
)


def failed(reason: Reason, exit_code: int | None) -> Ending:
    return Ending(Phase.FAILED, reason, exit_code, attempts=(Outcome.DISRUPTED,))


def succeeded(first: Outcome) -> Ending:
    outcomes = (first, Outcome.SUCCEEDED)
    return Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes)


@pytest.mark.taskrun(shell(START, backoff={"duration": "500ms"}, backoffLimit=0, **SLOW_TO_START),
                     ledger=True)  # fmt: skip
def test_a_pod_deleted_before_main_starts_is_replaced_unasked(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    def has_node() -> bool | None:
        return True if run.pod_seen()["spec"].get("nodeName") else None

    stage.journal.wait(has_node, 30, "the Pod has a node")
    stage.kube.delete(PODS, run.namespace, run.pod_name())
    succeeded(Outcome.REPLACED).check(run)
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell(STAYS, **GRACE), ledger=True)
def test_an_evicted_task_is_not_repeated_unasked(run: Run, stage: Stage, ledger: Ledger) -> None:
    run.main_started()
    stage.kube.evict(run.namespace, run.pod_name())
    status = failed(Reason.EVICTED, 137).check(run)
    assert (status["failureKind"], status["disrupted"]) == ("Infrastructure", 1)
    run.pods_gone()
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell(ONCE, disruptionLimit=1, **SOON, **GRACE), ledger=True)
def test_an_evicted_task_is_repeated_within_its_limit(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    run.main_started()
    stage.kube.evict(run.namespace, run.pod_name())
    status = succeeded(Outcome.DISRUPTED).check(run)
    assert (status["failed"], status["disrupted"]) == (0, 1)
    assert ledger.starts(run.uid) == 2


@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **GRACE), ledger=True)
def test_a_pod_deleted_at_work_is_a_disruption(run: Run, stage: Stage, ledger: Ledger) -> None:
    run.main_started()
    stage.kube.delete(PODS, run.namespace, run.pod_name())
    failed(Reason.POD_DELETED, 137).check(run)
    run.pods_gone()
    assert ledger.starts(run.uid) == 1


@pytest.mark.taskrun(shell(STAYS, **GRACE), ledger=True)
def test_a_pod_whose_finalizer_is_forced_off_has_an_unknown_end(
    run: Run, stage: Stage, ledger: Ledger
) -> None:
    run.main_started()
    stage.kube.merge(PODS, run.namespace, run.pod_name(), {"metadata": {"finalizers": None}})
    stage.kube.delete(PODS, run.namespace, run.pod_name(), {"gracePeriodSeconds": 0})
    failed(Reason.FINAL_STATE_UNKNOWN, None).check(run)
    assert ledger.starts(run.uid) == 1


STUBBORN = "trap '' TERM; while :; do sleep 1; done"


@pytest.mark.taskrun(
    shell(
        f'[ "$TASKRUN_ATTEMPT" -ge 2 ] || {{ {STUBBORN}; }}',
        disruptionLimit=1,
        podReplacementPolicy="TerminatingOrFailed",
        **SOON,
        **pod_spec(terminationGracePeriodSeconds=30),
    ),
    lawful=False,  # it asks for what the law of one Pod forbids
)
def test_a_terminating_pod_is_replaced_at_once_when_asked_for(run: Run, stage: Stage) -> None:
    run.main_started()
    stage.kube.delete(PODS, run.namespace, run.pod_name())
    status = succeeded(Outcome.DISRUPTED).check(run)
    first = run.pod()
    assert first["status"]["phase"] == "Running", "the first Pod is still in its grace period"
    assert status["disrupted"] == 1
    stage.kube.delete(PODS, run.namespace, run.pod_name(), {"gracePeriodSeconds": 1})
    run.pods_gone()
