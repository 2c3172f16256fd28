"""What the controller tells Prometheus: every metric and what it means, in a registry of its own.

Nothing is measured here: `operator.observation` watches the controller's parts and says what it
saw. A label has few values, our own words or the apiserver's codes; nothing is by run or by
namespace, whose number nobody bounds.
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
"""The phase of a TaskRun that nobody has looked at yet."""

NO_FAILURE = "None"
"""The failure kind of a success."""

RETRIES: Mapping[str, str] = {
    Outcome.FAILED: "application",
    Outcome.DISRUPTED: "disruption",
    Outcome.REPLACED: "replaced",
    Outcome.REQUEUED: "requeued",
    Outcome.IGNORED: "ignored",
}
"""The kind of a retry, by the outcome of the attempt before it."""

_PHASES = (UNSEEN, *(phase.value for phase in Phase))
_WAITS: tuple[str, ...] = (
    Reason.QUOTA_EXCEEDED,
    Reason.SCHEDULING_GATED,
    Reason.SERVICE_ACCOUNT_NOT_FOUND,
    Reason.WEBHOOK_FAILED,
)
"""What a run is Queued for, but for the moment after it was resumed."""

# A look that writes nothing takes under a millisecond, one that does 3 ms a write on an idle
# apiserver; one request may take 10 s, and a look is cut off after 300 s.
_LOOKS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# Kubernetes' own objective for a request is 1 s; after 10 s nobody waits for its answer.
_REQUESTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# From other clocks, cut to the second: finer steps would only show how it was cut.
_SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a scrape finds as it is at that moment."""

    ready: bool
    runs: Mapping[str, int]
    """TaskRuns by phase, or UNSEEN."""
    queued: Mapping[str, int]
    """Those of phase Queued by reason."""
    pods: int
    watch_ages: Mapping[str, float]
    """Seconds by the plural of what is watched."""
    waiting: int
    longest_wait: float
    workers: int
    busy: int


class RunMetrics:
    """How runs end, and how long it takes to start them and to tell of their end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.finished = Counter(
            "taskruns_finished",
            "TaskRuns that ended, each counted when the write of its last status was answered.",
            ("phase", "failure_kind", "reason"),
            registry=registry,
        )
        self.retries = Counter(
            "taskruns_retries",
            "Attempts that ended and are followed by another, by what the retry is charged to.",
            ("kind",),
            registry=registry,
        )
        self.create_to_pod = Histogram(
            "taskruns_create_to_pod_seconds",
            "From the creation of a TaskRun to the answer to the create of its first Pod, where "
            "nothing held it back: no quota, no suspension, no missing service account.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.pod_end_to_status = Histogram(
            "taskruns_pod_end_to_status_seconds",
            "From when the watch told that a Pod had ended to the answer to the status write that "
            "ends its attempt: the controller's own share.",
            buckets=_LOOKS,
            registry=registry,
        )
        self.main_end_to_status = Histogram(
            "taskruns_main_end_to_status_seconds",
            "From the end of main by its node's clock to the answer to the status write that ends "
            "the attempt: what whoever waits for the run notices.",
            buckets=_SECONDS,
            registry=registry,
        )
        for reason in Reason:
            if reason.kind is not None or reason is Reason.COMPLETED:
                self.finished.labels(_end_of(reason), reason.kind or NO_FAILURE, reason)
        for kind in RETRIES.values():
            self.retries.labels(kind)


class QueueMetrics:
    """How long runs wait for a worker, and how long it works on them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.wait = Histogram(
            "taskruns_queue_wait_seconds",
            "How long a run that was to be looked at waited for a free worker.",
            buckets=_LOOKS,
            registry=registry,
        )
        self.reconcile = Histogram(
            "taskruns_reconcile_duration_seconds",
            "How long one look at a run took, its requests included.",
            ("result",),
            buckets=_LOOKS,
            registry=registry,
        )
        for result in (DONE, PUT_OFF, FAILED):
            self.reconcile.labels(result)


class RequestMetrics:
    """What is asked of the apiserver."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "taskruns_api_requests",
            "Requests to the apiserver, those of the watches included.",
            ("verb", "resource", "code"),
            registry=registry,
        )
        self.duration = Histogram(
            "taskruns_api_request_duration_seconds",
            "How long the apiserver took to answer; of a watch, to begin to.",
            ("verb", "resource"),
            buckets=_REQUESTS,
            registry=registry,
        )

    def ended(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """A request was answered with a code, or got no answer."""
        self.requests.labels(verb, resource, code).inc()
        self.duration.labels(verb, resource).observe(seconds)


class Metrics:
    """All metrics of one controller. What can happen is shown as 0 before it does.

    So the first failure, too, is an increase.
    """

    def __init__(self, version: str, look_around: Callable[[], Snapshot]) -> None:
        # Prometheus does not use them, and they are as many lines again.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        build = Info("taskruns_build", "The controller's version.", registry=self.registry)
        build.info({"version": version, "python_version": platform.python_version()})
        self.registry.register(_AtScrape(look_around))
        self.runs = RunMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.requests = RequestMetrics(self.registry)
        ProcessCollector(registry=self.registry)

    def site(self, host: str, port: int) -> Site:
        """Make the little server that Prometheus scrapes, in the controller's own loop."""
        return Site("metrics", host, port, {"/metrics": make_aiohttp_handler(self.registry)})


def _end_of(reason: Reason) -> Phase:
    """Return the phase of a run that ends for a reason."""
    if reason.kind is None:
        return Phase.SUCCEEDED
    return Phase.CANCELLED if reason.kind is FailureKind.CANCELLED else Phase.FAILED


class _AtScrape(Collector):
    """What is counted when it is asked for: a gauge that nobody keeps up to date cannot drift."""

    def __init__(self, look_around: Callable[[], Snapshot]) -> None:
        self._look_around = look_around

    @override
    def collect(self) -> Iterator[Metric]:
        now = self._look_around()
        yield _gauge("taskruns_ready", "1 while /readyz says ok, otherwise 0.", int(now.ready))
        runs = dict.fromkeys(_PHASES, 0) | dict(now.runs)
        yield _gauges("taskruns_runs", "TaskRuns that there are, by phase.", "phase", runs)
        queued = dict.fromkeys(_WAITS, 0) | dict(now.queued)
        meaning = "TaskRuns of phase Queued, by what they wait for."
        yield _gauges("taskruns_runs_queued", meaning, "reason", queued)
        yield _gauge("taskruns_pods", "Pods of TaskRuns that there are.", now.pods)
        meaning = "Time since a watch told of a change, or a list showed that it had missed none."
        yield _gauges("taskruns_watch_age_seconds", meaning, "resource", now.watch_ages)
        yield _gauge("taskruns_queue_depth", "Runs that wait for a free worker.", now.waiting)
        meaning = "For how long that one of them has waited which waits longest; 0 when none does."
        yield _gauge("taskruns_queue_longest_wait_seconds", meaning, now.longest_wait)
        yield _gauge("taskruns_workers", "Runs that can be worked on at once.", now.workers)
        yield _gauge("taskruns_workers_busy", "Runs that are being worked on.", now.busy)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), value)
    return family
