"""The TaskRun is gone or going: its Pods are let go, never judged (rules/ownerless.py)."""

from typing import Any

import pytest

from taskruns.core.plan import Action, ConfirmRunGone, DeletePod, ReleasePod
from tests.support.builder import RUN_UID, a_claimed_status, a_pod, a_run, ended, running, stamp
from tests.support.decision import gone, plan_for

GOING = {"deletionTimestamp": stamp(5)}


def kinds(actions: tuple[Action, ...]) -> list[type[Action]]:
    return [type(action) for action in actions]


def released(pod: Any) -> Any:
    return {**pod, "metadata": {**pod["metadata"], "finalizers": []}}


@pytest.mark.parametrize("pod", [a_pod(gated=True), a_pod(main=running()), a_pod(main=ended(0))])
def test_a_run_that_is_not_seen_is_read_live_before_its_pods_are_let_go(pod: Any) -> None:
    assert kinds(plan_for(None, pod).actions) == [ConfirmRunGone]
    assert kinds(plan_for(None, pod, findings=gone(RUN_UID)).actions) == [ReleasePod]


def test_the_pods_of_a_run_that_is_gone_are_not_judged_or_deleted() -> None:
    """Ownership deletes them; a Pod kept by --cascade=orphan is left alone."""
    plan = plan_for(None, released(a_pod(main=ended(0))), findings=gone(RUN_UID))
    assert plan.idle
    assert plan.wake_at is None


def test_nothing_is_read_for_pods_that_hold_nothing() -> None:
    assert plan_for(None, released(a_pod(main=running()))).idle


def test_a_run_being_deleted_lets_its_pods_go_and_then_takes_them_along() -> None:
    run = a_run(status=a_claimed_status("Running"), metadata=GOING)
    assert kinds(plan_for(run, a_pod(main=running())).actions) == [ReleasePod]
    assert kinds(plan_for(run, released(a_pod(main=running()))).actions) == [DeletePod]
    on_its_way = a_pod(main=running(), metadata={**GOING, "finalizers": []})
    assert plan_for(run, on_its_way).idle


def test_a_run_being_deleted_gets_no_pod_and_no_status() -> None:
    for status in ({}, a_claimed_status("BackingOff"), a_claimed_status("Running")):
        assert plan_for(a_run(status=status, metadata=GOING), seconds=1000).idle


def test_pods_are_left_to_themselves_when_that_was_asked_for() -> None:
    run = a_run(status=a_claimed_status("Running"), metadata={**GOING, "finalizers": ["orphan"]})
    assert kinds(plan_for(run, a_pod(main=running())).actions) == [ReleasePod]
    assert plan_for(run, released(a_pod(main=running()))).idle


def test_only_pods_that_the_run_owns_are_taken_along() -> None:
    run = a_run(status=a_claimed_status("Running"), metadata=GOING)
    pod = a_pod(main=running(), metadata={"finalizers": [], "ownerReferences": []})
    assert plan_for(run, pod).idle
