"""Starts that cannot succeed, and the limit of each (design.md, Deadlines and delays)."""

from typing import Any

import pytest

from taskruns.core.defaults import SiteDefaults
from taskruns.core.plan import Findings, PodRef, ReadPodEvents
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
    waiting,
)
from tests.support.decision import plan_for, status_for

NO_NODE = [
    {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu.",
    }
]


def claimed(*, status: Any = None, **spec: Any) -> Any:
    return a_run(status=a_claimed_status(**(status or {})), **spec)


def noted(run_reason: str, since: float, **spec: Any) -> Any:
    """Return a run whose start-up trouble is in its record."""
    record = a_record(reason=run_reason, troubleTime=stamp(since))
    return claimed(status={"attempts": [record], "reason": run_reason}, **spec)


def troubled(reason: str, message: str = "no such thing") -> Any:
    return a_pod(main=waiting(reason, message))


@pytest.mark.parametrize(
    ("word", "reason", "patience"),
    [
        ("ErrImagePull", "ImagePullFailed", 60),
        ("ImagePullBackOff", "ImagePullFailed", 60),
        ("ErrImageNeverPull", "ImagePullFailed", 60),
        ("CreateContainerConfigError", "ContainerConfigError", 30),
        ("CreateContainerError", "ContainerConfigError", 30),
    ],
)
def test_a_start_up_failure_is_written_once_and_ends_the_run_after_its_time_limit(
    word: str, reason: str, patience: int
) -> None:
    written = status_for(claimed(), troubled(word), seconds=5)
    assert (written.phase, written.reason) == ("Pending", reason)
    assert written.message == (
        "Container main cannot start: no such thing. "
        f"The start is retried until {stamp(5 + patience)}"
    )
    waits = plan_for(noted(reason, 5), troubled(word), seconds=4 + patience)
    assert waits.idle
    assert waits.wake_at == at(5 + patience)
    written = status_for(noted(reason, 5), troubled(word), seconds=5 + patience)
    assert (written.phase, written.reason) == ("Stopping", reason)
    assert (written.attempts or [])[0].stop_time == at(5 + patience)


def test_a_failed_start_is_reported_with_node_and_advice() -> None:
    """The record of an attempt keeps only the beginning of a long message."""
    problem = "Container main cannot start: no " + "very " * 60 + "such thing."
    record = a_record(stopTime=stamp(65), reason="ImagePullFailed", message=problem[:256])
    run = claimed(status={"phase": "Stopping", "attempts": [record], "message": problem})
    pod = a_pod(phase="Failed", reason="DeadlineExceeded")
    message = status_for(run, pod, seconds=70).message or ""
    assert f"{problem.rstrip('.')} (node node-1). Check the image's name" in message


QPS = "pull QPS exceeded"
MISSING = "docker.io/library/x:1: not found"
BACK_OFF = 'Back-off pulling image "x:1"'


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("ErrImagePull", QPS),
        ("ImagePullBackOff", f"{BACK_OFF}: ErrImagePull: {QPS}"),
        ("RegistryUnavailable", "image pull failed for x because the registry is unavailable"),
        ("ImageInspectError", 'Failed to inspect image "": rpc error: code = Unknown'),
        ("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for it"),
        ("CreateContainerError", "context deadline exceeded"),
    ],
)
def test_a_transient_error_is_retried_until_the_start_up_timeout(word: str, message: str) -> None:
    written = status_for(claimed(), troubled(word, message), seconds=5)
    assert (written.phase, written.reason, written.failure_kind) == (
        "Pending",
        "StartDelayed",
        None,
    )
    assert (written.message or "").endswith(f"The start is retried until {stamp(601)}")
    run = noted("StartDelayed", 5)
    waits = plan_for(run, troubled(word, message), seconds=600)
    assert waits.idle
    assert waits.wake_at == at(601)
    written = status_for(run, troubled(word, message), seconds=601)
    assert (written.phase, written.reason) == ("Stopping", "StartupTimeout")
    assert message.removeprefix(f"{BACK_OFF}: ErrImagePull: ") in (written.message or "")


