"""TaskRuns with another client's finalizer or with an owner that may not exist.

The rules of Kubernetes for both apply; the controller adds none.
"""

from collections.abc import Callable, Iterator

import pytest

from taskruns.api.conditions import Phase
from tests.cluster import Cluster
from tests.support.builders.manifests import pod_spec, shell, task_run
from tests.support.cluster.audit import Audit
from tests.support.cluster.client import RUNS, Kube, Object, Resource
from tests.support.cluster.run import Run
from tests.support.cluster.watch_recorder import WatchRecorder

pytestmark = [
    pytest.mark.usefixtures("controller"),
    pytest.mark.guarantee(
        "A deleted run that another client's finalizer keeps loses its Pod and gets no other; "
        "owner references of others are left to Kubernetes"
    ),
]

CONFIG_MAPS = Resource("/api/v1", "configmaps")
FINALIZER = "example.test/mine"
AT_WORK = shell("sleep 600", **pod_spec(terminationGracePeriodSeconds=1))

Tie = Callable[..., Run]


@pytest.fixture
def create_run(kube: Kube, watch_recorder: WatchRecorder, namespace: str) -> Tie:
    """Return a function that creates a TaskRun with further metadata."""

    def create(name: str, spec: Object, **metadata: object) -> Run:
        manifest = task_run(name, namespace, spec)
        manifest["metadata"] |= metadata
        return Run(kube.create(RUNS, namespace, manifest), kube, watch_recorder)

    return create


def owned_by(name: str, uid: str) -> Object:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}
    return {"ownerReferences": [owner]}


@pytest.fixture
def held(create_run: Tie, kube: Kube) -> Iterator[Run]:
    """Provide a run that another client's finalizer holds until the test is over."""
    held = create_run("held", AT_WORK, finalizers=[FINALIZER])
    yield held
    held.delete()
    kube.merge(RUNS, held.namespace, held.name, {"metadata": {"finalizers": None}})
    held.gone()


def test_a_deleted_run_with_another_finalizer_loses_its_pod_and_gets_no_other(
    held: Run, create_run: Tie, cluster: Cluster
) -> None:
    held.main_started()
    held.delete()
    held.pods_gone()
    status = held.seen()["status"]
    assert (status["phase"], status["reason"]) == (Phase.CANCELLED, "TaskRunDeleted")
    assert [each["type"] for each in status["conditions"] if each["status"] == "True"][:2] == [
        "Failed",
        "Finished",
    ]
    audit = Audit(cluster)
    for number in range(3):
        held.annotate({"example.test/look": str(number)})
    beside = create_run("beside", shell("exit 0"))
    assert beside.ended()["phase"] == Phase.SUCCEEDED
    beside.pods_gone()
    sent = audit.settled(held.namespace)
    pods = {held.pod_name(number) for number in (1, 2)}
    assert [str(each) for each in sent if each.is_write and each.name in {held.name, *pods}] == []
    assert len(held.pods()) == 1
    assert held.seen()["metadata"]["finalizers"] == [FINALIZER]


def test_a_run_with_a_missing_owner_is_deleted_with_its_pod(create_run: Tie) -> None:
    orphan = create_run("orphan", AT_WORK, **owned_by("nobody", "uid-of-nobody"))
    orphan.gone()
    orphan.pods_gone()
    assert len(orphan.pods()) <= 1


def test_an_ended_run_is_deleted_with_its_owner(
    create_run: Tie, kube: Kube, namespace: str
) -> None:
    owner = kube.create(CONFIG_MAPS, namespace, {"metadata": {"name": "owner"}})
    owned = create_run("owned", shell("exit 0"), **owned_by("owner", owner["metadata"]["uid"]))
    assert owned.ended()["phase"] == Phase.SUCCEEDED
    owned.pods_gone()
    kube.delete(CONFIG_MAPS, namespace, "owner")
    owned.gone()
