"""Runs that wait for quota: which of them create, how often, and in which order."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from typing_extensions import override

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.plan import Refusal, RefusalKind
from taskruns.core.pods import build_pod
from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache
from taskruns.engines.engine import Refused
from taskruns.engines.quota_queue import QuotaQueue
from tests.simulation import Cluster, Kind, MemoryEngine, Script
from tests.simulation.cluster import quota
from tests.support.builders.objects import a_run
from tests.support.simulation import Simulation

MINUTE = timedelta(minutes=1)


class QuotaRuns:
    """Many runs, a cluster without room for all of them, and a record of its creates."""

    def __init__(self, seconds: float = 5) -> None:
        self.simulation = Simulation(Cluster(lambda _pod, _container: Script(seconds=seconds)))
        self.refused: list[str] = []
        self.created: list[str] = []

    def admit(self, admission: Callable[[Object], Refusal | None]) -> None:
        def counted(manifest: Object) -> Refusal | None:
            refusal = admission(manifest)
            name = manifest["metadata"]["labels"][names.LABEL_NAME]
            (self.created if refusal is None else self.refused).append(name)
            return refusal

        self.simulation.cluster.admission[:] = [counted]

    def limit(self, pods: int) -> None:
        self.admit(quota(self.simulation.cluster, pods))

    def create(self, *runs: str, **spec: Any) -> None:
        for name in runs:
            spec = {"ttlSecondsAfterFinished": -1, "podGC": {"deleteDelayDuration": "0s"}, **spec}
            self.simulation.cluster.create_run(
                a_run(metadata={"name": name, "uid": f"{name}-uid"}, **spec)
            )

    def statuses(self) -> dict[str, Any]:
        runs = self.simulation.cluster.store.all(Kind.RUN)
        return {run["metadata"]["name"]: run["status"] for run in runs}

    def phases(self) -> set[str]:
        return {status["phase"] for status in self.statuses().values()}

    def working(self) -> int:
        return sum(p["status"]["phase"] in ("Pending", "Running") for p in self.simulation.pods())

    @property
    def line(self) -> int:
        return len(self.simulation.controllers[0].turnstile.lines)


TWELVE = [f"run-{number:02d}" for number in range(12)]


def test_twelve_runs_share_a_quota_of_three_in_order_with_few_requests() -> None:
    quota_runs = QuotaRuns()
    quota_runs.limit(pods=3)
    quota_runs.create(*TWELVE)
    quota_runs.simulation.settle()
    assert quota_runs.line == 9
    while quota_runs.phases() != {"Succeeded"}:
        quota_runs.simulation.advance(0.1)
        assert quota_runs.working() <= 3
    assert quota_runs.created == TWELVE
    assert len(quota_runs.refused) == 1, "one teaches the rest"
    assert {status["attempt"] for status in quota_runs.statuses().values()} == {1}
    assert quota_runs.line == 0


def test_freed_quota_is_used_at_once() -> None:
    quota_runs = QuotaRuns(seconds=5)
    quota_runs.limit(pods=1)
    quota_runs.create("first", "second")
    quota_runs.simulation.advance(7)
    assert quota_runs.created == ["first", "second"]


def test_every_waiting_run_writes_its_status_once() -> None:
    quota_runs = QuotaRuns(seconds=300)
    quota_runs.limit(pods=1)
    quota_runs.create(*TWELVE)
    quota_runs.simulation.advance(200)
    waiting = [s for name, s in quota_runs.statuses().items() if name != TWELVE[0]]
    assert {(s["phase"], s["reason"]) for s in waiting} == {("Queued", "QuotaExceeded")}
    assert len({s["message"] for s in waiting}) == 1
    assert "exceeded quota: pods" in waiting[0]["message"]
    writes = [
        r for r in quota_runs.simulation.controllers[0].answers.requests if r.verb == "write_status"
    ]
    assert len(writes) == 2 + len(waiting)


def test_while_no_pod_ends_only_the_head_retries() -> None:
    quota_runs = QuotaRuns(seconds=10_000)
    quota_runs.limit(pods=1)
    quota_runs.create(*TWELVE)
    for _ in range(10):
        quota_runs.simulation.advance(60)
        for controller in quota_runs.simulation.controllers:
            controller.resync()
    assert set(quota_runs.refused) == {TWELVE[1]}
    assert 30 <= len(quota_runs.refused) <= 61, "every 10 to 20 seconds"


def test_quota_that_other_pods_free_is_found_and_used() -> None:
    quota_runs = QuotaRuns(seconds=10_000)
    quota_runs.limit(pods=1)
    quota_runs.create(*TWELVE)
    quota_runs.simulation.settle()
    quota_runs.limit(pods=5)
    quota_runs.simulation.advance(21)
    assert quota_runs.created == TWELVE[:5]


def test_a_restarted_controller_restores_the_line() -> None:
    quota_runs = QuotaRuns(seconds=300)
    quota_runs.limit(pods=1)
    quota_runs.create(*reversed(TWELVE))
    quota_runs.simulation.settle()
    quota_runs.refused.clear()
    (controller,) = quota_runs.simulation.controllers
    requests = len(controller.answers.requests)
    controller.restart()
    quota_runs.simulation.settle()
    assert quota_runs.line == 11
    assert quota_runs.refused == ["run-00"], "one asks for all"
    assert len(controller.answers.requests) == requests + 1, "and nothing is written anew"


def test_after_a_restart_with_free_quota_the_oldest_run_is_first() -> None:
    quota_runs = QuotaRuns(seconds=300)
    quota_runs.limit(pods=1)
    quota_runs.create(*reversed(TWELVE))
    quota_runs.simulation.settle()
    quota_runs.limit(pods=3)
    quota_runs.simulation.controllers[0].restart()
    quota_runs.simulation.settle()
    assert quota_runs.created == ["run-11", "run-00", "run-01"]


@pytest.mark.parametrize("change", [{"cancel": True}, {"suspend": True}, None])
def test_a_run_that_leaves_the_line_does_not_block_it(change: Object | None) -> None:
    quota_runs = QuotaRuns(seconds=30)
    quota_runs.limit(pods=1)
    quota_runs.create("a", "b", "c")
    quota_runs.simulation.settle()
    cluster = quota_runs.simulation.cluster
    if change is None:
        cluster.delete_run("default", "b")
    else:
        cluster.patch(Kind.RUN, "default", "b", {"spec": change})
    quota_runs.simulation.advance(32)
    assert quota_runs.created == ["a", "c"]


def test_a_run_past_its_deadline_leaves_the_line() -> None:
    quota_runs = QuotaRuns(seconds=30)
    quota_runs.limit(pods=1)
    quota_runs.create("a")
    quota_runs.create("b", scheduleTimeoutSeconds=5)
    quota_runs.create("c")
    quota_runs.simulation.advance(33)
    assert quota_runs.statuses()["b"]["reason"] == "ScheduleTimeout"
    assert "exceeded quota" in quota_runs.statuses()["b"]["message"]
    assert quota_runs.created == ["a", "c"]


def test_a_quota_does_not_block_runs_that_it_does_not_apply_to() -> None:
    quota_runs = QuotaRuns(seconds=300)

    def scoped(manifest: Object) -> Refusal | None:
        high = manifest["spec"].get("priorityClassName") == "high"
        message = "exceeded quota: high, requested: pods=1, used: pods=0, limited: pods=0.5"
        return Refusal(RefusalKind.QUOTA_EXCEEDED, message) if high else None

    quota_runs.admit(scoped)
    quota_runs.create("a", "b", "c", priorityClassName="high")
    quota_runs.create("d", "e")
    quota_runs.simulation.advance(1)
    assert quota_runs.created == ["d", "e"]
    assert quota_runs.refused == ["a"]


def test_runs_of_different_sizes_wait_in_one_line_per_quota() -> None:
    """Once a quota is known to cover both, a small run does not overtake a large one."""
    quota_runs = QuotaRuns(seconds=5)
    cpu = {"small": 1, "large": 3}

    def capacity(manifest: Object) -> Refusal | None:
        def asks(pod: Object) -> int:
            return int(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])

        active = [
            p
            for p in quota_runs.simulation.pods()
            if p["status"]["phase"] in ("Pending", "Running")
        ]
        used, requested = sum(map(asks, active)), asks(manifest)
        if used + requested <= 3:
            return None
        numbers = f"requested: cpu={requested}, used: cpu={used}, limited: cpu=3"
        return Refusal(RefusalKind.QUOTA_EXCEEDED, f"exceeded quota: cpu, {numbers}")

    quota_runs.admit(capacity)
    for name in ("a-small", "b-small", "c-large", "d-small", "e-small"):
        size = cpu[name.partition("-")[2]]
        quota_runs.create(name, resources={"requests": {"cpu": str(size)}})
    quota_runs.simulation.until(within=2 * MINUTE)
    assert quota_runs.created.index("c-large") == 2 or quota_runs.created[2] == "d-small"
    assert quota_runs.phases() == {"Succeeded"}


class BusyEngine(MemoryEngine):
    """An engine whose creates take a while, so that several are in flight at a time."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.under_way = self.most = 0

    @override
    async def create_pod(self, manifest: Object) -> Object:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            return await super().create_pod(manifest)
        finally:
            self.under_way -= 1


