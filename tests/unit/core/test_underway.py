"""Rules for a claimed Pod that exists and has not ended (rules/underway.py)."""

from typing import Any

import pytest

from taskruns.core.plan import DeletePod, Plan, PodRef, ReleaseGate, StopPod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    container_status,
    ended,
    pod_uid,
    running,
    stamp,
)
from tests.support.decision import plan_for, status_for


def claimed(phase: str = "Pending", *, status: dict[str, Any] | None = None, **spec: Any) -> Any:
    return a_run(status=a_claimed_status(phase, **(status or {})), **spec)


def stopping(reason: str = "Cancelled") -> Any:
    record = a_record(stopTime=stamp(5), reason=reason)
    return claimed("Stopping", status={"attempts": [record]}, cancel=True)


def test_a_claimed_pod_loses_its_gate() -> None:
    pod = a_pod(gated=True)
    plan = plan_for(claimed(), pod)
    assert plan.actions == (ReleaseGate(PodRef("default", pod["metadata"]["name"], pod_uid(1))),)
    assert plan.status is None


def test_a_short_run_is_never_shown_as_running() -> None:
    plan = plan_for(claimed(), a_pod(main=running(since=2)), seconds=3.9)
    assert plan.idle
    assert plan.wake_at == at(4)


def test_a_longer_run_is_reported_as_running() -> None:
    written = status_for(claimed(), a_pod(main=running(since=2)), seconds=4)
    assert (written.phase, written.reason) == ("Running", "MainRunning")
    assert "main" in (written.message or "")
    (record,) = written.attempts or []
    assert (record.node_name, record.started_time, record.scheduled_time) == (
        "node-1",
        at(2),
        at(1),
    )


def test_a_run_that_is_shown_as_running_is_left_alone() -> None:
    plan = plan_for(claimed("Running"), a_pod(main=running()), seconds=100)
    assert plan.idle
    assert plan.wake_at is None


def test_an_overdue_pod_is_reported_once() -> None:
    """The node may be lost; then the controller waits for it without limit."""
    pod = a_pod(main=running(), metadata={"deletionTimestamp": stamp(30)})
    assert plan_for(claimed("Running"), pod, seconds=39).wake_at == at(40)
    status = status_for(claimed("Running"), pod, seconds=40)
    assert (status.phase, status.reason) == ("Running", "PodDeleted")
    assert all(
        word in (status.message or "") for word in ("12:00:30", "kubectl delete node node-1")
    )
    shown = claimed("Running", status={"reason": "PodDeleted"})
    assert plan_for(shown, pod, seconds=50) == Plan()
    unstarted = claimed("Pending", status={"reason": "PodDeleted"})
    unstarted_pod = a_pod(metadata={"deletionTimestamp": stamp(30)})
    assert plan_for(unstarted, unstarted_pod, seconds=50).idle


def test_an_overdue_pod_whose_main_has_ended_is_reported_too() -> None:
    """The kubelet was ending a native sidecar when its node was lost."""
    metadata = {"deletionTimestamp": stamp(30)}
    pod = a_pod(main=ended(0), phase="Running", metadata=metadata)
    run = claimed("Running", cancel=True)
    assert plan_for(run, pod, seconds=39) == Plan(wake_at=at(40))
    status = status_for(run, pod, seconds=40)
    assert (status.phase, status.reason) == ("Running", "PodDeleted")
    assert plan_for(claimed("Running", status={"reason": "PodDeleted"}), pod, seconds=50) == Plan()


@pytest.mark.parametrize("pod", [a_pod(gated=True), a_pod(), a_pod(main=running())])
def test_cancel_is_recorded_before_anything_is_stopped(pod: Any) -> None:
    plan = plan_for(claimed(cancel=True), pod, seconds=5)
    assert plan.actions == ()
    assert plan.status is not None
    assert (plan.status.phase, plan.status.reason) == ("Stopping", "Cancelled")
    (record,) = plan.status.attempts or []
    assert (record.stop_time, record.reason) == (at(5), "Cancelled")


