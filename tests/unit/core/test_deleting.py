"""Deletion of a TaskRun that a finalizer keeps: its outcome is still recorded."""

from typing import Any

import pytest

from taskruns.core.plan import Action, ConfirmPodGone, DeletePod, ObserveGeneration, ReleasePod
from tests.support.builders.objects import (
    RUN_UID,
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    an_ended_status,
    at,
    disrupted,
    ended,
    pod_uid,
    running,
    stamp,
)
from tests.support.decision import gone, plan_for, status_for

pytestmark = pytest.mark.guarantee(
    "The outcome of a deleted run is recorded while the object exists: main's own end, or "
    "`TaskRunDeleted`"
)

FOREIGN = ["example.test/hold"]
DELETED_AT = 5
DELETED = {"deletionTimestamp": stamp(DELETED_AT), "generation": 2}
TERMINATING = {"deletionTimestamp": stamp(DELETED_AT + 30)}


def deleted(status: Any = None, finalizers: Any = FOREIGN, **spec: Any) -> Any:
    metadata = {**DELETED, "finalizers": finalizers}
    return a_run(
        status=a_claimed_status("Running") if status is None else status, metadata=metadata, **spec
    )


def kinds(actions: tuple[Action, ...]) -> list[type[Action]]:
    return [type(action) for action in actions]


@pytest.mark.parametrize("finalizers", [FOREIGN, ["foregroundDeletion"], []])
def test_the_pod_is_deleted_with_its_version_and_held_until_it_has_ended(finalizers: Any) -> None:
    run, pod = deleted(finalizers=finalizers), a_pod(main=running())
    plan = plan_for(run, pod, seconds=6)
    assert plan.actions == (DeletePod(ref_of(pod), "2000"),)
    on_its_way = a_pod(main=running(), metadata=TERMINATING)
    plan = plan_for(run, on_its_way, seconds=6)
    assert kinds(plan.actions) == [ObserveGeneration]
    assert plan.wake_at == at(DELETED_AT + 30 + 10)


def ref_of(pod: Any) -> Any:
    return plan_for(None, pod, findings=gone(RUN_UID)).actions[0].pod  # type: ignore[union-attr]


def test_our_finalizer_outlives_the_grace_period_only_briefly() -> None:
    """The node may be gone, and a deletion must not hang on our finalizer."""
    pod = a_pod(main=running(), metadata=TERMINATING)
    assert kinds(plan_for(deleted(), pod, seconds=45).actions) == [ReleasePod]


@pytest.mark.parametrize(
    ("main", "status", "phase", "reason", "code"),
    [
        (ended(0, finished=4), {}, "Succeeded", "Completed", 0),
        (ended(0, finished=7), {}, "Succeeded", "Completed", 0),
        (ended(7, finished=4), {}, "Failed", "NonZeroExitCode", 7),
        (ended(7, finished=5), {}, "Cancelled", "TaskRunDeleted", 7),
        (ended(143, finished=7), {}, "Cancelled", "TaskRunDeleted", 143),
        (
            ended(137, finished=7, reason="ContainerStatusUnknown"),
            {},
            "Cancelled",
            "TaskRunDeleted",
            None,
        ),
        (ended(137, finished=4, reason="OOMKilled"), {}, "Failed", "OOMKilled", 137),
        (None, {}, "Cancelled", "TaskRunDeleted", None),
        (
            ended(143, finished=7),
            {"conditions": [disrupted("EvictionByEvictionAPI")]},
            "Failed",
            "Evicted",
            143,
        ),
    ],
)
def test_the_outcome_is_recorded_before_the_pod_is_released(
    main: Any, status: Any, phase: str, reason: str, code: int | None
) -> None:
    pod = a_pod(main=main, metadata=TERMINATING, **{"phase": "Failed", **status})
    if main is not None and main["terminated"]["exitCode"] == 0:
        pod["status"]["phase"] = "Succeeded"
    for finalizers in (FOREIGN, ["foregroundDeletion"], ["orphan"]):
        plan = plan_for(deleted(finalizers=finalizers), pod, seconds=9)
        assert plan.status is not None
        assert plan.actions == ()
        assert (plan.status.phase, plan.status.reason, plan.status.exit_code) == (
            phase,
            reason,
            code,
        )
        conditions = {each.type: each.status for each in plan.status.conditions or ()}
        assert conditions["Finished"] == "True"
        assert plan.status.observed_generation == 2


def test_the_released_pod_is_deleted_without_another_write() -> None:
    status = {**an_ended_status("Cancelled"), "observedGeneration": 2}
    pod = a_pod(main=ended(143), metadata=TERMINATING)
    assert kinds(plan_for(deleted(status), pod, seconds=9).actions) == [ReleasePod]
    released = a_pod(main=ended(143), metadata={**TERMINATING, "finalizers": []})
    assert plan_for(deleted(status), released, seconds=9).idle
    assert plan_for(deleted(status), seconds=10**8).idle


@pytest.mark.parametrize(
    ("status", "spec"),
    [
        ({}, {}),
        ({"phase": "Queued", "reason": "QuotaExceeded"}, {}),
        ({"phase": "Suspended"}, {"suspend": True}),
        (
            a_claimed_status(
                "BackingOff", attempts=[a_record(outcome="Failed", finishedTime=stamp(4))]
            ),
            {"backoffLimit": 3},
        ),
    ],
)
def test_a_run_without_a_pod_ends_at_once(status: Any, spec: Any) -> None:
    written = status_for(deleted(status, **spec), seconds=6)
    assert (written.phase, written.reason) == ("Cancelled", "TaskRunDeleted")
    assert written.message == "The TaskRun was deleted while no Pod of it was running"
    assert written.failure_kind == "Cancelled"


