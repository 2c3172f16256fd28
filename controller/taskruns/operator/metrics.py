"""The controller's Prometheus metrics: names, help texts and labels, in a registry of their own.

This module measures nothing; `operator.instrumentation` does. A label has few values: our own terms
or the apiserver's codes. There is no label for run or namespace, because their number is unbounded.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from taskruns.api.conditions import FailureKind, Outcome, Phase
from taskruns.api.reasons import Reason
from taskruns.operator.health import Site
from taskruns.operator.workqueue import DONE, FAILED, PUT_OFF

UNSEEN = "Unseen"
"""Phase label of a TaskRun that has not been reconciled yet."""

NO_FAILURE = "None"
"""Failure kind label of a TaskRun that succeeded."""

RETRIES: Mapping[str, str] = {
    Outcome.FAILED: "application",
    Outcome.DISRUPTED: "disruption",
    Outcome.REPLACED: "replaced",
    Outcome.REQUEUED: "requeued",
    Outcome.IGNORED: "ignored",
}
"""Kind of a retry, by the outcome of the attempt before it."""

_PHASES = (UNSEEN, *(phase.value for phase in Phase))
_WAITS: tuple[str, ...] = (
    Reason.QUOTA_EXCEEDED,
    Reason.SCHEDULING_GATED,
    Reason.SERVICE_ACCOUNT_NOT_FOUND,
    Reason.WEBHOOK_FAILED,
)
"""Reasons of phase Queued, except that of the moment after a resume."""

# A reconcile without writes takes less than 1 ms, one with writes 3 ms per write on an idle
# apiserver. One request may take 10 s, and a reconcile is cancelled after 300 s.
_RECONCILES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Kubernetes' own objective for a request is 1 s; the controller's timeout is 10 s.
_REQUESTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# The start of these times is truncated to the second, so finer buckets would show only rounding.
_SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of the controller at the time of a scrape."""

    ready: bool
    leads: bool
    """Whether this controller reconciles runs: it leads, or takes part in no election."""
    runs: Mapping[str, int]
    """Number of TaskRuns by phase; UNSEEN for those without one."""
    queued: Mapping[str, int]
    """Number of TaskRuns of phase Queued by reason."""
    pods: int
    """Number of Pods in the cache."""
    watch_ages: Mapping[str, float]
    """Seconds since each watch was known to be complete, by the plural of the watched resource."""
    waiting: int
    """Number of runs that wait for a free worker."""
    longest_wait: float
    """Seconds that the longest waiting run has waited; 0 if none waits."""
    workers: int
    """Number of runs that can be processed at the same time."""
    busy: int
    """Number of runs that are being processed."""


class RunMetrics:
    """Metrics of finished runs, retries, and the delays of Pod creation and status writes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.finished = Counter(
            "taskruns_finished",
            "TaskRuns that ended, each counted when its last status was written.",
            ("phase", "failure_kind", "reason"),
            registry=registry,
        )
        self.retries = Counter(
            "taskruns_retries",
            "Attempts that ended and are followed by another, by the limit that counts the retry.",
            ("kind",),
            registry=registry,
        )
        self.create_to_pod = Histogram(
            "taskruns_create_to_pod_seconds",
            "Time from the creation of a TaskRun to the creation of its first Pod, unless a quota, "
            "a suspension or a missing service account delayed it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.pod_end_to_status = Histogram(
            "taskruns_pod_end_to_status_seconds",
            "Time from the watch event of a Pod's end to the status write that ends its attempt: "
            "the controller's share of the delay.",
            buckets=_RECONCILES,
            registry=registry,
        )
        self.main_end_to_status = Histogram(
            "taskruns_main_end_to_status_seconds",
            "Time from the end of main, by its node's clock, to the status write that ends the "
            "attempt: the delay that clients observe.",
            buckets=_SECONDS,
            registry=registry,
        )
        for reason in Reason:
            if reason.kind is not None or reason is Reason.COMPLETED:
                self.finished.labels(_end_of(reason), reason.kind or NO_FAILURE, reason)
        for kind in RETRIES.values():
            self.retries.labels(kind)


class QueueMetrics:
    """Metrics of the time that runs wait for a worker, and of the duration of reconciles."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.wait = Histogram(
            "taskruns_queue_wait_seconds",
            "Time that a run waited in the work queue for a free worker.",
            buckets=_RECONCILES,
            registry=registry,
        )
        self.reconcile = Histogram(
            "taskruns_reconcile_duration_seconds",
            "Duration of one reconcile of a run, including its requests.",
            ("result",),
            buckets=_RECONCILES,
            registry=registry,
        )
        for result in (DONE, PUT_OFF, FAILED):
            self.reconcile.labels(result)


