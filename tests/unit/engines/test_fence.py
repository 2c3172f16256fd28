"""Safety of a controller with an old cache: the live reads behind create and discard."""

import pytest

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.plan import CreatePod, DiscardPod, Plan, PodRef, RefusalKind
from taskruns.core.pods import build_pod
from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache, View, key_of_run
from taskruns.engines.engine import Conflict
from taskruns.engines.reconcile import apply
from tests.simulation import Cluster, Kind, MemoryEngine
from tests.support.builders.objects import a_run


class Bench:
    """A cached TaskRun, and a Pod of it that was created later."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.engine = MemoryEngine(self.cluster)
        self.cache = Cache()
        self.run = self.cluster.create_run(a_run())
        self.cache.put_run(self.run)
        self.manifest = build_pod(TaskRun.model_validate(self.run), 1)

    @property
    def view(self) -> View:
        return self.cache.view(key_of_run(self.run))

    def pod(self) -> Object | None:
        return self.cluster.store.get(Kind.POD, "default", self.manifest["metadata"]["name"])

    def discard(self, pod: Object) -> Plan:
        metadata = pod["metadata"]
        ref = PodRef("default", metadata["name"], metadata["uid"])
        return Plan(actions=(DiscardPod(ref, metadata["resourceVersion"]),))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_unclaimed_pod_is_discarded_while_its_run_is_unchanged(bench: Bench) -> None:
    pod = bench.cluster.create_pod(bench.manifest)
    await apply(bench.discard(pod), bench.view, bench.cache, bench.engine)
    stored = bench.pod()
    assert stored is not None
    assert "deletionTimestamp" in stored["metadata"]


async def test_a_pod_that_may_have_been_claimed_since_is_not_discarded(bench: Bench) -> None:
    pod = bench.cluster.create_pod(bench.manifest)
    claim = {"status": {"podUID": pod["metadata"]["uid"]}}
    changed = bench.cluster.patch(Kind.RUN, "default", "hello", claim)
    with pytest.raises(Conflict):
        await apply(bench.discard(pod), bench.view, bench.cache, bench.engine)
    assert bench.pod() == pod
    assert bench.view.run == changed, "the next look is at what is there now"


async def test_a_pod_that_has_changed_since_is_not_discarded(bench: Bench) -> None:
    pod = bench.cluster.create_pod(bench.manifest)
    name = pod["metadata"]["name"]
    changed = bench.cluster.patch(Kind.POD, "default", name, {"spec": {"schedulingGates": None}})
    with pytest.raises(Conflict):
        await apply(bench.discard(pod), bench.view, bench.cache, bench.engine)
    assert bench.pod() == changed


async def test_the_pod_of_a_deleted_run_is_not_discarded(bench: Bench) -> None:
    pod = bench.cluster.create_pod(bench.manifest)
    view = bench.view
    bench.cluster.delete_run("default", "hello")
    with pytest.raises(Conflict):
        await apply(bench.discard(pod), view, bench.cache, bench.engine)
    assert bench.view.run is None


@pytest.mark.guarantee(
    "A Pod that was created, or existed already, is claimed and only then released to the scheduler"
)
async def test_a_pod_of_an_earlier_create_is_used(bench: Bench) -> None:
    pod = bench.cluster.create_pod(bench.manifest)
    create = Plan(actions=(CreatePod(bench.manifest),))
    findings = await apply(create, bench.view, bench.cache, bench.engine)
    assert findings.refusal is None
    assert [cached["metadata"]["uid"] for cached in bench.view.pods] == [pod["metadata"]["uid"]]


JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly", "uid": "u-1"}


@pytest.mark.parametrize(
    ("owners", "whose"),
    [
        ([], "a Pod without an owner"),
        ([JOB], "a Pod of Job/nightly (uid u-1)"),
        ([{"kind": "Node", "name": "n", "uid": "u-0"}, JOB | {"controller": True}], "Job/nightly"),
    ],
)
async def test_another_owners_pod_of_that_name_is_a_refusal(
    bench: Bench, owners: list[dict[str, object]], whose: str
) -> None:
    metadata = {**bench.manifest["metadata"], "ownerReferences": owners}
    bench.cluster.create_pod({**bench.manifest, "metadata": metadata})
    create = Plan(actions=(CreatePod(bench.manifest),))
    findings = await apply(create, bench.view, bench.cache, bench.engine)
    assert findings.refusal is not None
    assert findings.refusal.kind == RefusalKind.NAME_TAKEN
    assert names.pod_name("hello", bench.run["metadata"]["uid"], 1) in findings.refusal.message
    assert whose in findings.refusal.message
    assert not bench.view.pods
