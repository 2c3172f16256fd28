"""Restarted, unreachable and deleted nodes, and the Pods on them.

Each is a spare node beside the cluster's own, so that no other Pod is hit. All three are hit at
once, because most of the time is waiting: Kubernetes takes 50 s to call a node lost, and 40 to 60 s
to end the Pods of a deleted node. Tests that need the silent node to be silent come before those
that need it back, more than two minutes later.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import NEVER_AT_FIRST, SOON, shell
from tests.support.cluster.client import Kube
from tests.support.cluster.expected_end import Ending, disrupted, succeeded_after
from tests.support.cluster.installation import Installation
from tests.support.cluster.run import Run
from tests.support.cluster.spare_nodes import in_place, leaves_a_lost_node, on, readiness, spare
from tests.support.cluster.start_counter import END, ONCE, START, STAYS, StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder

pytestmark = [
    pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session"),
    pytest.mark.timeout(600),
    pytest.mark.guarantee(
        "Nothing is lost or repeated when a node restarts, stops reporting, or is gone"
    ),
]

RESTARTED, SILENT, DELETED = 1, 2, 3
ENDS_UNHEARD = f"{START}; sleep 20; {END}"
EVICTED = {"away_seconds": 0}
"""Options of Pods that are evicted once their node counts as lost; the default is 5 minutes."""
LEFT_ALONE = {"away_seconds": 3600}
"""Options of Pods that are not evicted, however long the earlier tests take on a busy machine."""

LOST = 240
"""Limit for Kubernetes to notice a lost node and act on it on a busy machine, in seconds."""
SILENCE = timedelta(seconds=125)
"""Shortest time for which the silent node's kubelet is stopped."""


@pytest.fixture(scope="module", autouse=True)
def nodes(
    installation: Installation,  # noqa: ARG001 - a controller must run until the nodes are empty
    cluster: Cluster,
    watch_recorder: WatchRecorder,
) -> Iterator[None]:
    with spare(cluster, watch_recorder, RESTARTED, SILENT, DELETED):
        yield


@pytest.fixture(scope="module")
def nodes_stopped(submitted: dict[str, Run], cluster: Cluster) -> datetime:
    """Hit all three nodes; return the time since which the silent one has been silent.

    Repeated attempts go to other nodes. A silent node may still be chosen until it has its taints,
    which is after its Pods are evicted.
    """
    for run in submitted.values():
        in_place(run)
    cluster.kubectl("cordon", cluster.node(SILENT))
    cluster.stop(f"kubelet-{SILENT}", grace=0)
    since = datetime.now(UTC)
    cluster.power_off(DELETED)
    cluster.kubectl("delete", "node", cluster.node(DELETED))
    cluster.power_off(RESTARTED)
    cluster.add_node(RESTARTED, progress=print)
    return since


@pytest.fixture(scope="module")
def node_reconnected(
    nodes_stopped: datetime, submitted: dict[str, Run], cluster: Cluster, kube: Kube
) -> timedelta:
    """Reconnect the silent node after its Pods were evicted; return how long it was silent."""
    for run in filter(leaves_a_lost_node, submitted.values()):
        run.deleting(seconds=LOST)
    name = cluster.node(SILENT)
    assert readiness(kube, name)["status"] == "Unknown"
    rest = nodes_stopped + SILENCE - datetime.now(UTC)
    time.sleep(max(rest.total_seconds(), 0))  # the silence itself
    cluster.start(f"kubelet-{SILENT}", progress=print)
    ready = readiness(kube, name)
    assert ready["status"] == "True"
    return datetime.fromisoformat(ready["lastHeartbeatTime"]) - nodes_stopped


# ------------------------------------------------------------------------- a node that restarts


