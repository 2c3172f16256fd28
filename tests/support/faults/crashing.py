"""A controller that ends itself by SIGKILL at a chosen write.

    python -m tests.support.faults.crashing --crash before:create -- --kubeconfig ...
    python -m tests.support.faults.crashing --crash after:3 -- --kubeconfig ...

The point is `before:` or `after:`, followed by the number of the write, from 1, or by the name of a
step of a run's life. With `before` the request is never sent. With `after` the response has arrived
and is not used. Arguments after `--` go to the controller.

The crash happens the first time that the process reaches the step:

    create     the Pod is created
    claim      its uid is written into status
    gate       its scheduling gate is removed
    running    phase Running is written
    stopping   phase Stopping is written
    outcome    the end of an attempt is written
    finalizer  the Pod's finalizer is removed
    delete     the Pod is deleted
    stop       the Pod gets a deadline that has passed
    ttl        the TaskRun is deleted
"""

import argparse
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from typing_extensions import override

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.core.plan import PodRef
from taskruns.core.unstructured import Object
from taskruns.engines.engine import Engine, EngineWrapper, RunRef
from taskruns.operator.__main__ import main

T = TypeVar("T")

STEPS = (
    "create",
    "claim",
    "gate",
    "running",
    "stopping",
    "outcome",
    "finalizer",
    "delete",
    "stop",
    "ttl",
)
MOMENTS = ("before", "after")

_STATUS_STEPS = {Phase.PENDING: "claim", Phase.RUNNING: "running", Phase.STOPPING: "stopping"}


class Crash:
    """The point at which the process ends."""

    def __init__(
        self,
        point: str,
        die: Callable[[], None] | None = None,
        steps: Collection[str] = STEPS,
    ) -> None:
        self._moment, _, self._at = point.partition(":")
        if self._moment not in MOMENTS or not (self._at in steps or self._at.isdecimal()):
            raise ValueError(f"{point!r}: write before: or after:, then a number or a step")
        self._die = die or _die
        self._writes = 0

    async def around(self, step: str, write: Callable[[], Awaitable[T]]) -> T:
        """Make a write, and end the process before or after it if this is the crash point."""
        self._writes += 1
        due = self._at in (step, str(self._writes))
        if due and self._moment == "before":
            self._die()
        answer = await write()
        if due and self._moment == "after":
            self._die()
        return answer


class CrashingEngine(EngineWrapper):
    """An engine that ends the process at one of its writes; reads never do."""

    def __init__(self, engine: Engine, crash: Crash) -> None:
        super().__init__(engine)
        self._crash = crash

    @override
    async def write_status(self, run: RunRef, patch: Object) -> Object | None:
        return await self._crash.around(
            status_step(patch), lambda: self._engine.write_status(run, patch)
        )

    @override
    async def create_pod(self, manifest: Object) -> Object:
        return await self._crash.around("create", lambda: self._engine.create_pod(manifest))

    @override
    async def release_gate(self, pod: PodRef) -> Object | None:
        return await self._crash.around("gate", lambda: self._engine.release_gate(pod))

    @override
    async def stop_pod(self, pod: PodRef) -> Object | None:
        return await self._crash.around("stop", lambda: self._engine.stop_pod(pod))

    @override
    async def release_pod(self, pod: PodRef) -> Object | None:
        return await self._crash.around("finalizer", lambda: self._engine.release_pod(pod))

    @override
    async def delete_pod(self, pod: PodRef, resource_version: str | None = None) -> Object | None:
        return await self._crash.around(
            "delete", lambda: self._engine.delete_pod(pod, resource_version)
        )

    @override
    async def delete_run(self, run: RunRef, resource_version: str) -> Object | None:
        return await self._crash.around(
            "ttl", lambda: self._engine.delete_run(run, resource_version)
        )


def status_step(patch: Object) -> str:
    """Return the step that a status write makes, or an empty string."""
    phase = patch["status"].get("phase")
    if phase in TERMINAL_PHASES or phase == Phase.BACKING_OFF:
        return "outcome"
    return _STATUS_STEPS.get(phase, "")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults.crashing")
    parser.add_argument("--crash", required=True, metavar="POINT", help="such as before:claim")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="-- ARGUMENT")
    options = parser.parse_args(argv)
    rest = options.rest[1:] if options.rest[:1] == ["--"] else options.rest
    crash = Crash(options.crash)
    return main(rest, lambda engine: CrashingEngine(engine, crash))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
