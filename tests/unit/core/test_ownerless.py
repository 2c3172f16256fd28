"""A TaskRun that is gone: its Pods are released, never judged (rules/no_attempt.py)."""

from typing import Any

import pytest

from taskruns.core.plan import Action, ConfirmRunGone, ReleasePod
from tests.support.builders.objects import RUN_UID, a_pod, ended, running
from tests.support.decision import gone, plan_for


def kinds(actions: tuple[Action, ...]) -> list[type[Action]]:
    return [type(action) for action in actions]


def released(pod: Any) -> Any:
    return {**pod, "metadata": {**pod["metadata"], "finalizers": []}}


@pytest.mark.parametrize("pod", [a_pod(gated=True), a_pod(main=running()), a_pod(main=ended(0))])
def test_a_run_that_is_not_cached_is_read_live_before_its_pods_are_released(pod: Any) -> None:
    assert kinds(plan_for(None, pod).actions) == [ConfirmRunGone]
    assert kinds(plan_for(None, pod, findings=gone(RUN_UID)).actions) == [ReleasePod]


def test_a_pod_that_has_lost_its_labels_is_released_too() -> None:
    pod = a_pod(main=ended(0), metadata={"labels": {}, "ownerReferences": []})
    assert kinds(plan_for(None, pod, findings=gone(RUN_UID)).actions) == [ReleasePod]


def test_the_pods_of_a_run_that_is_gone_are_not_judged_or_deleted() -> None:
    """Ownership deletes them; a Pod kept by --cascade=orphan is left alone."""
    plan = plan_for(None, released(a_pod(main=ended(0))), findings=gone(RUN_UID))
    assert plan.idle
    assert plan.wake_at is None


def test_pods_without_our_finalizer_cause_no_live_read() -> None:
    assert plan_for(None, released(a_pod(main=running()))).idle