@pytest.mark.guarantee(
    "A running Pod whose node restarts is `FinalStateUnknown`, counted by `disruptionLimit`; the "
    "exit code that the runtime invents is ignored"
)
@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **on(RESTARTED)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_task_ended_by_a_node_restart_is_not_repeated_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    """The runtime invents an exit code, which must not count as a failure of the task."""
    status = disrupted(Reason.FINAL_STATE_UNKNOWN, None, r"\(node .*-node-1\)").check(run)
    assert (status["failureKind"], status["failed"]) == ("Infrastructure", 0)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A running Pod whose node restarts is `FinalStateUnknown`, counted by `disruptionLimit`; the "
    "exit code that the runtime invents is ignored"
)
@pytest.mark.taskrun(shell(ONCE, disruptionLimit=1, **SOON, **on(RESTARTED)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_task_ended_by_a_node_restart_is_repeated_within_its_limit(
    run: Run, start_counter: StartCounter
) -> None:
    status = succeeded_after(Outcome.DISRUPTED).check(run)
    assert status["disrupted"] == 1
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee("A Pod whose node restarts before main starts is replaced")
@pytest.mark.taskrun(
    shell(START, backoffLimit=0, **SOON, **on(RESTARTED, **NEVER_AT_FIRST)), start_counter=True
)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_pod_whose_node_restarts_before_main_starts_is_replaced_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    status = succeeded_after(Outcome.REPLACED).check(run)
    assert (status["failed"], status["disrupted"]) == (0, 0)
    assert start_counter.starts(run.uid) == 1


# --------------------------------------------------------------------------- a node that is gone


@pytest.mark.guarantee(
    "A running Pod whose node is deleted is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **on(DELETED)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_task_on_a_deleted_node_is_not_repeated_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    run.ended(seconds=LOST)
    message = (
        r"\(node .*-node-3\): PodGC: node no longer exists",
        r"exit code of .*\bmain\b is unknown",
    )
    disrupted(Reason.NODE_LOST, None, *message).check(run)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A running Pod whose node is deleted is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.guarantee(
    "If the Node object of a running machine is deleted, Kubernetes reports its Pods as ended, "
    "and so does the run"
)
@pytest.mark.taskrun(shell(ONCE, disruptionLimit=1, **SOON, **on(DELETED)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_task_on_a_deleted_node_is_repeated_on_another_node_within_its_limit(
    run: Run, start_counter: StartCounter
) -> None:
    run.ended(seconds=LOST)
    succeeded_after(Outcome.DISRUPTED).check(run)
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee(
    "Work that may have started is repeated only if `backoffLimit`, `disruptionLimit`, "
    "`podFailurePolicy` or Kueue's label allows it"
)
@pytest.mark.taskrun(shell(START, **on(DELETED, **NEVER_AT_FIRST)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_task_that_may_have_started_on_a_deleted_node_is_not_repeated(
    run: Run, start_counter: StartCounter
) -> None:
    run.ended(seconds=LOST)
    disrupted(Reason.NODE_LOST, None, r"exit code of .* is unknown").check(run)
    assert start_counter.starts(run.uid) == 0


# -------------------------------------------------------------------------- a node that is silent


@pytest.mark.guarantee(
    "With `podReplacementPolicy: TerminatingOrFailed`, two Pods may do the work at the same time "
    "while the first terminates or its node does not report"
)
@pytest.mark.taskrun(
    shell(
        ONCE,
        disruptionLimit=1,
        podReplacementPolicy="TerminatingOrFailed",
        **SOON,
        **on(SILENT, **EVICTED),
    ),
    start_counter=True,
    lawful=False,  # the run permits two Pods at a time
)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_pod_on_an_unreachable_node_is_replaced_at_once_if_the_policy_allows(
    run: Run, start_counter: StartCounter
) -> None:
    run.ended(seconds=LOST)
    succeeded_after(Outcome.DISRUPTED).check(run)
    assert run.pod()["status"]["phase"] == "Running", "the first may still be running"
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee("Deletion of a run never hangs, and deletes its Pod too")
@pytest.mark.taskrun(shell(STAYS, **on(SILENT, **EVICTED)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_run_on_an_unreachable_node_can_be_deleted(run: Run, start_counter: StartCounter) -> None:
    run.delete()
    run.gone()
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A run whose Pod is evicted from a node that does not report waits and reports that; then it "
    "is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(STAYS, disruptionLimit=1, **on(SILENT, **EVICTED)))
@pytest.mark.usefixtures("nodes_stopped")
def test_a_run_that_waits_for_an_unreachable_node_reports_it(run: Run, cluster: Cluster) -> None:
    status = run.says(Reason.NODE_LOST, seconds=LOST)
    assert status["phase"] == Phase.RUNNING
    assert f"kubectl delete node {cluster.node(SILENT)}" in status["message"]
    assert len(run.pods()) == 1


@pytest.mark.guarantee("A cancelled run ends as `Cancelled` and keeps main's exit code")
@pytest.mark.taskrun(shell(STAYS, **on(SILENT, **EVICTED)), start_counter=True)
@pytest.mark.usefixtures("nodes_stopped")
def test_a_cancel_completes_when_the_unreachable_node_is_back(
    run: Run, start_counter: StartCounter, request: pytest.FixtureRequest
) -> None:
    run.cancel()
    run.reaches(Phase.STOPPING)
    request.getfixturevalue("node_reconnected")
    Ending(Phase.CANCELLED, Reason.CANCELLED, 137, attempts=(Outcome.STOPPED,)).check(run)
    assert start_counter.starts(run.uid) == 1


def test_the_node_was_unreachable_for_minutes(node_reconnected: timedelta) -> None:
    assert node_reconnected >= timedelta(minutes=2)


@pytest.mark.guarantee("An outcome that the kubelet has reported is never lost")
@pytest.mark.taskrun(shell(ENDS_UNHEARD, **on(SILENT, **EVICTED)), start_counter=True)
@pytest.mark.usefixtures("node_reconnected")
def test_an_unreported_success_is_recorded_when_the_node_is_back(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after().check(run)
    assert run.pod()["metadata"]["deletionTimestamp"], "it had been evicted meanwhile"
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (1, 1)


@pytest.mark.guarantee(
    "A node that does not report for two minutes and is back before its Pods are evicted has no "
    "effect"
)
@pytest.mark.taskrun(
    shell(f"{ENDS_UNHEARD}; exit 7", backoffLimit=0, **on(SILENT, **LEFT_ALONE)), start_counter=True
)
@pytest.mark.usefixtures("node_reconnected")
def test_a_node_that_is_back_before_its_pods_are_evicted_has_no_effect(
    run: Run, start_counter: StartCounter
) -> None:
    ending = Ending(Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 7, attempts=(Outcome.FAILED,))
    ending.check(run)
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (1, 1)


@pytest.mark.guarantee(
    "A run whose Pod is evicted from a node that does not report waits and reports that; then it "
    "is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **on(SILENT, **EVICTED)), start_counter=True)
@pytest.mark.usefixtures("node_reconnected")
def test_a_task_evicted_from_an_unreachable_node_is_not_repeated_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    disrupted(Reason.NODE_LOST, 137, r"Taint manager").check(run)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A run whose Pod is evicted from a node that does not report waits and reports that; then it "
    "is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(
    shell(ONCE, disruptionLimit=1, **SOON, **on(SILENT, **EVICTED)), start_counter=True
)
@pytest.mark.usefixtures("node_reconnected")
def test_a_task_evicted_from_an_unreachable_node_is_repeated_after_its_end(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.DISRUPTED).check(run)
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee(
    "A Pod whose node stops reporting before main starts is replaced when the node is back"
)
@pytest.mark.taskrun(
    shell(START, backoffLimit=0, **SOON, **on(SILENT, **EVICTED, **NEVER_AT_FIRST)),
    start_counter=True,
)
@pytest.mark.usefixtures("node_reconnected")
def test_a_pod_not_started_on_an_unreachable_node_is_replaced_when_it_is_back(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.REPLACED).check(run)
    assert start_counter.starts(run.uid) == 1
