"""Watches by kopf: their events update the cache and enqueue run keys. kopf writes nothing."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import kopf
from kopf._cogs.clients import watching
from kopf._core.reactor import processing, queueing
from typing_extensions import override

from taskruns.api import names
from taskruns.core.unstructured import Object, mapping, mappings
from taskruns.engines.cache import Cache, RunKey, key_of_pod, key_of_run
from taskruns.engines.kubernetes import Connection
from taskruns.engines.kubernetes.endpoints import LIST_PODS, LIST_RUNS
from taskruns.engines.kubernetes.listing import EVERYWHERE

DELETED, BOOKMARK = "DELETED", "BOOKMARK"

PROGRESS_SECONDS = 0.5
"""Delay of the reconcile after an event of a Pod that starts or runs, in seconds. It is below the
second after which phase Running is written, and below every deadline."""


class EventHandler:
    """Applies watch events to the cache and enqueues their runs.

    An event of a version that is already cached enqueues nothing: it comes from a write of our own,
    and the reconcile that made the write has decided on its response, or will be retried.
    An event of a Pod of which nothing has ended enqueues its run later, by `enqueue_later`, because
    several of them follow one another while a Pod starts, and no decision depends on each.

    kopf's handlers call it, so every method must return at once.
    """

    def __init__(
        self,
        cache: Cache,
        enqueue: Callable[[RunKey], None],
        enqueue_later: Callable[[RunKey], None],
        arrived: Callable[[str], None],
    ) -> None:
        self._cache = cache
        self._enqueue = enqueue
        self._enqueue_later = enqueue_later
        self._arrived = arrived

    def take_run(self, event: kopf.RawEvent) -> None:
        """Apply an event of a TaskRun."""
        run: Any = event["object"]
        deleted = event["type"] == DELETED
        is_news = deleted or self._cache.is_news(run)
        if deleted:
            self._cache.drop_run(run["metadata"]["uid"])
        else:
            self._cache.put_run(run)
        if is_news:
            self._enqueue(key_of_run(run))
        self._arrived(run["metadata"]["uid"])

    def take_pod(self, event: kopf.RawEvent) -> None:
        """Apply an event of a Pod.

        A DELETED event contains the Pod's last state, so that state is stored before the removal.
        """
        pod: Any = event["object"]
        is_news = self._cache.is_news(pod)
        self._cache.put_pod(pod)
        if event["type"] == DELETED:
            is_news = self._cache.lose_pod(pod["metadata"]["uid"]) or is_news
        if is_news and (key := key_of_pod(pod)) is not None:
            (self._enqueue_later if is_starting_or_running(pod) else self._enqueue)(key)
        self._arrived(pod["metadata"]["uid"])


def is_starting_or_running(pod: Object) -> bool:
    """Return whether a Pod is not being deleted and none of its ordinary containers has ended."""
    status = mapping(pod.get("status"))
    if "deletionTimestamp" in pod["metadata"] or status.get("phase") not in ("Pending", "Running"):
        return False
    states = (mapping(each.get("state")) for each in mappings(status.get("containerStatuses")))
    return not any("terminated" in state for state in states)


log = logging.getLogger(__name__)


class DirectProcessor:
    """Processor of kopf's watch streams that only calls the event handler.

    For every event, kopf's own processor builds loggers and a patch, and searches indexers,
    daemons and change handlers. We have none of them, and that search was half of the controller's
    CPU time. An error of the event handler is logged, as kopf does, and the watch continues.
    """

    def __init__(self, event_handler: EventHandler) -> None:
        self._take: dict[str, Callable[[kopf.RawEvent], None]] = {
            names.PLURAL: event_handler.take_run,
            "pods": event_handler.take_pod,
        }

    async def __call__(
        self, *, resource: kopf.Resource, raw_event: kopf.RawEvent, **_: Any
    ) -> None:
        """Handle one event; kopf passes more arguments, which only its own processor needs."""
        self.handle(resource, raw_event)

    def handle(self, resource: kopf.Resource, event: kopf.RawEvent) -> None:
        """Handle one event."""
        try:
            self._take[resource.plural](event)
        except Exception:
            log.exception("an event of %s could not be handled", resource.plural)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace kopf's processor in all operators that are spawned inside the block.

        kopf's watcher is replaced for longer, because kopf opens watches after the block too.
        """
        queueing.watcher = _watch
        before = processing.process_resource_event
        processing.process_resource_event = self  # type: ignore[assignment]
        try:
            yield
        finally:
            processing.process_resource_event = before


