"""Runs that cannot be: refused by the apiserver, by admission, or beyond understanding.

Each ends as Failed with a reason and the words of whoever refused it, and disturbs no other.
"""

from collections.abc import Callable

import pytest

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from tests.support.cluster_client import NAMESPACES, RUNS, Object
from tests.support.ending import Ending
from tests.support.installation import RESTRICTED
from tests.support.manifests import pod_spec, shell
from tests.support.run import Run
from tests.support.stage import Stage


def refused(reason: Reason, *message: str) -> Ending:
    return Ending(Phase.FAILED, reason, None, message)


@pytest.mark.taskrun(shell("exit 0", **pod_spec(nodeSelektor={"disk": "ssd"})))
def test_a_typo_in_the_template_fails_the_run_with_the_servers_words(run: Run) -> None:
    refused(Reason.INVALID_POD_TEMPLATE, r'unknown field "spec\.nodeSelektor"').check(run)
    assert not run.pods()


@pytest.mark.taskrun(shell("exit 0", resources={"limits": {"memory": "lots"}}))
def test_a_value_that_kubernetes_cannot_read_fails_the_run(run: Run) -> None:
    refused(Reason.INVALID_POD_TEMPLATE, r"quantit").check(run)
    assert not run.pods()


@pytest.mark.taskrun(shell("exit 0", volumeMounts=[{"name": "data", "mountPath": "/data"}]))
def test_an_invalid_pod_fails_the_run_with_the_servers_words(run: Run) -> None:
    refused(Reason.INVALID_POD_TEMPLATE, r"volumeMounts\[0\]\.name: Not found: .data.").check(run)
    assert not run.pods()


@pytest.mark.taskrun(shell("exit 0", priorityClassName="no-such-class"))
def test_a_priority_class_that_is_not_there_fails_the_run(run: Run) -> None:
    refused(Reason.ADMISSION_REFUSED, r"no-such-class").check(run)
    assert not run.pods()


def test_pod_security_refuses_the_pod_and_the_run_says_so(stage: Stage) -> None:
    strict = f"{stage.namespace}-strict"
    metadata = {"name": strict, "labels": RESTRICTED}
    stage.kube.create(NAMESPACES, None, {"metadata": metadata})
    run = stage.create("privileged", shell("exit 0"), strict)
    refused(Reason.ADMISSION_REFUSED, r"PodSecurity", r"runAsNonRoot").check(run)
    assert not run.pods()
    stage.kube.delete(NAMESPACES, None, strict)


def forge(status: Object) -> Callable[[Run, Stage], None]:
    """Write a status past the controller, before it ever looks."""

    def prepare(run: Run, stage: Stage) -> None:
        stage.kube.merge(RUNS, run.namespace, run.name, {"status": status}, subresource="status")

    return prepare


FOREIGN_ATTEMPT = {"number": 1, "podName": "made-up", "podUID": "made-up"}
FORGERIES: dict[str, Object] = {
    "running-without-an-attempt": {"phase": "Running"},
    "pending-on-a-pod-that-never-was": {
        "phase": "Pending",
        "attempt": 1,
        "podUID": "made-up",
        "podName": "made-up",
        "attempts": [FOREIGN_ATTEMPT],
    },
    "backing-off-after-far-too-many": {"phase": "BackingOff", "attempt": 2_000_000_000},
    "backing-off-after-the-last-number": {"phase": "BackingOff", "attempt": 2**31 - 1},
    "running-another-attempt": {
        "phase": "Running",
        "attempt": 7,
        "podUID": "made-up",
        "podName": "made-up",
        "attempts": [FOREIGN_ATTEMPT],
    },
}

ENDS = {
    "running-without-an-attempt": {Reason.INVALID_TASK_RUN},
    "running-another-attempt": {Reason.INVALID_TASK_RUN},
    "pending-on-a-pod-that-never-was": {Reason.INVALID_TASK_RUN},
}
"""How those must end that leave no choice; the others may heal."""


@pytest.mark.parametrize(
    "forgery",
    [
        pytest.param(
            name,
            marks=pytest.mark.taskrun(
                shell("exit 0"), prepare=forge(FORGERIES[name]), lawful=False
            ),
            id=name,
        )
        for name in FORGERIES
    ],
)
def test_a_forged_status_ends_or_heals(run: Run, forgery: str) -> None:
    end = run.ended()
    assert end["reason"] in ENDS.get(forgery, set(Reason)), end
    assert end["phase"] == Phase.FAILED or forgery not in ENDS
    assert end["message"].strip()
    run.pods_gone()
    assert len(run.history()) < 10, "it must not be tried over and over"


@pytest.mark.taskrun(shell("exit 0"))
def test_a_run_beside_those_that_cannot_be_understood_succeeds(run: Run) -> None:
    assert run.ended()["phase"] == Phase.SUCCEEDED
    run.pods_gone()
