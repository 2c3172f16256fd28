"""Resync: compares the cache with metadata-only lists of all TaskRuns and Pods.

A watch does not report objects that were deleted while it was down, and it can stop without an
error. So everything is listed before the first reconcile, and then every minute by default. Each
resync drops objects that are gone, enqueues runs that may need something, and detects a watch that
is behind.

If one of several namespaces may not be listed, the controller logs that, leaves its cached objects
as they are, and serves the other namespaces.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from taskruns.engines.cache import Cache, RunKey, Versions
from taskruns.engines.engine import EngineError
from taskruns.engines.kubernetes.listing import EVERYWHERE, NotAllowed, NotInstalled
from taskruns.operator.health import Heartbeat

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""Delay after a failed list, in seconds."""


class Resync:
    """Lists TaskRuns and Pods, compares them with the cache, and enqueues runs."""

    def __init__(
        self,
        list_all: Callable[[str], Awaitable[Versions]],
        cache: Cache,
        enqueue: Callable[[RunKey], None],
        interval: float,
        namespaces: Sequence[str] = (EVERYWHERE,),
        compared: Callable[[Versions, Mapping[str, int]], None] = lambda *_: None,
    ) -> None:
        self._list_all = list_all
        self._cache = cache
        self._enqueue = enqueue
        self._interval = interval
        self._namespaces = namespaces
        self._closed: Mapping[str, str] = {}
        """Namespaces that may not be listed, and the reason for each."""
        self._compared = compared
        self._behind: Mapping[str, int] = {}
        self._late = 0
        self.tried = Heartbeat()
        """Heartbeat of the start of each list."""
        self.succeeded = Heartbeat()
        """Heartbeat of each successful list."""

    async def run(self) -> None:
        """Compare and enqueue all unfinished runs, once per interval, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.compare()
            for key in self._cache.unfinished():
                self._enqueue(key)

    async def relist(self) -> Versions:
        """List TaskRuns and Pods, retrying until it succeeds; drop deleted ones from the cache."""
        while True:
            try:
                return await self._list()
            except NotInstalled as error:
                log.warning("%s; install it from crds/taskruns.yaml", error)
            except EngineError as error:
                log.warning("cannot list TaskRuns and Pods: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def compare(self) -> None:
        """List TaskRuns and Pods, and detect changes that the watch has missed."""
        listed, kept = await self.relist(), self._cache.versions()
        late = still_behind(self._behind, listed, kept)
        if late:
            log.error("the watch is stale: it missed changes of %s", ", ".join(sorted(late)[:5]))
        self._late = len(late)
        self._behind = behind(listed, kept)
        self._compared(listed, self._behind)

    def problem(self) -> str:
        """Describe how many objects the watch missed for more than an interval, or return ""."""
        return f"{self._late} changed objects are missing from the watch" if self._late else ""

    def unserved(self) -> str:
        """Describe which namespaces are not served and why; return "" if there are none."""
        return "; ".join(f"{name} is not served: {reason}" for name, reason in self._closed.items())

    async def _list(self) -> Versions:
        self.tried.beat()
        listed = Versions({}, {})
        closed: dict[str, NotAllowed] = {}
        for namespace in self._namespaces:
            try:
                listed = merge_versions(listed, await self._list_one(namespace))
            except NotAllowed as error:
                closed[namespace] = error
        if len(closed) == len(self._namespaces):
            raise closed[self._namespaces[0]]
        self._log_closed({namespace: str(error) for namespace, error in closed.items()})
        self.succeeded.beat()
        return listed

    async def _list_one(self, namespace: str) -> Versions:
        before = self._cache.versions(namespace)
        listed = await self._list_all(namespace)
        for uid in before.runs.keys() - listed.runs.keys():
            self._cache.lose_run(uid)
        for uid in before.pods.keys() - listed.pods.keys():
            self._cache.lose_pod(uid)
        return listed

    def _log_closed(self, closed: Mapping[str, str]) -> None:
        for namespace in closed.keys() - self._closed.keys():
            log.warning("namespace %s is not served: %s; it will be once it exists and the "
                        "controller has its role in it", namespace, closed[namespace])  # fmt: skip
        for namespace in self._closed.keys() - closed.keys():
            log.info("namespace %s is now served", namespace)
        self._closed = closed


def merge_versions(some: Versions, more: Versions) -> Versions:
    """Merge the versions of two sets of objects."""
    return Versions({**some.runs, **more.runs}, {**some.pods, **more.pods})


def behind(listed: Versions, kept: Versions) -> dict[str, int]:
    """Return the listed versions, by uid, that are newer than the cache's.

    A short lag of the watch is normal.
    """
    known = kept.all()
    return {uid: at for uid, at in listed.all().items() if known.get(uid, -1) < at}


def still_behind(earlier: Mapping[str, int], listed: Versions, kept: Versions) -> frozenset[str]:
    """Return the uids that were behind at the last list, still exist, and have not caught up."""
    known, live = kept.all(), listed.all()
    return frozenset(uid for uid, at in earlier.items() if uid in live and known.get(uid, -1) < at)