_kopf_watcher = queueing.watcher


async def _watch(
    *,
    processor: Callable[..., Any],
    resource: kopf.Resource,
    namespace: str | None,
    settings: kopf.OperatorSettings,
    **more: Any,
) -> None:
    """Pass the events of one watch stream to our processor, as they arrive.

    kopf's own watcher starts a task with a queue for each object, because its processors may wait.
    Ours does not. Streams of other processors are left to kopf's watcher.
    """
    where: Any = {"resource": resource, "namespace": namespace, "settings": settings}
    direct = getattr(processor, "func", None)  # kopf passes it inside a functools.partial
    if not isinstance(direct, DirectProcessor):
        await _kopf_watcher(processor=processor, **where, **more)
        return
    paused = more.get("operator_paused")
    async for event in watching.infinite_watch(**where, operator_paused=paused):
        if not isinstance(event, watching.Bookmark) and event["type"] != BOOKMARK:
            direct.handle(resource, event)


def register(registry: kopf.OperatorRegistry, event_handler: EventHandler) -> None:
    """Register event handlers for TaskRuns and Pods; kopf writes nothing to objects for these.

    They make kopf watch these resources. `DirectProcessor` is used in their place.
    """

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def handle_run(event: kopf.RawEvent, **_: Any) -> None:
        event_handler.take_run(event)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def handle_pod(event: kopf.RawEvent, **_: Any) -> None:
        event_handler.take_pod(event)


TASK_PREFIX = "taskruns: "
"""Name prefix of our own asyncio tasks. kopf does not cancel such tasks when it ends."""

_WATCHER = "watcher for "
_PAGE = 500
_REQUEST_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_SILENT_SECONDS = 70.0
"""Time without an event after which a watch is opened again, in seconds, even if its connection
looks intact. The apiserver sends a bookmark every minute."""


