"""The Event of each change of status, with its text."""

from typing import Any

import pytest

from taskruns.api.conditions import EventReason, EventType, Phase
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.events import MAX_EVENT_BYTES, cut, events_of
from taskruns.core.plan import Event, PodRef, RefusalKind
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    ended,
    pod_uid,
    running,
    stamp,
    waiting,
)
from tests.support.decision import NOTHING_FOUND, plan_for, refused

CLAIMED = a_claimed_status()
POD = PodRef("default", CLAIMED["podName"], pod_uid(1))
QUOTA = 'pods "hello" is forbidden: exceeded quota: few'


def event_of(run: Any, *pods: Any, seconds: float = 5, findings: Any = NOTHING_FOUND) -> Event:
    """Return the single Event of the plan."""
    (event,) = plan_for(run, *pods, seconds=seconds, findings=findings).events
    assert event.at == at(seconds)
    return event


def silent(run: Any, *pods: Any, seconds: float = 5, findings: Any = NOTHING_FOUND) -> bool:
    """Return whether the plan writes a status without an Event."""
    plan = plan_for(run, *pods, seconds=seconds, findings=findings)
    assert plan.status is not None, plan
    return plan.events == ()


def stopping(reason: str, **spec: Any) -> Any:
    record = a_record(stopTime=stamp(3), reason=reason, message="The run was told so")
    status = a_claimed_status("Stopping", attempts=[record]) | {"reason": reason}
    return a_run(status=status, **spec)


def backing_off(**overrides: Any) -> Any:
    failed = a_record(finishedTime=stamp(1), outcome="Failed", exitCode=1)
    return a_claimed_status("BackingOff", attempts=[failed], failed=1, **overrides)


def test_a_claim_sends_an_event_with_pod_and_attempt() -> None:
    event = event_of(a_run(), a_pod(gated=True))
    assert event == Event(
        EventReason.POD_CREATED, f"Created Pod {POD.name} for attempt 1", POD, at(5)
    )


def test_a_running_main_sends_an_event_with_its_node() -> None:
    event = event_of(a_run(status=CLAIMED), a_pod(main=running()))
    assert event.reason is EventReason.STARTED
    assert event.message == "Container main is running on node node-1"


def test_a_success_sends_an_event_with_its_pod() -> None:
    event = event_of(a_run(status=CLAIMED), a_pod(main=ended(0)))
    assert (event.reason, event.pod) == (EventReason.SUCCEEDED, POD)
    assert event.message == "Container main completed on node node-1"


def test_a_failure_sends_an_event_with_reason_and_advice_but_no_output() -> None:
    run = a_run(status=CLAIMED)
    pod = a_pod(main=ended(3, message="the password is: Last output: 12345"))
    event = event_of(run, pod)
    assert event.reason is EventReason.FAILED
    assert event.message.startswith("NonZeroExitCode: Container main exited with code 3 on node ")
    assert "kubectl logs -n default hello-" in event.message
    status = plan_for(run, pod, seconds=5).status
    assert status is not None
    assert "password" in (status.message or "")
    assert "password" not in event.message
    assert "12345" not in event.message


def test_the_event_of_a_run_whose_main_was_judged_before_has_no_output() -> None:
    """The attempt's record holds main's last output as a part of its message."""
    record = a_record(
        stopTime=stamp(3), reason="NonZeroExitCode", outcome="Failed", exitCode=1,
        message="Container main exited with code 1. Last output: secret",
    )  # fmt: skip
    status = a_claimed_status("Stopping", attempts=[record]) | {"reason": "MainEnded"}
    event = event_of(a_run(status=status), a_pod(main=ended(1)))
    assert event.reason is EventReason.FAILED
    assert "secret" not in event.message


def test_the_event_of_a_retry_states_cause_and_time() -> None:
    event = event_of(a_run(backoffLimit=1, status=CLAIMED), a_pod(main=ended(7, message="oh no")))
    assert event.reason is EventReason.RETRYING
    assert "NonZeroExitCode: Container main exited with code 7" in event.message
    assert "Attempt 1 of 2. The next attempt is due at 2026-01-01T12:00:" in event.message
    assert "oh no" not in event.message


