"""The patch from one status to another, and the parts that it leaves unchanged."""

from typing import Any

from taskruns.api.conditions import Phase
from taskruns.api.v1alpha1 import TaskRunStatus
from taskruns.core.status import status_patch
from taskruns.core.unstructured import merged
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    ended,
    running,
    stamp,
)
from tests.support.decision import status_for


def after(run: Any, status: TaskRunStatus) -> Any:
    return {**run, "status": merged(run["status"], status_patch(run, status)["status"])}


def test_a_patch_contains_the_resource_version() -> None:
    assert status_patch(a_run(), TaskRunStatus())["metadata"] == {"resourceVersion": "1000"}


def test_a_patch_produces_the_new_status() -> None:
    run = a_run(status=a_claimed_status("Running"))
    target = status_for(run, a_pod(main=ended(0)), seconds=9)
    assert after(run, target)["status"] == target.to_json()


def test_a_patch_holds_only_what_changes() -> None:
    run = a_run(status=a_claimed_status("Pending"))
    target = status_for(run, a_pod(main=running()), seconds=9)
    patch = status_patch(run, target)["status"]
    assert {"phase", "reason", "message", "attempts"} <= set(patch)
    assert not {"podUID", "attempt", "startTime"} & set(patch)


def test_a_patch_removes_absent_fields() -> None:
    run = a_run(status=a_claimed_status("BackingOff", failureKind="Application", unknown=1))
    target = TaskRunStatus(phase=Phase.PENDING)
    patch = status_patch(run, target)["status"]
    assert patch["failureKind"] is None
    assert patch["unknown"] is None


def test_observed_generation_is_that_of_the_decision() -> None:
    run = a_run(metadata={"generation": 7}, cancel=True)
    assert status_for(run).observed_generation == 7


def test_a_condition_keeps_its_time_while_its_value_stays() -> None:
    run = a_run(status=a_claimed_status("Pending"))
    first = status_for(run, a_pod(main=running()), seconds=5)
    run = after(run, first)
    run["spec"]["cancel"] = True
    second = status_for(run, a_pod(main=running()), seconds=50)
    (reconciling,) = second.conditions or []
    assert (reconciling.type, reconciling.status) == ("Reconciling", "True")
    assert reconciling.last_transition_time == at(5)
    assert reconciling.reason == "Cancelled"


def test_an_ended_run_is_not_reconciling() -> None:
    run = a_run(status=a_claimed_status("Running"))
    status = status_for(run, a_pod(main=ended(1)), seconds=5)
    assert "Reconciling" not in {condition.type for condition in status.conditions or []}


def test_backing_off_has_a_failure_kind_and_the_next_attempt_clears_it() -> None:
    run = a_run(backoffLimit=1, status=a_claimed_status("Running"))
    backing_off = status_for(run, a_pod(main=ended(3)), seconds=5)
    assert (backing_off.failure_kind, backing_off.exit_code) == ("Application", 3)
    claimed = status_for(after(run, backing_off), a_pod(number=2, gated=True), seconds=60)
    assert (claimed.failure_kind, claimed.exit_code) == (None, None)
    assert claimed.start_time == at(0)
    assert claimed.failed == 1


def test_the_number_of_an_attempt_only_grows() -> None:
    before = [a_record(4, outcome="Failed", finishedTime=stamp(1))]
    run = a_run(backoffLimit=9, status=a_claimed_status("BackingOff", 4, attempts=before))
    assert status_for(run, a_pod(number=5, gated=True), seconds=999).attempt == 5
