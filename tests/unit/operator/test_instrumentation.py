"""Counts and timings: each end counts once, and each wait is timed from its beginning."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskruns import clock
from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from taskruns.engines.cache import Versions
from taskruns.engines.reconcile import NotSettled
from taskruns.operator import instrumentation
from taskruns.operator.instrumentation import (
    Instrumentation,
    QueueObserver,
    RunObserver,
    WatchAges,
    census,
)
from taskruns.operator.metrics import UNSEEN, Metrics
from taskruns.operator.workqueue import DONE, WorkQueue
from tests.unit.operator.test_metrics import NOTHING, samples_of

Object = dict[str, Any]
NOW = datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)


class Time:
    """The event loop's clock and the wall clock, advanced by the test."""

    def __init__(self) -> None:
        self.begun = self.ticks = 100.0

    def passes(self, seconds: float) -> None:
        self.ticks += seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.ticks - self.begun)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(instrumentation, "_ticks", lambda: time.ticks)
    monkeypatch.setattr(clock, "now", time.now)
    return time


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1", lambda: NOTHING)


@pytest.fixture
def observer(metrics: Metrics, time: Time) -> RunObserver:
    assert time.ticks == time.begun
    return RunObserver(metrics.runs)


def run(phase: Phase | None, *attempts: Object, **status: Any) -> Object:
    created = {"metadata": {"uid": "run", "creationTimestamp": "2026-05-01T12:00:00Z"}}
    if phase is None:
        return created | {"status": {"observedGeneration": -1}}
    return created | {"status": {"phase": phase, "attempts": list(attempts), **status}}


def pod(phase: str = "Pending", attempt: int = 1, *, held: bool = True) -> Object:
    labels = {names.LABEL_UID: "run", names.LABEL_ATTEMPT: str(attempt)}
    metadata = {"uid": f"pod-{attempt}", "labels": labels, "namespace": "n", "name": "p"}
    finalizers = {"finalizers": [names.FINALIZER_OUTCOME]} if held else {}
    return {"metadata": metadata | finalizers, "spec": {}, "status": {"phase": phase}}


def attempt(outcome: Outcome | None = None, number: int = 1, **more: Any) -> Object:
    return {"number": number, "podUID": f"pod-{number}"} | (
        {"outcome": outcome, "exitCode": 0, "finishedTime": "2026-05-01T12:00:00Z"} | more
        if outcome
        else {}
    )


SUCCEEDED = run(Phase.SUCCEEDED, attempt(Outcome.SUCCEEDED), reason=Reason.COMPLETED)
RUNNING = run(Phase.RUNNING, attempt())


def ends(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        labels: n
        for labels, n in samples_of(metrics.registry, "taskruns_finished_total").items()
        if n
    }


def timed(metrics: Metrics, name: str) -> tuple[float, float]:
    """Return how often something was timed, and the total in seconds."""
    return tuple(samples_of(metrics.registry, f"{name}_{part}")[()] for part in ("count", "sum"))  # type: ignore[return-value]


def test_an_end_is_counted_by_phase_kind_and_reason(
    metrics: Metrics, observer: RunObserver
) -> None:
    observer.status_written(RUNNING, SUCCEEDED)
    failed = run(
        Phase.FAILED,
        attempt(Outcome.FAILED),
        reason=Reason.OOM_KILLED,
        failureKind="Application",
    )
    observer.status_written(RUNNING, failed)
    observer.status_written(RUNNING, failed)
    assert sorted((set(labels), n) for labels, n in ends(metrics).items()) == sorted(
        [({"None", "Succeeded", "Completed"}, 1), ({"Application", "Failed", "OOMKilled"}, 2)]
    )


def test_a_status_written_after_the_end_is_no_end(metrics: Metrics, observer: RunObserver) -> None:
    observer.status_written(SUCCEEDED, SUCCEEDED)
    assert ends(metrics) == {}


