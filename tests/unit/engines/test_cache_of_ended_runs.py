"""The cache keeps a part of an ended run, from which the decision is the same as from the whole."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.engines.cache import Cache, key_of_run, slim
from tests.support.builders.json_strategies import PODS
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_run,
    an_ended_status,
    ended,
    stamp,
)
from tests.support.builders.schemas import SPECS, STATUSES
from tests.support.decision import plan_for

METADATA = st.fixed_dictionaries(
    {},
    optional={
        "deletionTimestamp": st.just(stamp(3)),
        "finalizers": st.sampled_from([[], ["orphan"], ["foregroundDeletion", "example.test/a"]]),
        "annotations": st.sampled_from([{names.ANNOTATION_COLLECTED: "pod-1"}, {"other": "y"}]),
        "labels": st.just({"team": "data"}),
        "creationTimestamp": st.sampled_from([stamp(0), stamp(-(10**8))]),
    },
)


@st.composite
def ended_runs(draw: st.DrawFn) -> Any:
    """Draw a run whose status is terminal, in any consistent or inconsistent way."""
    status = draw(STATUSES | st.just(an_ended_status()) | st.just(a_claimed_status()))
    phase = draw(st.sampled_from(sorted(TERMINAL_PHASES)))
    run = a_run(status={**status, "phase": phase}, metadata=draw(METADATA))
    return {**run, "spec": draw(SPECS)}


@given(
    run=ended_runs(),
    pods=st.lists(st.sampled_from(PODS), max_size=2),
    seconds=st.sampled_from([0, 9, 10**8]),
)
def test_a_reduced_run_gives_the_same_plan_as_the_full_one(
    run: Any, pods: Any, seconds: int
) -> None:
    whole, kept = (plan_for(each, *pods, seconds=seconds) for each in (run, slim(run)))
    assert kept == whole


def test_the_pod_of_an_ended_run_that_is_orphaned_is_left_alone() -> None:
    """`kubectl delete --cascade=orphan` sets the finalizer first and removes the owner later."""
    metadata = {"deletionTimestamp": stamp(5), "finalizers": ["orphan"]}
    cache = Cache()
    key = cache.put_run(a_run(status=an_ended_status(), metadata=metadata))
    assert key == key_of_run(a_run())
    kept = a_pod(main=ended(0), metadata={"finalizers": []})
    assert plan_for(cache.view(key).run, kept, seconds=9).idle
