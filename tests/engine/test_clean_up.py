"""Removal of ended Pods and runs: podGC, collected, TTL, deletion."""

import pytest

from tests.engine.runtime import Runtime, Task, summarize
from tests.engine.work import HELLO, POLITE, STUBBORN, Work, exits, lasts


def pod_gc(strategy: str) -> dict[str, str]:
    return {"strategy": strategy, "deleteDelayDuration": "0s"}


def complete_another_run(runtime: Runtime) -> None:
    """Wait for another complete run; immediate actions have happened by its end."""
    second = runtime.start(lasts(0.1), name="another")
    second.ended()
    second.pods_gone()


def held(task: Task) -> list[str]:
    return [str(f) for pod in task.pods for f in pod["metadata"].get("finalizers") or ()]


def test_a_finished_pod_is_kept_for_its_delete_delay(runtime: Runtime) -> None:
    task = runtime.start(HELLO, podGC={"deleteDelayDuration": "4s"})
    task.ended()
    assert task.pods
    task.pods_gone()


def test_a_pod_whose_log_was_collected_is_deleted_at_once(runtime: Runtime) -> None:
    task = runtime.start(HELLO, podGC={"deleteDelayDuration": "10h"})
    task.ended()
    complete_another_run(runtime)
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
def test_the_strategy_decides_which_pods_are_kept(
    runtime: Runtime, strategy: str, work: Work, *, kept: bool
) -> None:
    task = runtime.start(work, podGC=pod_gc(strategy))
    task.ended()
    complete_another_run(runtime)
    if kept:
        assert task.pods
        assert not held(task), "a kept Pod has no finalizer"
        task.delete()
    task.pods_gone()


def test_a_run_and_its_pod_are_deleted_after_its_ttl(runtime: Runtime) -> None:
    task = runtime.start(HELLO, podGC=pod_gc("Never"), ttlSecondsAfterFinished=1)
    task.gone()
    task.pods_gone()


def test_deletion_of_a_running_run_deletes_its_pod(runtime: Runtime) -> None:
    task = runtime.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 1}})
    task.main_runs()
    task.delete()
    task.gone()
    task.pods_gone()


@pytest.mark.of_a_cluster
def test_the_pod_of_a_run_deleted_without_a_controller_is_deleted(runtime: Runtime) -> None:
    task = runtime.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 1}})
    task.main_runs()
    runtime.pause()
    task.delete()
    task.gone()
    assert task.pods, "our finalizer holds the Pod"
    runtime.resume()
    task.pods_gone()


@pytest.mark.guarantee(
    "The outcome of a deleted run is recorded while the object exists: main's own end, or "
    "`TaskRunDeleted`"
)
@pytest.mark.of_a_cluster
@pytest.mark.parametrize("foreground", [False, True])
def test_a_run_that_a_finalizer_holds_ends_when_it_is_deleted(
    runtime: Runtime, *, foreground: bool
) -> None:
    task = runtime.start(POLITE)
    task.main_runs()
    task.hold()
    task.delete(foreground=foreground)
    status = task.ended()
    assert summarize(status) == ("Cancelled", "TaskRunDeleted", 4, ["Stopped"])
    assert "Finished" in [each["type"] for each in status["conditions"]]
    task.pods_gone()
    assert task.status["observedGeneration"] == task.generation
    task.hold(wanted=False)
    task.gone()


@pytest.mark.guarantee("Foreground deletion returns when the Pod is gone")
@pytest.mark.of_a_cluster
def test_foreground_deletion_waits_for_the_pod(runtime: Runtime) -> None:
    task = runtime.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 2}})
    task.main_runs()
    task.delete(foreground=True)
    task.gone()
    assert not task.pods


@pytest.mark.guarantee(
    "`observedGeneration` follows every change of spec, also of ended and suspended runs; nothing "
    "else of a final status changes"
)
@pytest.mark.of_a_cluster
def test_a_change_of_an_ended_run_is_observed_and_nothing_else_changes(runtime: Runtime) -> None:
    task = runtime.start(exits(3))
    ended = dict(task.ended())
    runtime.patch_run(task.name, {"spec": {"ttlSecondsAfterFinished": 9000, "suspend": True}})
    status = dict(task.observed())
    assert status.pop("observedGeneration") == ended.pop("observedGeneration") + 1
    assert status == ended


def test_a_recreated_run_is_not_affected_by_its_predecessor(runtime: Runtime) -> None:
    first = runtime.start(STUBBORN, template={"spec": {"terminationGracePeriodSeconds": 2}})
    first.main_runs()
    first.delete()
    first.gone()
    second = runtime.start(HELLO)
    status = second.ended()
    assert summarize(status) == ("Succeeded", "Completed", 0, ["Succeeded"])
    assert status["podName"] not in [pod["metadata"]["name"] for pod in first.pods]
    first.pods_gone()
    second.pods_gone()
