"""Assembly of the controller: builds its parts, starts them in order and stops them in order."""

import asyncio
import logging
import random
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from taskruns import clock
from taskruns.core.unstructured import mapping, number
from taskruns.engines.cache import Cache, RunKey
from taskruns.engines.engine import Engine
from taskruns.engines.kubernetes import Connection, KubernetesEngine, connect
from taskruns.engines.kubernetes.connection import release
from taskruns.engines.kubernetes.listing import EVERYWHERE, list_all
from taskruns.engines.quota_queue import QuotaQueue
from taskruns.engines.reconcile import reconcile
from taskruns.operator import structured_logging
from taskruns.operator.cache_sync import CacheSync
from taskruns.operator.health import Health, probes
from taskruns.operator.instrumentation import (
    Instrumentation,
    ObservedEngine,
    ObservedEventHandler,
    census,
)
from taskruns.operator.leader_election import LeaderElection, LeaderEngine, LeaseName
from taskruns.operator.metrics import Metrics, Snapshot
from taskruns.operator.resync import Resync
from taskruns.operator.settings import Settings
from taskruns.operator.watch import PROGRESS_SECONDS, TASK_PREFIX, Watch
from taskruns.operator.workqueue import LONGEST_SLEEP, DelayingQueue, RateLimiter, WorkQueue, share

log = logging.getLogger(__name__)

WrapEngine = Callable[[Engine], Engine]
"""Function that wraps the engine of the controller; for tests."""

DRAIN_SECONDS = 5.0
EVENTS_SECONDS = 0.5
KOPF_SECONDS = 4.0
"""Grace periods of a shutdown, in seconds, one after the other: for reconciles in progress, for
Events that are still to be written, for kopf. The total is below 10 s."""

HAND_OVER_SECONDS = 1.0
"""Grace period for the reconciles in progress if another controller takes over, in seconds."""

_SPARE_CONNECTIONS = 4
"""Connections for lists, Events and the Lease, in addition to one per worker."""

_CACHE_SYNC_SECONDS = 5.0
"""Time without a watch event during the cache sync, in seconds, after which the objects are listed
again, because an awaited object may have been deleted."""

_BEATS_MISSED = 3
"""Consecutive heartbeats that a part may miss before its health check fails."""

_LIST_SECONDS = 60.0
"""Additional time for a long list in the health checks of the resync, in seconds."""


async def run(settings: Settings, wrap: WrapEngine = lambda engine: engine) -> int:
    """Run the controller until SIGTERM or SIGINT; return the exit code of the process.

    Raises:
        NoConfiguration: no usable cluster configuration was found.
        CannotServe: the address of the probes or of the metrics cannot be bound.
    """
    connections = settings.workers + _SPARE_CONNECTIONS
    connection = await connect(settings.kubeconfig, settings.context, connections)
    controller = Controller(settings, connection, wrap)
    try:
        return await controller.serve()
    finally:
        await controller.close()
        await connection.close()