def test_the_deadline_of_the_run_stops_the_pod() -> None:
    run = claimed("Running", activeDeadlineSeconds=30)
    before = plan_for(run, a_pod(main=running()), seconds=29)
    assert before.idle
    assert before.wake_at == at(30)
    written = status_for(run, a_pod(main=running()), seconds=30)
    assert (written.phase, written.reason) == ("Stopping", "DeadlineExceeded")


def test_the_deadline_of_an_attempt_counts_from_the_start_of_main() -> None:
    run = claimed("Running", attemptDeadlineSeconds=10)
    before = plan_for(run, a_pod(main=running(since=7)), seconds=16)
    assert before.idle
    assert before.wake_at == at(17)
    written = status_for(run, a_pod(main=running(since=7)), seconds=17)
    assert (written.phase, written.reason) == ("Stopping", "AttemptDeadlineExceeded")


@pytest.mark.guarantee(
    "`attemptDeadlineSeconds` counts from main's start; an attempt that exceeds it is retried "
    "within `backoffLimit`"
)
def test_the_deadline_of_an_attempt_does_not_count_before_main_starts() -> None:
    plan = plan_for(claimed(attemptDeadlineSeconds=10), a_pod(), seconds=500)
    assert plan.idle
    assert plan.wake_at == at(601), "the site's time to start"


def test_a_recorded_stop_stops_a_pod_that_has_a_node() -> None:
    (action,) = plan_for(stopping(), a_pod(main=running()), seconds=6).actions
    assert isinstance(action, StopPod)


def test_a_stop_is_requested_once() -> None:
    pod = a_pod(main=running())
    pod["spec"]["activeDeadlineSeconds"] = 1
    assert plan_for(stopping(), pod, seconds=6).idle


def test_a_recorded_stop_deletes_a_pod_without_a_node() -> None:
    (action,) = plan_for(stopping(), a_pod(gated=True), seconds=6).actions
    assert isinstance(action, DeletePod)


def test_a_stop_does_not_release_the_gate() -> None:
    plan = plan_for(claimed(cancel=True), a_pod(gated=True))
    assert not any(isinstance(action, ReleaseGate) for action in plan.actions)


@pytest.mark.parametrize(
    ("code", "outcome", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "NonZeroExitCode")]
)
def test_mains_verdict_is_final_while_other_containers_run(
    code: int, outcome: str, reason: str
) -> None:
    statuses = [container_status("main", ended(code)), container_status("log", running())]
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log", "image": "busybox:1"}]}}
    run = claimed(template=template)
    pod = a_pod(run, phase="Running", containerStatuses=statuses)
    written = status_for(run, pod, seconds=5)
    assert (written.phase, written.reason) == ("Stopping", "MainEnded")
    assert "log" in (written.message or "")
    (record,) = written.attempts or []
    assert (record.outcome, record.reason, record.exit_code) == (outcome, reason, code)


def test_containers_that_have_ended_with_main_need_no_stop() -> None:
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log", "image": "busybox:1"}]}}
    run = claimed(template=template)
    statuses = [container_status("main", ended(3)), container_status("log", ended(0))]
    assert plan_for(run, a_pod(run, phase="Running", containerStatuses=statuses), seconds=5).idle


def test_other_containers_are_stopped_once_and_their_pod_is_kept_held() -> None:
    record = a_record(stopTime=stamp(5), outcome="Succeeded", reason="Completed", exitCode=0)
    run = claimed("Stopping", status={"attempts": [record]})
    statuses = [container_status("main", ended(0)), container_status("log", running())]
    pod = a_pod(run, phase="Running", containerStatuses=statuses)
    (action,) = plan_for(run, pod, seconds=5).actions
    assert isinstance(action, StopPod)


def test_nothing_is_stopped_if_main_was_the_only_container() -> None:
    """The kubelet is about to report the Pod's end, which has more information."""
    plan = plan_for(claimed(cancel=True), a_pod(main=ended(0), phase="Running"), seconds=5)
    assert plan.idle
