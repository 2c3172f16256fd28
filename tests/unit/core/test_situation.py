"""Ownership of a Pod, and Pods that have lost the marks of it (situation.py)."""

import pytest

from taskruns.core.plan import ConfirmPodGone, CreatePod, DiscardPod, ReleasePod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    ended,
    pod_uid,
    running,
)
from tests.support.decision import gone, plan_for, status_for

UNOWNED: dict[str, object] = {"ownerReferences": []}


def owner(**overrides: object) -> dict[str, object]:
    (reference,) = a_pod()["metadata"]["ownerReferences"]
    return {"ownerReferences": [{**reference, **overrides}]}


def test_a_claimed_pod_belongs_to_the_run_without_an_owner_reference() -> None:
    run = a_run(status=a_claimed_status("Running"))
    assert plan_for(run, a_pod(main=running(), metadata=UNOWNED), seconds=100).idle
    written = status_for(run, a_pod(main=ended(3), metadata=UNOWNED), seconds=100)
    assert (written.phase, written.exit_code) == ("Failed", 3)


@pytest.mark.parametrize(
    "metadata",
    [
        UNOWNED,
        owner(controller=False),
        owner(uid="another"),
        owner(kind="Job"),
        owner(apiVersion="example.com/v1"),
    ],
)
def test_an_unclaimed_pod_of_another_owner_is_neither_claimed_nor_touched(
    metadata: dict[str, object],
) -> None:
    (action,) = plan_for(a_run(), a_pod(gated=True, metadata=metadata)).actions
    assert isinstance(action, CreatePod)


def test_another_version_of_our_api_is_still_our_owner() -> None:
    pod = a_pod(gated=True, metadata=owner(apiVersion="taskruns.dev/v1"))
    assert plan_for(a_run(), pod).status is not None


def test_the_uid_and_not_the_name_is_the_claim() -> None:
    run = a_run(status=a_claimed_status("Running"))
    foreign = a_pod(main=running(), metadata={"uid": "another"})
    assert [type(action) for action in plan_for(run, foreign).actions] == [ConfirmPodGone]
    gated = a_pod(gated=True, metadata={"uid": "another"})
    assert DiscardPod in [type(action) for action in plan_for(run, gated).actions]


def test_a_pod_that_a_live_read_did_not_find_is_missing() -> None:
    run = a_run(status=a_claimed_status("Running"))
    written = status_for(run, a_pod(main=running()), findings=gone(pod_uid(1)))
    assert written.reason == "FinalStateUnknown"


def test_an_attempt_that_backs_off_is_not_open() -> None:
    run = a_run(
        backoffLimit=1,
        status=a_claimed_status("BackingOff", attempts=[a_record(outcome="Failed")], failed=1),
    )
    plan = plan_for(run, a_pod(main=ended(1)), seconds=1)
    assert plan.status is None
    assert [type(action) for action in plan.actions] == [ReleasePod]


@pytest.mark.parametrize("phase", ["Pending", "Running", "Stopping"])
def test_a_record_that_names_another_pod_is_unreadable(phase: str) -> None:
    record = a_record(podName="bystander", podUID="bystander")
    status = a_claimed_status(
        phase, podName="bystander", podUID="bystander", attempts=[record], reason="Cancelled"
    )
    bystander = a_pod(main=running(), metadata={**UNOWNED, "name": "bystander", "uid": "bystander"})
    plan = plan_for(a_run(status=status), bystander, seconds=100)
    assert plan.status is not None
    assert plan.status.reason == "InvalidTaskRun"
    assert not plan.actions


def test_an_earlier_record_that_names_another_pod_does_not_claim_it() -> None:
    record = a_record(podUID="bystander", finishedTime="2026-01-01T12:00:00Z", outcome="Failed")
    run = a_run(status=a_claimed_status("Failed", podUID="bystander", attempts=[record]))
    bystander = a_pod(main=running(), metadata={**UNOWNED, "name": "bystander", "uid": "bystander"})
    assert not plan_for(run, bystander, seconds=10_000).actions