def test_a_run_that_ends_without_an_attempt_is_counted(
    metrics: Metrics, observer: RunObserver
) -> None:
    refused = run(Phase.FAILED, reason=Reason.ADMISSION_REFUSED, failureKind="Configuration")
    observer.status_written(run(None), refused)
    assert list(ends(metrics).values()) == [1]
    assert timed(metrics, "taskruns_main_end_to_status_seconds") == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.FAILED, "application"),
        (Outcome.DISRUPTED, "disruption"),
        (Outcome.REPLACED, "replaced"),
        (Outcome.IGNORED, "ignored"),
    ],
)
def test_a_retry_is_counted_by_its_limit(
    metrics: Metrics, observer: RunObserver, outcome: Outcome, kind: str
) -> None:
    observer.status_written(RUNNING, run(Phase.BACKING_OFF, attempt(outcome)))
    counted = samples_of(metrics.registry, "taskruns_retries_total")
    assert {labels: n for labels, n in counted.items() if n} == {(kind,): 1}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.SUSPENDED, Phase.BACKING_OFF),
        (Phase.BACKING_OFF, Phase.SUSPENDED),
        (Phase.BACKING_OFF, Phase.CANCELLED),
    ],
)
def test_status_writes_between_attempts_count_as_no_retry_and_no_end(
    metrics: Metrics, observer: RunObserver, before: Phase, after: Phase
) -> None:
    ended = attempt(Outcome.FAILED)
    observer.status_written(run(before, ended), run(after, ended, reason=Reason.CANCELLED))
    assert not any(samples_of(metrics.registry, "taskruns_retries_total").values())
    assert timed(metrics, "taskruns_main_end_to_status_seconds") == (0, 0)


def test_an_attempt_that_is_stopped_for_a_suspension_is_no_retry(
    metrics: Metrics, observer: RunObserver
) -> None:
    observer.status_written(
        run(Phase.STOPPING, attempt()), run(Phase.SUSPENDED, attempt(Outcome.STOPPED))
    )
    assert not any(samples_of(metrics.registry, "taskruns_retries_total").values())


def test_the_time_from_creation_to_the_first_pod_is_observed(
    metrics: Metrics, observer: RunObserver, time: Time
) -> None:
    time.passes(1)
    observer.pod_created(run(None))
    assert timed(metrics, "taskruns_create_to_pod_seconds") == (1, 1.5)


@pytest.mark.parametrize(
    "of",
    [
        run(Phase.BACKING_OFF, attempt(Outcome.FAILED)),
        run(Phase.QUEUED),
        run(Phase.SUSPENDED),
        None,
    ],
    ids=["a later attempt", "after a wait", "after a suspension", "of a run that is gone"],
)
def test_other_pods_are_not_timed(
    metrics: Metrics, observer: RunObserver, of: Object | None
) -> None:
    observer.pod_created(of)
    assert timed(metrics, "taskruns_create_to_pod_seconds") == (0, 0)


def test_a_negative_duration_counts_as_zero(
    metrics: Metrics, observer: RunObserver, time: Time
) -> None:
    time.passes(-60)
    observer.pod_created(run(None))
    assert timed(metrics, "taskruns_create_to_pod_seconds") == (1, 0)


def test_the_time_from_the_end_of_a_pod_to_its_status_is_observed(
    metrics: Metrics, observer: RunObserver, time: Time
) -> None:
    observer.pod_reported(pod("Running"), gone=False)
    time.passes(5)
    observer.pod_reported(pod("Succeeded"), gone=False)
    time.passes(1)
    observer.pod_reported(pod("Succeeded"), gone=False)
    time.passes(1)
    observer.status_written(RUNNING, SUCCEEDED)
    assert timed(metrics, "taskruns_pod_end_to_status_seconds") == (1, 2)
    assert timed(metrics, "taskruns_main_end_to_status_seconds") == (1, 7.5)


def test_a_pod_that_is_deleted_before_it_has_a_node_has_ended(
    metrics: Metrics, observer: RunObserver, time: Time
) -> None:
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2026-05-01T12:00:00Z"
    observer.pod_reported(deleted, gone=False)
    time.passes(2)
    replaced = attempt(Outcome.REPLACED, exitCode=None)
    observer.status_written(run(Phase.PENDING, attempt()), run(Phase.BACKING_OFF, replaced))
    assert timed(metrics, "taskruns_pod_end_to_status_seconds") == (1, 2)