def test_an_exceeded_quota_sends_an_event_with_the_apiservers_message_and_no_pod() -> None:
    status = backing_off()
    event = event_of(
        a_run(backoffLimit=1, status=status),
        seconds=60,
        findings=refused(RefusalKind.QUOTA_EXCEEDED, QUOTA),
    )
    assert event == Event(EventReason.BLOCKED, f"QuotaExceeded: {QUOTA}", None, at(60))


def test_a_missing_service_account_sends_an_event() -> None:
    findings = refused(RefusalKind.NO_SERVICE_ACCOUNT, "it is not there")
    event = event_of(a_run(), seconds=0, findings=findings)
    assert event.reason is EventReason.BLOCKED
    assert event.message == "ServiceAccountNotFound: it is not there"


def test_waiting_for_the_same_quota_sends_no_second_event() -> None:
    status = {"phase": "Queued", "reason": "QuotaExceeded", "message": QUOTA, "startTime": stamp(0)}
    plan = plan_for(a_run(status=status), findings=refused(RefusalKind.QUOTA_EXCEEDED, QUOTA))
    assert plan.idle
    assert plan.events == ()


def test_another_gate_sends_an_event_with_its_name() -> None:
    pod = a_pod(gated=True)
    pod["spec"]["schedulingGates"] = [{"name": "example.com/gate"}]
    event = event_of(a_run(status=CLAIMED), pod)
    assert (event.reason, event.pod) == (EventReason.GATED, POD)
    assert "example.com/gate" in event.message


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_deleted_pod_that_does_not_end_sends_overdue(phase: str) -> None:
    pod = a_pod(main=running(), metadata={"deletionTimestamp": stamp(3)})
    event = event_of(a_run(status=a_claimed_status(phase)), pod, seconds=13)
    assert (event.reason, event.pod) == (EventReason.OVERDUE, POD)
    assert event.message.startswith(
        "PodDeleted: The Pod was deleted and due to end by 2026-01-01T12:00:03Z, but"
    )


@pytest.mark.parametrize("kubelet", ["ErrImagePull", "CreateContainerConfigError"])
def test_a_container_that_cannot_start_sends_an_event_and_its_recovery_sends_none(
    kubelet: str,
) -> None:
    event = event_of(a_run(status=CLAIMED), a_pod(main=waiting(kubelet, "no such thing")))
    assert event.reason is EventReason.CANNOT_START
    assert "Container main cannot start: no such thing" in event.message
    record = a_record(reason="ImagePullFailed", troubleTime=stamp(2))
    troubled = a_claimed_status(attempts=[record]) | {"reason": "ImagePullFailed"}
    assert silent(a_run(status=troubled), a_pod(main=waiting("ContainerCreating")))


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"cancel": True}, "The run was cancelled"),
        ({"suspend": True}, "The run was suspended"),
        ({"activeDeadlineSeconds": 4}, "The run passed activeDeadlineSeconds"),
        ({"attemptDeadlineSeconds": 2}, "The attempt passed attemptDeadlineSeconds"),
    ],
)
def test_a_stop_sends_an_event_with_its_cause(spec: Any, cause: str) -> None:
    event = event_of(a_run(status=CLAIMED, **spec), a_pod(main=running()))
    assert (event.reason, event.message, event.pod) == (EventReason.STOPPING, cause, POD)


def unschedulable(message: str) -> Any:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return a_pod(node="", conditions=[condition | {"message": message}])


def test_an_unschedulable_pod_sends_an_event_with_the_schedulers_message() -> None:
    event = event_of(a_run(status=CLAIMED), unschedulable("0/1 nodes are available: no room"))
    assert event.reason is EventReason.CANNOT_START
    assert event.message.startswith("Unschedulable: ")
    assert event.message.endswith("0/1 nodes are available: no room")


def test_a_new_scheduler_message_sends_an_event_and_a_repeated_one_sends_none() -> None:
    first = plan_for(a_run(status=CLAIMED), unschedulable("no room"), seconds=5).status
    assert first is not None
    run = a_run(status=first.to_json())
    assert "a taint" in event_of(run, unschedulable("a taint")).message
    assert plan_for(run, unschedulable("no room"), seconds=6).events == ()


