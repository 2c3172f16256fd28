"""Evictions from a node that keeps running, by taint, by priority, or by disk use.

The node is a spare one, so that no other Pod is evicted. It offers a resource of its own, and the
runs with a SEAT use all of it: a Pod that needs every seat can only run in their place.
"""

from collections.abc import Iterator

import pytest

from taskruns.api.conditions import Outcome
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.cluster.node import SPARE_LABEL
from tests.support.builders.manifests import IMAGE, NEVER_AT_FIRST, SOON, shell
from tests.support.cluster.client import PODS, Kube, Resource
from tests.support.cluster.expected_end import disrupted, succeeded_after
from tests.support.cluster.installation import Installation
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.spare_nodes import in_place, on, spare
from tests.support.cluster.start_counter import END, ONCE, START, STAYS, StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

NODES = Resource("/api/v1", "nodes", namespaced=False)
PRIORITIES = Resource("/apis/scheduling.k8s.io/v1", "priorityclasses", namespaced=False)

NODE = 1
TAINT = "example.test/maintenance"
SEATS = "example.test/seats"
SEAT = {"resources": {"requests": {SEATS: "1"}, "limits": {SEATS: "1"}}}
ALL_SEATS = "3"
LITTLE_DISK = {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}
FILLS = "dd if=/dev/zero of=/much bs=1M count=16 && sleep 600"


@pytest.fixture(scope="module", autouse=True)
def node(
    installation: Installation,  # noqa: ARG001 - a controller must run until the node is empty
    cluster: Cluster,
    watch_recorder: WatchRecorder,
    kube: Kube,
) -> Iterator[None]:
    with spare(cluster, watch_recorder, NODE):
        seats = {kind: {SEATS: ALL_SEATS} for kind in ("capacity", "allocatable")}
        none = {kind: {SEATS: None} for kind in seats}
        # Runs that lose their seat find one on the cluster's own node.
        for name in (cluster.node(NODE), cluster.node_name):
            kube.merge(NODES, None, name, {"status": seats}, "status")
        yield
        kube.merge(NODES, None, cluster.node_name, {"status": none}, "status")


@pytest.fixture(scope="module", autouse=True)
def priority(kube: Kube) -> Iterator[str]:
    """Create a priority class above all others, early enough for the apiserver to know it."""
    made = kube.create(
        PRIORITIES, None, {"metadata": {"generateName": "first-"}, "value": 1_000_000}
    )
    name: str = made["metadata"]["name"]
    yield name
    kube.delete(PRIORITIES, None, name)


@pytest.fixture(scope="module")
def evictions_triggered(
    submitted: dict[str, Run], cluster: Cluster, scenario: Scenario, priority: str
) -> None:
    """Add the taint, and create a Pod of higher priority; each hits its own runs."""
    for run in submitted.values():
        in_place(run)
    cluster.kubectl("taint", "node", cluster.node(NODE), f"{TAINT}=now:NoExecute")
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["true"],
        "resources": {"limits": {SEATS: ALL_SEATS}},
    }
    pod = {
        "priorityClassName": priority,
        "nodeSelector": {SPARE_LABEL: str(NODE)},
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "containers": [container],
    }
    scenario.kube.create(
        PODS, scenario.namespace, {"metadata": {"generateName": "first-"}, "spec": pod}
    )


# ---------------------------------------------------------------------------------------- a taint


