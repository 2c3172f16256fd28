"""A TaskRun that cannot be parsed stops, ends, and explains why (rules/no_attempt.py)."""

from typing import Any

import pytest

from taskruns.core.plan import Action, DiscardPod, ReleasePod, StopPod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_run,
    an_ended_status,
    ended,
    running,
)
from tests.support.decision import plan_for, status_for


def kinds(actions: tuple[Action, ...]) -> list[type[Action]]:
    return [type(action) for action in actions]


BAD_SPECS: list[dict[str, Any]] = [
    {"backoffLimit": "many"},
    {"backoffLimit": 10**30},
    {"activeDeadlineSeconds": -1},
    {"podGC": {"deleteDelayDuration": "soon"}},
    {"backoff": {"duration": "1 fortnight"}},
    {"template": []},
    {"command": "echo"},
]


@pytest.mark.parametrize("spec", BAD_SPECS)
def test_an_invalid_spec_fails_the_run_and_names_the_field(spec: Any) -> None:
    written = status_for(a_run(**spec))
    assert (written.phase, written.reason, written.failure_kind) == (
        "Failed",
        "InvalidTaskRun",
        "Configuration",
    )
    assert f"spec.{next(iter(spec))}" in (written.message or "")


def test_running_pods_are_stopped_first() -> None:
    run = a_run(backoffLimit="many", status=a_claimed_status("Running"))
    pods = (a_pod(gated=True), a_pod(number=2, main=running()))
    plan = plan_for(run, *pods)
    assert kinds(plan.actions) == [DiscardPod, StopPod]
    assert plan.status is None


def test_a_stop_is_awaited() -> None:
    pod = a_pod(main=running())
    pod["spec"]["activeDeadlineSeconds"] = 1
    plan = plan_for(a_run(backoffLimit="many"), pod)
    assert plan.idle
    assert plan.wake_at is None


def test_an_unreadable_run_ends_when_no_pod_runs() -> None:
    written = status_for(a_run(backoffLimit="many"), a_pod(main=ended(137)))
    assert (written.phase, written.reason) == ("Failed", "InvalidTaskRun")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_a_terminal_run_keeps_its_phase_and_releases_its_pods(phase: str) -> None:
    run = a_run(backoffLimit="many", status=an_ended_status(phase))
    plan = plan_for(run, a_pod(main=ended(0)))
    assert kinds(plan.actions) == [ReleasePod]
    assert plan.status is None
    assert plan_for(run).idle


@pytest.mark.parametrize("phase", ["Pending", "Running", "Stopping"])
@pytest.mark.parametrize(
    "forged",
    [
        {"attempts": []},
        {"attempt": 7},
        {"podUID": "another"},
        {"attempts": [{"number": 1, "podName": "x", "podUID": "another"}]},
    ],
)
def test_a_contradictory_status_causes_no_action(phase: str, forged: Any) -> None:
    written = status_for(a_run(status=a_claimed_status(phase, **forged)))
    assert (written.phase, written.reason) == ("Failed", "InvalidTaskRun")


@pytest.mark.parametrize(
    "status", [{"phase": "Dancing"}, {"attempts": "none"}, {"startTime": "yesterday"}]
)
def test_an_invalid_status_fails_the_run(status: Any) -> None:
    assert status_for(a_run(status=status)).reason == "InvalidTaskRun"


def test_the_attempt_number_of_an_unreadable_run_is_kept() -> None:
    written = status_for(a_run(status=a_claimed_status("Running", attempt=7)))
    assert (written.phase, written.attempt) == ("Failed", 7)


def test_the_largest_attempt_number_fails_the_run() -> None:
    written = status_for(a_run(status={"phase": "BackingOff", "attempt": 2**31 - 1}))
    assert (written.reason, written.attempt) == ("InvalidTaskRun", 2**31 - 1)


@pytest.mark.parametrize("attempt", [-1, 2**31, "three", True])
def test_an_invalid_attempt_number_is_removed(attempt: Any) -> None:
    written = status_for(a_run(status={"phase": "Dancing", "attempt": attempt}))
    assert (written.reason, written.attempt) == ("InvalidTaskRun", None)
