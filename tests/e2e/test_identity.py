"""Ownership of Pods: taken names, unclaimed Pods, and recreated runs.

Where an object must exist before the controller acts, the controller is stopped meanwhile, so no
test depends on being faster than the controller.
"""

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import IMAGE, pod_spec, shell
from tests.support.cluster.client import PODS, Object
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.namespace import Stage
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END, START, Ledger
from tests.support.cluster.watch_recorder import Journal
from tests.support.faults.impostor import BUSY, passing_for

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))


@pytest.mark.taskrun(
    shell(
        f"{START}; trap 'sleep 4; exit 0' TERM; while :; do sleep 0.2; done",
        **pod_spec(terminationGracePeriodSeconds=20),
    ),
    ledger=True,
)
def test_a_run_made_anew_neither_waits_for_the_old_pod_nor_touches_it(
    run: Run, stage: Stage
) -> None:
    run.main_started()
    run.delete()
    run.gone(seconds=10)
    anew = stage.create(run.name, shell(START) | stage.ledger.mount())
    SUCCEEDED.check(anew)
    run.pods_gone(seconds=40)
    anew.pods_gone()
    assert run.pod_name() != anew.pod_name()
    assert (stage.ledger.starts(run.uid), stage.ledger.starts(anew.uid)) == (1, 1)


def foreign_pod(run: Run, stage: Stage) -> None:
    stage.kube.create(PODS, run.namespace, _pod(run.pod_name()))


@pytest.mark.taskrun(shell("exit 0"), prepare=foreign_pod)
def test_a_foreign_pod_under_our_pods_name_is_left_alone_and_the_run_fails(
    run: Run, stage: Stage
) -> None:
    ending = Ending(Phase.FAILED, Reason.POD_NAME_CONFLICT, None, (rf"(?i)pod.*{run.pod_name()}",))
    ending.check(run)
    (uid,) = stage.journal.named(PODS, run.namespace, run.pod_name())
    first, now = stage.journal.history(uid)[0], stage.journal.history(uid)[-1]
    assert not now.gone
    assert "deletionTimestamp" not in now.found["metadata"]
    assert now.found["metadata"].get("labels") == first.found["metadata"].get("labels")
    assert now.found["spec"] == first.found["spec"] | {"nodeName": now.found["spec"]["nodeName"]}


@pytest.mark.taskrun(shell(f"{START}; sleep 8; {END}"), ledger=True)
def test_a_pod_of_ours_that_nobody_claimed_never_runs_and_goes(run: Run, stage: Stage) -> None:
    run.main_started()
    unclaimed = stage.kube.create(PODS, run.namespace, _our_pod(run, stage.ledger, attempt=2))
    uid = unclaimed["metadata"]["uid"]
    stage.journal.wait(lambda: _is_gone(stage.journal, uid), 30, "the unclaimed Pod is deleted")
    assert all(not version.found["spec"].get("nodeName") for version in stage.journal.history(uid))
    SUCCEEDED.check(run)
    run.pods_gone()
    assert (stage.ledger.starts(run.uid), stage.ledger.ends(run.uid)) == (1, 1)


def late_create(run: Run, stage: Stage) -> None:
    stage.kube.create(PODS, run.namespace, _our_pod(run, stage.ledger, attempt=1))


@pytest.mark.taskrun(shell(START), ledger=True, prepare=late_create)
def test_a_gated_pod_of_the_attempt_that_is_due_is_claimed_and_used(run: Run, stage: Stage) -> None:
    status = SUCCEEDED.check(run)
    assert stage.journal.named(PODS, run.namespace, run.pod_name()) == (status["podUID"],)
    run.pods_gone()
    assert stage.ledger.starts(run.uid) == 1


def _is_gone(journal: Journal, uid: str) -> bool | None:
    last = journal.last(uid)
    return True if last and last.gone else None


def _pod(name: str) -> Object:
    container = {"name": "main", "image": IMAGE, **BUSY}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


def _our_pod(run: Run, ledger: Ledger, attempt: int) -> Object:
    """Return a Pod as a controller creates it, for a create that arrives late."""
    mount = ledger.mount()
    work = {
        "command": ["sh", "-c", START],
        "env": [{"name": "TASKRUN_UID", "value": run.uid}],
        "volumeMounts": mount["volumeMounts"],
    }
    name, finalizers = run.pod_name(attempt), [names.FINALIZER_OUTCOME]
    pod = passing_for(run, name, work, attempt=attempt, gated=True, finalizers=finalizers)
    pod["spec"]["volumes"] = mount["volumes"]
    return pod
