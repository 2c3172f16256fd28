"""Follows one run on a Docker host to its end: reads daemon and record, applies decisions."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Self

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from taskruns.api.reasons import Place
from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import mapping, text
from taskruns.engines.cache import Cache
from taskruns.engines.docker.container import NO_SECRETS, Secrets
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.engine import DockerEngine
from taskruns.engines.docker.kubelet import Kubelet
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import Record, StateError, StateFile, uid_of
from taskruns.engines.docker.watch import watching
from taskruns.engines.engine import Object, Unavailable
from taskruns.engines.reconcile import NotSettled, reconcile

_ID, _ADDRESS = "id", "address"


class OfAnotherDaemon(StateError):
    """The run is another daemon's; the message says what to do."""


async def belongs(record: Record, daemon: Daemon) -> bool:
    """Whether a run is a daemon's, or nobody's yet. Raises NoDaemon."""
    return not record.home or record.home[_ID] == await daemon.identity()


async def claim(file: StateFile, daemon: Daemon) -> None:
    """See that a run is a daemon's: that of the first who asks has it for good.

    Raises:
        OfAnotherDaemon: it is not.
        NoDaemon: the daemon does not answer.
        StateTrouble: the state directory cannot be used.
    """
    record = await file.read()
    if not record.home and not record.empty:
        home = {_ID: await daemon.identity(), _ADDRESS: daemon.address}
        async with file.change() as record:
            if not record.home and not record.empty:
                record.home = home
    if not await belongs(record, daemon):
        raise OfAnotherDaemon(
            f"{file.name} is with another Docker daemon, then at {record.home[_ADDRESS]}, than "
            f"the one at {daemon.address}: set DOCKER_HOST to where that is or, if it is gone for "
            f"good, remove {file.path}"
        )


log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
"""After something went wrong, the daemon's absence for one."""
_CLOCK_SECONDS = 30.0
"""How far the daemon's clock may be from ours."""
_HAND_OVER_SECONDS = 1.0
"""In which a request that takes its time, such as a stop, has certainly reached the daemon."""
_LONGEST_WAIT = 30.0
"""Seconds after which everything is looked at although nothing was told."""


class Follower:
    """Looks after one run for as long as it is open."""

    def __init__(
        self,
        file: StateFile,
        daemon: Daemon,
        now: Callable[[], datetime],
        site: SiteDefaults,
        given: Secrets = NO_SECRETS,
    ) -> None:
        self.daemon = daemon
        """The connection that it has, for whoever wants a log."""
        self._file = file
        self._now = now
        self._site = replace(site, place=Place.DOCKER)
        self._cache = Cache()
        self._engine = DockerEngine(file, now, given)
        self._changed = asyncio.Event()
        self._heard = asyncio.Event()
        """Set, and replaced by another, when the daemon has told something."""
        self._place = Runtime(file, daemon, now, given)
        self._node = Kubelet(file, daemon, self._place, tell=self._changed.set)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        file: StateFile,
        daemon: Daemon,
        now: Callable[[], datetime],
        site: SiteDefaults,
        given: Secrets = NO_SECRETS,
    ) -> AsyncIterator[Self]:
        """Begin to look after a run; leaving ends that, and the container goes on.

        Raises:
            OfAnotherDaemon: it is not this daemon's.
        """
        await claim(file, daemon)
        follower = cls(file, daemon, now, site, given)
        uid = uid_of((await file.read()).run or {"metadata": {"uid": ""}})
        events = asyncio.create_task(follower._watch_daemon(f"{names.LABEL_UID}={uid}"))
        try:
            with watching(file.path, follower._changed.set):
                yield follower
        finally:
            events.cancel()
            await asyncio.gather(events, return_exceptions=True)
            await follower._node.close()

    async def changes(self, *, to_the_last: bool = False) -> AsyncIterator[Object]:
        """Yield the TaskRun whenever it has changed, until it has ended and its Pods are let go.

        Args:
            to_the_last: whether to go on until nothing of the run is left, its TTL included.

        Raises:
            StateTrouble: the state directory cannot be used.
        """
        last: Object | None = None
        while True:
            wake_at = await self._look()
            run: Object | None = (await self._file.read()).run
            if run is None:
                return
            if run != last:
                yield run
                last = run
            ended = text(mapping(run.get("status")).get("phase")) in TERMINAL_PHASES
            if ended and not to_the_last and not self._pods_to_tidy(await self._pods()):
                return
            await self._wait(wake_at)

    async def started(self, pod: str) -> None:
        """Wait until the container of a Pod has run, or runs; it need not be there yet."""
        while True:
            heard = self._heard
            with contextlib.suppress(Unavailable):
                if await self.daemon.has_run(pod):
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), _LONGEST_WAIT)

    @property
    def pulling(self) -> str:
        """What the pull of an image that this follower has under way would tell; else empty."""
        return str(self._place.pull or "")

    async def settle(self) -> None:
        """Look once, and leave what takes its time to the daemon or to whoever follows the run."""
        await self._look()
        await self._node.finish(_HAND_OVER_SECONDS)

    async def tidy(self) -> None:
        """Do what is due now and wait for what that takes, such as a container's end.

        No clock is waited for. It uses this follower up.
        """
        try:
            await self._look()
            if await self._node.finish():
                await self._look()
        finally:
            await self._node.close()

    async def _look(self) -> datetime | None:
        """Bring containers, record and decision together once; return when to look again."""
        self._changed.clear()
        try:
            seen = await self._node.sync(begin=False)
            moments = [seen, await self._decide(), await self._node.sync()]
        except (DaemonError, Unavailable, NotSettled) as error:
            log.warning("%s; trying again", error)
            await asyncio.sleep(_RETRY_SECONDS)
            return self._now()
        return min((found for found in moments if found is not None), default=None)

    async def _decide(self) -> datetime | None:
        record = await self._file.read()
        if record.run is None:
            return None
        key = self._cache.put_run(record.run)
        seen = {uid_of(pod) for pod in record.pods.values()}
        for pod in record.pods.values():
            self._cache.put_pod(pod)
        for uid in {uid_of(pod) for pod in self._cache.view(key).pods} - seen:
            self._cache.lose_pod(uid)
        return await reconcile(key, self._cache, self._engine, self._now, self._site)

    async def _pods(self) -> list[Object]:
        return list((await self._file.read()).pods.values())

    @staticmethod
    def _pods_to_tidy(pods: list[Object]) -> bool:
        """Whether something is still to be done about Pods now, other than to wait for a time."""
        return any(pod["metadata"].get("finalizers") for pod in pods)

    async def _wait(self, wake_at: datetime | None) -> None:
        left = _LONGEST_WAIT
        if wake_at is not None:
            left = min(max((wake_at - self._now()).total_seconds(), 0.05), _LONGEST_WAIT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._changed.wait()

    async def _watch_daemon(self, label: str) -> None:
        since = self._now().timestamp() - _CLOCK_SECONDS
        while True:
            with contextlib.suppress(Unavailable):
                async for _ in self.daemon.events(label, since):
                    self._hear()
            self._hear()
            await asyncio.sleep(_RETRY_SECONDS)

    def _hear(self) -> None:
        self._changed.set()
        self._heard.set()
        self._heard = asyncio.Event()
