"""Log lines of the reconcile loop: the situation, the rule, and what was written."""

import json
import logging

import pytest

from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache, key_of_run
from taskruns.engines.engine import Conflict
from taskruns.engines.reconcile import apply, reconcile
from taskruns.operator.structured_logging import JsonFormatter, PlainFormatter
from tests.simulation import Cluster, Kind, MemoryEngine
from tests.simulation.cluster import quota
from tests.support.builders.objects import a_run, at
from tests.support.decision import SITE, plan_for

LOGGER = "taskruns.engines.reconcile"
CLAIMED = "status Pending WaitingToStart"


class Bench:
    """One run in a simulated cluster and in the cache."""

    def __init__(self, run: Object, cluster: Cluster) -> None:
        self.engine = MemoryEngine(cluster)
        self.cache = Cache()
        self.run = cluster.create_run(run)
        self.cache.put_run(self.run)

    async def reconcile(self) -> None:
        await reconcile(key_of_run(self.run), self.cache, self.engine, lambda: at(0), SITE)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    """Return level, message, situation, rule and what was written of every line."""
    parsed = [json.loads(JsonFormatter().format(r)) for r in caplog.records if r.name == LOGGER]
    keys = ("level", "message", "situation", "rule", "wrote")
    return [tuple(line[key] for key in keys) for line in parsed]


async def test_every_change_is_logged_at_info_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    await Bench(a_run(), Cluster()).reconcile()
    assert lines(caplog) == [
        ("info", "Due, create: CreatePod", "Due", "create", "CreatePod"),
        ("info", f"Due, claim: {CLAIMED}", "Due", "claim", CLAIMED),
        ("info", "Underway, release_gate: ReleaseGate", "Underway", "release_gate", "ReleaseGate"),
    ]
    line = PlainFormatter().format(caplog.records[0])
    assert line.endswith(f" INFO Due, create: CreatePod ({LOGGER})")


async def test_a_reconcile_that_changes_nothing_is_logged_at_debug_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(a_run(suspend=True), Cluster())
    await bench.reconcile()
    caplog.set_level(logging.INFO, LOGGER)
    await bench.reconcile()
    assert lines(caplog) == []
    caplog.set_level(logging.DEBUG, LOGGER)
    await bench.reconcile()
    assert lines(caplog) == [("debug", "Due, hold: no change", "Due", "hold", "")]


async def test_a_create_that_is_rejected_is_no_change(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.admission.append(quota(cluster, pods=0))
    caplog.set_level(logging.DEBUG, LOGGER)
    await Bench(a_run(), cluster).reconcile()
    assert lines(caplog)[0] == ("debug", "Due, create: no change", "Due", "create", "")


async def test_a_write_that_conflicts_is_no_change(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    bench = Bench(a_run(cancel=True), cluster)
    plan = plan_for(bench.run)
    cluster.patch(Kind.RUN, "default", "hello", {"metadata": {"labels": {"a": "b"}}})
    caplog.set_level(logging.DEBUG, LOGGER)
    with pytest.raises(Conflict):
        await apply(plan, bench.cache.view(key_of_run(bench.run)), bench.cache, bench.engine)
    assert lines(caplog) == [("debug", "Due, cancel: no change", "Due", "cancel", "")]