class Watch:
    """Starts and stops kopf, which watches each kind in each namespace.

    A watch that is forbidden in one of several namespaces is retried without limit. The other
    namespaces are not affected.
    """

    def __init__(
        self,
        connection: Connection,
        event_handler: EventHandler,
        namespaces: Sequence[str] = (EVERYWHERE,),
    ) -> None:
        self._namespaces = namespaces
        self._connection = connection
        self._registry = kopf.OperatorRegistry()
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._ended: asyncio.Task[None] | None = None
        self._sessions: list[aiohttp.ClientSession] = []
        paths = [call.path(place) for call in (LIST_RUNS, LIST_PODS) for place in namespaces]
        self.statuses: dict[str, int | None] = dict.fromkeys(paths)
        """HTTP status of the last watch request, or of a failed list, by path; None before it."""
        self._processor = DirectProcessor(event_handler)
        register(self._registry, event_handler)
        kopf.on.login(registry=self._registry)(self._login)

    async def start(self) -> "asyncio.Task[None]":
        """Start kopf; return a task that ends as soon as any part of kopf ends."""
        ignored = _OtherTasks(asyncio.all_tasks())
        with self._processor.installed():
            tasks = await kopf.spawn_tasks(
                registry=self._registry,
                settings=kopf_settings(),
                clusterwide=EVERYWHERE in self._namespaces,
                namespaces=[place for place in self._namespaces if place != EVERYWHERE],
                standalone=True,
                stop_flag=self._stop,
            )
        running = kopf.run_tasks(tasks, ignored=ignored)
        self._running = asyncio.create_task(running, name=f"{TASK_PREFIX}kopf")
        self._ended = asyncio.create_task(_first_end(tasks), name=f"{TASK_PREFIX}watch")
        return self._ended

    async def stop(self, within: float) -> None:
        """Stop kopf; wait for it for at most about `within` seconds."""
        died = self._ended is not None and self._ended.done()
        self._stop.set()
        if self._running is not None and died:
            # After one part has failed, kopf does not stop the watches, and hangs in them when it
            # cancels all tasks at once. So the watches are cancelled first.
            await _cancel(_watches(), within)
        elif self._running is not None:
            await asyncio.wait({self._running}, timeout=within)
        await _cancel({task for task in (self._running, self._ended) if task}, 1.0)
        for session in self._sessions:
            await session.close()

    def starting(self) -> str:
        """Describe how many watches are open; return an empty string once start-up is complete.

        It is complete when at least one watch is open and every other one is forbidden or open.
        """
        answers = list(self.statuses.values())
        opened, closed = answers.count(HTTPStatus.OK), answers.count(HTTPStatus.FORBIDDEN)
        description = f"{opened} of {len(answers)} watches are open"
        return "" if opened and opened + closed == len(answers) else description

    def problem(self) -> str:
        """Describe how many watches are left after one has ended; kopf may continue without it.

        Return an empty string while all are running, and before all have been answered once.
        """
        all_of_them = len(self.statuses)
        begun = None not in self.statuses.values()
        lost = begun and (running := len(_watches())) < all_of_them
        return f"{running} of {all_of_them} watches are left" if lost else ""

    def _answered(self, response: aiohttp.ClientResponse) -> None:
        path = response.url.path
        if path in self.statuses and ("watch" in response.url.query or not response.ok):
            self.statuses[path] = response.status

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Return a session for kopf that renews its credentials itself.

        On a 401 kopf would close its session while a watch is being opened on it, and that ends
        kopf.
        """
        session = self._connection.open_session(self._answered)
        self._sessions.append(session)  # kopf does not close it when it ends with an error
        return kopf.AiohttpSession(
            server=self._connection.configuration.host, aiohttp_session=session
        )


async def _first_end(tasks: "Collection[asyncio.Task[Any]]") -> None:
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        await task


async def _cancel(tasks: "Collection[asyncio.Task[Any]]", within: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        ended, _ = await asyncio.wait(tasks, timeout=within)
        await asyncio.gather(*ended, return_exceptions=True)


def _watches() -> "Collection[asyncio.Task[Any]]":
    """Return the running watch tasks of kopf, which are recognised by their names."""
    return {task for task in asyncio.all_tasks() if task.get_name().startswith(_WATCHER)}


def kopf_settings() -> kopf.OperatorSettings:
    """Return the settings of kopf: watches only, and no write to any object."""
    settings = kopf.OperatorSettings()
    settings.watching.label_selectors["", "v1", "pods"] = names.LABEL_UID
    settings.watching.chunk_size = _PAGE
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.watching.inactivity_timeout = _SILENT_SECONDS
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.error_backoffs = _Backoffs()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = None
    # kopf removes this finalizer wherever it finds it. A name that no operator uses is safe.
    settings.persistence.finalizer = f"{names.GROUP}/never"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    return settings


class _Backoffs(Iterable[float]):
    """Delays between retries of one request, in seconds: without end, and restarted per request."""

    @override
    def __iter__(self) -> Iterator[float]:
        delay = 0.5
        while True:
            yield delay
            delay = min(delay * 2, 5.0)


class _NoDiffBase(kopf.DiffBaseStorage):
    """Storage without content; avoids comparisons of objects for handlers that do not exist."""

    @override
    def build(self, **_: Any) -> Any:
        return {}

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """Storage without content; event handlers have no progress."""

    @override
    def fetch(self, **_: Any) -> None:
        return None

    @override
    def store(self, **_: Any) -> None:
        pass

    @override
    def purge(self, **_: Any) -> None:
        pass

    @override
    def touch(self, **_: Any) -> None:
        pass

    @override
    def clear(self, *, essence: Any) -> Any:
        return essence


class _OtherTasks(Collection["asyncio.Task[Any]"]):
    """The tasks that are not kopf's. When kopf ends, it cancels all other tasks of the loop."""

    def __init__(self, before: Iterable["asyncio.Task[Any]"]) -> None:
        self._before = frozenset(before)

    @override
    def __contains__(self, task: object) -> bool:
        ours = isinstance(task, asyncio.Task) and task.get_name().startswith(TASK_PREFIX)
        return ours or task in self._before

    @override
    def __iter__(self) -> "Iterator[asyncio.Task[Any]]":
        return (task for task in asyncio.all_tasks() if task in self)

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)
