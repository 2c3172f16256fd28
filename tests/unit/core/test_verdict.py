"""The table of design.md, Verdict: the verdict on each end of a Pod."""

from typing import Any

import pytest

from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    container_status,
    disrupted,
    ended,
    running,
    stamp,
    waiting,
)
from tests.support.decision import gone, status_for

Status = Any


def judged(pod: Any, record: dict[str, Any] | None = None, seconds: float = 20) -> Status:
    """Return the status written for an ended Pod, and its only attempt's record."""
    phase = "Stopping" if record else "Running"
    status = a_claimed_status(phase, attempts=[a_record(**(record or {}))])
    return status_for(a_run(status=status), pod, seconds=seconds)


def stopped(reason: str, stop: float = 5) -> dict[str, Any]:
    return {"stopTime": stamp(stop), "reason": reason}


def summarize(pod: Status) -> tuple[Any, ...]:
    (record,) = pod.attempts
    return pod.phase, pod.reason, record.outcome, pod.exit_code


def unknown() -> dict[str, Any]:
    """Return the state that the kubelet invents for a container that it has lost."""
    state = ended(137, reason="ContainerStatusUnknown", started=None)
    return {"terminated": {**state["terminated"], "finishedAt": None}}


# ---------------------------------------------------------------- main ended with exit code 0


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(main=ended(0)),
        a_pod(main=ended(0), phase="Failed"),
        a_pod(main=ended(0), phase="Failed", reason="Evicted"),
        a_pod(main=ended(0), metadata={"deletionTimestamp": stamp(3)}),
        a_pod(main=ended(0), phase="Failed", conditions=[disrupted("EvictionByEvictionAPI")]),
        a_pod(main=ended(0), phase="Failed", reason="DeadlineExceeded"),
        a_pod(phase="Succeeded"),
    ],
)
def test_a_success_stays_a_success_after_later_events(pod: Any) -> None:
    phase, reason, outcome, _ = summarize(judged(pod))
    assert (phase, reason, outcome) == ("Succeeded", "Completed", "Succeeded")


def test_a_success_before_the_recorded_stop_is_a_success() -> None:
    pod = a_pod(main=ended(0, finished=4))
    assert summarize(judged(pod, stopped("Cancelled")))[0] == "Succeeded"


def test_a_success_after_the_stop_was_recorded_is_a_stop() -> None:
    pod = a_pod(main=ended(0, finished=6))
    assert summarize(judged(pod, stopped("Cancelled"))) == ("Cancelled", "Cancelled", "Stopped", 0)


def test_within_one_second_the_stop_counts_as_the_earlier() -> None:
    pod = a_pod(main=ended(0, finished=5))
    assert summarize(judged(pod, stopped("Cancelled")))[0] == "Cancelled"


# ---------------------------------------------------------------- stopped by the controller


@pytest.mark.parametrize(
    ("reason", "phase", "outcome", "kind"),
    [
        ("Cancelled", "Cancelled", "Stopped", "Cancelled"),
        ("DeadlineExceeded", "Failed", "Stopped", "Timeout"),
        ("AttemptDeadlineExceeded", "Failed", "Failed", "Timeout"),
    ],
)
@pytest.mark.parametrize("code", [0, 137, 143])
def test_a_stop_is_judged_by_its_recorded_reason_and_keeps_the_exit_code(
    reason: str, phase: str, outcome: str, kind: str, code: int
) -> None:
    pod = a_pod(main=ended(code, finished=8), phase="Failed", reason="DeadlineExceeded")
    status = judged(pod, stopped(reason))
    assert summarize(status) == (phase, reason, outcome, code)
    assert status.failure_kind == kind
    assert f"code {code}" in status.message


def test_a_failure_before_the_recorded_stop_is_the_applications() -> None:
    pod = a_pod(main=ended(3, finished=4))
    assert summarize(judged(pod, stopped("Cancelled"))) == (
        "Failed",
        "NonZeroExitCode",
        "Failed",
        3,
    )


def test_a_stop_without_a_verdict_does_not_judge_main() -> None:
    pod = a_pod(main=ended(3, finished=6), phase="Failed")
    assert summarize(judged(pod, stopped("MainEnded")))[1:] == ("NonZeroExitCode", "Failed", 3)


def test_a_stop_before_main_started_has_no_exit_code() -> None:
    pod = a_pod(node="", metadata={"deletionTimestamp": stamp(6)})
    assert summarize(judged(pod, stopped("Cancelled"))) == (
        "Cancelled",
        "Cancelled",
        "Stopped",
        None,
    )


