"""Work of the controller per run: events handled, reconciles, decisions, objects parsed.

These numbers need no clock. A change that makes a run more expensive has to change them here.
"""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core import facts
from taskruns.engines import reconcile
from taskruns.operator.watch import EventHandler
from tests.simulation import Cluster, Script
from tests.support.builders.objects import a_run
from tests.support.simulation import Controller, Simulation

TTL_OFF: dict[str, Any] = {"ttlSecondsAfterFinished": -1}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count calls of the functions that make up the work on a run."""
    counter: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counter[name] += 1
            return function(*args, **kwargs)

        return call

    def count(owner: Any, attribute: str, name: str) -> None:
        monkeypatch.setattr(owner, attribute, counted(name, getattr(owner, attribute)))

    count(EventHandler, "take_run", "events of TaskRuns")
    count(EventHandler, "take_pod", "events of Pods")
    count(reconcile, "decide", "decisions")
    count(TaskRun, "model_validate", "TaskRuns parsed")
    for module in tuple(sys.modules.values()):  # it is imported by name
        if module is not facts and getattr(module, "read_pod", None) is facts.read_pod:
            count(module, "read_pod", "Pods parsed")
    monkeypatch.setattr(Controller, "begin", _counting_reconciles(counter))
    return counter


def _counting_reconciles(counter: Counter[str]) -> Callable[[Controller], bool]:
    begin = Controller.begin

    def counted(controller: Controller) -> bool:
        idle, waiting = not controller.busy, len(controller.queue)
        begun = begin(controller)
        counter["reconciles"] += idle and waiting > len(controller.queue)
        return begun

    return counted


def costs(counts: Counter[str], script: Script, **spec: Any) -> dict[str, int]:
    """Return the counts of one run to its end and the removal of its Pods."""
    simulation = Simulation(Cluster(lambda _pod, _container: script))
    simulation.cluster.create_run(a_run(**TTL_OFF, **spec))
    simulation.until()
    assert simulation.pods() == []
    return dict(counts)


SHORT = {
    "events of TaskRuns": 3,  # its creation, the claim, the outcome
    "events of Pods": 8,
    "reconciles": 4,
    "decisions": 10,  # one for each plan, and one at the end of each reconcile
    "TaskRuns parsed": 10,
    "Pods parsed": 8,
}


def test_a_short_run_costs_as_recorded(counts: Counter[str]) -> None:
    assert costs(counts, Script(seconds=0.1)) == SHORT


def test_a_longer_run_costs_one_reconcile_with_its_write_more(counts: Counter[str]) -> None:
    more = {"events of TaskRuns": 1, "reconciles": 1, "decisions": 2, "TaskRuns parsed": 2}
    longer = Counter(SHORT) + Counter(more) + Counter({"Pods parsed": 2})
    assert costs(counts, Script(seconds=100)) == longer


def test_each_retry_costs_at_most_what_a_run_costs(counts: Counter[str]) -> None:
    """Its Pods are deleted at once, so that no reconcile parses those of earlier attempts."""
    fails, now = Script(seconds=0.1, exit_code=1), {"deleteDelayDuration": "0s"}
    cost = costs(counts, fails, backoffLimit=2, podGC=now)
    assert {name for name in SHORT if cost[name] > 3 * SHORT[name]} == set()
