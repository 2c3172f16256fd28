"""What others can write and the controller does not believe: labels, owners, statuses.

docs/security.md says what each of them can and cannot do; here it is tried.
"""

from typing import Any

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.cluster_client import NAMESPACES, PODS, RUNS, Object
from tests.support.ending import Ending
from tests.support.ledger import END, START
from tests.support.manifests import IMAGE, shell
from tests.support.run import Run
from tests.support.stage import Stage

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
OTHERS_WORK = {"name": "main", "image": IMAGE, "command": ["sleep", "600"]}

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")


@pytest.mark.taskrun(shell(f"{START}; sleep 5; {END}"), ledger=True)
def test_a_pod_of_another_namespace_cannot_pass_for_a_runs(run: Run, stage: Stage) -> None:
    elsewhere = f"{stage.namespace}-elsewhere"
    stage.kube.create(NAMESPACES, None, {"metadata": {"name": elsewhere}})
    run.main_started()
    stage.kube.create(PODS, elsewhere, _passing_for(run, "forged", gated=True))
    SUCCEEDED.check(run)
    run.pods_gone()
    assert (stage.ledger.starts(run.uid), stage.ledger.ends(run.uid)) == (1, 1)
    stage.kube.delete(NAMESPACES, None, elsewhere)


@pytest.mark.taskrun(shell("sleep 5"))
def test_a_pod_with_a_runs_labels_that_it_does_not_own_is_left_alone(
    run: Run, stage: Stage
) -> None:
    run.main_started()
    pods = [
        _passing_for(run, f"labelled-{gated}".lower(), gated=gated, ownerReferences=[])
        for gated in (True, False)
    ]
    uids = [stage.kube.create(PODS, run.namespace, pod)["metadata"]["uid"] for pod in pods]
    SUCCEEDED.check(run)
    for uid in uids:
        last = stage.journal.last(uid)
        assert last is not None
        assert "deletionTimestamp" not in last.found["metadata"]
        assert "activeDeadlineSeconds" not in last.found["spec"]


@pytest.mark.parametrize("phase", ["Running", "Stopping"])
def test_a_forged_status_does_not_reach_the_pods_of_others(stage: Stage, phase: str) -> None:
    pod = {"metadata": {"generateName": "bystander-"}, "spec": {"containers": [OTHERS_WORK]}}
    bystander = stage.kube.create(PODS, stage.namespace, pod)["metadata"]
    run = stage.create(f"forged-{phase.lower()}-", shell("exit 0", suspend=True))
    run.reaches(Phase.SUSPENDED)
    record = {"number": 1, "podName": bystander["name"], "podUID": bystander["uid"]}
    claim = {"attempt": 1, "podName": bystander["name"], "podUID": bystander["uid"]}
    forged = {"phase": phase, "reason": "Cancelled", "attempts": [record], **claim}
    stage.kube.merge(RUNS, run.namespace, run.name, {"status": forged}, subresource="status")
    assert run.ended()["reason"] == Reason.INVALID_TASK_RUN
    found = stage.kube.get(PODS, stage.namespace, bystander["name"])
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]
    assert "activeDeadlineSeconds" not in found["spec"]
    stage.kube.delete(PODS, stage.namespace, bystander["name"], {"gracePeriodSeconds": 1})


def _passing_for(run: Run, name: str, *, gated: bool, **metadata: Any) -> Object:
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": run.name,
        "uid": run.uid,
        "controller": True,
    }
    labels = {
        names.LABEL_UID: run.uid,
        names.LABEL_NAME: run.name,
        names.LABEL_ATTEMPT: "2",
        names.LABEL_MANAGED_BY: names.MANAGER,
    }
    gates = [{"name": names.GATE_CLAIM}] if gated else []
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner], **metadata},
        "spec": {
            "containers": [OTHERS_WORK],
            "schedulingGates": gates,
            "terminationGracePeriodSeconds": 1,
        },
    }
