"""Every limit is computed from spec and status alone (design.md, Deadlines and delays)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core import deadlines
from tests.support.builders.objects import T0, a_run, at, stamp

MAX_SECONDS = 2**31 - 1


def run_of(**parts: Any) -> TaskRun:
    return TaskRun.model_validate(a_run(**parts))


def test_a_time_that_overflows_is_the_latest_time() -> None:
    far = datetime.max.replace(tzinfo=UTC) - timedelta(seconds=1)
    assert deadlines.later(far, timedelta(days=1)) == deadlines.FAR
    run = run_of(activeDeadlineSeconds=MAX_SECONDS, status={"startTime": "9999-12-31T23:59:59Z"})
    assert deadlines.deadline_at(run) == deadlines.FAR


def test_the_latest_time_causes_no_wake_up() -> None:
    assert deadlines.earliest(deadlines.FAR, None) is None
    assert deadlines.earliest(None, at(3), deadlines.FAR, at(2)) == at(2)


def test_deadlines_that_are_not_set_are_none() -> None:
    run = run_of(status={"startTime": stamp(0)})
    assert deadlines.deadline_at(run) is None
    assert deadlines.attempt_deadline_at(run, T0) is None


def test_a_deadline_counts_from_the_first_reconcile() -> None:
    run = run_of(activeDeadlineSeconds=60, status={"startTime": stamp(5)})
    assert deadlines.deadline_at(run) == at(65)
    assert deadlines.deadline_at(run_of(activeDeadlineSeconds=60)) is None


def test_the_jitter_is_a_fraction() -> None:
    fractions = [deadlines.jitter("uid", number) for number in range(200)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert max(fractions) - min(fractions) > 0.9
