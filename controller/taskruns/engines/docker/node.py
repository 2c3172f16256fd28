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

from taskruns.core.wire import moment, stamp, text
from taskruns.engines.docker.attempt import Workplace
from taskruns.engines.docker.container import LABEL_POD_UID, grace_of, main_of
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.engine import remove_pod
from taskruns.engines.docker.record import RecordFile, uid_of
from taskruns.engines.docker.report import (
    Trouble,
    has_ended,
    is_running,
    killed_at,
    never_ran,
    pod_status,
    start_error,
)
from taskruns.engines.port import Object, Unavailable

_ENDED = ("Succeeded", "Failed")
_RETRY_FIRST, _RETRY_CAP = 5.0, 60.0
"""Seconds between tries to make a container; a kubelet's are longer, it has more to do."""

START_PATIENCE = timedelta(seconds=10)
"""How long a start that somebody asked for may still arrive: until then nobody asks again."""

OOM_PATIENCE = timedelta(seconds=0.5)
"""How long after a kill the daemon may yet say that it was for want of memory."""


class Node:
    """Looks after the containers of one run, for as long as `close` is not called."""

    def __init__(self, file: RecordFile, daemon: Daemon, place: Workplace) -> None:
        self._file = file
        self._daemon = daemon
        self._place = place
        self._now: Callable[[], datetime] = place.now
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._troubles: dict[str, Trouble] = {}

    async def sync(self) -> datetime | None:
        """Bring containers and record together; return when to do so again without an event.

        Raises:
            NoDaemon: the daemon does not answer.
            StateTrouble: the record cannot be read or written.
        """
        moments = [
            await self._sync_pod(pod)
            for pod in (await self._file.read()).pods.values()
            if pod["spec"].get("nodeName")
        ]
        return min((found for found in moments if found is not None), default=None)

    async def finish(self) -> bool:
        """Wait for what has been begun; return whether there was anything."""
        begun = [task for task in self._tasks.values() if not task.done()]
        if begun:
            await asyncio.wait(begun)
        return bool(begun)

    async def close(self) -> None:
        """Leave the containers as they are and stop looking after them."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _sync_pod(self, pod: Object) -> datetime | None:
        found = await self._find(pod)
        if found is None:
            return await self._sync_without_container(pod)
        if has_ended(found) or start_error(found):
            return await self._report_end(pod, found)
        if is_running(found):
            await self._report(pod, pod_status(pod, found))
            if _is_to_end(pod):
                self._run("stop", pod, self._stop(pod))
            return None
        return await self._start(pod)

    async def _find(self, pod: Object) -> Object | None:
        """Look for the Pod's container; one of its name that is another's counts as none."""
        found = await self._daemon.inspect(pod["metadata"]["name"])
        if found is None:
            return None
        labels = (found.get("Config") or {}).get("Labels") or {}
        return found if labels.get(LABEL_POD_UID) == uid_of(pod) else None

    async def _sync_without_container(self, pod: Object) -> datetime | None:
        record = await self._file.read()
        if uid_of(pod) in record.starts and pod["status"]["phase"] not in _ENDED:
            # It was there and somebody removed it: as when a Pod's finalizer is forced off.
            async with self._file.change() as record:
                remove_pod(record, pod["metadata"]["name"])
        elif pod["metadata"].get("deletionTimestamp") or pod["status"]["phase"] in _ENDED:
            await self._report(
                pod, never_ran(pod) if pod["status"]["phase"] not in _ENDED else None
            )
            await self._forget_deleted(pod)
        elif _is_to_end(pod):
            await self._report(pod, never_ran(pod))
        else:
            self._run("make", pod, self._make(pod))
            await self._report(pod, pod_status(pod, None, self._troubles.get(uid_of(pod))))
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

    async def _try_to_make(self, pod: Object) -> Trouble | None:
        main = main_of(pod)
        image, policy = text(main.get("image")), text(main.get("imagePullPolicy"))
        try:
            there = policy != "Always" and await self._daemon.has_image(image)
            if not there and policy == "Never":
                return Trouble("ErrImageNeverPull", f"image {image} is not here")
            if not there:
                await self._daemon.pull(image)
        except DaemonError as error:
            invalid = "invalid reference format" in str(error)
            return Trouble("InvalidImageName" if invalid else "ErrImagePull", str(error))
        except Unavailable as error:
            return Trouble("ErrImagePull", str(error))
        try:
            await self._place.create(pod)
        except DaemonError as error:
            return Trouble("CreateContainerError", str(error))
        except Unavailable as error:
            return Trouble("CreateContainerError", str(error))
        return None

    async def _start(self, pod: Object) -> datetime | None:
        """Start a created container, once.

        What was told to start may run at any moment, or have run: a start that comes after the end
        would run the work again. So the record says so first, under its lock, and whoever finds it
        said waits until no earlier request can still be on its way.
        """
        uid, name = uid_of(pod), pod["metadata"]["name"]
        async with self._file.change() as record:
            live = record.pods.get(name)
            if live is None or uid_of(live) != uid:
                await self._daemon.remove(name)
                return None
            asked = moment(record.starts.get(uid))
            if asked is not None and self._now() < asked + START_PATIENCE:
                return asked + START_PATIENCE
            found = await self._find(pod)
            if found is None or has_ended(found) or is_running(found):
                return self._now()
            if _is_to_end(live):
                await self._daemon.remove(name)
                return None
            record.starts[uid] = stamp(self._now())
            await self._file.write(record)
            with contextlib.suppress(DaemonError):  # what it says stands in the container's state
                await self._daemon.start(name)
        return self._now()

    async def _stop(self, pod: Object) -> None:
        seconds = grace_of(pod)
        with contextlib.suppress(DaemonError, Unavailable):
            await self._daemon.stop(pod["metadata"]["name"], seconds)

    async def _report_end(self, pod: Object, found: Object) -> datetime | None:
        """Report how it ended, once: its last words are read while the container is there."""
        later = killed_at(found)
        if later is not None and self._now() < later + OOM_PATIENCE <= self._now() + OOM_PATIENCE:
            return later + OOM_PATIENCE
        if pod["status"]["phase"] not in _ENDED:
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
            live = record.pods.get(pod["metadata"]["name"])
            if live is not None and uid_of(live) == uid_of(pod):
                live["status"] = dict(status)

    def _run(self, what: str, pod: Object, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes its time beside everything else, once at a time."""
        key = (what, uid_of(pod))
        running = self._tasks.get(key)
        if running is not None and not running.done():
            work.close()
            return
        self._tasks[key] = asyncio.create_task(work, name=f"taskruns: {what} a container")


def _is_to_end(pod: Object) -> bool:
    """Whether the Pod's container is to be ended, or never to be started."""
    stopped = pod["spec"].get("activeDeadlineSeconds") is not None
    return stopped or bool(pod["metadata"].get("deletionTimestamp"))
