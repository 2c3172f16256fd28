"""The runs of one turn: they are created, followed by one watch per kind, and timed.

All times are the load generator's own, by the monotonic clock, at the arrival of the watch event.
Those in objects have a resolution of one second.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from benchmarks.throughput.api import Api, ApiError, Object
from benchmarks.throughput.system import RUN, End, Request, System, Task

QUIET = 150.0
"""Seconds without any change after which a turn is given up."""
_OVERTAKEN = (404, 409)


@dataclass(slots=True)
class Run:
    """Times of one run, in seconds of the monotonic clock; None if it has not happened yet."""

    name: str
    created: float
    """When the request that creates it was sent."""
    pod: float | None = None
    """When its first Pod was observed."""
    running: float | None = None
    pod_ended: float | None = None
    """When the end of its latest Pod was observed."""
    cancelled: float | None = None
    """When the request that cancels it was sent."""
    done: float | None = None
    end: End | None = None


class Stalled(Exception):
    """A turn made no progress."""


class Load:
    """The runs of one system in one namespace."""

    def __init__(self, api: Api, system: System, namespace: str) -> None:
        self._api = api
        self._system = system
        self._namespace = namespace
        self.runs: dict[str, Run] = {}
        self.done = 0
        self.pods_running = 0
        """Number of runs that have had a running Pod."""
        self._pods: set[str] = set()
        self._objects: set[str] = set()
        self._ended_pods: set[str] = set()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiter: tuple[Callable[[], bool], asyncio.Future[None]] | None = None
        self._failure: BaseException | None = None
        self._last_change = time.monotonic()

    async def __aenter__(self) -> Self:
        for root, plural in {("/api/v1", "pods"), (self._system.root, self._system.plural)}:
            path = self._path(root, plural)
            page = await self._api.send("GET", path)
            self._spawn(self._follow(plural, path, page["metadata"]["resourceVersion"]))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def pods(self) -> int:
        """Number of Pods that exist."""
        return len(self._pods)

    @property
    def objects(self) -> int:
        """Number of objects of runs that exist, as far as they have changed."""
        return len(self._objects)

    async def forget(self) -> None:
        """Forget all runs so far, which must be done, and remove their Pods."""
        await self._api.read("DELETE", self._path("/api/v1", "pods"))
        await self.until(lambda: not self.pods)
        self.reset()

    def reset(self) -> None:
        """Count runs from zero; those so far stay as they are."""
        self.runs.clear()
        self.done = self.pods_running = 0

    async def create(self, task: Task) -> Run:
        """Create a run; its time begins when the request is sent."""
        name = f"run-{next(self._numbers):05d}"
        body = self._system.create(name, task)
        async with self._api.gate:
            run = self.runs[name] = Run(name, time.monotonic())
            await self._api.read("POST", self._path(self._system.root, self._system.plural), body)
        return run

    async def cancel(self, run: Run) -> None:
        """Cancel a run."""
        request = self._system.cancel(run.name)
        async with self._api.gate:
            run.cancelled = time.monotonic()
            await self._send(request)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on this object holds; it is evaluated at every change.

        Raises:
            Stalled: nothing has changed for QUIET seconds.
        """
        self._last_change = time.monotonic()
        while not condition():
            if self._failure:
                raise self._failure
            future = asyncio.get_running_loop().create_future()
            self._waiter = (condition, future)
            _, waiting = await asyncio.wait([future], timeout=5)
            if waiting and time.monotonic() - self._last_change > QUIET:
                raise Stalled(self._state())
        self._waiter = None

    def _state(self) -> str:
        counts = f"{self.done} of {len(self.runs)} runs are done, {self.pods} Pods exist"
        return f"nothing has changed for {QUIET:.0f} s: {counts}"

    def _path(self, root: str, plural: str) -> str:
        return f"{root}/namespaces/{self._namespace}/{plural}"

    async def _send(self, request: Request) -> None:
        path = self._path(self._system.root, request.path)
        await self._api.read(request.method, path, request.body)

    async def _react(self, request: Request) -> None:
        async with self._api.gate:
            try:
                await self._send(request)
            except ApiError as error:  # an earlier reaction to the same state was faster
                if error.status not in _OVERTAKEN:
                    raise

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = error
            self._wake()

    async def _follow(self, plural: str, path: str, version: str) -> None:
        is_pod, is_object = plural == "pods", plural == self._system.plural
        async for change, obj in self._api.watch(path, version):
            if change == "BOOKMARK":
                continue
            now = self._last_change = time.monotonic()
            run = self.runs.get((obj["metadata"].get("labels") or {}).get(RUN, ""))
            if is_pod:
                _count(self._pods, change, obj)
            if is_pod and run:
                self._take_pod(run, obj, now)
            if is_object:
                _count(self._objects, change, obj)
                self._take_object(run, change, obj, now)
            if self._waiter and self._waiter[0]():
                self._wake()

    def _take_pod(self, run: Run, pod: Object, now: float) -> None:
        phase = pod["status"].get("phase")
        run.pod = run.pod or now
        if phase == "Running" and run.running is None:
            run.running = now
            self.pods_running += 1
        name = pod["metadata"]["name"]
        if phase in ("Succeeded", "Failed") and name not in self._ended_pods:
            self._ended_pods.add(name)
            run.pod_ended = now

    def _take_object(self, run: Run | None, change: str, obj: Object, now: float) -> None:
        if run and run.done is None and (end := self._system.end(change, obj)):
            run.done, run.end = now, end
            self.done += 1
        if request := self._system.react(change, obj):
            self._spawn(self._react(request))

    def _wake(self) -> None:
        if self._waiter and not self._waiter[1].done():
            self._waiter[1].set_result(None)


def _count(existing: set[str], change: str, obj: Object) -> None:
    """Keep the names of the objects that exist."""
    if change == "DELETED":
        existing.discard(obj["metadata"]["name"])
    else:
        existing.add(obj["metadata"]["name"])
