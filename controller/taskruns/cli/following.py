"""Following a run to its end: its log on standard output, what becomes of it on standard error."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.cli.backend import Following, Object, Place
from taskruns.cli.exit_codes import CommandError, ExitCode, LogNotKept
from taskruns.cli.interrupt import Interrupt
from taskruns.cli.log_writer import LogWriter
from taskruns.cli.notices import NOTICES
from taskruns.cli.progress import Teller
from taskruns.cli.streams import OutputFailed
from taskruns.core.unstructured import mapping, mappings, text
from taskruns.engines.engine import EngineError

_SILENT_SECONDS = 30.0
"""Time without a byte after which the rest of an ended run's log is given up."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A run that was followed."""

    run: Object
    """As it was last seen."""
    is_log_lost: bool
    """Whether a part of its log did not get to standard output, although its reader was there."""


async def follow(place: Place, name: str, teller: Teller) -> Followed:
    """Follow a run to its end; Ctrl-C cancels it, a second one kills it or leaves.

    A run that is deleted meanwhile is returned as it was last seen.

    Raises:
        CommandError: the run was left before its end, by Ctrl-C.
    """
    last = await place.run(name)
    async with place.following(name) as following:
        logs = _Logs(following, teller, name)
        interrupt = Interrupt(place, name, following, teller)
        try:
            with NOTICES.through(teller.say):
                async for run in following.changes():
                    teller.tell(run)
                    logs.follow(run)
                    interrupt.pod = pod_of(run)
                    last = run
                interrupt.is_over = True
                await logs.finish()
        except asyncio.CancelledError:
            if interrupt.farewell:
                interrupt.catch()
                raise CommandError(interrupt.farewell, ExitCode.CANCELLED) from None
            raise
        finally:
            interrupt.forget()
            teller.close()
            logs.stop()
    return Followed(last, logs.is_lost)


def pod_of(run: Object) -> str:
    """Return the name of the current or last attempt's Pod; empty where there is none."""
    return text(mapping(run.get("status")).get("podName"))


def ended(run: Object) -> bool:
    """Whether the run has ended."""
    return text(mapping(run.get("status")).get("phase")) in TERMINAL_PHASES


class _Logs:
    """Copies the log of each attempt to standard output, one after the other."""

    def __init__(self, following: Following, teller: Teller, name: str) -> None:
        self.is_lost = False
        self._following, self._teller, self._name = following, teller, name
        self._writer = LogWriter()
        self._pods: set[str] = set()
        self._late: set[str] = set()
        """Pods of attempts that were over, and replaced, before they were seen."""
        self._is_left = False
        self._copying: asyncio.Task[None] | None = None
        self._staging: asyncio.Task[None] | None = None

    def follow(self, run: Object) -> None:
        """Begin with an attempt's log as soon as its container may have one."""
        status = mapping(run.get("status"))
        first = not self._pods
        for attempt in mappings(status.get("attempts")):
            pod = text(attempt.get("podName"))
            if pod and pod not in self._pods:
                self._pods.add(pod)
                if first and attempt.get("outcome") and pod != pod_of(run):
                    self._late.add(pod)
                self._copying = asyncio.create_task(self._copy(pod, self._copying))
        waiting = text(status.get("phase")) == Phase.PENDING
        if waiting and self._staging is None and self._teller.live:
            self._staging = asyncio.create_task(self._stage(pod_of(run)))
        if not waiting and self._staging is not None:
            self._staging.cancel()
            self._staging = None

    async def finish(self) -> None:
        """Wait for the rest of the log for as long as it moves, or its reader lets it wait."""
        while self._copying is not None and not self._copying.done():
            received = self._writer.received
            await asyncio.wait({self._copying}, timeout=_SILENT_SECONDS)
            if self._writer.received == received and not self._writer.is_blocked:
                break
        if self._copying is not None and not self._copying.done():
            self._lose(f"nothing more of it came for {_SILENT_SECONDS:g} s")

    def stop(self) -> None:
        """Copy no further."""
        for task in (self._staging, self._copying):
            if task is not None:
                task.cancel()

    async def _copy(self, pod: str, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        if self._is_left:
            return
        try:
            await copy_log(self._following.log(pod), self._writer, self._teller)
        except OutputFailed as error:
            self._is_left = True
            if not error.is_left:
                self._lose(f"standard output cannot be written ({error})")
        except LogNotKept as error:
            self._teller.warn(f"{self._name} has no log: {error}")
        except (CommandError, EngineError) as error:
            self._lose(str(error), counts=pod not in self._late)

    def _lose(self, why: str, *, counts: bool = True) -> None:
        self.is_lost |= counts
        self._teller.warn(
            f"the log of {self._name} is not complete: {why}. `taskrun logs {self._name}` prints "
            "what there is"
        )

    async def _stage(self, pod: str) -> None:
        with contextlib.suppress(EngineError):
            async for sentence in self._following.stages(pod):
                self._teller.stage(sentence)


async def copy_log(
    log: AsyncIterator[bytes], writer: LogWriter | None = None, teller: Teller | None = None
) -> None:
    """Write a log to standard output as it comes.

    Raises:
        CommandError, EngineError: the log cannot be read any further.
        OutputFailed: standard output cannot be written.
    """
    writer = writer or LogWriter()
    try:
        async for piece in log:
            if teller is not None:
                teller.pause()
            await writer.write(piece)
    except (CommandError, EngineError):
        await writer.drain()
        raise
    await writer.drain()