def test_a_stop_before_main_started_has_no_made_up_exit_code() -> None:
    pod = a_pod(main=unknown(), phase="Failed", reason="DeadlineExceeded")
    status = judged(pod, stopped("Cancelled"))
    assert summarize(status) == ("Cancelled", "Cancelled", "Stopped", None)
    assert "137" not in status.message


def test_the_deadline_of_the_templates_own_pod_spec_is_an_attempts_deadline() -> None:
    pod = a_pod(main=ended(137), phase="Failed", reason="DeadlineExceeded")
    assert summarize(judged(pod)) == ("Failed", "AttemptDeadlineExceeded", "Failed", 137)


# ---------------------------------------------------------------- main never started


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (a_pod(phase="Failed", reason="Evicted"), "Evicted"),
        (a_pod(phase="Failed", reason="Preempting"), "Preempted"),
        (a_pod(phase="Failed", reason="NodeShutdown"), "NodeLost"),
        (a_pod(phase="Failed", reason="Terminated"), "NodeLost"),
        (a_pod(phase="Failed", conditions=[disrupted("PreemptionByScheduler")]), "Preempted"),
        (a_pod(phase="Failed", conditions=[disrupted("DeletionByTaintManager")]), "NodeLost"),
        (a_pod(phase="Failed", conditions=[disrupted("SomethingNew")]), "Evicted"),
        (a_pod(node="", metadata={"deletionTimestamp": stamp(3)}), "PodDeleted"),
        (a_pod(main=waiting("PodInitializing"), phase="Failed", reason="Evicted"), "Evicted"),
        (a_pod(main=unknown(), phase="Failed"), "FinalStateUnknown"),
        (
            a_pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough"),
            "PodRejected",
        ),
    ],
)
def test_a_pod_that_ended_before_main_started_is_replaced(pod: Any, reason: str) -> None:
    status = judged(pod)
    assert summarize(status) == ("BackingOff", reason, "Replaced", None)
    assert (status.failed, status.disrupted) == (0, 0)


def test_the_epoch_as_start_means_that_main_never_started() -> None:
    main = ended(128, reason="StartError", message="no such file")
    main["terminated"]["startedAt"] = "1970-01-01T00:00:00Z"
    status = judged(a_pod(main=main))
    assert summarize(status) == ("Failed", "ContainerCannotStart", "Failed", None)
    assert "no such file" in status.message


@pytest.mark.parametrize("phase", ["Pending", "Running"])
@pytest.mark.parametrize("main", [None, waiting("ContainerCreating")])
def test_a_lost_node_without_a_report_may_have_started_main(phase: str, main: Any) -> None:
    pod = a_pod(main=main, conditions=[disrupted("DeletionByPodGC")])
    pod["status"]["phase"] = "Failed"
    assert summarize(judged(pod)) == ("Failed", "NodeLost", "Disrupted", None), phase


def test_a_pod_that_never_had_a_node_cannot_have_started_main() -> None:
    pod = a_pod(node="", phase="Failed", conditions=[disrupted("DeletionByPodGC")])
    assert summarize(judged(pod)) == ("BackingOff", "NodeLost", "Replaced", None)


def test_a_recorded_start_is_kept() -> None:
    record = a_record(startedTime=stamp(2))
    run = a_run(status=a_claimed_status("Running", attempts=[record]))
    status = status_for(run, a_pod(main=unknown(), phase="Failed"), seconds=20)
    assert summarize(status) == ("Failed", "FinalStateUnknown", "Disrupted", None)
    assert [record.started_time for record in status.attempts or []] == [at(2)]


def test_a_recorded_node_is_kept() -> None:
    record = a_record(nodeName="node-1", stopTime=stamp(5), reason="Cancelled")
    run = a_run(status=a_claimed_status("Stopping", attempts=[record]))
    status = status_for(run, a_pod(node="", metadata={"deletionTimestamp": stamp(6)}), seconds=9)
    assert [record.node_name for record in status.attempts or []] == ["node-1"]


