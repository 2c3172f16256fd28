"""Removal of ended Pods and runs: podGC, collected, TTL, deletion."""

import pytest

from tests.engine.lab import Lab, Task, told_of
from tests.engine.work import HELLO, POLITE, STUBBORN, Work, exits, lasts


def keeps(strategy: str) -> dict[str, str]:
    return {"strategy": strategy, "deleteDelayDuration": "0s"}


def something_else_happens(lab: Lab) -> None:
    """Wait for another complete run; immediate actions have happened by its end."""
    second = lab.start(lasts(0.1), name="another")
    second.ended()
    second.pods_gone()


def held(task: Task) -> list[str]:
    return [str(f) for pod in task.pods for f in pod["metadata"].get("finalizers") or ()]


def test_a_finished_pod_is_kept_for_its_delay(lab: Lab) -> None:
    task = lab.start(HELLO, podGC={"deleteDelayDuration": "4s"})
    task.ended()
    assert task.pods
    task.pods_gone()


def test_a_pod_whose_log_was_collected_goes_at_once(lab: Lab) -> None:
    task = lab.start(HELLO, podGC={"deleteDelayDuration": "10h"})
    task.ended()
    something_else_happens(lab)
    assert task.pods
    task.collect()
    task.pods_gone()


@pytest.mark.parametrize(
    ("strategy", "work", "kept"),
    [
        ("Never", HELLO, True),
        ("OnPodSuccess", exits(1), True),
        ("OnPodSuccess", HELLO, False),
        ("OnPodCompletion", exits(1), False),
    ],
)
def test_the_strategy_says_which_pods_are_kept(
    lab: Lab, strategy: str, work: Work, *, kept: bool
) -> None:
    task = lab.start(work, podGC=keeps(strategy))
    task.ended()
    something_else_happens(lab)
    if kept:
        assert task.pods
        assert not held(task), "a kept Pod holds nothing up"
        task.delete()
    task.pods_gone()


def test_a_run_goes_when_its_time_to_live_is_over_and_takes_its_pod_along(lab: Lab) -> None:
    task = lab.start(HELLO, podGC=keeps("Never"), ttlSecondsAfterFinished=1)
    task.gone()
    task.pods_gone()


def test_a_run_deleted_at_work_takes_its_pod_along(lab: Lab) -> None:
    task = lab.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 1}})
    task.main_runs()
    task.delete()
    task.gone()
    task.pods_gone()


@pytest.mark.of_a_cluster
def test_a_run_deleted_while_no_controller_is_there_leaves_nothing(lab: Lab) -> None:
    task = lab.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 1}})
    task.main_runs()
    lab.pause()
    task.delete()
    task.gone()
    assert task.pods, "our finalizer holds the Pod"
    lab.resume()
    task.pods_gone()


@pytest.mark.of_a_cluster
@pytest.mark.parametrize("foreground", [False, True])
def test_a_run_that_a_finalizer_holds_ends_when_it_is_deleted(
    lab: Lab, *, foreground: bool
) -> None:
    task = lab.start(POLITE)
    task.main_runs()
    task.hold()
    task.delete(foreground=foreground)
    status = task.ended()
    assert told_of(status) == ("Cancelled", "TaskRunDeleted", 4, ["Stopped"])
    assert "Finished" in [each["type"] for each in status["conditions"]]
    task.pods_gone()
    assert task.status["observedGeneration"] == task.generation
    task.hold(wanted=False)
    task.gone()


@pytest.mark.of_a_cluster
def test_foreground_deletion_waits_for_the_pod(lab: Lab) -> None:
    task = lab.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 2}})
    task.main_runs()
    task.delete(foreground=True)
    task.gone()
    assert not task.pods


@pytest.mark.of_a_cluster
def test_a_change_of_an_ended_run_is_observed_and_nothing_else_moves(lab: Lab) -> None:
    task = lab.start(exits(3))
    ended = dict(task.ended())
    lab.patch_run(task.name, {"spec": {"ttlSecondsAfterFinished": 9000, "suspend": True}})
    status = dict(task.observed())
    assert status.pop("observedGeneration") == ended.pop("observedGeneration") + 1
    assert status == ended


def test_a_run_of_the_same_name_has_nothing_to_do_with_the_one_before(lab: Lab) -> None:
    first = lab.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 2}})
    first.main_runs()
    first.delete()
    first.gone()
    second = lab.start(HELLO)
    status = second.ended()
    assert told_of(status) == ("Succeeded", "Completed", 0, ["Succeeded"])
    assert status["podName"] not in [pod["metadata"]["name"] for pod in first.pods]
    first.pods_gone()
    second.pods_gone()
