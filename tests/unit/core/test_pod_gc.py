"""Pods of ended attempts: stopped, released and deleted at their time, in every phase."""

from typing import Any

import pytest

from taskruns.api import names
from taskruns.core.plan import Action, DeletePod, DeleteRun, DiscardPod, ReleasePod, StopPod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    an_ended_status,
    at,
    ended,
    pod_uid,
    running,
    stamp,
)
from tests.support.decision import plan_for

DELETING = {"deletionTimestamp": stamp(11)}


def kinds(actions: tuple[Action, ...]) -> list[type[Action]]:
    return [type(action) for action in actions]


def finished(phase: str = "Succeeded", *, collected: str = "", **spec: Any) -> Any:
    annotations = {"annotations": {names.ANNOTATION_COLLECTED: collected}} if collected else {}
    return a_run(status=an_ended_status(phase), metadata=annotations, **spec)


def released(pod: Any) -> Any:
    return {**pod, "metadata": {**pod["metadata"], "finalizers": []}}


def test_a_recorded_pod_is_released_at_once_and_deleted_when_due() -> None:
    plan = plan_for(finished(), a_pod(main=ended(0)), seconds=10)
    assert kinds(plan.actions) == [ReleasePod]
    assert plan.wake_at == at(40)


@pytest.mark.parametrize(("seconds", "expected"), [(39, []), (40, [DeletePod])])
def test_a_pod_is_kept_for_the_sites_delay(seconds: float, expected: list[Any]) -> None:
    plan = plan_for(finished(), released(a_pod(main=ended(0))), seconds=seconds)
    assert kinds(plan.actions) == expected


def test_the_wait_begins_when_the_end_is_recorded() -> None:
    """A client cannot know of an end earlier, so the delay also holds after an outage."""
    run = a_run(status=an_ended_status(completionTime=stamp(100)))
    assert plan_for(run, released(a_pod(main=ended(0))), seconds=50).wake_at == at(130)


@pytest.mark.parametrize(("delay", "due"), [("5s", 15), ("0s", 10), ("2m", 130)])
def test_a_runs_delay_takes_precedence_over_the_site_default(delay: str, due: float) -> None:
    run = finished(podGC={"deleteDelayDuration": delay})
    pod = released(a_pod(main=ended(0)))
    assert plan_for(run, pod, seconds=due - 0.1).idle
    assert kinds(plan_for(run, pod, seconds=due).actions) == [DeletePod]


def test_a_due_pod_is_released_before_it_is_deleted() -> None:
    plan = plan_for(finished(), a_pod(main=ended(0)), seconds=100)
    assert kinds(plan.actions) == [ReleasePod, DeletePod]


def test_collected_ends_the_wait_of_the_pod_that_it_names() -> None:
    pod = released(a_pod(main=ended(0)))
    assert kinds(plan_for(finished(collected=pod_uid(1)), pod, seconds=11).actions) == [DeletePod]
    assert plan_for(finished(collected=pod_uid(2)), pod, seconds=11).idle


@pytest.mark.parametrize(
    ("strategy", "phase", "deleted"),
    [
        ("OnPodCompletion", "Succeeded", True),
        ("OnPodCompletion", "Failed", True),
        ("OnPodSuccess", "Succeeded", True),
        ("OnPodSuccess", "Failed", False),
        ("Never", "Succeeded", False),
        ("Never", "Failed", False),
    ],
)
def test_the_strategy_selects_the_pods_to_delete(
    strategy: str, phase: str, *, deleted: bool
) -> None:
    run = finished(phase, podGC={"strategy": strategy}, ttlSecondsAfterFinished=-1)
    plan = plan_for(run, a_pod(main=ended(0)), seconds=1000)
    assert (DeletePod in kinds(plan.actions)) is deleted
    assert ReleasePod in kinds(plan.actions), "a kept Pod can still be deleted by anybody"


def test_a_pod_that_another_client_deletes_is_only_released() -> None:
    pod = a_pod(main=ended(0), metadata=DELETING)
    assert kinds(plan_for(finished(), pod, seconds=100).actions) == [ReleasePod]


def test_a_past_attempts_pod_is_cleared_while_the_next_one_runs() -> None:
    past = a_record(1, finishedTime=stamp(5), outcome="Failed")
    status = a_claimed_status("Running", 2, attempts=[past, a_record(2)])
    run = a_run(backoffLimit=1, status=status)
    plan = plan_for(run, a_pod(run, 1, main=ended(1)), a_pod(run, 2, main=running()), seconds=35)
    assert kinds(plan.actions) == [ReleasePod, DeletePod]
    assert {action.pod.uid for action in plan.actions if hasattr(action, "pod")} == {pod_uid(1)}


def test_a_past_attempts_pod_waits_from_its_own_end() -> None:
    past = a_record(1, finishedTime=stamp(5), outcome="Failed")
    status = a_claimed_status("Pending", 2, attempts=[past, a_record(2)])
    run = a_run(backoffLimit=1, status=status)
    pods = (released(a_pod(run, 1, main=ended(1))), a_pod(run, 2, main=running(since=30)))
    plan = plan_for(run, *pods, seconds=31)
    assert plan.idle
    assert plan.wake_at == at(32), "the earlier of showing Running and deleting"
    shown = a_run(backoffLimit=1, status={**status, "phase": "Running"})
    assert plan_for(shown, *pods, seconds=34).wake_at == at(35)


