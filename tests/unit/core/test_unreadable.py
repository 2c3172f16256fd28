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
def test_a_spec_that_cannot_be_read_fails_the_run_and_names_the_field(spec: Any) -> None:
    written = status_for(a_run(**spec))
    assert (written.phase, written.reason, written.failure_kind) == (
        "Failed",
        "InvalidTaskRun",
        "Configuration",
    )
    assert f"spec.{next(iter(spec))}" in (written.message or "")


def test_what_runs_is_stopped_first() -> None:
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


def test_it_ends_when_nothing_runs_any_more() -> None:
    written = status_for(a_run(backoffLimit="many"), a_pod(main=ended(137)))
    assert (written.phase, written.reason) == ("Failed", "InvalidTaskRun")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_a_run_that_has_ended_keeps_its_end_and_lets_its_pods_go(phase: str) -> None:
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
def test_a_status_that_contradicts_itself_is_not_acted_upon(phase: str, forged: Any) -> None:
    written = status_for(a_run(status=a_claimed_status(phase, **forged)))
    assert (written.phase, written.reason) == ("Failed", "InvalidTaskRun")


@pytest.mark.parametrize(
    "status", [{"phase": "Dancing"}, {"attempts": "none"}, {"startTime": "yesterday"}]
)
def test_a_forged_status_fails_the_run(status: Any) -> None:
    assert status_for(a_run(status=status)).reason == "InvalidTaskRun"


def test_the_number_of_its_attempt_stays_because_it_never_gets_smaller() -> None:
    written = status_for(a_run(status=a_claimed_status("Running", attempt=7)))
    assert (written.phase, written.attempt) == ("Failed", 7)


def test_a_number_after_which_there_is_none_fails_the_run() -> None:
    written = status_for(a_run(status={"phase": "BackingOff", "attempt": 2**31 - 1}))
    assert (written.reason, written.attempt) == ("InvalidTaskRun", 2**31 - 1)


@pytest.mark.parametrize("attempt", [-1, 2**31, "three", True])
def test_a_number_that_is_none_goes(attempt: Any) -> None:
    written = status_for(a_run(status={"phase": "Dancing", "attempt": attempt}))
    assert (written.reason, written.attempt) == ("InvalidTaskRun", None)
