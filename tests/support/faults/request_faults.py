"""Faults of single requests: a test chooses each fault, and may do anything between two requests.

The wrapped engine stands for the apiserver. A controller's work is a coroutine that stops at every
request, so a test can lead two controllers through any order of requests without threads.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from types import coroutine
from typing import Any

from typing_extensions import override

from taskruns.core.plan import PodRef
from taskruns.core.unstructured import Object
from taskruns.engines.engine import Engine, EngineError, EngineWrapper, RunRef, Unavailable


class Fault(Enum):
    """The fault of one request; ARRIVES means none."""

    ARRIVES = auto()
    LOST = auto()
    """The request never arrives, and the controller gets an error."""
    UNANSWERED = auto()
    """The request arrives, but its response does not."""
    LATE = auto()
    """The controller gives up on the request, which arrives later."""
    CRASH_BEFORE = auto()
    """The controller dies before it sends the request."""
    CRASH_AFTER = auto()
    """The controller dies after the request has arrived."""


class Crashed(BaseException):
    """The controller's process ended; no code of the product may catch this."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is about to be sent."""

    verb: str
    arguments: tuple[Any, ...]


@coroutine
def _meet(request: Request) -> Generator[Request, Fault, Fault]:
    return (yield request)


class FaultyEngine(EngineWrapper):
    """An engine that stops at every request until a test chooses its fault."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.late: list[Callable[[], Awaitable[Any]]] = []

    @override
    async def read_run(self, namespace: str, name: str) -> Object | None:
        return await self._send("read_run", namespace, name)

    @override
    async def read_pod(self, namespace: str, name: str) -> Object | None:
        return await self._send("read_pod", namespace, name)

    @override
    async def read_pod_events(self, pod: PodRef) -> Sequence[str]:
        events: Any = await self._send("read_pod_events", pod)
        return tuple(events)

    @override
    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        return await self._send("write_status", run, patch)

    @override
    async def create_pod(self, manifest: Object) -> Object:
        return _there(await self._send("create_pod", manifest))

    @override
    async def release_gate(self, pod: PodRef) -> Object | None:
        return await self._send("release_gate", pod)

    @override
    async def stop_pod(self, pod: PodRef) -> Object | None:
        return await self._send("stop_pod", pod)

    @override
    async def release_pod(self, pod: PodRef) -> Object | None:
        return await self._send("release_pod", pod)

    @override
    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        return await self._send("delete_pod", pod, resource_version)

    @override
    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        return await self._send("delete_run", run, resource_version)

    async def _send(self, verb: str, *arguments: Any) -> Object | None:
        fault = await _meet(Request(verb, arguments))
        method = partial(getattr(self._engine, verb), *arguments)
        if fault is Fault.ARRIVES:
            response: Object | None = await method()
            return response
        if fault is Fault.LATE:
            self.late.append(method)
        if fault in (Fault.UNANSWERED, Fault.CRASH_AFTER):
            await _regardless(method)
        if fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
            raise Crashed
        raise Unavailable(f"{verb}: no answer")


def _there(found: Object | None) -> Object:
    assert found is not None, "a create answers with what it created"
    return found


async def _regardless(method: Callable[[], Awaitable[Any]]) -> None:
    try:
        await method()
    except EngineError:
        return


def arrive(method: Callable[[], Awaitable[Any]]) -> None:
    """Let a late request arrive; no controller waits for its response."""
    work: Coroutine[Any, Any, None] = _regardless(method)
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("an engine in memory answers at once")
