"""Events are sent after the status that they are about, and only with it."""

import pytest
from typing_extensions import override

from taskruns.core.decide import decide
from taskruns.core.defaults import SiteDefaults
from taskruns.core.plan import Event, Plan
from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache, View, key_of_run
from taskruns.engines.engine import Conflict, RunRef, Unavailable
from taskruns.engines.reconcile import apply
from tests.simulation import Cluster, Kind, MemoryEngine, Script
from tests.simulation.cluster import quota
from tests.support.builders.objects import a_run, at
from tests.support.decision import NOTHING_FOUND
from tests.support.simulation import Simulation


class Silent(MemoryEngine):
    """An engine that gets no response to its status writes."""

    @override
    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        await super().write_status(run, patch)
        raise Unavailable("no answer")


class Bench:
    """A run that is about to be cancelled, which has an Event."""

    def __init__(self, kind: type[MemoryEngine] = MemoryEngine) -> None:
        self.cluster = Cluster()
        self.engine = kind(self.cluster)
        self.cache = Cache()
        self.run = self.cluster.create_run(a_run(cancel=True))
        self.cache.put_run(self.run)
        self.plan: Plan = decide(self.run, (), at(0), NOTHING_FOUND, SiteDefaults())

    @property
    def view(self) -> View:
        return self.cache.view(key_of_run(self.run))

    def sent_events(self) -> list[Event]:
        return [series.event for series in self.cluster.correlator.all()]

    async def apply(self) -> None:
        await apply(self.plan, self.view, self.cache, self.engine)


async def test_a_written_status_sends_an_event() -> None:
    bench = Bench()
    await bench.apply()
    assert bench.sent_events() == list(bench.plan.events)
    assert len(bench.plan.events) == 1


async def test_a_conflict_sends_no_event() -> None:
    bench = Bench()
    bench.cluster.patch(Kind.RUN, "default", "hello", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Conflict):
        await bench.apply()
    assert bench.sent_events() == []


async def test_a_status_write_without_a_response_sends_no_event() -> None:
    bench = Bench(Silent)
    with pytest.raises(Unavailable):
        await bench.apply()
    assert bench.sent_events() == []


async def test_a_deleted_run_sends_no_event() -> None:
    bench = Bench()
    view = bench.view
    bench.cluster.delete_run("default", "hello")
    await apply(bench.plan, view, bench.cache, bench.engine)
    assert bench.sent_events() == []


def told_in(simulation: Simulation) -> list[tuple[str, int]]:
    series_list = simulation.cluster.correlator.all()
    return [(series.event.reason, series.count) for series in series_list]


def test_the_deletion_of_a_run_or_its_namespace_sends_no_event() -> None:
    def delete(simulation: Simulation) -> None:
        simulation.cluster.delete_run("default", "hello")

    def terminate(simulation: Simulation) -> None:
        simulation.cluster.terminate_namespace("default")

    for end in (delete, terminate):
        simulation = Simulation()
        simulation.cluster.create_run(a_run(command=["sleep"]))
        simulation.settle()
        end(simulation)
        simulation.until()
        assert told_in(simulation) == [("PodCreated", 1)]


def test_a_long_wait_for_quota_sends_blocked_once() -> None:
    simulation = Simulation(Cluster(lambda _pod, _container: Script(seconds=1000)))
    simulation.cluster.admission.append(quota(simulation.cluster, pods=1))
    simulation.cluster.create_run(a_run(ttlSecondsAfterFinished=-1))
    simulation.settle()
    simulation.cluster.create_run(a_run(metadata={"name": "second"}, ttlSecondsAfterFinished=-1))
    simulation.until()
    blocked = [
        (series.run.name, series.event.reason, series.count)
        for series in simulation.cluster.correlator.all()
    ]
    assert [each for each in blocked if each[1] == "Blocked"] == [("second", "Blocked", 1)]
    assert [reason for name, reason, _ in blocked if name == "second"] == [
        "Blocked", "PodCreated", "Started", "Succeeded",
    ]  # fmt: skip