@pytest.mark.parametrize(
    "evidence",
    [
        {"lastState": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}},
        {"restartCount": 1},
        {"started": True},
    ],
    ids=["an earlier end", "a restart that never was", "a start"],
)
def test_a_container_that_the_kubelet_lost_track_of_may_have_worked(evidence: Any) -> None:
    """Like a container that never ran, it is reported without a start time."""
    pod = a_pod(main=unknown(), phase="Failed")
    pod["status"]["containerStatuses"][0] |= evidence
    status = judged(pod)
    assert summarize(status) == ("Failed", "FinalStateUnknown", "Disrupted", None)
    assert "The end of the main container is unknown" in status.message
    assert "exit code" not in status.message, "it is reported once"


def test_an_evicted_container_with_an_unobserved_end_has_no_exit_code() -> None:
    """The kubelet may remove it before it has read how it ended."""
    record = a_record(startedTime=stamp(2))
    run = a_run(status=a_claimed_status("Running", attempts=[record]))
    status = status_for(run, a_pod(main=unknown(), phase="Failed", reason="Evicted"), seconds=9)
    assert summarize(status) == ("Failed", "Evicted", "Disrupted", None)
    message = status.message or ""
    assert "137" not in message
    assert "; the exit code of container main is unknown" in message


def test_a_stopped_container_with_an_unobserved_end_has_an_unknown_exit_code() -> None:
    status = judged(a_pod(main=unknown()), {**stopped("Cancelled"), "startedTime": stamp(2)})
    assert summarize(status) == ("Cancelled", "Cancelled", "Stopped", None)
    assert "; the exit code of container main is unknown" in status.message


def test_an_end_during_a_node_restart_has_no_exit_code() -> None:
    status = judged(a_pod(main=ended(255, reason="Unknown")))
    assert summarize(status) == ("Failed", "FinalStateUnknown", "Disrupted", None)
    assert (status.failed, status.disrupted) == (0, 1)
    assert "node-1" in status.message


def test_an_init_container_that_a_restart_ended_has_not_failed() -> None:
    init = container_status("fetch", ended(255, reason="Unknown"))
    pod = a_pod(main=waiting("PodInitializing"), phase="Failed", initContainerStatuses=[init])
    assert summarize(judged(pod)) == ("BackingOff", "FinalStateUnknown", "Replaced", None)


# ---------------------------------------------------------------- disrupted after the start


@pytest.mark.guarantee(
    "A running Pod on a node that is shut down gracefully is `NodeLost`, counted by "
    "`disruptionLimit`"
)
@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (a_pod(main=ended(137), conditions=[disrupted("EvictionByEvictionAPI")]), "Evicted"),
        (a_pod(main=ended(137), conditions=[disrupted("TerminationByKubelet")]), "Evicted"),
        (a_pod(main=ended(137), conditions=[disrupted("DeletionByTaintManager")]), "NodeLost"),
        (a_pod(main=ended(143), conditions=[disrupted("PreemptionByScheduler")]), "Preempted"),
        (a_pod(main=ended(137), reason="Evicted"), "Evicted"),
        (a_pod(main=ended(137), reason="Shutdown"), "NodeLost"),
        (a_pod(main=ended(137), reason="NodeLost"), "NodeLost"),
        (a_pod(main=ended(143), metadata={"deletionTimestamp": stamp(3)}), "PodDeleted"),
        (a_pod(main=ended(137, reason="ContainerStatusUnknown")), "FinalStateUnknown"),
        (
            a_pod(main=running(), phase="Failed", conditions=[disrupted("DeletionByPodGC")]),
            "NodeLost",
        ),
    ],
)
def test_a_disruption_after_the_start_is_no_failure_of_the_application(
    pod: Any, reason: str
) -> None:
    status = judged(pod)
    phase, told_reason, outcome, _ = summarize(status)
    assert (phase, told_reason, outcome) == ("Failed", reason, "Disrupted")
    assert status.failure_kind == "Infrastructure"
    assert (status.failed, status.disrupted) == (0, 1)


def test_a_disruption_is_reported_with_the_clusters_message() -> None:
    condition = {**disrupted("DeletionByTaintManager"), "message": "deleting due to a taint"}
    message = judged(a_pod(main=ended(137), conditions=[condition])).message
    assert "(node node-1): deleting due to a taint; container main ended with exit code 137" in (
        message
    )
    assert "disruptionLimit" in message


def test_an_unobserved_end_is_reported_as_unknown() -> None:
    pod = a_pod(phase="Failed", conditions=[disrupted("DeletionByPodGC")])
    assert "the exit code of container main is unknown" in judged(pod).message