def test_a_schedule_timeout_sends_an_event() -> None:
    event = event_of(a_run(scheduleTimeoutSeconds=3, status=CLAIMED), unschedulable("no room"))
    assert event.reason is EventReason.STOPPING
    assert event.message.endswith("scheduleTimeoutSeconds: no room")


def test_stopping_containers_after_main_sends_only_the_final_event() -> None:
    pod = a_pod(main=ended(0), phase="Running")
    pod["spec"]["containers"].append({"name": "log", "image": "busybox:1"})
    pod["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "main"}
    assert silent(a_run(status=CLAIMED), pod)


@pytest.mark.parametrize(
    ("run", "pods", "reason"),
    [
        (stopping("Cancelled", cancel=True), [a_pod(main=ended(143))], EventReason.CANCELLED),
        (stopping("Suspended", suspend=True), [a_pod(main=ended(143))], EventReason.SUSPENDED),
        (stopping("DeadlineExceeded"), [a_pod(main=ended(143))], EventReason.FAILED),
        (a_run(cancel=True), [], EventReason.CANCELLED),
        (a_run(suspend=True), [], EventReason.SUSPENDED),
        (a_run(status={"phase": "Suspended"}), [], EventReason.RESUMED),
        (a_run(status={"phase": "Running"}), [], EventReason.FAILED),
        (a_run(backoff="odd"), [], EventReason.FAILED),
    ],
)
def test_every_other_transition_sends_an_event(
    run: Any, pods: list[Any], reason: EventReason
) -> None:
    assert event_of(run, *pods).reason is reason


def test_a_resumed_run_that_backs_off_sends_resumed_without_a_pod() -> None:
    status = backing_off() | {"phase": "Suspended", "reason": "Suspended"}
    waits = {"duration": "60s", "factor": 1}
    event = event_of(a_run(backoffLimit=3, backoff=waits, status=status))
    assert (event.reason, event.pod) == (EventReason.RESUMED, None)


def test_the_event_of_a_second_attempt_names_its_own_pod() -> None:
    run = a_run(backoffLimit=1, status=backing_off())
    event = event_of(run, a_pod(number=2, gated=True), seconds=60)
    assert event.pod is not None
    assert event.pod.uid == pod_uid(2)
    assert "attempt 2" in event.message


def test_a_run_that_ends_without_a_pod_has_a_reason_in_its_event() -> None:
    findings = refused(RefusalKind.INVALID, "unknown field spec.oops")
    event = event_of(a_run(), findings=findings)
    assert (event.reason, event.pod) == (EventReason.FAILED, None)
    assert event.message.startswith("InvalidPodTemplate: unknown field spec.oops")


@pytest.mark.parametrize("phase", [phase for phase in Phase if not phase.terminal])
def test_an_unchanged_status_sends_no_event(phase: Phase) -> None:
    status = {"phase": phase, "reason": "QuotaExceeded", "message": "so it is", "attempt": 1}
    run = TaskRun.model_validate(a_run(status=status))
    after = run.status.model_copy(update={"observed_generation": 2})
    assert events_of(run, after, at(5)) == ()


def test_without_a_status_there_is_no_event() -> None:
    assert plan_for(a_run(), seconds=5).events == ()


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
def test_a_message_is_cut_between_characters(letter: str) -> None:
    shortened = cut(letter * 2000)
    assert MAX_EVENT_BYTES - 4 < len(shortened.encode()) <= MAX_EVENT_BYTES
    assert set(shortened) == {letter}


def test_a_long_refusal_is_cut_and_stays_one_line() -> None:
    event = event_of(a_run(), findings=refused(RefusalKind.INVALID, "so\nlong " * 1000))
    assert len(event.message.encode()) == MAX_EVENT_BYTES
    assert "\n" not in event.message


def test_every_end_sends_an_event() -> None:
    assert {reason.value for reason in EventReason} >= {p.value for p in Phase if p.terminal}
    assert EventReason.FAILED.type is EventType.WARNING