class Rush:
    """Runs of one namespace that create their Pods at the same time, in any order."""

    def __init__(self, *names_: str) -> None:
        self.cluster = Cluster()
        self.engine = BusyEngine(self.cluster)
        self.cache = Cache()
        self.turnstile = QuotaQueue(
            self.engine, self.cache, lambda: self.cluster.agenda.now, lambda _: None
        )
        self.manifests = [self._manifest(name) for name in names_]

    def _manifest(self, name: str) -> Object:
        run = self.cluster.create_run(a_run(metadata={"name": name, "uid": f"{name}-uid"}))
        self.cache.put_run(run)
        return build_pod(TaskRun.model_validate(run), 1)

    async def create(self) -> list[Object | BaseException]:
        work = (self.turnstile.create_pod(manifest) for manifest in self.manifests)
        return await asyncio.gather(*work, return_exceptions=True)

    @property
    def created(self) -> list[str]:
        pods = self.cluster.store.all(Kind.POD)
        return [pod["metadata"]["labels"][names.LABEL_NAME] for pod in pods]


async def test_of_many_simultaneous_creates_the_oldest_are_first_and_one_is_rejected() -> None:
    rush = Rush(*reversed(TWELVE))
    rush.cluster.admission.append(quota(rush.cluster, pods=3))
    answers = await rush.create()
    assert rush.created == ["run-11", "run-00", "run-01"]
    assert sum(isinstance(answer, Refused) for answer in answers) == 9
    assert sum(r.verb == "create_pod" for r in rush.engine.requests) == 4