def follow(*steps: tuple[float, str, str]) -> Any:
    """Apply the kubelet's reports at these seconds; return the last status."""
    run = claimed()
    for seconds, word, message in steps:
        plan = plan_for(run, troubled(word, message), seconds=seconds)
        if plan.status is not None:
            run = a_run(status=plan.status.to_json())
    return run["status"]


@pytest.mark.parametrize("repeated", [": ErrImagePull: {}", ""])
@pytest.mark.parametrize(
    ("error", "reason", "phase"),
    [(QPS, "StartDelayed", "Pending"), (MISSING, "ImagePullFailed", "Stopping")],
)
def test_a_back_off_keeps_the_class_of_the_last_error(
    repeated: str, error: str, reason: str, phase: str
) -> None:
    back_off = BACK_OFF + repeated.format(error)
    pulls = [(second, "ErrImagePull", error) for second in (5, 25, 55)]
    waits = [(second + 5, "ImagePullBackOff", back_off) for second in (5, 25, 60)]
    status = follow(*sorted([*pulls, *waits]))
    assert (status["phase"], status["reason"]) == (phase, reason)


def test_the_time_limit_of_a_permanent_error_begins_with_it() -> None:
    steps = [(5, "ErrImagePull", QPS), (50, "ImagePullBackOff", BACK_OFF)]
    status = follow(*steps, (100, "ErrImagePull", MISSING), (159, "ImagePullBackOff", BACK_OFF))
    assert (status["phase"], status["reason"]) == ("Pending", "ImagePullFailed")
    assert status["attempts"][0]["troubleTime"] == stamp(100)
    steps += [(100, "ErrImagePull", MISSING), (160, "ImagePullBackOff", BACK_OFF)]
    assert follow(*steps)["phase"] == "Stopping"


def test_a_transient_error_resets_the_time_limit_of_a_permanent_one() -> None:
    steps = [(5, "ErrImagePull", MISSING), (40, "ErrImagePull", QPS), (70, "ErrImagePull", MISSING)]
    assert follow(*steps)["phase"] == "Pending"


def test_a_permanent_error_is_not_hidden_by_a_transient_one() -> None:
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log", "image": "busybox:1"}]}}
    shown = [
        container_status("main", waiting("ErrImagePull", QPS)),
        container_status("log", waiting("ErrImagePull", "no")),
    ]
    pod = a_pod(a_run(template=template), containerStatuses=shown, phase="Pending")
    assert status_for(claimed(template=template), pod, seconds=5).reason == "ImagePullFailed"


def test_an_invalid_image_name_fails_at_once() -> None:
    written = status_for(claimed(), troubled("InvalidImageName"), seconds=5)
    assert (written.phase, written.reason) == ("Stopping", "ImagePullFailed")


def test_another_start_up_failure_has_its_own_time_limit() -> None:
    run = noted("ContainerConfigError", 5)
    written = status_for(run, troubled("ErrImagePull"), seconds=40)
    assert (written.phase, written.reason) == ("Pending", "ImagePullFailed")
    assert (written.attempts or [])[0].trouble_time == at(40)


def test_a_start_up_failure_that_is_over_is_cleared() -> None:
    run = noted("ContainerConfigError", 5)
    written = status_for(run, troubled("ContainerCreating"), seconds=9)
    assert (written.phase, written.reason) == ("Pending", "WaitingToStart")
    (record,) = written.attempts or []
    assert (record.reason, record.trouble_time) == (None, None)


def test_a_start_up_failure_is_cleared_with_phase_running() -> None:
    run = noted("ContainerConfigError", 5)
    assert plan_for(run, a_pod(main=running(since=9)), seconds=10).idle
    (record,) = status_for(run, a_pod(main=running(since=9)), seconds=11).attempts or []
    assert (record.reason, record.trouble_time) == (None, None)


def test_a_container_that_cannot_start_beside_a_running_main_is_ignored() -> None:
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log", "image": "busybox:1"}]}}
    statuses = [
        container_status("main", running()),
        container_status("log", waiting("ErrImagePull")),
    ]
    pod = a_pod(a_run(template=template), containerStatuses=statuses, phase="Pending")
    assert plan_for(claimed(template=template), pod, seconds=3).idle


