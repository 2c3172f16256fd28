"""Due times of attempts follow from spec and status alone (design.md, Deadlines and delays)."""

from datetime import timedelta
from typing import Any

import pytest

from taskruns.api.v1alpha1 import Backoff, TaskRun
from taskruns.api.v1alpha1.model import parse_duration
from taskruns.core.retry import backoff_delay, due_at, retry_at
from tests.support.builders.objects import a_record, a_run, at, stamp


def run_of(**parts: Any) -> TaskRun:
    return TaskRun.model_validate(a_run(**parts))


def seconds_of(retry: int, uid: str = "u", **backoff: Any) -> float:
    return backoff_delay(Backoff(**backoff), retry, uid).total_seconds()


@pytest.mark.guarantee("The wait before a retry grows by its factor up to its cap")
@pytest.mark.parametrize(
    ("retry", "least"), [(0, 10), (1, 20), (2, 40), (5, 320), (6, 600), (7, 600), (10**9, 600)]
)
def test_the_backoff_grows_up_to_its_cap_plus_jitter(retry: int, least: float) -> None:
    assert least <= seconds_of(retry) <= least * 1.1


def test_the_backoff_is_stable_across_restarts_and_differs_between_runs() -> None:
    assert seconds_of(0, "one") == seconds_of(0, "one")
    assert seconds_of(0, "one") != seconds_of(0, "two")
    assert seconds_of(0, "one") * 2 != seconds_of(1, "one")


def test_a_factor_of_one_keeps_the_backoff_constant() -> None:
    assert 10 <= seconds_of(50, factor=1) <= 11


def test_a_duration_above_the_cap_is_limited_to_it() -> None:
    long, short = timedelta(hours=2), timedelta(seconds=5)
    assert 5 <= seconds_of(0, duration=long, cap=short) <= 5.5


def test_a_backoff_of_zero_does_not_wait() -> None:
    assert seconds_of(3, duration=timedelta(0)) == 0


@pytest.mark.parametrize("cap", [timedelta.max, timedelta(days=10**8)])
def test_the_longest_backoff_does_not_overflow(cap: timedelta) -> None:
    assert seconds_of(10**9, duration=timedelta.max, factor=10, cap=cap) <= 1e13


def test_a_retry_counts_from_the_end_of_the_attempt_before() -> None:
    record = a_record(3, finishedTime=stamp(100))
    run = run_of(status={"attempt": 3, "attempts": [record]})
    due = due_at(run, at(999))
    assert at(100 + 40) <= due <= at(100 + 44)


def test_a_retry_of_an_unrecorded_attempt_counts_from_its_end() -> None:
    run = run_of(status={"attempt": 1, "attempts": [a_record(1)]})
    assert at(50 + 10) <= retry_at(run, at(50)) <= at(50 + 11)


@pytest.mark.parametrize("outcome", [{}, {"outcome": "Failed"}])
@pytest.mark.parametrize(
    ("recorded_times", "least"),
    [
        ({"startedTime": stamp(30), "scheduledTime": stamp(20), "createdTime": stamp(10)}, 30),
        ({"scheduledTime": stamp(20), "createdTime": stamp(10)}, 20),
        ({"createdTime": stamp(10)}, 10),
    ],
)
def test_a_record_without_an_end_counts_from_its_latest_time(
    recorded_times: dict[str, str], least: int, outcome: dict[str, str]
) -> None:
    record = {"number": 1, "podName": "p", "podUID": "1", **outcome, **recorded_times}
    run = run_of(status={"attempt": 1, "attempts": [record]})
    for now in (at(50), at(60)):
        assert at(least + 10) <= due_at(run, now) <= at(least + 11)


@pytest.mark.parametrize("outcome", [{}, {"outcome": "Failed"}])
def test_a_record_without_any_time_delays_nothing(outcome: dict[str, str]) -> None:
    record = {"number": 1, "podName": "p", "podUID": "1", **outcome}
    run = run_of(status={"attempt": 1, "attempts": [record]})
    assert due_at(run, at(50)) == at(50)
    begun = run_of(status={"attempt": 1, "attempts": [record], "startTime": stamp(3)})
    assert due_at(begun, at(50)) == at(3)


def test_the_first_attempt_is_due_at_the_first_reconcile() -> None:
    assert due_at(run_of(), at(7)) == at(7)
    assert due_at(run_of(status={"startTime": stamp(3)}), at(7)) == at(3)


@pytest.mark.parametrize(
    ("backoff", "longest"),
    [
        ({}, "10m"),
        ({"duration": "1s"}, "10m"),
        ({"duration": "1h"}, "1h"),
        ({"duration": "1h", "cap": "2h"}, "2h"),
        ({"cap": "1m"}, "1m"),
    ],
)
def test_a_duration_above_the_default_cap_raises_the_cap(backoff: Any, longest: str) -> None:
    assert Backoff.model_validate(backoff).longest == parse_duration(longest)
