"""observedGeneration follows every change of spec, and no other part of the status changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.core.plan import Findings, ObserveGeneration, RefusalKind
from taskruns.core.unstructured import Object
from taskruns.engines.cache import slim
from tests.simulation import Cluster, Kind, Script
from tests.support.builders.json_strategies import PODS, RUNS, distorted
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    an_ended_status,
    ended,
    running,
    stamp,
)
from tests.support.decision import plan_for, refused
from tests.support.simulation import Simulation

pytestmark = pytest.mark.guarantee(
    "`observedGeneration` follows every change of spec, also of ended and suspended runs; nothing "
    "else of a final status changes"
)

CHANGED = {"generation": 2}
ENDED = a_pod(main=ended(1), metadata={"finalizers": [], "deletionTimestamp": stamp(5)})
STOPPED = a_pod(main=running())
STOPPED["spec"]["activeDeadlineSeconds"] = 1
BACKING_OFF = [a_record(outcome="Failed", finishedTime=stamp(4))]
STOPPING = [a_record(stopTime=stamp(3), reason="Cancelled")]
STANDING: dict[str, tuple[Any, Any, list[Any]]] = {
    "Succeeded": (an_ended_status(), {}, []),
    "Failed": (an_ended_status("Failed"), {}, []),
    "Cancelled": (an_ended_status("Cancelled"), {"cancel": True}, [ENDED]),
    "Suspended": ({"phase": "Suspended"}, {"suspend": True}, []),
    "BackingOff": (
        a_claimed_status("BackingOff", attempts=BACKING_OFF, failed=1),
        {"backoffLimit": 3, "backoff": {"duration": "60s"}},
        [],
    ),
    "Running": (a_claimed_status("Running"), {}, [a_pod(main=running())]),
    "Pending": (a_claimed_status(), {}, [a_pod(main=running(since=5))]),
    "Stopping": (a_claimed_status("Stopping", attempts=STOPPING), {}, [STOPPED]),
    "Unreadable": ({**an_ended_status(), "attempt": "odd"}, {}, []),
}
"""Runs that need no action: their status, fields of their spec, their Pods."""


@pytest.mark.parametrize("phase", STANDING)
def test_a_change_without_another_write_updates_observed_generation(phase: str) -> None:
    status, spec, pods = STANDING[phase]
    assert plan_for(a_run(status=status, **spec), *pods, seconds=6).idle
    changed = a_run(status={**status, "observedGeneration": 1}, metadata=CHANGED, **spec)
    before = plan_for(a_run(status=status, **spec), *pods, seconds=6)
    plan = plan_for(changed, *pods, seconds=6)
    assert (plan.status, plan.actions) == (None, (ObserveGeneration(2),))
    assert plan.wake_at == before.wake_at
    again = plan_for(changed, *pods, seconds=6, findings=Findings(observed=True))
    assert again.idle, "one write for each look"


def test_a_queued_run_updates_observed_generation() -> None:
    full = refused(RefusalKind.QUOTA_EXCEEDED, "exceeded quota: pods, requested: pods=1")
    status = {"phase": "Queued", "reason": "QuotaExceeded", "startTime": stamp(0)}
    status["message"] = "exceeded quota: pods, requested: pods=1"
    run = a_run(status={**status, "observedGeneration": 1}, metadata=CHANGED)
    assert plan_for(run, seconds=3, findings=full).actions == (ObserveGeneration(2),)


def test_a_new_run_needs_no_extra_write_for_observed_generation() -> None:
    plan = plan_for(a_run())
    assert [type(action).__name__ for action in plan.actions] == ["CreatePod"]


def test_a_status_write_includes_observed_generation() -> None:
    run = a_run(status=a_claimed_status(), metadata=CHANGED, cancel=True)
    plan = plan_for(run, a_pod(main=running()), seconds=3)
    assert plan.status is not None
    assert plan.status.observed_generation == 2
    assert plan.actions == ()


@given(
    run=distorted(RUNS),
    pods=st.lists(distorted(PODS), max_size=2),
    generation=st.sampled_from([None, 1, 2, 10**6, "2", True]),
    observed=st.sampled_from([None, -1, 1, 2, 7, "1"]),
)
def test_a_reconcile_writes_observed_generation_at_most_once(
    run: Any, pods: Any, generation: Any, observed: Any
) -> None:
    if not isinstance(run.get("metadata"), dict) or not isinstance(run.get("status"), dict):
        return
    run["metadata"]["generation"] = generation
    run["status"]["observedGeneration"] = observed
    plan = plan_for(run, *pods, seconds=9)
    if any(isinstance(action, ObserveGeneration) for action in plan.actions):
        assert len(plan.actions) == 1
        assert plan.status is None
        run["status"]["observedGeneration"] = generation
        assert plan_for(run, *pods, seconds=9).idle


def test_the_reduced_copy_of_an_ended_run_keeps_observed_generation() -> None:
    """The cache keeps only part of an ended run, so a patch made from that would truncate it."""
    whole = a_run(status=an_ended_status(observedGeneration=1, message="kept"), metadata=CHANGED)
    assert plan_for(slim(whole), seconds=11) == plan_for(whole, seconds=11)


CHANGES = st.lists(
    st.sampled_from(
        [
            {"ttlSecondsAfterFinished": 9000},
            {"ttlSecondsAfterFinished": -1},
            {"suspend": True},
            {"suspend": False},
            {"cancel": True},
        ]
    ),
    min_size=1,
    max_size=4,
)


def settled(status: Object) -> Object:
    return {key: value for key, value in status.items() if key != "observedGeneration"}


@given(code=st.sampled_from([0, 3]), changes=CHANGES)
def test_an_ended_run_follows_every_change_at_one_write_each(code: int, changes: list[Any]) -> None:
    """With two controllers, the second finds it done, at once or after a conflict."""
    script = Script(exit_code=code)
    simulation = Simulation(Cluster(lambda _pod, _container: script), controllers=2)
    simulation.cluster.create_run(a_run(ttlSecondsAfterFinished=-1))
    simulation.until()
    before = simulation.status()
    for change in changes:
        generation = (simulation.run() or {})["metadata"]["generation"]
        written = len(simulation.cluster.store.log)
        simulation.cluster.patch(Kind.RUN, "default", "hello", {"spec": change})
        simulation.advance(3)
        run = simulation.run()
        assert run is not None
        assert run["status"]["observedGeneration"] == run["metadata"]["generation"]
        assert settled(run["status"]) == settled(before), "nothing else of an end moves"
        changed = run["metadata"]["generation"] != generation
        assert len(simulation.cluster.store.log) - written == (2 if changed else 0)
