"""Pods that Kueue takes out of its queue (core/verdict.py)."""

from typing import Any

import pytest

from taskruns.api.conditions import Outcome
from taskruns.core.decide import decide
from taskruns.core.plan import CreatePod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    disrupted,
    ended,
    pod_uid,
    running,
    stamp,
)
from tests.support.decision import NOTHING_FOUND, SITE, gone, plan_for, status_for

pytestmark = pytest.mark.guarantee(
    "A Pod that Kueue takes out of its queue is queued again, uncounted, unless Kueue deactivated "
    "its Workload"
)

QUEUE = {"labels": {"kueue.x-k8s.io/queue-name": "team-a"}}
MESSAGE = "Preempted to accommodate a workload (UID: 1) due to prioritization in the ClusterQueue"


def stopped(reason: str, message: str = MESSAGE) -> dict[str, str]:
    """Return the condition with which Kueue marks a Pod that it ends."""
    return {"type": "TerminationTarget", "status": "True", "reason": reason, "message": message}


def queued_run(number: int = 1, *before: dict[str, Any], **spec: Any) -> Any:
    counts = {key: spec.pop(key) for key in ("replaced", "requeued", "failed") if key in spec}
    attempts = [*before, a_record(number)]
    status = a_claimed_status("Running", number, attempts=attempts[-20:], **counts)
    return a_run(metadata=QUEUE, status=status, **spec)


def pod_of(run: Any, number: int = 1, *, main: Any = None, reason: str = "", **rest: Any) -> Any:
    """Return the Pod of an attempt that Kueue has stopped and the kubelet has ended."""
    conditions = [stopped(reason or "WorkloadEvictedDueToPreempted"), *rest.pop("conditions", [])]
    pod = a_pod(run, number, main=main, conditions=conditions, **{"phase": "Failed", **rest})
    pod["metadata"]["deletionTimestamp"] = stamp(3)
    return pod


EVICTIONS = [
    ("WorkloadEvictedDueToPreempted", "Preempted"),
    ("StoppedByKueue", "Preempted"),
    ("WorkloadEvictedDueToNodeFailures", "NodeLost"),
    ("WorkloadEvictedDueToFlavorMigration", "Evicted"),
    ("WorkloadEvictedDueToPodsReadyTimeout", "Evicted"),
    ("WorkloadEvictedDueToAdmissionCheck", "Evicted"),
    ("WorkloadEvictedDueToClusterQueueStopped", "Evicted"),
    ("WorkloadEvictedDueToLocalQueueStopped", "Evicted"),
    ("WorkloadEvicted", "Evicted"),
    ("WorkloadDeleted", "Evicted"),
    ("NoMatchingWorkload", "Evicted"),
    ("NotAdmitted", "Evicted"),
]


@pytest.mark.parametrize(("condition", "reason"), EVICTIONS)
@pytest.mark.parametrize("main", [None, ended(143), ended(1)])
def test_an_attempt_that_kueue_stops_is_queued_again_and_not_counted(
    condition: str, reason: str, main: Any
) -> None:
    run = queued_run()
    written = status_for(run, pod_of(run, main=main, reason=condition), seconds=5)
    assert (written.phase, written.reason) == ("BackingOff", reason)
    assert (written.failed, written.disrupted, written.replaced) == (0, 0, None)
    assert (written.requeued, (written.attempts or [])[0].outcome) == (1, Outcome.REQUEUED)
    assert MESSAGE in (written.message or "")
    assert "; the run is queued again. The next attempt is due at 2026-" in (written.message or "")


def test_a_queue_that_only_the_pod_names_is_recognized() -> None:
    """Kueue gives a Pod the namespace's default queue, or queues Pods without one."""
    run = a_run(status=a_claimed_status("Running"))
    for label in ({"kueue.x-k8s.io/queue-name": "default"}, {"kueue.x-k8s.io/managed": "true"}):
        pod = pod_of(run, main=ended(143))
        pod["metadata"]["labels"] |= label
        assert status_for(run, pod, seconds=5).requeued == 1


@pytest.mark.parametrize(
    ("main", "outcome", "phase"),
    [(None, "Replaced", "BackingOff"), (ended(143), "Disrupted", "Failed")],
)
def test_without_a_queue_it_is_a_disruption_like_any_other(
    main: Any, outcome: str, phase: str
) -> None:
    run = a_run(status=a_claimed_status("Running"))
    written = status_for(run, pod_of(run, main=main), seconds=5)
    assert (written.phase, written.reason) == (phase, "Preempted")
    assert (written.attempts or [])[0].outcome == outcome
    assert MESSAGE in (written.message or "")


@pytest.mark.parametrize("cause", ["", "DueToRequeuingLimitExceeded"])
@pytest.mark.parametrize(("main", "outcome"), [(None, "Replaced"), (ended(143), "Disrupted")])
def test_a_deactivated_workload_is_not_queued_again(cause: str, main: Any, outcome: str) -> None:
    run = queued_run(disruptionLimit=5, backoffLimit=5)
    pod = pod_of(run, main=main, reason=f"WorkloadEvictedDueToDeactivated{cause}")
    written = status_for(run, pod, seconds=5)
    assert (written.phase, written.reason) == ("Failed", "Evicted")
    assert (written.attempts or [])[0].outcome == outcome
    assert "the workload was deactivated, so it is not queued again" in (written.message or "")


