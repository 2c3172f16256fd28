"""Effect of a run's podFailurePolicy on an attempt's end (core/verdict.py)."""

from typing import Any

import pytest

from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    container_status,
    disrupted,
    ended,
    running,
    stamp,
)
from tests.support.decision import status_for

EVICTED = disrupted("EvictionByEvictionAPI")
FAILED = a_pod(main=ended(42))


def codes(action: str, operator: str, *values: int, container: str | None = None) -> Any:
    named = {} if container is None else {"containerName": container}
    return {"action": action, "onExitCodes": {"operator": operator, "values": values, **named}}


def condition(action: str, **pattern: str) -> Any:
    return {"action": action, "onPodConditions": [{"type": "DisruptionTarget", **pattern}]}


def judged(pod: Any, *rules: Any, number: int = 1, **spec: Any) -> Any:
    status = a_claimed_status("Running", number)
    run = a_run(podFailurePolicy={"rules": list(rules)}, status=status, **spec)
    return status_for(run, pod, seconds=20)


def outcome_of(pod: Any, *rules: Any, **spec: Any) -> tuple[str, str]:
    written = judged(pod, *rules, **spec)
    return written.phase, written.attempts[-1].outcome


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (codes("FailJob", "In", 1, 42), ("Failed", "Failed")),
        (codes("Ignore", "In", 42), ("BackingOff", "Ignored")),
        (codes("Count", "In", 42), ("BackingOff", "Failed")),
        (codes("Ignore", "In", 41), ("BackingOff", "Failed")),
        (codes("Ignore", "NotIn", 41), ("BackingOff", "Ignored")),
        (codes("Ignore", "NotIn", 42), ("BackingOff", "Failed")),
        (codes("FailJob", "In", 42, container="main"), ("Failed", "Failed")),
        (codes("FailJob", "In", 42, container="other"), ("BackingOff", "Failed")),
    ],
)
def test_an_exit_code_is_compared(rule: Any, expected: tuple[str, str]) -> None:
    assert outcome_of(FAILED, rule, backoffLimit=3) == expected


def test_the_first_rule_that_matches_decides_and_is_named() -> None:
    rules = [codes("Count", "In", 1), codes("Ignore", "In", 42), codes("FailJob", "In", 42)]
    written = judged(FAILED, *rules)
    assert written.phase == "BackingOff"
    assert "Ignore by rule 2 of podFailurePolicy" in written.message


def test_exit_code_0_of_a_container_matches_nothing() -> None:
    statuses = [container_status("main", ended(42)), container_status("log", ended(0))]
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log", "image": "busybox:1"}]}}
    pod = a_pod(a_run(template=template), containerStatuses=statuses, phase="Failed")
    assert outcome_of(pod, codes("Ignore", "NotIn", 42), template=template) == ("Failed", "Failed")


@pytest.mark.guarantee("A rule without `containerName` applies to init containers too")
def test_without_a_container_name_init_containers_match_too() -> None:
    template = {"spec": {"initContainers": [{"name": "prepare", "image": "busybox:1"}]}}
    init = [container_status("prepare", ended(42))]
    pod = a_pod(a_run(template=template), phase="Failed", initContainerStatuses=init)
    ignored = ("BackingOff", "Ignored")
    assert outcome_of(pod, codes("Ignore", "In", 42), template=template) == ignored


@pytest.mark.guarantee(
    "A `podFailurePolicy` rule that matches decides before an end is classified as a disruption"
)
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, ("BackingOff", "Ignored")),
        ({"status": "True"}, ("BackingOff", "Ignored")),
        ({"status": "False"}, ("Failed", "Disrupted")),
        ({"type": "Other"}, ("Failed", "Disrupted")),
    ],
)
def test_a_policy_takes_precedence_over_a_disruption(
    pattern: Any, expected: tuple[str, str]
) -> None:
    pod = a_pod(main=ended(143), phase="Failed", conditions=[EVICTED])
    assert outcome_of(pod, condition("Ignore", **pattern)) == expected


def test_a_policy_takes_precedence_over_a_replacement() -> None:
    pod = a_pod(phase="Failed", conditions=[EVICTED])
    assert outcome_of(pod, condition("FailJob")) == ("Failed", "Failed")


def test_a_policy_does_not_apply_to_a_success() -> None:
    pod = a_pod(main=ended(0), conditions=[EVICTED])
    assert outcome_of(pod, condition("FailJob")) == ("Succeeded", "Succeeded")


def test_a_policy_does_not_apply_to_a_stopped_attempt() -> None:
    record = a_record(stopTime=stamp(3), reason="Cancelled")
    status = a_claimed_status("Stopping", attempts=[record])
    rules = {"rules": [codes("Ignore", "In", 42)]}
    written = status_for(a_run(podFailurePolicy=rules, status=status), FAILED, seconds=20)
    assert written.phase == "Cancelled"


@pytest.mark.guarantee("`Ignore` repeats uncounted, with backoff, up to 100 attempts in all")
@pytest.mark.parametrize(("number", "phase"), [(99, "BackingOff"), (100, "Failed")])
def test_attempts_are_ignored_up_to_a_hundred_in_all(number: int, phase: str) -> None:
    pod = a_pod(number=number, main=ended(42))
    written = judged(pod, codes("Ignore", "In", 42), number=number)
    assert (written.phase, written.failed) == (phase, 0)
    assert ("100 attempts are the limit" in written.message) is (phase == "Failed")


def test_mains_verdict_by_policy_is_kept_while_other_containers_are_stopped() -> None:
    template = {"spec": {"containers": [{"name": "main"}, {"name": "log", "image": "busybox:1"}]}}
    statuses = [container_status("main", ended(42)), container_status("log", running())]
    rules = {"rules": [codes("FailJob", "In", 42)]}
    run = a_run(template=template, podFailurePolicy=rules, backoffLimit=3)
    claimed = {**run, "status": a_claimed_status("Running")}
    pod = a_pod(run, phase="Running", containerStatuses=statuses)
    stopping = status_for(claimed, pod, seconds=5)
    over = [container_status("main", ended(42)), container_status("log", ended(137))]
    end = a_pod(run, phase="Failed", containerStatuses=over)
    assert status_for({**run, "status": stopping.to_json()}, end, seconds=9).phase == "Failed"
