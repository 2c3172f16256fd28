"""The one node that a Docker host is: makes, starts, stops and removes the containers of one run.

It does for the Pods in a run's record what a kubelet does for those in the apiserver, and reports
into the record. Whatever it does is safe to do again: a client that dies is followed by another,
and two that follow one run do not get in each other's way.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from taskruns.core.facts import ENDED_PHASES
from taskruns.engines.docker.container import LABEL_POD_UID, grace_of
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.engine import remove_pod
from taskruns.engines.docker.fields import Unsupported
from taskruns.engines.docker.pod_status import (
    StartError,
    has_ended,
    is_running,
    killed_at,
    never_ran,
    pod_status,
    start_error,
)
from taskruns.engines.docker.runtime import NAME_TAKEN, Runtime, advised
from taskruns.engines.docker.state_file import Record, StateFile, uid_of
from taskruns.engines.engine import Object, Unavailable

_CREATE, _START, _STOP = "create", "start", "stop"
_RETRY_FIRST, _RETRY_CAP = 5.0, 60.0
"""Seconds between tries to make a container; a kubelet's are longer, it has more to do."""

PATIENCE = timedelta(seconds=10)
"""How long what the daemon was asked may still come to pass: until then nobody asks again."""

OOM_PATIENCE = timedelta(seconds=0.5)
"""How long after a kill the daemon may yet say that it was for want of memory."""