class Controller:
    """The parts of a controller process, which serves one cluster."""

    def __init__(self, settings: Settings, connection: Connection, wrap: WrapEngine) -> None:
        self._settings = settings
        self.stopping = asyncio.Event()
        self.cache = Cache()
        self.cache_sync = CacheSync()
        self.metrics = Metrics(release(), self._snapshot)
        connection.observe = self.metrics.requests.ended
        self.instrumentation = observed = Instrumentation(self.metrics)
        self.queue = WorkQueue(
            self._reconcile,
            settings.workers,
            clock.now,
            self._about,
            fair_backlog(settings.workers, self.cache.has_open_attempt),
            observed.queue,
        )
        self._election = _election(settings, connection)
        self._enqueues = self._election is None
        """Whether keys are enqueued; a standby enqueues none."""
        self._kubernetes = KubernetesEngine(connection)
        engine = wrap(ObservedEngine(self._guarded(), self.cache, observed.runs))
        self.quota_queue = QuotaQueue(engine, self.cache, clock.now, self._enqueue)
        namespaces = settings.namespaces or (EVERYWHERE,)
        self.resync = Resync(
            lambda namespace: list_all(connection, namespace),
            self.cache,
            self._enqueue,
            settings.resync_seconds,
            namespaces,
            observed.watches.compared,
        )
        event_handler = ObservedEventHandler(
            self.cache, self._enqueue, self._enqueue_later, self.cache_sync.arrive, observed
        )
        self.watch = Watch(connection, event_handler, namespaces)
        self._health = self._checks()
        self.sites = [probes(self._health, settings.probes_host, settings.probes_port)]
        if settings.metrics_port is not None:
            self.sites.append(self.metrics.site(settings.metrics_host, settings.metrics_port))
        self._parts: list[asyncio.Task[Any]] = []

    async def serve(self) -> int:
        """Run all parts until the controller stops; return the exit code.

        Returns:
            0 after `stopping` was set or a signal was received; 1 after a part ended unexpectedly.
        """
        _stop_on_signals(self.stopping)
        for site in self.sites:
            await site.start()
        stop = self._part("stop", self.stopping.wait())
        stock = self._part("start", self.resync.relist())
        await asyncio.wait({stop, stock}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            return 0
        self.cache_sync.expect(stock.result().all())
        kopf = await self.watch.start()
        _stop_on_signals(self.stopping)  # kopf has just installed its own handlers
        parts = {
            kopf,
            self._part("queue", self._work_on_runs()),
            self._part("resync", self._compare()),
        }
        ended, _ = await asyncio.wait({stop, *parts}, return_when=asyncio.FIRST_COMPLETED)
        if stop in ended:
            log.info("stopping")
            return 0
        for part in ended:
            log.critical(
                "stopping: %s has ended unexpectedly", part.get_name(), exc_info=_exception(part)
            )
        return 1

    async def close(self) -> None:
        """Stop all parts: first those that write to the cluster, last the watches."""
        self.stopping.set()
        asyncio.get_running_loop().set_exception_handler(_log_quietly)
        for part in self._parts:
            part.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        await self.queue.drain(DRAIN_SECONDS)
        if self._election is not None:
            await self._election.release()
        await self._kubernetes.drain(EVENTS_SECONDS)
        for site in self.sites:
            await site.stop()
        await self.watch.stop(KOPF_SECONDS)

    async def _work_on_runs(self) -> None:
        while not await self.cache_sync.wait(_CACHE_SYNC_SECONDS):
            log.info("waiting for the watch: %s", self.cache_sync.problem())
            self.cache_sync.expect((await self.resync.relist()).all())
        versions = self.cache.versions()
        scope = ", ".join(self._settings.namespaces or ("every namespace",))
        log.info("serving %s: %d TaskRuns, %d Pods", scope, len(versions.runs), len(versions.pods))
        if self._election is None:
            await self.queue.run()
        else:
            await self._election.run(self._lead)

    async def _lead(self) -> None:
        """Reconcile every run, and then those that change, until cancelled.

        The reconciles in progress are cut, unless the process stops while it still leads.
        """
        self._enqueues = True
        try:
            for key in (*self.cache.unfinished(), *self.cache.keys()):
                self._enqueue(key)
            await self.queue.run()
        finally:
            self._enqueues = False
            await self.queue.drain(HAND_OVER_SECONDS if self.stopping.is_set() else 0.0)
            self.queue.clear()

    def _enqueue(self, key: RunKey) -> None:
        if self._enqueues:
            self.queue.add(key)

    def _enqueue_later(self, key: RunKey) -> None:
        if self._enqueues:
            self.queue.add_after(key, PROGRESS_SECONDS)

    def _guarded(self) -> Engine:
        if self._election is None:
            return self._kubernetes
        return LeaderEngine(self._kubernetes, self._election.leads)

    async def _compare(self) -> None:
        await self.cache_sync.opened()
        await self.resync.run()

    async def _reconcile(self, key: RunKey) -> datetime | None:
        return await reconcile(key, self.cache, self.quota_queue, clock.now, self._settings.site)

    def _about(self, key: RunKey) -> AbstractContextManager[None]:
        return structured_logging.about(lambda: self._subject(key))

    def _subject(self, key: RunKey) -> structured_logging.Subject:
        view = self.cache.view(key)
        attempt = number(mapping(mapping(view.run).get("status")).get("attempt")) or 0
        return structured_logging.Subject(key.namespace, view.ref.name, key.uid, attempt)

    def _snapshot(self) -> Snapshot:
        phases, queued = census(self.cache.runs())
        return Snapshot(
            ready=not self._health.not_ready(),
            leads=self._election is None or self._election.leads(),
            runs=phases,
            queued=queued,
            pods=len(self.cache.pods()),
            watch_ages=self.instrumentation.watches.ages(),
            waiting=self.queue.depth,
            longest_wait=self.instrumentation.queue.longest_wait(),
            workers=self._settings.workers,
            busy=self.queue.busy,
        )

    def _checks(self) -> Health:
        listing = _BEATS_MISSED * self._settings.resync_seconds + _LIST_SECONDS
        health = Health()
        health.alive["watch"] = lambda: self.watch.problem() or self.resync.problem()
        health.alive["queue"] = lambda: self.queue.heartbeat.missing(_BEATS_MISSED * LONGEST_SLEEP)
        health.alive["resync"] = lambda: self.resync.tried.missing(listing)
        health.ready["start"] = lambda: self.cache_sync.problem() or self.watch.starting()
        health.ready["apiserver"] = lambda: self.resync.succeeded.missing(listing)
        health.ready["stop"] = lambda: "stopping" if self.stopping.is_set() else ""
        health.notes["namespaces"] = self.resync.unserved
        if self._election is not None:
            health.alive["leader election"] = self._election.stalled
            health.ready["lease"] = self._election.problem
            health.notes["leader"] = self._election.leader
        return health

    def _part(self, name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        part = asyncio.create_task(work, name=f"{TASK_PREFIX}{name}")
        self._parts.append(part)
        return part


def _election(settings: Settings, connection: Connection) -> LeaderElection | None:
    if settings.lease is None:
        return None
    # The random part distinguishes a restarted process from the one that may still hold the Lease.
    identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
    return LeaderElection(connection, LeaseName(*settings.lease), identity, settings.timing)


def fair_backlog(workers: int, urgent: Callable[[RunKey], bool]) -> DelayingQueue[RunKey]:
    """Build a queue in which namespaces take turns, so that none of them can block the others.

    Within a namespace urgent runs go first.
    """
    backoff = RateLimiter(spread=random.random)
    return DelayingQueue(backoff, lambda key: key.namespace, share(workers), urgent)


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stopping.set)


def _log_quietly(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors of the event loop at debug level: tasks of kopf fail when they are cut off."""
    log.debug("while stopping: %s", context.get("message"), exc_info=context.get("exception"))


def _exception(task: "asyncio.Task[Any]") -> BaseException | None:
    return None if task.cancelled() else task.exception()
