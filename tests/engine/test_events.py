"""Kubernetes Events of a run: few, in order, counted, and without output of the task."""

import pytest

from tests.engine.runtime import RecordedEvent, Runtime, Task
from tests.engine.work import HELLO, POLITE, THIRD_TIME_LUCKY, exits

pytestmark = pytest.mark.of_a_cluster

SOON = {"duration": "500ms", "factor": 1}


def without_started(task: Task, last: str) -> list[RecordedEvent]:
    """Return all Events except Started, which a short task only has on a slow machine."""
    return [event for event in task.events_until(last) if event.reason != "Started"]


def counted(events: list[RecordedEvent]) -> list[tuple[str, int]]:
    return [(event.reason, event.count) for event in events]


def test_a_successful_run_has_events_for_its_pod_and_its_end(runtime: Runtime) -> None:
    task = runtime.start(HELLO)
    created, succeeded = without_started(task, "Succeeded")
    status = task.ended()
    assert (created.reason, created.count, succeeded.count) == ("PodCreated", 1, 1)
    assert created.message == f"Created Pod {status['podName']} for attempt 1"
    assert succeeded.message == status["message"]
    assert {created.pod, succeeded.pod} == {status["podUID"]}


def test_a_longer_run_has_an_event_for_its_start(runtime: Runtime) -> None:
    task = runtime.start(POLITE)
    task.reaches("Running")
    assert counted(task.events_until("Started")) == [("PodCreated", 1), ("Started", 1)]


def test_retries_are_counted_and_the_last_event_has_the_reason(runtime: Runtime) -> None:
    task = runtime.start(THIRD_TIME_LUCKY, backoffLimit=2, backoff=SOON)
    events = without_started(task, "Succeeded")
    assert counted(events) == [("PodCreated", 3), ("Retrying", 2), ("Succeeded", 1)]
    assert "NonZeroExitCode: Container main exited with code 7" in events[1].message
    assert "Attempt 2 of 3. The next attempt is due at 2" in events[1].message
    assert events[0].pod == task.status["podUID"]
    assert events[1].pod == task.status["attempts"][1]["podUID"]


def test_a_cancelled_run_has_events_for_the_stop_and_the_end(runtime: Runtime) -> None:
    task = runtime.start(POLITE)
    task.reaches("Running")
    task.cancel()
    reasons = [event.reason for event in task.events_until("Cancelled")]
    assert reasons == ["PodCreated", "Started", "Stopping", "Cancelled"]


def test_a_suspended_and_resumed_run_has_events_for_both(runtime: Runtime) -> None:
    task = runtime.start(HELLO, suspend=True)
    task.reaches("Suspended")
    task.suspend(wanted=False)
    reasons = [event.reason for event in without_started(task, "Succeeded")]
    assert reasons == ["Suspended", "Resumed", "PodCreated", "Succeeded"]


def test_the_output_of_a_task_is_in_the_status_and_in_no_event(runtime: Runtime) -> None:
    task = runtime.start(exits(3, "topsecret"))
    failed = task.events_until("Failed")[-1]
    assert "topsecret" in task.ended()["message"]
    assert failed.message.startswith("NonZeroExitCode: Container main exited with code 3")
    assert "topsecret" not in failed.message


def test_a_run_without_a_pod_has_one_event(runtime: Runtime) -> None:
    container = {"name": "main", "imgaePullPolicy": "Never"}
    task = runtime.start(HELLO, template={"spec": {"containers": [container]}})
    (failed,) = task.events_until("Failed")
    assert failed.message.startswith("InvalidPodTemplate: ")
    assert (failed.count, failed.pod) == (1, "")