def test_a_past_attempts_pod_is_cleared_even_if_its_record_has_no_end() -> None:
    past = {"number": 1, "podName": "p", "podUID": pod_uid(1), "outcome": "Failed"}
    status = a_claimed_status("Running", 2, attempts=[past, a_record(2)])
    run = a_run(backoffLimit=1, status=status)
    plan = plan_for(run, a_pod(run, 1, main=ended(1)), a_pod(run, 2, main=running()), seconds=3)
    assert kinds(plan.actions) == [ReleasePod, DeletePod]


def test_a_pod_whose_record_has_been_dropped_is_cleared_at_once() -> None:
    run = a_run(backoffLimit=99, status=a_claimed_status("Running", 30))
    plan = plan_for(run, a_pod(run, 2, main=ended(1)), a_pod(run, 30, main=running()), seconds=3)
    assert kinds(plan.actions) == [ReleasePod, DeletePod]


def test_a_pod_without_a_record_is_not_stopped_by_its_label() -> None:
    run = a_run(backoffLimit=99, status=a_claimed_status("Running", 30))
    going_on = a_pod(run, 2, main=running())
    assert plan_for(run, going_on, a_pod(run, 30, main=running()), seconds=3).idle


def test_an_unclaimed_gated_pod_is_discarded_with_its_version() -> None:
    run = finished()
    plan = plan_for(run, a_pod(run, 2, gated=True), seconds=11)
    (action,) = plan.actions
    assert isinstance(action, DiscardPod)
    assert (action.pod.uid, action.resource_version) == (pod_uid(2), "2000")


def test_an_unclaimed_pod_that_is_being_deleted_is_released() -> None:
    run = finished()
    plan = plan_for(run, a_pod(run, 2, gated=True, metadata=DELETING), seconds=11)
    assert kinds(plan.actions) == [ReleasePod]


def test_a_pod_in_no_record_without_our_gate_is_left_alone() -> None:
    """The cached run may be old: another controller may have claimed and released the Pod."""
    run = a_run(status=a_claimed_status("Running", 1))
    claimed = a_pod(run, 1, main=running())
    for pod in (a_pod(run, 2, main=running()), a_pod(run, 2, main=ended(0))):
        assert plan_for(run, claimed, pod, seconds=3).idle


def test_a_terminal_run_stops_and_releases_all_pods_regardless_of_its_records() -> None:
    run = a_run(status=an_ended_status(attempts=[]))
    assert kinds(plan_for(run, a_pod(run, main=running()), seconds=11).actions) == [StopPod]
    over = plan_for(run, a_pod(run, main=ended(0)), seconds=11)
    assert kinds(over.actions) == [ReleasePod, DeletePod]


def test_the_current_pod_is_not_cleared() -> None:
    run = a_run(status=a_claimed_status("Running", 1))
    assert plan_for(run, a_pod(run, main=running()), seconds=3.9).idle


def test_a_recorded_pod_that_still_runs_is_stopped() -> None:
    run = finished("Failed")
    going_on = a_pod(run, main=running())
    assert kinds(plan_for(run, going_on, seconds=11).actions) == [StopPod]
    going_on["spec"]["activeDeadlineSeconds"] = 1
    assert plan_for(run, going_on, seconds=11).idle


def test_pods_of_other_owners_with_our_label_are_left_alone() -> None:
    run = finished()
    pod = a_pod(main=ended(0), metadata={"uid": "another", "ownerReferences": []})
    assert plan_for(run, pod, seconds=1000).actions == ()


@pytest.mark.parametrize(
    ("ttl", "seconds", "expires"),
    [
        (0, 10, True),
        (60, 69, False),
        (60, 70, True),
        (-1, 10**9, False),
        (None, 604809, False),
        (None, 604810, True),
    ],
)
def test_a_run_is_deleted_when_its_ttl_expires(
    ttl: int | None, seconds: float, *, expires: bool
) -> None:
    plan = plan_for(finished(ttlSecondsAfterFinished=ttl), seconds=seconds)
    assert kinds(plan.actions) == ([DeleteRun] if expires else [])


def test_the_pod_of_a_record_without_an_end_is_deleted() -> None:
    record = {"number": 1, "podName": "hello-1", "podUID": pod_uid(1)}
    run = a_run(status=an_ended_status(attempts=[record], podUID="another"))
    assert kinds(plan_for(run, released(a_pod(main=ended(0))), seconds=9).actions) == [DeletePod]


def test_a_terminal_run_without_a_completion_time_is_deleted() -> None:
    run = a_run(status=an_ended_status(completionTime=None), ttlSecondsAfterFinished=60)
    assert plan_for(run, seconds=59).wake_at == at(60)
    assert kinds(plan_for(run, seconds=60).actions) == [DeleteRun]


def test_a_run_that_has_ended_wakes_for_its_deletion() -> None:
    assert plan_for(finished(ttlSecondsAfterFinished=60), seconds=20).wake_at == at(70)
    assert plan_for(finished(ttlSecondsAfterFinished=-1), seconds=20).wake_at is None


def test_pods_are_released_before_their_run_is_deleted() -> None:
    plan = plan_for(finished(ttlSecondsAfterFinished=0), a_pod(main=ended(0)), seconds=10)
    assert kinds(plan.actions) == [ReleasePod, DeleteRun]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_an_end_is_never_written_again(phase: str) -> None:
    run = finished(phase, cancel=True, activeDeadlineSeconds=1, backoffLimit=9)
    for pods in ([], [a_pod(main=ended(1))], [a_pod(main=running())], [a_pod(gated=True)]):
        assert plan_for(run, *pods, seconds=100).status is None