def test_a_condition_that_is_not_true_is_no_disruption() -> None:
    condition = {"type": "DisruptionTarget", "status": "False", "reason": "EvictionByEvictionAPI"}
    pod = a_pod(main=ended(1), conditions=[condition])
    assert summarize(judged(pod))[1:3] == ("NonZeroExitCode", "Failed")


# ---------------------------------------------------------------- the application failed


@pytest.mark.parametrize(
    ("main", "reason", "code", "words"),
    [
        (ended(1), "NonZeroExitCode", 1, "code 1"),
        (ended(3), "NonZeroExitCode", 3, "code 3"),
        (ended(128), "NonZeroExitCode", 128, "code 128"),
        (ended(255), "NonZeroExitCode", 255, "code 255"),
        (ended(129), "NonZeroExitCode", 129, "code 129 (128+1, by convention SIGHUP)"),
        (ended(130), "NonZeroExitCode", 130, "code 130 (128+2, by convention SIGINT)"),
        (ended(137), "KilledBySignal", 137, "exit code 137 (128+9, SIGKILL)"),
        (ended(139), "KilledBySignal", 139, "exit code 139 (128+11, SIGSEGV)"),
        (ended(143), "KilledBySignal", 143, "exit code 143 (128+15, SIGTERM)"),
        (ended(150), "NonZeroExitCode", 150, "code 150 on node"),
        (ended(192), "NonZeroExitCode", 192, "code 192 on node"),
        (ended(193), "NonZeroExitCode", 193, "code 193"),
        (ended(137, reason="OOMKilled"), "OOMKilled", 137, "memory"),
    ],
)
def test_a_failure_of_main_is_the_applications(
    main: Any, reason: str, code: int, words: str
) -> None:
    status = judged(a_pod(main=main))
    assert summarize(status) == ("Failed", reason, "Failed", code)
    assert status.failure_kind == "Application"
    assert (status.failed, status.disrupted) == (1, 0)
    assert "main" in status.message
    assert words in status.message
    assert "node-1" in status.message


def test_an_init_container_that_failed_is_named_with_its_code() -> None:
    inits = [
        container_status("prepare", ended(0)),
        container_status("fetch", ended(7, message="no route")),
    ]
    pod = a_pod(main=waiting("PodInitializing"), phase="Failed", initContainerStatuses=inits)
    status = judged(pod)
    assert summarize(status) == ("Failed", "InitContainerFailed", "Failed", None)
    assert all(word in status.message for word in ("fetch", "code 7", "no route"))


def test_a_disruption_takes_precedence_over_a_failed_init_container() -> None:
    """An evicted init container reports exit code 137, which it did not cause."""
    init = container_status("fetch", ended(137, reason="ContainerStatusUnknown"))
    pod = a_pod(phase="Failed", reason="Evicted", initContainerStatuses=[init])
    assert summarize(judged(pod))[1:3] == ("Evicted", "Replaced")


# ---------------------------------------------------------------- the Pod is gone


def vanished(last_seen: Any = None, record: dict[str, Any] | None = None) -> Status:
    status = a_claimed_status("Running", attempts=[a_record(**(record or {}))])
    uid = status["podUID"]
    return status_for(a_run(status=status), findings=gone(uid, last_seen), seconds=20)


def test_an_observed_outcome_counts_although_the_pod_is_missing() -> None:
    assert summarize(vanished(a_pod(main=ended(0)))) == ("Succeeded", "Completed", "Succeeded", 0)
    assert summarize(vanished(a_pod(main=ended(3), phase="Running")))[1:] == (
        "NonZeroExitCode",
        "Failed",
        3,
    )


@pytest.mark.parametrize("pod", [a_pod(gated=True), a_pod(node="")])
def test_a_missing_pod_without_a_node_is_replaced(pod: Any) -> None:
    assert summarize(vanished(pod)) == ("BackingOff", "PodDeleted", "Replaced", None)


@pytest.mark.parametrize("pod", [None, a_pod(), a_pod(main=running())])
def test_a_missing_pod_that_may_have_run_has_an_unknown_end(pod: Any) -> None:
    status = vanished(pod)
    assert summarize(status) == ("Failed", "FinalStateUnknown", "Disrupted", None)
    assert status.failure_kind == "Infrastructure"
    assert status.completion_time == at(20)


def test_a_missing_pod_that_was_being_stopped_was_stopped() -> None:
    status = vanished(a_pod(main=running()), {"stopTime": stamp(5), "reason": "Cancelled"})
    assert summarize(status) == ("Cancelled", "Cancelled", "Stopped", None)
