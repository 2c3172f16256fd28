"""Watches the controller's parts from outside, so that they know nothing of metrics.

Durations are seconds of the loop's clock. What begins by another clock, a TaskRun's creation or the
end of its main container, is told to the second, and a clock ahead of ours counts as no time.
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
from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.api.reasons import Reason
from taskruns.core.facts import read_pod
from taskruns.core.unstructured import mapping, mappings, moment, text
from taskruns.engines.cache import Cache, RunKey, Versions, key_of_pod
from taskruns.engines.engine import Object, RunRef
from taskruns.engines.kubernetes import Connection, KubernetesEngine
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
"""A reason in a status that somebody has forged."""


class Lives:
    """Sees runs move on by our own writes, and their Pods end by what the watch tells."""

    def __init__(self, metrics: RunMetrics) -> None:
        self._metrics = metrics
        self._ended: dict[str, float] = {}
        """When the watch told of the end of a Pod, by uid, until that is recorded."""

    def pod_created(self, run: Object | None) -> None:
        """The apiserver has answered a create; only before the first has a run no phase."""
        if run is None or _phase(run) is not None:
            return
        created = moment(mapping(run.get("metadata")).get("creationTimestamp"))
        if created is not None:
            self._metrics.create_to_pod.observe(_since(created))

    def pod_told(self, pod: Object, *, gone: bool) -> None:
        """The watch has told of a Pod; one that is still held has an end to be recorded."""
        if _goes_on(pod):
            return
        facts = read_pod(pod)
        if facts.ended and facts.held and not gone:
            self._ended.setdefault(facts.ref.uid, _ticks())
        else:
            self._ended.pop(facts.ref.uid, None)

    def status_written(self, before: Object, after: Object) -> None:
        """A status of ours was answered: `after` is the run as it is now."""
        status = mapping(after.get("status"))
        phase = status.get("phase")
        if phase in TERMINAL_PHASES and _phase(before) not in TERMINAL_PHASES:
            kind = status.get("failureKind") or NO_FAILURE
            self._metrics.finished.labels(phase, kind, status.get("reason")).inc()
        if _is_open(before) and not _is_open(after):
            self._attempt_ended(_last_attempt(after), again=phase == Phase.BACKING_OFF)

    def _attempt_ended(self, attempt: Mapping[str, Any], *, again: bool) -> None:
        kind = RETRIES.get(text(attempt.get("outcome")))
        if again and kind is not None:
            self._metrics.retries.labels(kind).inc()
        told = self._ended.pop(text(attempt.get("podUID")), None)
        if told is not None:
            self._metrics.pod_end_to_status.observe(_ticks() - told)
        finished = moment(attempt.get("finishedTime"))
        if finished is not None and attempt.get("exitCode") is not None:
            self._metrics.main_end_to_status.observe(_since(finished))


class Watches:
    """How long ago each watch was last known to tell of everything."""

    def __init__(self) -> None:
        self._sure_at: dict[str, float] = {}

    def told(self, plural: str) -> None:
        """A watch has told of a change."""
        self._sure_at[plural] = _ticks()

    def compared(self, listed: Versions, behind: Mapping[str, int]) -> None:
        """A list has shown what the watches have not told of yet."""
        for plural, there in ((names.PLURAL, listed.runs), (PODS, listed.pods)):
            if there.keys().isdisjoint(behind):
                self.told(plural)

    def ages(self) -> Mapping[str, float]:
        """Seconds by plural, for those that have begun."""
        now = _ticks()
        return {plural: now - at for plural, at in self._sure_at.items()}


class Turns(Observer):
    """How long keys wait for their turn, and how long each turn takes."""

    def __init__(self, metrics: QueueMetrics) -> None:
        self._metrics = metrics
        self._waiting: dict[Hashable, float] = {}
        self._begun: dict[Hashable, float] = {}

    @override
    def waits(self, key: Hashable) -> None:
        """A key has begun to wait for a worker."""
        self._waiting[key] = _ticks()

    @override
    def begins(self, key: Hashable) -> None:
        """A worker has taken it on."""
        self._begun[key] = now = _ticks()
        self._metrics.wait.observe(now - self._waiting.pop(key, now))

    @override
    def ends(self, key: Hashable, result: str) -> None:
        """The worker is through with it."""
        now = _ticks()
        took = now - self._begun.pop(key, now)
        self._metrics.reconcile.labels(result).observe(took)

    def longest_wait(self) -> float:
        """Seconds that the key has waited which waits longest; 0 when none does."""
        now = _ticks()
        return now - min(self._waiting.values(), default=now)


class Instrumentation:
    """All that watches one controller."""

    def __init__(self, metrics: Metrics) -> None:
        self.lives = Lives(metrics.runs)
        self.watches = Watches()
        self.turns = Turns(metrics.queue)


class ObservedEngine(KubernetesEngine):
    """The engine, and whoever wants to know what came of its writes."""

    def __init__(self, connection: Connection, cache: Cache, lives: Lives) -> None:
        super().__init__(connection)
        self._cache = cache
        self._lives = lives

    @override
    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        before = self._cache.view(RunKey(run.namespace, run.uid)).run
        after = await super().write_status(run, patch)
        if before is not None and after is not None:
            self._lives.status_written(before, after)
        return after

    @override
    async def create_pod(self, manifest: Object) -> Object:
        pod = await super().create_pod(manifest)
        key = key_of_pod(pod)
        self._lives.pod_created(self._cache.view(key).run if key else None)
        return pod


class ObservedEventHandler(EventHandler):
    """The intake, and whoever wants to know what the watch told it."""

    def __init__(
        self,
        cache: Cache,
        ask: Callable[[RunKey], None],
        arrived: Callable[[str], None],
        observation: Instrumentation,
    ) -> None:
        super().__init__(cache, ask, arrived)
        self._watches = observation.watches
        self._lives = observation.lives

    @override
    def take_run(self, event: kopf.RawEvent) -> None:
        super().take_run(event)
        self._watches.told(names.PLURAL)

    @override
    def take_pod(self, event: kopf.RawEvent) -> None:
        pod: Any = event["object"]
        self._lives.pod_told(pod, gone=event["type"] == DELETED)
        super().take_pod(event)
        self._watches.told(PODS)


def census(runs: Collection[Object]) -> tuple[Counter[str], Counter[str]]:
    """Count runs by phase, and those that are queued by reason: 2 ms for 10,000."""
    phases = [_phase(run) or UNSEEN for run in runs]
    queued = [run for run, phase in zip(runs, phases, strict=True) if phase == _QUEUED]
    reasons = (Reason.named(run["status"].get("reason")) or _OTHER for run in queued)
    return Counter(phases), Counter(reasons)


def _goes_on(pod: Object) -> bool:
    """Whether it has certainly not ended: most of what is told, and to read it all takes time."""
    deleting = "deletionTimestamp" in mapping(pod.get("metadata"))
    return _phase(pod) in ("Pending", "Running") and not deleting


def _phase(found: Object) -> str | None:
    phase: str | None = (found.get("status") or {}).get("phase")
    return phase


def _last_attempt(run: Object) -> Mapping[str, Any]:
    return next(reversed(mappings(mapping(run.get("status")).get("attempts"))), {})


def _is_open(run: Object) -> bool:
    """Whether the last attempt goes on; of one whose main has ended, other containers may."""
    attempt = _last_attempt(run)
    return bool(attempt) and (not attempt.get("outcome") or _phase(run) == Phase.STOPPING)


def _since(moment: datetime) -> float:
    return max((clock.now() - moment).total_seconds(), 0.0)


def _ticks() -> float:
    return asyncio.get_running_loop().time()