def test_an_init_container_that_cannot_start_is_a_start_up_failure() -> None:
    template = {"spec": {"initContainers": [{"name": "prepare", "image": "x"}]}}
    init = [container_status("prepare", waiting("ErrImagePull", "not found"))]
    pod = a_pod(a_run(template=template), initContainerStatuses=init)
    written = status_for(claimed(template=template), pod, seconds=5)
    assert "Container prepare cannot start: not found" in (written.message or "")


@pytest.mark.guarantee(
    "`startupTimeoutSeconds` counts from when the Pod has a node; the message has a cause that "
    "only the Pod's Events contain"
)
@pytest.mark.parametrize(("own", "seconds"), [({}, 21), ({"startupTimeoutSeconds": 7}, 8)])
def test_the_start_up_timeout_counts_from_scheduling(own: Any, seconds: int) -> None:
    site = SiteDefaults(startup_timeout_seconds=20)
    before = plan_for(claimed(**own), a_pod(), seconds=seconds - 1, site=site)
    assert before.idle
    assert before.wake_at == at(seconds)
    plan = plan_for(claimed(**own), a_pod(), seconds=seconds, site=site)
    name = a_pod()["metadata"]["name"]
    assert plan.actions == (ReadPodEvents(PodRef("default", name, pod_uid(1))),)


@pytest.mark.parametrize(
    ("events", "details"), [((), "startupTimeoutSeconds"), (("old", "no mount"), ": no mount")]
)
def test_a_start_up_timeout_is_explained_by_the_last_event(
    events: tuple[str, ...], details: str
) -> None:
    findings = Findings(events={pod_uid(1): events})
    written = status_for(claimed(), a_pod(), seconds=601, findings=findings)
    assert (written.phase, written.reason) == ("Stopping", "StartupTimeout")
    assert (written.message or "").endswith(details)


def test_a_known_start_up_failure_is_reported_without_reading_events() -> None:
    run = noted("ImagePullFailed", 5, startupTimeoutSeconds=9)
    written = status_for(run, troubled("ErrImagePull", "not found"), seconds=10)
    assert written.reason == "StartupTimeout"
    assert "not found" in (written.message or "")


def test_the_start_up_timeout_applies_only_between_scheduling_and_start() -> None:
    assert plan_for(claimed(), a_pod(node=""), seconds=9999).idle
    shown = claimed(status={"phase": "Running"})
    assert plan_for(shown, a_pod(main=running()), seconds=9999).idle


@pytest.mark.guarantee(
    "`scheduleTimeoutSeconds` counts from when the attempt was due; other clients' scheduling "
    "gates and full quotas count"
)
def test_the_schedule_timeout_counts_from_the_due_time() -> None:
    run = claimed(scheduleTimeoutSeconds=30)
    before = plan_for(run, a_pod(node=""), seconds=29)
    assert before.wake_at == at(30)
    written = status_for(run, a_pod(node="", conditions=NO_NODE), seconds=30)
    assert (written.phase, written.reason) == ("Stopping", "ScheduleTimeout")
    assert "3 Insufficient cpu" in (written.message or "")
    assert plan_for(run, a_pod(), seconds=30).status is None


def test_the_schedule_timeout_of_a_retry_counts_from_its_own_due_time() -> None:
    failed = a_record(1, finishedTime=stamp(100), outcome="Failed")
    status = a_claimed_status(number=2, attempts=[failed, a_record(2)], failed=1)
    run = a_run(
        scheduleTimeoutSeconds=30,
        backoffLimit=1,
        backoff={"duration": "10s", "factor": 1},
        status=status,
    )
    wake_at = plan_for(run, a_pod(run, 2, node=""), seconds=115).wake_at
    assert wake_at is not None
    assert at(140) <= wake_at <= at(141)


