"""Properties of the decision for any input: it always returns a plan, and always the same."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.api.v1alpha1 import TaskRunStatus
from taskruns.core.decide import decide
from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import read_pod
from taskruns.core.plan import CreatePod, Findings, Refusal, RefusalKind
from taskruns.core.pods import merge_container, merge_pod_spec
from taskruns.core.status import status_patch
from tests.support.builders.json_strategies import JSON, PODS, RUNS, distorted, with_one_oddity
from tests.support.builders.objects import (
    RUN_UID,
    a_claimed_status,
    a_pod,
    a_run,
    at,
    ended,
    pod_uid,
)
from tests.support.builders.schemas import STATUSES
from tests.support.decision import plan_for

NOWS = st.sampled_from(
    [
        at(0),
        at(7.5),
        at(10**8),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ]
)
FINDINGS = st.builds(
    Findings,
    gone=st.dictionaries(
        st.sampled_from([RUN_UID, pod_uid(1), ""]), st.none() | distorted(PODS), max_size=2
    ),
    run_gone=st.booleans(),
    refusal=st.none() | st.builds(Refusal, st.sampled_from(RefusalKind), st.text(max_size=9)),
)
SITES = st.builds(
    SiteDefaults,
    ttl_seconds_after_finished=st.sampled_from([-1, 0, 604800, 2**31 - 1]),
    delete_delay=st.sampled_from([timedelta(0), timedelta(seconds=30), timedelta(days=10**6)]),
)
MAPPINGS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
ANY_RUN = st.none() | distorted(RUNS) | MAPPINGS
MOST_CLOCKS = 10
"""Upper bound of the clocks that run at once for a run."""
ANY_PODS = st.lists(distorted(PODS) | MAPPINGS, max_size=3)


@given(run=ANY_RUN, pods=ANY_PODS, now=NOWS, findings=FINDINGS, site=SITES)
def test_arbitrary_input_never_raises_and_gives_wire_form(
    run: Any, pods: Any, now: datetime, findings: Findings, site: SiteDefaults
) -> None:
    plan = decide(run, pods, now, findings, site)
    for action in plan.actions:
        if isinstance(action, CreatePod):
            json.dumps(action.manifest)
    if plan.status is not None:
        json.dumps(status_patch(run, plan.status))
        if now.year >= 1970:
            assert_storable(plan.status)


def assert_storable(status: TaskRunStatus) -> None:
    """Assert what the CRD demands of a status, because a refused status is never written."""
    written = TaskRunStatus.model_validate(status.to_json())
    for keys in (
        [attempt.pod_uid for attempt in written.attempts or ()],
        [condition.type for condition in written.conditions or ()],
    ):
        assert len(keys) == len(set(keys)), keys


@pytest.mark.parametrize("run", RUNS)
def test_no_single_arbitrary_value_in_a_run_raises(run: Any) -> None:
    pod = a_pod(main=ended(1))
    for odd in filter(is_mapping, with_one_oddity(run)):
        plan_for(odd, pod, seconds=9)


@pytest.mark.parametrize("pod", PODS)
def test_no_single_arbitrary_value_in_a_pod_raises(pod: Any) -> None:
    run = a_run(status=a_claimed_status())
    for odd in filter(is_mapping, with_one_oddity(pod)):
        plan_for(run, odd, seconds=9)


@given(run=ANY_RUN, pods=ANY_PODS, now=NOWS, findings=FINDINGS, site=SITES)
def test_the_same_input_gives_the_same_plan_and_is_not_modified(
    run: Any, pods: Any, now: datetime, findings: Findings, site: SiteDefaults
) -> None:
    before = json.dumps([run, pods])
    plan = decide(run, pods, now, findings, site)
    assert decide(run, pods, now, findings, site) == plan
    assert json.dumps([run, pods]) == before


@given(run=distorted(RUNS), pods=ANY_PODS, now=NOWS, findings=FINDINGS, site=SITES)
def test_a_terminal_status_is_never_written_again(
    run: Any, pods: Any, now: datetime, findings: Findings, site: SiteDefaults
) -> None:
    status = run.get("status")
    if isinstance(status, dict) and status.get("phase") in [*TERMINAL_PHASES]:
        assert decide(run, pods, now, findings, site).status is None


@given(
    run=distorted(RUNS) | STATUSES.map(lambda status: a_run(status=status)),
    pods=ANY_PODS,
    site=SITES,
)
def test_every_wait_of_a_run_ends(run: Any, pods: Any, site: SiteDefaults) -> None:
    """A time that is counted from each reconcile would never come."""
    now = at(0)
    for _ in range(MOST_CLOCKS):
        plan = decide(run, pods, now, Findings(), site)
        if not plan.idle or plan.wake_at is None:
            return
        assert plan.wake_at > now
        now = plan.wake_at
    pytest.fail(f"it still waits at {now}")


@given(pod=distorted(PODS) | MAPPINGS)
def test_the_facts_of_any_pod_can_be_read(pod: Any) -> None:
    facts = read_pod(pod)
    assert facts.message_limit > 0


@given(base=MAPPINGS, over=MAPPINGS)
def test_merging_anything_never_raises_and_over_wins(base: Any, over: Any) -> None:
    for merge in (merge_pod_spec, merge_container):
        merged = merge(base, over)
        assert set(merged) == {*base, *(key for key, value in over.items() if value is not None)}


@given(run=distorted(RUNS))
def test_merging_nothing_changes_nothing(run: Any) -> None:
    part = run.get("spec") if is_mapping(run) else None
    if isinstance(part, dict):
        assert merge_pod_spec(part, {}) == part
        assert merge_container(part, {}) == part


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)