def test_a_failure_of_a_deleted_run_is_not_retried_and_the_message_names_the_deletion() -> None:
    pod = a_pod(main=ended(7, finished=4), metadata=TERMINATING, phase="Failed")
    written = status_for(deleted(backoffLimit=3), pod, seconds=9)
    assert (written.phase, written.reason, written.failed) == ("Failed", "NonZeroExitCode", 1)
    assert "the TaskRun was deleted, so no other attempt follows" in (written.message or "")


def test_a_stop_that_was_recorded_keeps_its_reason() -> None:
    attempts = [a_record(stopTime=stamp(3), reason="AttemptDeadlineExceeded")]
    run = deleted(a_claimed_status("Stopping", attempts=attempts), backoffLimit=3)
    pod = a_pod(main=ended(143, finished=7), metadata=TERMINATING)
    written = status_for(run, pod, seconds=9)
    assert (written.phase, written.reason) == ("Failed", "AttemptDeadlineExceeded")


def test_a_deleted_run_is_not_suspended_by_a_pending_suspension() -> None:
    attempts = [a_record(stopTime=stamp(3), reason="Suspended")]
    run = deleted(a_claimed_status("Stopping", attempts=attempts), suspend=True)
    pod = a_pod(main=ended(143, finished=7), metadata=TERMINATING)
    written = status_for(run, pod, seconds=9)
    assert (written.phase, written.reason) == ("Cancelled", "TaskRunDeleted")


def test_mains_verdict_is_final_when_other_containers_are_stopped() -> None:
    attempts = [a_record(stopTime=stamp(3), outcome="Succeeded", reason="Completed", exitCode=0)]
    run = deleted(a_claimed_status("Stopping", attempts=attempts))
    pod = a_pod(main=ended(0, finished=2), metadata=TERMINATING)
    assert status_for(run, pod, seconds=9).phase == "Succeeded"


def test_a_missing_pod_is_read_live_and_judged_by_its_last_known_state() -> None:
    plan = plan_for(deleted(), seconds=9)
    assert kinds(plan.actions) == [ConfirmPodGone]
    written = status_for(deleted(), seconds=9, findings=gone(pod_uid(1)))
    assert (written.phase, written.reason, written.exit_code) == (
        "Cancelled",
        "TaskRunDeleted",
        None,
    )
    last = a_pod(main=ended(0, finished=7), metadata=TERMINATING)
    written = status_for(deleted(), seconds=9, findings=gone(pod_uid(1), last))
    assert written.phase == "Succeeded"


def test_a_gated_pod_counts_as_not_started() -> None:
    run = deleted(a_claimed_status())
    assert kinds(plan_for(run, a_pod(gated=True), seconds=6).actions) == [DeletePod]
    pod = a_pod(gated=True, metadata={"deletionTimestamp": stamp(6)})
    written = status_for(run, pod, seconds=6)
    assert written.reason == "TaskRunDeleted"
    assert "before its main container started" in (written.message or "")


def test_orphaned_pods_are_left_alone() -> None:
    """The Pods continue, and their end is recorded while the TaskRun exists."""
    run = deleted(finalizers=["orphan", *FOREIGN])
    assert kinds(plan_for(run, a_pod(main=running()), seconds=6).actions) == [ReleasePod]
    orphan = a_pod(main=running(), metadata={"finalizers": [], "ownerReferences": []})
    for finalizers in (["orphan", *FOREIGN], FOREIGN):
        plan = plan_for(deleted(finalizers=finalizers), orphan, seconds=6)
        assert kinds(plan.actions) == [ObserveGeneration]
        assert plan.wake_at is None
    over = a_pod(main=ended(7, finished=8), metadata={"finalizers": [], "ownerReferences": []})
    written = status_for(deleted(), over, seconds=9)
    assert (written.phase, written.reason) == ("Failed", "NonZeroExitCode")


def test_pods_of_other_attempts_are_deleted_and_the_run_ends_when_none_runs() -> None:
    run = deleted(a_claimed_status("BackingOff", 2, attempts=[a_record(2, outcome="Failed")]))
    at_work = a_pod(number=1, main=running())
    assert kinds(plan_for(run, at_work, seconds=6).actions) == [ReleasePod]
    released = a_pod(number=1, main=running(), metadata={"finalizers": []})
    assert kinds(plan_for(run, released, seconds=6).actions) == [DeletePod]
    leaving = a_pod(number=1, main=running(), metadata={**TERMINATING, "finalizers": []})
    plan = plan_for(run, leaving, seconds=6)
    assert plan.status is None
    assert kinds(plan.actions) == [ObserveGeneration]


def test_an_unreadable_run_that_is_deleted_ends_too() -> None:
    run = deleted({"phase": "Running", "attempt": "odd"})
    assert kinds(plan_for(run, a_pod(main=running()), seconds=6).actions) == [ReleasePod]
    written = status_for(run, seconds=6)
    assert (written.phase, written.reason) == ("Failed", "InvalidTaskRun")
