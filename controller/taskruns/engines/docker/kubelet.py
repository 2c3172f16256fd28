"""Kubelet of a Docker host: creates, starts, stops and removes the containers of one run.

It treats the Pods in a run's record as a kubelet treats those in the apiserver, and reports their
status into the record. Every step can be repeated safely: another client can continue after one
has died, and two clients can follow the same run.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from taskruns.clock import Clock
from taskruns.core.facts import ENDED_PHASES
from taskruns.core.unstructured import Object
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
from taskruns.engines.docker.runtime import NAME_TAKEN, Runtime, with_path_advice
from taskruns.engines.docker.state_file import Record, StateFile, uid_of
from taskruns.engines.engine import Unavailable

_CREATE, _START, _STOP = "create", "start", "stop"
_RETRY_FIRST, _RETRY_CAP = 5.0, 60.0
"""First and longest delay between tries to create a container, in seconds.

A kubelet's delays are longer, because it serves more Pods.
"""

PATIENCE = timedelta(seconds=10)
"""Time during which an unanswered request to the daemon may still take effect.

The request is not repeated before that.
"""

OOM_PATIENCE = timedelta(seconds=0.5)
"""Time after a kill in which the daemon may still report that the cause was lack of memory."""


class Kubelet:
    """Manages the containers of one run until `close` is called."""

    def __init__(
        self,
        file: StateFile,
        daemon: Daemon,
        runtime: Runtime,
        on_task_done: Callable[[], None] = lambda: None,
    ) -> None:
        """Initialize the kubelet of one run.

        Args:
            file: State file of the run.
            daemon: Docker daemon that has the containers.
            runtime: Creates the containers and reads their last output.
            on_task_done: Called when a background task has finished, so that `sync` is due.
        """
        self._file = file
        self._daemon = daemon
        self._runtime = runtime
        self._on_task_done = on_task_done
        self._now: Clock = runtime.now
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._start_errors: dict[str, StartError] = {}

    async def sync(self, *, begin: bool = True) -> datetime | None:
        """Reconcile containers and record once; return when to do so again without an event.

        Args:
            begin: Whether containers may be created and started. If false, existing containers
                are still reported, stopped and removed.

        Raises:
            NoDaemon: The daemon does not answer.
            StateError: The record cannot be read or written.
        """
        self._forget_done()
        # The record is read before the containers are inspected. Every request that it names was
        # therefore sent before the inspection.
        record = await self._file.read()
        moments = [
            await self._sync_pod(pod, record, begin=begin)
            for pod in record.pods.values()
            if pod["spec"].get("nodeName")
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    async def finish(self, within: float | None = None) -> bool:
        """Wait for the background tasks; return whether there were any.

        Args:
            within: Longest wait, in seconds; None: without limit.
        """
        tasks = [task for task in self._tasks.values() if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        return bool(tasks)

    async def close(self) -> None:
        """Cancel the background tasks; the containers stay as they are."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _sync_pod(self, pod: Object, snapshot: Record, *, begin: bool) -> datetime | None:
        container = await self._find(pod)
        if container is None:
            return await self._sync_without_container(pod, snapshot, begin=begin)
        if has_ended(container) or start_error(container):
            return await self._report_end(pod, container)
        if is_running(container):
            await self._report(pod, pod_status(pod, container))
            return await self._stop(pod, snapshot) if _must_stop(pod) else None
        return await self._start(pod) if begin else None

    async def _find(self, pod: Object) -> Object | None:
        """Return the Pod's container, or None if there is none or it belongs to another Pod."""
        container = await self._daemon.inspect(pod["metadata"]["name"])
        if container is None:
            return None
        labels = (container.get("Config") or {}).get("Labels") or {}
        return container if labels.get(LABEL_POD_UID) == uid_of(pod) else None

    async def _sync_without_container(
        self, pod: Object, snapshot: Record, *, begin: bool
    ) -> datetime | None:
        ended = pod["status"]["phase"] in ENDED_PHASES
        if snapshot.requested_at(pod, _START) is not None and not ended:
            # The container existed and was removed from outside. The Pod is gone, as when its
            # finalizer is removed by force.
            async with self._file.change() as record:
                live = record.live(pod)
                if live is not None and live["status"]["phase"] not in ENDED_PHASES:
                    await asyncio.to_thread(self._runtime.clear, pod)
                    remove_pod(record, pod["metadata"]["name"])
        elif ended or _must_stop(pod):
            if not ended and (until := self._pending_until(snapshot, pod, _CREATE)) is not None:
                return until
            await self._report(pod, None if ended else never_ran(pod))
            await self._forget_deleted(pod)
        elif begin:
            await self._report(pod, pod_status(pod, None, self._start_errors.get(uid_of(pod))))
            self._run("create", pod, self._create_and_start(pod))
        return None

    async def _create_and_start(self, pod: Object) -> None:
        """Pull the image and create the container, with retries; then start it."""
        delay = _RETRY_FIRST
        while (error := await self._try_to_prepare(pod)) is not None:
            self._start_errors[uid_of(pod)] = error
            await self._report(pod, pod_status(pod, None, error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RETRY_CAP)
        self._start_errors.pop(uid_of(pod), None)
        await self._start(pod)

    async def _try_to_prepare(self, pod: Object) -> StartError | None:
        live = (await self._file.read()).live(pod)
        if live is None or _must_stop(live):
            return None
        return await self._runtime.fetch_image(pod) or await self._try_to_create(pod)

    async def _try_to_create(self, pod: Object) -> StartError | None:
        """Create the container of a Pod that is not to end; return the error, or None.

        The request is sent under the record's lock and is recorded first. A Pod thus stays in the
        record while its container may still be created, even if the client has died meanwhile.
        """
        async with self._file.change() as record:
            live = record.live(pod)
            if live is None or _must_stop(live):
                return None
            record.note(pod, _CREATE, self._now())
            await self._file.write(record)
            try:
                await self._runtime.create(pod)
                if mismatch := await self._runtime.find_mismatch(pod):
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
                    return StartError("CreateContainerError", with_path_advice(str(error)))
        return None

    async def _start(self, pod: Object) -> datetime | None:
        """Start a created container once; return when to sync again.

        A start request that the daemon receives after the container has ended would run the work
        again. The request is therefore recorded first, under the record's lock. A client that
        finds it recorded waits until no earlier request can still take effect.
        """
        name = pod["metadata"]["name"]
        async with self._file.change() as record:
            live, container = record.live(pod), await self._find(pod)
            if container is None or has_ended(container) or is_running(container):
                return self._now()
            if (until := self._pending_until(record, pod, _START)) is not None:
                return until
            if live is None or _must_stop(live):
                await self._daemon.remove(name)
                record.requests.pop(uid_of(pod), None)
                return self._now()
            if await self._runtime.find_mismatch(
                pod
            ):  # created by a client that died before this check
                await self._daemon.remove(name)
                record.forget(pod, _CREATE)
                return self._now()
            await self._runtime.open_volumes(pod, container)
            record.note(pod, _START, self._now())
            await self._file.write(record)
            with contextlib.suppress(DaemonError):  # the container's state has the error
                await self._request_start(pod, record)
        return self._now()

    async def _request_start(self, pod: Object, record: Record) -> None:
        """Request the start; if the daemon does not answer, record the request as sent just now.

        A request without an answer may still take effect after this point.
        """
        try:
            await self._daemon.start(pod["metadata"]["name"])
        except Unavailable:
            record.note(pod, _START, self._now())
            await self._file.write(record)
            raise

    async def _stop(self, pod: Object, snapshot: Record) -> datetime | None:
        """Stop a container; return when to sync again.

        The stop is requested once, because a second SIGTERM would disturb the program's clean-up.
        """
        grace = grace_of(pod)
        if (until := self._pending_until(snapshot, pod, _STOP, grace)) is not None:
            return until
        async with self._file.change() as record:
            if (until := self._pending_until(record, pod, _STOP, grace)) is not None:
                return until
            if record.live(pod) is None:
                return None
            record.note(pod, _STOP, self._now())
        self._run("stop", pod, self._request_stop(pod))
        return self._now() + PATIENCE + timedelta(seconds=grace)

    async def _request_stop(self, pod: Object) -> None:
        try:
            await self._daemon.stop(pod["metadata"]["name"], grace_of(pod))
        except (DaemonError, Unavailable):
            async with self._file.change() as record:
                record.forget(pod, _STOP)

    def _pending_until(
        self, record: Record, pod: Object, request: str, grace: int = 0
    ) -> datetime | None:
        """Return the deadline until which a recorded request may still take effect, or None.

        Args:
            record: Record of the run.
            pod: Pod whose container the request is about.
            request: Kind of the request: create, start or stop.
            grace: Additional time, in seconds, that the request itself takes.
        """
        requested_at = record.requested_at(pod, request)
        until = None if requested_at is None else requested_at + PATIENCE + timedelta(seconds=grace)
        return until if until is not None and self._now() < until else None

    async def _report_end(self, pod: Object, container: Object) -> datetime | None:
        """Report once how a container ended; return when to sync again, or None.

        The termination message is read here, because the container still exists.
        """
        ended_at = killed_at(container)
        if (
            ended_at is not None
            and self._now() < ended_at + OOM_PATIENCE <= self._now() + OOM_PATIENCE
        ):
            return ended_at + OOM_PATIENCE
        if pod["status"]["phase"] not in ENDED_PHASES:
            message = await self._runtime.termination_message(pod, container)
            await self._report(pod, pod_status(pod, container, message=message))
        await self._forget_deleted(pod)
        return None

    async def _forget_deleted(self, pod: Object) -> None:
        """Remove a Pod that is being deleted and has no finalizer, together with its container."""
        metadata = (await self._file.read()).pods.get(pod["metadata"]["name"], pod)["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            if await self._find(pod) is not None:
                await self._daemon.remove(metadata["name"])
            await asyncio.to_thread(self._runtime.clear, pod)
            async with self._file.change() as record:
                remove_pod(record, metadata["name"])

    async def _report(self, pod: Object, status: Object | None) -> None:
        if status is None or status == pod["status"]:
            return
        async with self._file.change() as record:
            live = record.live(pod)
            if live is not None and live["status"]["phase"] not in ENDED_PHASES:
                live["status"] = dict(status)

    def _run(self, step: str, pod: Object, work: Coroutine[Any, Any, None]) -> None:
        """Run a long step as a background task, unless the same step is already running."""
        key = (step, uid_of(pod))
        running = self._tasks.get(key)
        if running is not None and not running.done():
            work.close()
            return
        task = asyncio.create_task(work, name=f"taskruns: {step} a container")
        task.add_done_callback(lambda _: self._on_task_done())
        self._tasks[key] = task

    def _forget_done(self) -> None:
        """Remove finished background tasks; raise the error of one that failed."""
        done = [key for key, task in self._tasks.items() if task.done()]
        for task in [self._tasks.pop(key) for key in done]:
            if not task.cancelled():
                task.result()


def _must_stop(pod: Object) -> bool:
    """Return whether the Pod's container must be stopped, or must not be started."""
    stopped = pod["spec"].get("activeDeadlineSeconds") is not None
    return stopped or bool(pod["metadata"].get("deletionTimestamp"))
