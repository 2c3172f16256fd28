"""Instrumentation: measures the controller's parts from outside, so that they contain no metrics.

Durations are in seconds of the event loop's clock. Two durations begin with a time from another
clock: the creation of a TaskRun and the end of its main container. Those times have a resolution of
one second, and a time that is ahead of our clock counts as 0 s.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from datetime import datetime
from typing import Any

import kopf
from typing_extensions import override

from taskruns import clock
from taskruns.api import names
from taskruns.api.conditions import Phase, is_terminal
from taskruns.api.reasons import Reason
from taskruns.core.facts import read_pod
from taskruns.core.unstructured import Object, mapping, mappings, moment, text
from taskruns.engines.cache import Cache, RunKey, Versions, key_of_pod
from taskruns.engines.engine import Engine, EngineWrapper, RunRef
from taskruns.operator.metrics import (
    NO_FAILURE,
    RETRIES,
    UNSEEN,
    Metrics,
    QueueMetrics,
    RunMetrics,
)
from taskruns.operator.watch import DELETED, EventHandler
from taskruns.operator.workqueue import Observer

PODS = "pods"
_QUEUED = Phase.QUEUED.value
_OTHER = "Other"
"""Label of a reason that is not one of ours, written by another client."""


class RunObserver:
    """Measures the life of runs: by the responses to our own writes and by watch events of Pods."""

    def __init__(self, metrics: RunMetrics) -> None:
        self._metrics = metrics
        self._ended: dict[str, float] = {}
        """Loop time when the watch reported a Pod's end, by uid, until its outcome is recorded."""

    def pod_created(self, run: Object | None) -> None:
        """Measure the delay of a run's first Pod, before which the run has no phase."""
        if run is None or _phase(run) is not None:
            return
        created = moment(mapping(run.get("metadata")).get("creationTimestamp"))
        if created is not None:
            self._metrics.create_to_pod.observe(_since(created))

    def pod_reported(self, pod: Object, *, gone: bool) -> None:
        """Note when the watch reports that a Pod has ended.

        This applies while the Pod has our finalizer: its outcome is then still to be recorded.
        """
        if _is_active(pod):
            return
        facts = read_pod(pod)
        if facts.ended and facts.held and not gone:
            self._ended.setdefault(facts.ref.uid, _ticks())
        else:
            self._ended.pop(facts.ref.uid, None)

    @property
    def pending(self) -> int:
        """Number of ended Pods whose end is not in a status yet."""
        return len(self._ended)

    def status_written(self, before: Object, after: Object) -> None:
        """Count what a status write changed; `after` is the run in the apiserver's response."""
        status = mapping(after.get("status"))
        phase = status.get("phase")
        if is_terminal(after) and not is_terminal(before):
            kind = status.get("failureKind") or NO_FAILURE
            self._metrics.finished.labels(phase, kind, status.get("reason")).inc()
        if _is_open(before) and not _is_open(after):
            self._attempt_ended(_last_attempt(after), again=phase == Phase.BACKING_OFF)

    def _attempt_ended(self, attempt: Mapping[str, Any], *, again: bool) -> None:
        kind = RETRIES.get(text(attempt.get("outcome")))
        if again and kind is not None:
            self._metrics.retries.labels(kind).inc()
        pod_ended = self._ended.pop(text(attempt.get("podUID")), None)
        if pod_ended is not None:
            self._metrics.pod_end_to_status.observe(_ticks() - pod_ended)
        finished = moment(attempt.get("finishedTime"))
        if finished is not None and attempt.get("exitCode") is not None:
            self._metrics.main_end_to_status.observe(_since(finished))


class WatchAges:
    """Time since each watch was last known to be complete."""

    def __init__(self) -> None:
        self._complete_at: dict[str, float] = {}

    def reported(self, plural: str) -> None:
        """Note that a watch has reported a change."""
        self._complete_at[plural] = _ticks()

    def compared(self, listed: Versions, behind: Mapping[str, int]) -> None:
        """Note the result of a resync; a watch is complete if none of its objects is behind."""
        for plural, versions in ((names.PLURAL, listed.runs), (PODS, listed.pods)):
            if versions.keys().isdisjoint(behind):
                self.reported(plural)

    def ages(self) -> Mapping[str, float]:
        """Return the time since each watch was complete, in seconds by plural, once it has been."""
        now = _ticks()
        return {plural: now - at for plural, at in self._complete_at.items()}


