"""Follower of one run on a Docker host: watches daemon and record, and reconciles the run."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Self

from taskruns.api import names
from taskruns.api.conditions import is_terminal
from taskruns.api.reasons import Place
from taskruns.clock import Clock
from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import Object
from taskruns.engines.cache import Cache
from taskruns.engines.docker.container import NO_SECRETS, Secrets
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.engine import DockerEngine
from taskruns.engines.docker.kubelet import Kubelet
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import Record, StateError, StateFile, uid_of
from taskruns.engines.docker.watch import watching
from taskruns.engines.engine import Engine, Unavailable
from taskruns.engines.reconcile import NotSettled, reconcile

_ID, _ADDRESS = "id", "address"


class OfAnotherDaemon(StateError):
    """The run belongs to another daemon; the message says what to do."""


async def home_of(daemon: Daemon) -> dict[str, str]:
    """Return a daemon as a record names its owner. Raises NoDaemon."""
    return {_ID: await daemon.identity(), _ADDRESS: daemon.address}


async def belongs(record: Record, daemon: Daemon) -> bool:
    """Return whether a run belongs to a daemon, or to none yet. Raises NoDaemon."""
    return not record.home or record.home[_ID] == await daemon.identity()


async def claim(file: StateFile, daemon: Daemon) -> None:
    """Ensure that a run belongs to a daemon; a run without a daemon is assigned to it for good.

    Raises:
        OfAnotherDaemon: The run belongs to another daemon.
        NoDaemon: The daemon does not answer.
        StateError: The state directory cannot be used.
    """
    record = await file.read()
    if not record.home and not record.empty:
        home = await home_of(daemon)
        async with file.change() as record:
            if not record.home and not record.empty:
                record.home = home
    if not await belongs(record, daemon):
        raise OfAnotherDaemon(
            f"{file.name} belongs to another Docker daemon (last at {record.home[_ADDRESS]}) than "
            f"the one at {daemon.address}: set DOCKER_HOST to its address or, if it no longer "
            f"exists, remove {file.path}"
        )


log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
"""Delay after an error, such as an unavailable daemon, in seconds."""
_CLOCK_SECONDS = 30.0
"""Largest expected difference between the daemon's clock and ours, in seconds."""
_HAND_OVER_SECONDS = 1.0
"""Time after which a long request, such as a stop, has certainly reached the daemon, in seconds."""
_LONGEST_WAIT = 30.0
"""Resync period, in seconds: the longest time between two syncs when no event arrives."""


class Follower:
    """Reconciles one run while it is open."""

    def __init__(
        self,
        file: StateFile,
        daemon: Daemon,
        now: Clock,
        site: SiteDefaults,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.daemon = daemon
        """Connection to the daemon; clients read logs through it."""
        self._file = file
        self._now = now
        self._site = replace(site, place=Place.DOCKER)
        self._cache = Cache()
        self._engine: Engine = DockerEngine(file, now, secrets)
        self._changed = asyncio.Event()
        self._reported = asyncio.Event()
        """Event that is set, and replaced by a new one, when the daemon reports an event."""
        self._runtime = Runtime(file, daemon, now, secrets)
        self._node = Kubelet(file, daemon, self._runtime, on_task_done=self._changed.set)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        file: StateFile,
        daemon: Daemon,
        now: Clock,
        site: SiteDefaults,
        secrets: Secrets = NO_SECRETS,
    ) -> AsyncIterator[Self]:
        """Open a follower of a run; closing it leaves the container running.

        Raises:
            OfAnotherDaemon: The run belongs to another daemon.
        """
        await claim(file, daemon)
        follower = cls(file, daemon, now, site, secrets)
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
        """Yield the TaskRun at every change until it has ended and its Pods have no finalizers.

        Args:
            to_the_last: Whether to continue until the TaskRun is deleted, including its TTL.

        Raises:
            StateError: The state directory cannot be used.
        """
        last: Object | None = None
        while True:
            wake_at = await self._sync()
            record = await self._file.read()
            run: Object | None = record.run
            if run is None:
                return
            if run != last:
                yield run
                last = run
            if is_terminal(run) and not to_the_last and not _has_finalizers(record):
                return
            await self._wait(wake_at)

    async def started(self, pod: str) -> None:
        """Wait until the container of a Pod has started; it need not exist yet."""
        while True:
            reported = self._reported
            with contextlib.suppress(Unavailable):
                if await self.daemon.has_run(pod):
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reported.wait(), _LONGEST_WAIT)

    @property
    def pulling(self) -> str:
        """Progress of the current image pull, as text; empty if there is none."""
        return str(self._runtime.pull or "")

    async def settle(self) -> None:
        """Reconcile once; leave long steps to the daemon or to another follower of the run."""
        await self._sync()
        await self._node.finish(_HAND_OVER_SECONDS)

    async def tidy(self) -> None:
        """Do everything that is due now and wait until it is done, such as a container's stop.

        Steps that are due later are not waited for. The follower cannot be used afterwards.
        """
        try:
            await self._sync()
            if await self._node.finish():
                await self._sync()
        finally:
            await self._node.close()

    async def _sync(self) -> datetime | None:
        """Sync containers and record, and reconcile the run, once; return the next wake-up time."""
        self._changed.clear()
        try:
            reported_at = await self._node.sync(begin=False)
            moments = [reported_at, await self._decide(), await self._node.sync()]
        except (DaemonError, Unavailable, NotSettled) as error:
            log.warning("%s; retrying", error)
            await asyncio.sleep(_RETRY_SECONDS)
            return self._now()
        return min((moment for moment in moments if moment is not None), default=None)

    async def _decide(self) -> datetime | None:
        record = await self._file.read()
        if record.run is None:
            return None
        key = self._cache.put_run(record.run)
        live_uids = {uid_of(pod) for pod in record.pods.values()}
        for pod in record.pods.values():
            self._cache.put_pod(pod)
        for uid in {uid_of(pod) for pod in self._cache.view(key).pods} - live_uids:
            self._cache.lose_pod(uid)
        return await reconcile(key, self._cache, self._engine, self._now, self._site)

    async def _wait(self, wake_at: datetime | None) -> None:
        timeout = _LONGEST_WAIT
        if wake_at is not None:
            timeout = min(max((wake_at - self._now()).total_seconds(), 0.05), _LONGEST_WAIT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()

    async def _watch_daemon(self, label: str) -> None:
        since = self._now().timestamp() - _CLOCK_SECONDS
        while True:
            with contextlib.suppress(Unavailable):
                async for _ in self.daemon.events(label, since):
                    self._on_event()
            self._on_event()
            await asyncio.sleep(_RETRY_SECONDS)

    def _on_event(self) -> None:
        self._changed.set()
        self._reported.set()
        self._reported = asyncio.Event()


def _has_finalizers(record: Record) -> bool:
    """Return whether a Pod still has a finalizer, hence needs a step other than a timer."""
    return any(pod["metadata"].get("finalizers") for pod in record.pods.values())