class RequestMetrics:
    """Metrics of the requests to the apiserver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "taskruns_api_requests",
            "Requests to the apiserver, including those of the watches.",
            ("verb", "resource", "code"),
            registry=registry,
        )
        self.duration = Histogram(
            "taskruns_api_request_duration_seconds",
            "Time until the apiserver responded; for a watch, until its response began.",
            ("verb", "resource"),
            buckets=_REQUESTS,
            registry=registry,
        )

    def ended(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Count a request that has ended.

        Args:
            verb: RBAC verb.
            resource: plural of the resource.
            code: HTTP status code, or NO_ANSWER.
            seconds: duration; of a watch, until its response began.
        """
        self.requests.labels(verb, resource, code).inc()
        self.duration.labels(verb, resource).observe(seconds)


class Metrics:
    """All metrics of one controller.

    Known label values are exported as 0 from the start, so that the first failure is an increase.
    """

    def __init__(self, version: str, snapshot: Callable[[], Snapshot]) -> None:
        # Prometheus does not use the `_created` series, and they add as many lines again.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        build = Info("taskruns_build", "The controller's version.", registry=self.registry)
        build.info({"version": version, "python_version": platform.python_version()})
        self.registry.register(_AtScrape(snapshot))
        self.runs = RunMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.requests = RequestMetrics(self.registry)
        ProcessCollector(registry=self.registry)

    def site(self, host: str, port: int) -> Site:
        """Build the HTTP server for Prometheus, which runs in the controller's event loop."""
        return Site("metrics", host, port, {"/metrics": make_aiohttp_handler(self.registry)})


def _end_of(reason: Reason) -> Phase:
    """Return the phase of a run that ends with this reason."""
    if reason.kind is None:
        return Phase.SUCCEEDED
    return Phase.CANCELLED if reason.kind is FailureKind.CANCELLED else Phase.FAILED


class _AtScrape(Collector):
    """Gauges computed at each scrape. They cannot drift as incremented gauges can."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    @override
    def collect(self) -> Iterator[Metric]:
        now = self._snapshot()
        yield _gauge("taskruns_ready", "1 while /readyz reports ok, otherwise 0.", int(now.ready))
        meaning = "1 while this controller reconciles runs, 0 while it stands by."
        yield _gauge("taskruns_leader", meaning, int(now.leads))
        runs = dict.fromkeys(_PHASES, 0) | dict(now.runs)
        yield _gauges("taskruns_runs", "Existing TaskRuns, by phase.", "phase", runs)
        queued = dict.fromkeys(_WAITS, 0) | dict(now.queued)
        meaning = "TaskRuns of phase Queued, by reason."
        yield _gauges("taskruns_runs_queued", meaning, "reason", queued)
        yield _gauge("taskruns_pods", "Existing Pods of TaskRuns.", now.pods)
        meaning = "Time since a watch delivered an event, or a list showed that it had missed none."
        yield _gauges("taskruns_watch_age_seconds", meaning, "resource", now.watch_ages)
        yield _gauge("taskruns_queue_depth", "Runs that wait for a free worker.", now.waiting)
        meaning = "Time that the longest waiting run has waited; 0 if none waits."
        yield _gauge("taskruns_queue_longest_wait_seconds", meaning, now.longest_wait)
        yield _gauge(
            "taskruns_workers", "Runs that can be processed at the same time.", now.workers
        )
        yield _gauge("taskruns_workers_busy", "Runs that are being processed.", now.busy)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), value)
    return family