class QueueObserver(Observer):
    """Measures how long keys wait for a worker, and how long the work on each takes."""

    def __init__(self, metrics: QueueMetrics) -> None:
        self._metrics = metrics
        self._waiting: dict[Hashable, float] = {}
        self._begun: dict[Hashable, float] = {}

    @override
    def waits(self, key: Hashable) -> None:
        """Note that a key has begun to wait for a worker."""
        self._waiting[key] = _ticks()

    @override
    def begins(self, key: Hashable) -> None:
        """Measure the time that a key has waited for its worker."""
        self._begun[key] = now = _ticks()
        self._metrics.wait.observe(now - self._waiting.pop(key, now))

    @override
    def ends(self, key: Hashable, result: str) -> None:
        """Measure the time that a worker has spent on a key."""
        now = _ticks()
        took = now - self._begun.pop(key, now)
        self._metrics.reconcile.labels(result).observe(took)

    @override
    def cleared(self) -> None:
        """Forget the keys that waited."""
        self._waiting.clear()

    def longest_wait(self) -> float:
        """Return the time that the longest waiting key has waited, in seconds; 0 if none waits."""
        now = _ticks()
        return now - min(self._waiting.values(), default=now)


class Instrumentation:
    """All instrumentation of one controller."""

    def __init__(self, metrics: Metrics) -> None:
        self.runs = RunObserver(metrics.runs)
        self.watches = WatchAges()
        self.queue = QueueObserver(metrics.queue)


class ObservedEngine(EngineWrapper):
    """Engine that reports the results of another engine's writes to `RunObserver`."""

    def __init__(self, engine: Engine, cache: Cache, run_observer: RunObserver) -> None:
        super().__init__(engine)
        self._cache = cache
        self._run_observer = run_observer

    @override
    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        before = self._cache.view(RunKey(run.namespace, run.uid)).run
        after = await super().write_status(run, patch)
        if before is not None and after is not None:
            self._run_observer.status_written(before, after)
        return after

    @override
    async def create_pod(self, manifest: Object) -> Object:
        pod = await super().create_pod(manifest)
        key = key_of_pod(pod)
        self._run_observer.pod_created(self._cache.view(key).run if key else None)
        return pod


class ObservedEventHandler(EventHandler):
    """Event handler that reports watch events to `RunObserver` and `WatchAges`."""

    def __init__(
        self,
        cache: Cache,
        enqueue: Callable[[RunKey], None],
        enqueue_later: Callable[[RunKey], None],
        arrived: Callable[[str], None],
        observation: Instrumentation,
    ) -> None:
        super().__init__(cache, enqueue, enqueue_later, arrived)
        self._watches = observation.watches
        self._run_observer = observation.runs

    @override
    def take_run(self, event: kopf.RawEvent) -> None:
        super().take_run(event)
        self._watches.reported(names.PLURAL)

    @override
    def take_pod(self, event: kopf.RawEvent) -> None:
        pod: Any = event["object"]
        self._run_observer.pod_reported(pod, gone=event["type"] == DELETED)
        super().take_pod(event)
        self._watches.reported(PODS)


def census(runs: Collection[Object]) -> tuple[Counter[str], Counter[str]]:
    """Count runs by phase, and queued runs by reason.

    It takes 2 ms for 10,000 runs.
    """
    phases = [_phase(run) or UNSEEN for run in runs]
    queued = [run for run, phase in zip(runs, phases, strict=True) if phase == _QUEUED]
    reasons = (Reason.named(run["status"].get("reason")) or _OTHER for run in queued)
    return Counter(phases), Counter(reasons)


def _is_active(pod: Object) -> bool:
    """Whether a Pod has certainly not ended.

    This cheap check covers most watch events, so that few Pods have to be read in full.
    """
    deleting = "deletionTimestamp" in mapping(pod.get("metadata"))
    return _phase(pod) in ("Pending", "Running") and not deleting


def _phase(obj: Object) -> str | None:
    phase: str | None = (obj.get("status") or {}).get("phase")
    return phase


def _last_attempt(run: Object) -> Mapping[str, Any]:
    return next(reversed(mappings(mapping(run.get("status")).get("attempts"))), {})


def _is_open(run: Object) -> bool:
    """Whether the last attempt is still active.

    In phase Stopping it is, even with an outcome: other containers than main may still run.
    """
    attempt = _last_attempt(run)
    return bool(attempt) and (not attempt.get("outcome") or _phase(run) == Phase.STOPPING)


def _since(moment: datetime) -> float:
    return max((clock.now() - moment).total_seconds(), 0.0)


def _ticks() -> float:
    return asyncio.get_running_loop().time()