@pytest.mark.guarantee(
    "A running Pod that a `NoExecute` taint evicts is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **on(NODE)), start_counter=True)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_task_evicted_by_a_taint_is_not_repeated_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    status = disrupted(Reason.NODE_LOST, 137, r"Taint manager", r"disruptionLimit").check(run)
    assert (status["failureKind"], status["disrupted"]) == ("Infrastructure", 1)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A running Pod that a `NoExecute` taint evicts is `NodeLost`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(ONCE, disruptionLimit=1, **SOON, **on(NODE)), start_counter=True)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_task_evicted_by_a_taint_is_repeated_on_another_node_within_its_limit(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.DISRUPTED).check(run)
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee("A Pod that a taint evicts before main starts is replaced")
@pytest.mark.taskrun(
    shell(START, backoffLimit=0, **SOON, **on(NODE, **NEVER_AT_FIRST)), start_counter=True
)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_pod_evicted_by_a_taint_before_main_starts_is_replaced_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.REPLACED).check(run)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "An attempt whose main exited with 0 before a stop was recorded is `Succeeded`, regardless of "
    "later events"
)
@pytest.mark.taskrun(
    shell(
        f"{START}; trap '{END}; exit 0' TERM; while :; do sleep 600 & wait; done",
        **on(NODE, terminationGracePeriodSeconds=10),
    ),
    start_counter=True,
)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_task_that_completes_in_its_grace_period_has_succeeded(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after().check(run)
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (1, 1)


@pytest.mark.taskrun(shell(f"{START}; sleep 12; {END}", **on(NODE, TAINT)), start_counter=True)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_task_that_tolerates_the_taint_keeps_running(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after().check(run)
    assert (start_counter.starts(run.uid), start_counter.ends(run.uid)) == (1, 1)


# ------------------------------------------------------------------------------------ preemption


@pytest.mark.guarantee(
    "A running Pod that is preempted is `Preempted`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(shell(STAYS, backoffLimit=3, **SEAT, **on(NODE, TAINT)), start_counter=True)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_preempted_task_is_not_repeated_by_default(run: Run, start_counter: StartCounter) -> None:
    status = disrupted(Reason.PREEMPTED, 137, r"higher priority", r"priorityClassName").check(run)
    assert (status["failureKind"], status["disrupted"]) == ("Infrastructure", 1)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A running Pod that is preempted is `Preempted`, counted by `disruptionLimit`"
)
@pytest.mark.taskrun(
    shell(ONCE, disruptionLimit=1, **SOON, **SEAT, **on(NODE, TAINT)), start_counter=True
)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_preempted_task_is_repeated_on_another_node_within_its_limit(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.DISRUPTED).check(run)
    assert start_counter.starts(run.uid) == 2


@pytest.mark.guarantee("A Pod that is preempted before main starts is replaced")
@pytest.mark.taskrun(
    shell(START, backoffLimit=0, **SOON, **SEAT, **on(NODE, TAINT, **NEVER_AT_FIRST)),
    start_counter=True,
)
@pytest.mark.usefixtures("evictions_triggered")
def test_a_pod_preempted_before_main_starts_is_replaced_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.REPLACED).check(run)
    assert start_counter.starts(run.uid) == 1


# ------------------------------------------------------------------- the kubelet's own eviction


def observed_exit_code(run: Run) -> tuple[int | None, str]:
    """Return main's expected exit code, and the pattern of its message.

    The code is None if the kubelet did not observe the end. It removes the containers of a Pod that
    it evicts as soon as they have died, sometimes before it has read how they ended. Then it
    reports an invented 137, in `lastState` if it took the container for one that is created again.
    """
    run.pods_gone()
    (main,) = run.pod()["status"]["containerStatuses"]
    end = main["state"].get("terminated") or main["lastState"]["terminated"]
    assert end["exitCode"] == 137, end
    if end["reason"] == "ContainerStatusUnknown":
        return None, r"the exit code of container main is unknown"
    return 137, r"container main ended with exit code 137 \(128\+9, SIGKILL\)"


@pytest.mark.guarantee(
    "A running Pod that the kubelet evicts because it filled the node's disk is `Evicted`, "
    "counted by `disruptionLimit`"
)
@pytest.mark.taskrun(
    shell(f"{START}; {FILLS}", backoffLimit=3, **LITTLE_DISK, **on(NODE, TAINT)), start_counter=True
)
def test_a_task_evicted_for_disk_use_is_not_repeated_by_default(
    run: Run, start_counter: StartCounter
) -> None:
    code, end = observed_exit_code(run)
    patterns = (r"ephemeral local storage usage exceeds", end, r"resource requests that match")
    status = disrupted(Reason.EVICTED, code, *patterns).check(run)
    assert (status["failureKind"], status["disrupted"]) == ("Infrastructure", 1)
    assert start_counter.starts(run.uid) == 1


@pytest.mark.guarantee(
    "A running Pod that the kubelet evicts because it filled the node's disk is `Evicted`, "
    "counted by `disruptionLimit`"
)
@pytest.mark.taskrun(
    shell(
        f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || {{ {FILLS}; }}',
        disruptionLimit=1,
        **SOON,
        **LITTLE_DISK,
        **on(NODE, TAINT),
    ),
    start_counter=True,
)
def test_a_task_evicted_for_disk_use_is_repeated_within_its_limit(
    run: Run, start_counter: StartCounter
) -> None:
    succeeded_after(Outcome.DISRUPTED).check(run)
    assert start_counter.starts(run.uid) == 2