@pytest.mark.parametrize("action", ["Ignore", "Count", "FailJob"])
@pytest.mark.parametrize(
    "criterion",
    [
        {"onExitCodes": {"operator": "In", "values": [143]}},
        {"onPodConditions": [{"type": "TerminationTarget"}]},
    ],
)
def test_no_policy_rule_queues_a_deactivated_workload_again(action: str, criterion: Any) -> None:
    policy = {"rules": [{"action": action, **criterion}]}
    run = queued_run(backoffLimit=5, podFailurePolicy=policy)
    pod = pod_of(run, main=ended(143), reason="WorkloadEvictedDueToDeactivated")
    written = status_for(run, pod, seconds=5)
    assert (written.phase, written.reason) == ("Failed", "Evicted")


def test_a_task_that_succeeds_within_its_grace_period_has_succeeded() -> None:
    run = queued_run()
    pod = pod_of(run, main=ended(0), phase="Succeeded")
    assert status_for(run, pod, seconds=5).phase == "Succeeded"


def test_a_cancelled_run_is_not_queued_again() -> None:
    record = a_record(stopTime=stamp(2), reason="Cancelled")
    run = a_run(metadata=QUEUE, status=a_claimed_status("Stopping", attempts=[record]))
    assert status_for(run, pod_of(run, main=ended(143, finished=4)), seconds=5).phase == "Cancelled"


def test_a_node_that_is_lost_afterwards_changes_nothing() -> None:
    run = queued_run()
    pod = pod_of(run, main=running(), conditions=[disrupted("DeletionByPodGC")])
    written = status_for(run, pod, seconds=5)
    assert (written.reason, written.requeued) == ("Preempted", 1)


def test_a_pod_that_was_removed_after_its_preemption_is_queued_again() -> None:
    run = queued_run()
    pod = pod_of(run, main=running(), phase="Running")
    written = status_for(run, seconds=5, findings=gone(pod_uid(1), pod))
    assert (written.reason, written.requeued) == ("Preempted", 1)


def test_a_policy_rule_applies_to_a_preempted_pod_that_was_removed() -> None:
    run = queued_run(podFailurePolicy={"rules": [CONDITION]})
    pod = pod_of(run, main=running(), phase="Running")
    written = status_for(run, seconds=5, findings=gone(pod_uid(1), pod))
    assert (written.phase, written.reason) == ("Failed", "Preempted")


CODES = {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0, 42]}}
CONDITION = {"action": "FailJob", "onPodConditions": [{"type": "TerminationTarget"}]}


@pytest.mark.parametrize(("rule", "phase"), [(CODES, "BackingOff"), (CONDITION, "Failed")])
def test_only_policy_rules_on_conditions_apply_to_a_requeue(rule: Any, phase: str) -> None:
    run = queued_run(podFailurePolicy={"rules": [rule]})
    assert status_for(run, pod_of(run, main=ended(143)), seconds=5).phase == phase


def test_requeues_have_no_limit() -> None:
    """A requeue counts against no limit and does not lengthen the backoff."""
    run: Any = a_run(metadata=QUEUE, backoff={"duration": "10s", "factor": 10})
    status: dict[str, Any] = {}
    for number in range(1, 131):
        seconds = 20.0 * number
        claimed = a_claimed_status("Running", number)
        attempts = [*status.get("attempts", []), *claimed["attempts"]][-20:]
        run = a_run(metadata=QUEUE, status={**status, **claimed, "attempts": attempts})
        main = ended(143, finished=seconds) if number % 2 else None
        pod = pod_of(run, number, main=main)
        pod["metadata"]["uid"] = pod_uid(number)
        status = status_for(run, pod, seconds=seconds).to_json()
        assert (status["phase"], status["requeued"]) == ("BackingOff", number)
        due = plan_for(a_run(metadata=QUEUE, status=status), seconds=seconds).wake_at
        assert due is not None
        assert at(seconds + 10) <= due <= at(seconds + 11)
    plan = decide(a_run(metadata=QUEUE, status=status), (), at(9999), NOTHING_FOUND, SITE)
    assert isinstance(plan.actions[0], CreatePod)


def test_other_limits_hold_across_more_requeues_than_there_are_records() -> None:
    before = [a_record(n, outcome="Requeued", finishedTime=stamp(1)) for n in range(10, 30)]
    run = queued_run(30, *before, replaced=3, requeued=25)
    pod = a_pod(run, 30, phase="Failed", reason="Evicted")
    assert status_for(run, pod, seconds=5).phase == "Failed"
    ignore = {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}}]}
    for number, phase in ((149, "BackingOff"), (150, "Failed")):
        run = queued_run(number, requeued=50, podFailurePolicy=ignore)
        assert status_for(run, a_pod(run, number, main=ended(3)), seconds=5).phase == phase


def test_the_backoff_after_a_failure_does_not_grow_with_requeues() -> None:
    run = queued_run(9, requeued=8, backoffLimit=3, backoff={"duration": "10s", "factor": 2})
    written = status_for(run, a_pod(run, 9, main=ended(1, finished=4)), seconds=5)
    assert "Attempt 1 of 4. The next attempt is due at 2026-01-01T12:00:1" in (
        written.message or ""
    )


def test_a_requeue_after_failures_waits_as_long_as_the_first_retry() -> None:
    before = [a_record(n, outcome="Failed", finishedTime=stamp(1)) for n in (1, 2, 3)]
    spec: dict[str, Any] = {"backoffLimit": 5, "backoff": {"duration": "10s", "factor": 2}}
    run = queued_run(4, *before, failed=3, **spec)
    written = status_for(run, pod_of(run, 4, main=ended(143, finished=4)), seconds=5)
    assert "The next attempt is due at 2026-01-01T12:00:1" in (written.message or "")
    due = plan_for(a_run(metadata=QUEUE, status=written.to_json(), **spec), seconds=5).wake_at
    assert due is not None
    assert stamp((due - at(0)).total_seconds()) in (written.message or ""), "as the message says"
