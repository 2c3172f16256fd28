"""Compares what the watch has told with what exists, by lists that carry metadata alone.

A watch does not tell what was deleted while it was down, and it can die without a word. So before
the first run is looked at, and every minute from then on, everything is listed: what is gone is
dropped, what still needs something is looked at, and a watch that is behind is found out.

Of several namespaces, one that may not be listed is told of and left as it was; the others go on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from taskruns.engines.cache import Cache, RunKey, Versions
from taskruns.engines.engine import EngineError
from taskruns.engines.kubernetes.listing import EVERYWHERE, NotAllowed, NotInstalled
from taskruns.operator.health import Pulse

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""After a list that did not come through."""


class Resync:
    """Lists, compares, and asks for the looks that follow."""

    def __init__(
        self,
        list_all: Callable[[str], Awaitable[Versions]],
        cache: Cache,
        ask: Callable[[RunKey], None],
        interval: float,
        namespaces: Sequence[str] = (EVERYWHERE,),
        compared: Callable[[Versions, Mapping[str, int]], None] = lambda *_: None,
    ) -> None:
        self._list_all = list_all
        self._cache = cache
        self._ask = ask
        self._interval = interval
        self._namespaces = namespaces
        self._closed: Mapping[str, str] = {}
        """Namespaces that may not be listed, and why."""
        self._compared = compared
        self._behind: Mapping[str, int] = {}
        self._late = 0
        self.tried = Pulse()
        """When a list was last begun."""
        self.succeeded = Pulse()
        """When one last came through."""

    async def run(self) -> None:
        """Take stock for ever, and have a look at all that needs one."""
        while True:
            await asyncio.sleep(self._interval)
            await self.compare()
            for key in self._cache.unfinished():
                self._ask(key)

    async def take_stock(self) -> Versions:
        """List what exists, however often that takes, and drop from the cache what does not."""
        while True:
            try:
                return await self._list()
            except NotInstalled as error:
                log.warning("%s; install it from crds/taskruns.yaml", error)
            except EngineError as error:
                log.warning("cannot list what exists: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def compare(self) -> None:
        """Take stock, and find out whether the watch is behind by more than the time in between."""
        listed, kept = await self.take_stock(), self._cache.versions()
        late = still_behind(self._behind, listed, kept)
        if late:
            log.error("the watch is dead: it did not tell of %s", ", ".join(sorted(late)[:5]))
        self._late = len(late)
        self._behind = behind(listed, kept)
        self._compared(listed, self._behind)

    def trouble(self) -> str:
        """Say how far the watch is behind, if it is by more than the time between two lists."""
        return f"{self._late} objects changed and no watch told so" if self._late else ""

    def closed(self) -> str:
        """Say which namespaces are not served, while others are."""
        return "; ".join(f"{name} is not served: {why}" for name, why in self._closed.items())

    async def _list(self) -> Versions:
        self.tried.beat()
        listed = Versions({}, {})
        closed: dict[str, NotAllowed] = {}
        for namespace in self._namespaces:
            try:
                listed = together(listed, await self._list_one(namespace))
            except NotAllowed as error:
                closed[namespace] = error
        if len(closed) == len(self._namespaces):
            raise closed[self._namespaces[0]]
        self._tell_closed({namespace: str(error) for namespace, error in closed.items()})
        self.succeeded.beat()
        return listed

    async def _list_one(self, namespace: str) -> Versions:
        before = self._cache.versions(namespace)
        listed = await self._list_all(namespace)
        for uid in before.runs.keys() - listed.runs.keys():
            self._cache.drop_run(uid)
        for uid in before.pods.keys() - listed.pods.keys():
            self._cache.lose_pod(uid)
        return listed

    def _tell_closed(self, closed: Mapping[str, str]) -> None:
        for namespace in closed.keys() - self._closed.keys():
            log.warning("namespace %s is not served: %s; it will be as soon as it is there and the "
                        "controller has its role in it", namespace, closed[namespace])  # fmt: skip
        for namespace in self._closed.keys() - closed.keys():
            log.info("namespace %s is served from now on", namespace)
        self._closed = closed


def together(some: Versions, more: Versions) -> Versions:
    """Join what there is in two places."""
    return Versions({**some.runs, **more.runs}, {**some.pods, **more.pods})


def behind(listed: Versions, kept: Versions) -> dict[str, int]:
    """Return what exists in a newer version than is kept; for a moment that is normal."""
    known = kept.all()
    return {uid: at for uid, at in listed.all().items() if known.get(uid, -1) < at}


def still_behind(earlier: Mapping[str, int], listed: Versions, kept: Versions) -> frozenset[str]:
    """Return what was behind at the list before, still exists, and has not caught up since."""
    known, there = kept.all(), listed.all()
    return frozenset(uid for uid, at in earlier.items() if uid in there and known.get(uid, -1) < at)
