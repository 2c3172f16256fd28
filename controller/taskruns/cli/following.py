"""Following a run to its end: its log on standard output, what becomes of it on standard error."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import click

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.cli.ending import CommandError
from taskruns.cli.place import Following, Object, Place
from taskruns.cli.telling import Teller
from taskruns.core.wire import mapping, mappings, text
from taskruns.engines.port import EngineError

_LOG_PATIENCE = 10.0
"""Seconds that the rest of a log may take once its run has ended."""


async def follow(place: Place, name: str, teller: Teller) -> Object:
    """Follow a run to its end and return it; Ctrl-C cancels it, a second one kills it.

    A run that is deleted meanwhile is returned as it was last seen.
    """
    last = await place.run(name)
    async with place.following(name) as following:
        logs = _Logs(following, teller)
        interrupt = _Interrupt(place, name, following, teller)
        try:
            async for run in following.changes():
                teller.tell(run)
                logs.follow(run)
                interrupt.pod = pod_of(run)
                last = run
            await logs.finish()
        finally:
            interrupt.forget()
            teller.close()
    return last


def pod_of(run: Object) -> str:
    """Return the name of the current or last attempt's Pod; empty where there is none."""
    return text(mapping(run.get("status")).get("podName"))


def ended(run: Object) -> bool:
    """Whether the run has ended."""
    return text(mapping(run.get("status")).get("phase")) in TERMINAL_PHASES


class _Logs:
    """Copies the log of each attempt to standard output, one after the other."""

    def __init__(self, following: Following, teller: Teller) -> None:
        self._following, self._teller = following, teller
        self._pods: set[str] = set()
        self._copying: asyncio.Task[None] | None = None
        self._staging: asyncio.Task[None] | None = None

    def follow(self, run: Object) -> None:
        """Begin with an attempt's log as soon as its container may have one."""
        status = mapping(run.get("status"))
        for attempt in mappings(status.get("attempts")):
            pod = text(attempt.get("podName"))
            if pod and pod not in self._pods:
                self._pods.add(pod)
                self._copying = asyncio.create_task(self._copy(pod, self._copying))
        waiting = text(status.get("phase")) == Phase.PENDING
        if waiting and self._staging is None and self._teller.live:
            self._staging = asyncio.create_task(self._stage(pod_of(run)))
        if not waiting and self._staging is not None:
            self._staging.cancel()
            self._staging = None

    async def finish(self) -> None:
        """Let what is still on its way arrive."""
        if self._staging is not None:
            self._staging.cancel()
        if self._copying is not None:
            await asyncio.wait({self._copying}, timeout=_LOG_PATIENCE)
            self._copying.cancel()

    async def _copy(self, pod: str, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        with contextlib.suppress(EngineError):
            await copy_log(self._following.log(pod), self._teller)

    async def _stage(self, pod: str) -> None:
        with contextlib.suppress(EngineError):
            async for sentence in self._following.stages(pod):
                self._teller.stage(sentence)


async def copy_log(log: AsyncIterator[bytes], teller: Teller | None = None) -> None:
    """Write a log to standard output as it comes."""
    async for piece in log:
        if teller is not None:
            teller.pause()
        click.echo(piece, nl=False)


class _Interrupt:
    """What Ctrl-C does: the first cancels with the grace period, the second kills."""

    def __init__(self, place: Place, name: str, following: Following, teller: Teller) -> None:
        self._place, self._name, self._following = place, name, following
        self._teller = teller
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked = False
        self.pod = ""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._interrupted)

    def forget(self) -> None:
        """Let signals be what they are by default."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)

    def _interrupted(self) -> None:
        if not self._asked:
            self._teller.say("cancelling; once more asks for its end at once")
            self._tasks.add(asyncio.create_task(self._cancel()))
        elif self.pod:
            self._tasks.add(asyncio.create_task(self._kill()))
        self._asked = True

    async def _cancel(self) -> None:
        try:
            await self._place.patch(self._name, {"spec": {"cancel": True}})
        except (CommandError, EngineError) as error:
            self._asked = False
            self._teller.say(f"not cancelled: {error}")

    async def _kill(self) -> None:
        try:
            await self._following.kill(self.pod)
        except CommandError as error:
            self._teller.say(str(error))