def test_an_attempt_past_its_schedule_timeout_is_not_released() -> None:
    plan = plan_for(claimed(scheduleTimeoutSeconds=5), a_pod(gated=True), seconds=5)
    assert plan.actions == ()
    assert plan.status is not None
    assert plan.status.reason == "ScheduleTimeout"


def without_node(sentence: str) -> Any:
    return a_pod(node="", conditions=[{**NO_NODE[0], "message": sentence}])


def test_the_schedulers_message_is_written_to_the_status() -> None:
    written = status_for(claimed(), without_node("0/3 nodes are available: 3 Insufficient cpu."))
    assert (written.phase, written.reason) == ("Pending", "Unschedulable")
    assert "0/3 nodes are available: 3 Insufficient cpu." in (written.message or "")
    assert (written.failure_kind, (written.attempts or [])[0].reason) == (None, None)
    after = a_run(status=written.to_json())
    shown = status_for(after, a_pod(), seconds=9)
    assert (shown.phase, shown.reason) == ("Pending", "WaitingToStart")


@pytest.mark.parametrize(
    ("sentence", "writes"),
    [
        ("0/5 nodes are available: 2 Insufficient cpu, 3 node(s) didn't match.", 0),
        ("0/5 nodes are available: 4 node(s) didn't match, 1 Insufficient cpu.", False),
        ("0/5 nodes are available: 5 Insufficient cpu.", 1),
        ("0/5 nodes are available: 2 Insufficient memory, 3 node(s) didn't match.", 1),
    ],
)
def test_the_schedulers_message_is_rewritten_only_for_another_cause(
    sentence: str, writes: int
) -> None:
    first = "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match."
    before = a_run(status=status_for(claimed(), without_node(first)).to_json())
    plan = plan_for(before, without_node(sentence), seconds=9)
    assert (plan.status is not None) == (writes == 1)
    assert plan.status is None or sentence in (plan.status.message or "")


def test_the_removal_of_one_of_two_gates_is_written() -> None:
    pod = gated_pod()
    pod["spec"]["schedulingGates"].append({"name": "example.test/other"})
    before = a_run(status=status_for(claimed(), pod).to_json())
    assert plan_for(before, pod, seconds=9).idle
    assert "example.test" not in (status_for(before, gated_pod(), seconds=9).message or "")


def test_a_run_that_is_shown_as_running_is_never_shown_as_waiting() -> None:
    assert plan_for(claimed(status={"phase": "Running"}), a_pod(), seconds=9).status is None


def gated_pod() -> Any:
    pod = a_pod(gated=True)
    pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    return pod


def test_another_controllers_gate_is_shown_as_queued() -> None:
    written = status_for(claimed(), gated_pod(), seconds=3)
    assert (written.phase, written.reason) == ("Queued", "SchedulingGated")
    assert "kueue.x-k8s.io/admission" in (written.message or "")
    after = a_run(status=written.to_json())
    assert plan_for(after, gated_pod(), seconds=9).idle
    for released in (a_pod(node=""), a_pod()):
        shown = status_for(after, released, seconds=9)
        assert (shown.phase, shown.reason) == ("Pending", "WaitingToStart")


def test_another_controllers_gate_counts_for_the_schedule_timeout_and_is_reported() -> None:
    written = status_for(claimed(scheduleTimeoutSeconds=5), gated_pod(), seconds=5)
    assert written.reason == "ScheduleTimeout"
    assert "kueue.x-k8s.io/admission" in (written.message or "")


def test_a_sidecar_killed_with_a_failed_init_container_is_not_the_cause() -> None:
    inits = [
        {"name": "proxy", "image": "busybox:1", "restartPolicy": "Always"},
        {"name": "prepare", "image": "busybox:1"},
    ]
    template = {"spec": {"initContainers": inits}}
    states = [container_status("proxy", ended(137)), container_status("prepare", ended(5))]
    pod = a_pod(a_run(template=template), phase="Failed", initContainerStatuses=states)
    written = status_for(claimed(template=template), pod, seconds=9)
    assert written.reason == "InitContainerFailed"
    assert "prepare exited with code 5" in (written.message or "")