class Kubelet:
    """Looks after the containers of one run, for as long as `close` is not called."""

    def __init__(
        self,
        file: StateFile,
        daemon: Daemon,
        place: Runtime,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to look after a run's containers.

        Args:
            file: the run's record.
            daemon: where the containers are.
            place: how they are made, and what they leave.
            tell: called when something that took its time is done, so that `sync` is due.
        """
        self._file = file
        self._daemon = daemon
        self._place = place
        self._tell = tell
        self._now: Callable[[], datetime] = place.now
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._troubles: dict[str, StartError] = {}

    async def sync(self, *, begin: bool = True) -> datetime | None:
        """Bring containers and record together; return when to do so again without an event.

        Args:
            begin: whether containers may be made and started; without, what there is is reported.

        Raises:
            NoDaemon: the daemon does not answer.
            StateTrouble: the record cannot be read or written.
        """
        self._forget_done()
        # Read before containers are looked at: what it says was asked for came before that look.
        seen = await self._file.read()
        moments = [
            await self._sync_pod(pod, seen, begin=begin)
            for pod in seen.pods.values()
            if pod["spec"].get("nodeName")
        ]
        return min((found for found in moments if found is not None), default=None)

    async def finish(self, within: float | None = None) -> bool:
        """Wait for what has been begun, some seconds at most; return whether there was anything."""
        begun = [task for task in self._tasks.values() if not task.done()]
        if begun:
            await asyncio.wait(begun, timeout=within)
        return bool(begun)

    async def close(self) -> None:
        """Leave the containers as they are and stop looking after them."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _sync_pod(self, pod: Object, seen: Record, *, begin: bool) -> datetime | None:
        found = await self._find(pod)
        if found is None:
            return await self._sync_without_container(pod, seen, begin=begin)
        if has_ended(found) or start_error(found):
            return await self._report_end(pod, found)
        if is_running(found):
            await self._report(pod, pod_status(pod, found))
            return await self._stop(pod, seen) if _is_to_end(pod) else None
        return await self._start(pod) if begin else None

    async def _find(self, pod: Object) -> Object | None:
        """Look for the Pod's container; one of its name that is another's counts as none."""
        found = await self._daemon.inspect(pod["metadata"]["name"])
        if found is None:
            return None
        labels = (found.get("Config") or {}).get("Labels") or {}
        return found if labels.get(LABEL_POD_UID) == uid_of(pod) else None

    async def _sync_without_container(
        self, pod: Object, seen: Record, *, begin: bool
    ) -> datetime | None:
        ended = pod["status"]["phase"] in ENDED_PHASES
        if seen.asked_at(pod, _START) is not None and not ended:
            # It was there and somebody removed it: as when a Pod's finalizer is forced off.
            async with self._file.change() as record:
                live = record.live(pod)
                if live is not None and live["status"]["phase"] not in ENDED_PHASES:
                    await asyncio.to_thread(self._place.clear, pod)
                    remove_pod(record, pod["metadata"]["name"])
        elif ended or _is_to_end(pod):
            if not ended and (until := self._awaited(seen, pod, _CREATE)) is not None:
                return until
            await self._report(pod, None if ended else never_ran(pod))
            await self._forget_deleted(pod)
        elif begin:
            await self._report(pod, pod_status(pod, None, self._troubles.get(uid_of(pod))))
            self._run("make", pod, self._make(pod))
        return None

    async def _make(self, pod: Object) -> None:
        """Pull the image if need be and create the container, however often that takes."""
        delay = _RETRY_FIRST
        while (trouble := await self._try_to_make(pod)) is not None:
            self._troubles[uid_of(pod)] = trouble
            await self._report(pod, pod_status(pod, None, trouble))
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RETRY_CAP)
        self._troubles.pop(uid_of(pod), None)
        await self._start(pod)

    async def _try_to_make(self, pod: Object) -> StartError | None:
        live = (await self._file.read()).live(pod)
        if live is None or _is_to_end(live):
            return None
        return await self._place.fetch_image(pod) or await self._try_to_create(pod)

    async def _try_to_create(self, pod: Object) -> StartError | None:
        """Create the container of a Pod that is still wanted.

        That happens under the record's lock, and the record says so first: a Pod is not forgotten
        while its container may still come to be, whoever asked for it and died.
        """
        async with self._file.change() as record:
            live = record.live(pod)
            if live is None or _is_to_end(live):
                return None
            record.note(pod, _CREATE, self._now())
            await self._file.write(record)
            try:
                await self._place.create(pod)
                if mismatch := await self._place.find_mismatch(pod):
                    await self._daemon.remove(pod["metadata"]["name"])
                    record.forget(pod, _CREATE)
                    return StartError("CreateContainerError", mismatch)
            except Unavailable as error:
                return StartError("CreateContainerError", str(error))
            except Unsupported as error:
                record.forget(pod, _CREATE)
                return StartError("CreateContainerConfigError", str(error))
            except DaemonError as error:
                if error.code != NAME_TAKEN or await self._find(pod) is None:
                    record.forget(pod, _CREATE)
                    return StartError("CreateContainerError", advised(str(error)))
        return None

    async def _start(self, pod: Object) -> datetime | None:
        """Start a created container, once.

        What was told to start may run at any moment, or have run: a start that comes after the end
        would run the work again. So the record says so first, under its lock, and whoever finds it
        said waits until no earlier request can still be on its way.
        """
        name = pod["metadata"]["name"]
        async with self._file.change() as record:
            live, found = record.live(pod), await self._find(pod)
            if found is None or has_ended(found) or is_running(found):
                return self._now()
            if (until := self._awaited(record, pod, _START)) is not None:
                return until
            if live is None or _is_to_end(live):
                await self._daemon.remove(name)
                record.asked.pop(uid_of(pod), None)
                return self._now()
            if await self._place.find_mismatch(pod):  # of a client that died before it looked
                await self._daemon.remove(name)
                record.forget(pod, _CREATE)
                return self._now()
            await self._place.open_volumes(pod, found)
            record.note(pod, _START, self._now())
            await self._file.write(record)
            with contextlib.suppress(DaemonError):  # what it says stands in the container's state
                await self._ask_to_start(pod, record)
        return self._now()

    async def _ask_to_start(self, pod: Object, record: Record) -> None:
        """Have a container start; what a daemon did not answer may come to pass from now on."""
        try:
            await self._daemon.start(pod["metadata"]["name"])
        except Unavailable:
            record.note(pod, _START, self._now())
            await self._file.write(record)
            raise

    async def _stop(self, pod: Object, seen: Record) -> datetime | None:
        """Have a container end, asked for once: another SIGTERM would disturb its last work."""
        grace = grace_of(pod)
        if (until := self._awaited(seen, pod, _STOP, grace)) is not None:
            return until
        async with self._file.change() as record:
            if (until := self._awaited(record, pod, _STOP, grace)) is not None:
                return until
            if record.live(pod) is None:
                return None
            record.note(pod, _STOP, self._now())
        self._run("stop", pod, self._ask_to_stop(pod))
        return self._now() + PATIENCE + timedelta(seconds=grace)

    async def _ask_to_stop(self, pod: Object) -> None:
        try:
            await self._daemon.stop(pod["metadata"]["name"], grace_of(pod))
        except (DaemonError, Unavailable):
            async with self._file.change() as record:
                record.forget(pod, _STOP)

    def _awaited(self, record: Record, pod: Object, what: str, grace: int = 0) -> datetime | None:
        """Until when what was asked for may come to pass; None: nobody asked, or it is over."""
        asked = record.asked_at(pod, what)
        until = None if asked is None else asked + PATIENCE + timedelta(seconds=grace)
        return until if until is not None and self._now() < until else None

    async def _report_end(self, pod: Object, found: Object) -> datetime | None:
        """Report how it ended, once: its last words are read while the container is there."""
        later = killed_at(found)
        if later is not None and self._now() < later + OOM_PATIENCE <= self._now() + OOM_PATIENCE:
            return later + OOM_PATIENCE
        if pod["status"]["phase"] not in ENDED_PHASES:
            message = await self._place.last_words(pod, found)
            await self._report(pod, pod_status(pod, found, message=message))
        await self._forget_deleted(pod)
        return None

    async def _forget_deleted(self, pod: Object) -> None:
        """Remove the container of a Pod that is being deleted and held by nobody, and the Pod."""
        metadata = (await self._file.read()).pods.get(pod["metadata"]["name"], pod)["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            if await self._find(pod) is not None:
                await self._daemon.remove(metadata["name"])
            await asyncio.to_thread(self._place.clear, pod)
            async with self._file.change() as record:
                remove_pod(record, metadata["name"])

    async def _report(self, pod: Object, status: Object | None) -> None:
        if status is None or status == pod["status"]:
            return
        async with self._file.change() as record:
            live = record.live(pod)
            if live is not None and live["status"]["phase"] not in ENDED_PHASES:
                live["status"] = dict(status)

    def _run(self, what: str, pod: Object, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes its time beside everything else, once at a time."""
        key = (what, uid_of(pod))
        running = self._tasks.get(key)
        if running is not None and not running.done():
            work.close()
            return
        task = asyncio.create_task(work, name=f"taskruns: {what} a container")
        task.add_done_callback(lambda _: self._tell())
        self._tasks[key] = task

    def _forget_done(self) -> None:
        """Forget what is done; what has failed is raised here, where it is told."""
        done = [key for key, task in self._tasks.items() if task.done()]
        for task in [self._tasks.pop(key) for key in done]:
            if not task.cancelled():
                task.result()


def _is_to_end(pod: Object) -> bool:
    """Whether the Pod's container is to be ended, or never to be started."""
    stopped = pod["spec"].get("activeDeadlineSeconds") is not None
    return stopped or bool(pod["metadata"].get("deletionTimestamp"))