async def test_with_free_quota_creates_soon_run_concurrently() -> None:
    rush = Rush(*(f"run-{number:03d}" for number in range(100)))
    await rush.create()
    assert len(rush.created) == 100
    assert rush.engine.most >= 8


async def test_creates_that_follow_one_another_raise_the_limit_too() -> None:
    rush = Rush(*(f"run-{number:03d}" for number in range(40)))
    for manifest in rush.manifests[:32]:
        await rush.turnstile.create_pod(manifest)
    assert rush.engine.most == 1
    await asyncio.gather(*(rush.turnstile.create_pod(each) for each in rush.manifests[32:]))
    assert rush.engine.most == 8


async def test_after_a_rejection_creates_are_sent_one_at_a_time() -> None:
    rush = Rush(*(f"run-{number:03d}" for number in range(40)))
    for manifest in rush.manifests[:20]:
        await rush.turnstile.create_pod(manifest)
    rush.cluster.admission.append(quota(rush.cluster, pods=20))
    with pytest.raises(Refused):
        await rush.turnstile.create_pod(rush.manifests[20])
    rush.cluster.admission.clear()
    others = rush.manifests[21:24]
    for manifest in others:  # Pods of another shape do not wait for that quota
        manifest["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}}
    await asyncio.gather(*(rush.turnstile.create_pod(each) for each in others))
    assert len(rush.created) == 23
    assert rush.engine.most == 1


async def test_a_cancelled_create_does_not_block_the_limiter() -> None:
    rush = Rush("a", "b", "c")
    tasks = [asyncio.create_task(rush.turnstile.create_pod(m)) for m in rush.manifests]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert rush.created == ["a", "c"]