def test_main_that_ends_before_its_pod_is_timed_at_the_end_of_both(
    metrics: Metrics, observer: RunObserver
) -> None:
    stopping = run(Phase.STOPPING, attempt(Outcome.SUCCEEDED))
    observer.status_written(RUNNING, stopping)
    assert timed(metrics, "taskruns_main_end_to_status_seconds") == (0, 0)
    observer.status_written(stopping, SUCCEEDED)
    assert timed(metrics, "taskruns_main_end_to_status_seconds") == (1, 0.5)


def test_main_that_never_ran_has_no_end(metrics: Metrics, observer: RunObserver) -> None:
    observer.status_written(
        RUNNING, run(Phase.BACKING_OFF, attempt(Outcome.REPLACED, exitCode=None))
    )
    assert timed(metrics, "taskruns_main_end_to_status_seconds") == (0, 0)


@pytest.mark.parametrize("how", ["gone", "released"])
def test_the_state_of_a_finished_pod_is_dropped(observer: RunObserver, how: str) -> None:
    observer.pod_reported(pod("Succeeded"), gone=False)
    assert observer.pending
    observer.pod_reported(pod("Succeeded", held=how != "released"), gone=how == "gone")
    assert not observer.pending


def test_waits_and_reconciles_are_timed(metrics: Metrics, time: Time) -> None:
    queue_observer = QueueObserver(metrics.queue)
    queue_observer.waits("a")
    time.passes(2)
    queue_observer.waits("b")
    assert queue_observer.longest_wait() == 2
    queue_observer.begins("a")
    assert queue_observer.longest_wait() == 0
    time.passes(3)
    queue_observer.ends("a", DONE)
    assert timed(metrics, "taskruns_queue_wait_seconds") == (1, 2)
    took = samples_of(metrics.registry, "taskruns_reconcile_duration_seconds_sum")
    assert took == {("done",): 3, ("put_off",): 0, ("failed",): 0}


async def test_the_queue_reports_every_wait_and_every_reconcile(metrics: Metrics) -> None:
    through = asyncio.Event()

    async def work(key: str) -> datetime | None:
        if key == "last":
            through.set()
        if key == "broken":
            raise RuntimeError("no")
        if key == "restless":
            raise NotSettled("no")
        return None

    queue = WorkQueue(work, 1, clock.now, observer=Instrumentation(metrics).queue)
    for key in ("well", "broken", "restless", "last"):
        queue.add(key)
    running = asyncio.create_task(queue.run())
    await through.wait()
    running.cancel()
    await queue.drain(1)
    counted = samples_of(metrics.registry, "taskruns_reconcile_duration_seconds_count")
    assert counted == {("done",): 2, ("put_off",): 1, ("failed",): 1}
    assert timed(metrics, "taskruns_queue_wait_seconds")[0] == 4


def test_a_watch_ages_until_it_delivers_an_event(time: Time) -> None:
    watches = WatchAges()
    assert watches.ages() == {}
    watches.reported("pods")
    time.passes(3)
    assert watches.ages() == {"pods": 3}
    watches.reported("pods")
    assert watches.ages() == {"pods": 0}


def test_a_list_resets_the_age_of_a_complete_watch(time: Time) -> None:
    watches = WatchAges()
    listed = Versions({"run": 5}, {"pod": 7})
    watches.compared(listed, {})
    time.passes(60)
    watches.compared(listed, {"pod": 7})
    assert watches.ages() == {"pods": 60, names.PLURAL: 0}


def test_the_census_has_only_known_labels() -> None:
    runs = [
        run(None),
        run(Phase.RUNNING),
        run(Phase.QUEUED, reason="QuotaExceeded"),
        run(Phase.QUEUED, reason="forged"),
        {"metadata": {}},
    ]
    phases, queued = census(runs)
    assert phases == {UNSEEN: 2, "Running": 1, "Queued": 2}
    assert queued == {"QuotaExceeded": 1, "Other": 1}
