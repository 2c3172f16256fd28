"""Following a run to its end: its log on standard output, and the handling of Ctrl-C."""

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from taskruns.api.conditions import Phase
from taskruns.cli.backend import Backend, Following, command_for
from taskruns.cli.exit_status import CommandError, ExitCode, LogNotKept
from taskruns.cli.progress import NOTICES, ProgressPrinter
from taskruns.cli.streams import OutputFailed
from taskruns.core.unstructured import Object, mapping, mappings, text
from taskruns.engines.engine import EngineError, Unavailable

_ANSWER_SECONDS = 5.0
"""Timeout of a kill request, in seconds."""


class Interrupt:
    """Handler of SIGINT and SIGTERM while a run is followed.

    The first signal cancels the run with its grace period, the second kills its container, and the
    third makes this program exit before the run has ended. The program exits earlier if the
    cancellation has not been accepted, if there is no Pod, if the kill request gets no response, or
    if the run has ended and only its log is read. Only the task that follows the run may create an
    instance, because the exit cancels that task.
    """

    def __init__(
        self, backend: Backend, name: str, following: Following, printer: ProgressPrinter
    ) -> None:
        self.exit_message = ""
        """Message for an exit before run and log are complete; empty while the run is followed."""
        self.pod = ""
        """The Pod of the current attempt."""
        self.is_over = False
        """Whether the run has ended, and only its log is read."""
        self._backend, self._name, self._following = backend, name, following
        self._printer = printer
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._cancelling: asyncio.Task[bool] | None = None
        self._killing: asyncio.Task[None] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._interrupted)

    def forget(self) -> None:
        """Restore the default signal handlers and cancel pending requests."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)
        for task in (self._cancelling, self._killing):
            if task is not None:
                task.cancel()

    def catch(self) -> None:
        """Undo the cancellation of the task, because `exit_message` is reported instead."""
        if self._task is not None:
            self._task.uncancel()

    @property
    def _is_cancelled(self) -> bool:
        """Whether the cancellation of the run has been accepted."""
        cancelling = self._cancelling
        return cancelling is not None and cancelling.done() and cancelling.result()

    def _interrupted(self) -> None:
        if self.is_over:
            self._leave()
        elif self._cancelling is None:
            self._printer.print_message(
                "cancelling the run; press Ctrl-C again to kill its container"
            )
            self._cancelling = asyncio.create_task(self._cancel())
        elif self._is_cancelled and self._killing is None and self.pod:
            self._printer.print_message("killing the container; press Ctrl-C again to exit")
            self._killing = asyncio.create_task(self._kill())
        else:
            self._leave()

    async def _cancel(self) -> bool:
        try:
            await self._following.cancel()
        except (CommandError, EngineError) as error:
            self._printer.warn(f"not cancelled: {error}; press Ctrl-C again to exit")
            return False
        return True

    async def _kill(self) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._following.kill(self.pod)
        except CommandError as error:
            self._printer.warn(f"{error}; press Ctrl-C again to exit")
        except (Unavailable, TimeoutError):
            self._leave()

    def _leave(self) -> None:
        """Cancel the following task; `exit_message` has the run's state and how to return to it."""
        if self.exit_message or self._task is None:
            return
        if self.is_over:
            command = command_for(self._backend, "logs", self._name)
            self.exit_message = (
                f"{self._name} has ended, but its log is not complete here: `{command}` prints it"
            )
        elif self._is_cancelled:
            self._backend.leave_follower(self._name)
            command = command_for(self._backend, "wait", self._name)
            self.exit_message = (
                f"exiting before the end of {self._name}, whose cancellation is requested: "
                f"`{command}` waits for it"
            )
        else:
            command = command_for(self._backend, "follow", self._name)
            self.exit_message = (
                f"exiting; {self._name} is not cancelled: `{command}` follows it again"
            )
        self._task.cancel()


_MOST_BYTES = 1 << 20
"""Size of the unwritten buffer, in bytes, at which reading of the log pauses."""
_PIECE = 1 << 16


def raw_output() -> Callable[[Any], int | None]:
    """Return the unbuffered write function of standard output.

    A buffer has a lock, which a blocked thread could hold while the process exits.
    """
    sys.stdout.flush()
    binary = sys.stdout.buffer
    write: Callable[[Any], int | None] = getattr(binary, "raw", binary).write
    return write


class LogWriter:
    """Writer that copies one log after another to standard output.

    It writes from its own daemon thread. A thread of the event loop's executor that is blocked by
    the reader of standard output would keep this process from exiting.
    """

    def __init__(self) -> None:
        self._write = raw_output()
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._changed = threading.Condition()
        self._moved = asyncio.Event()
        self._error: OutputFailed | None = None
        self._thread: threading.Thread | None = None
        self.received = 0
        """Number of pieces received, including empty ones, which show that reading progresses."""

    @property
    def is_blocked(self) -> bool:
        """Whether bytes are waiting for the reader of standard output."""
        return bool(self._waiting) and self._error is None

    async def write(self, piece: bytes) -> None:
        """Queue a piece for writing, and block while the buffer is full.

        Raises:
            OutputFailed: standard output cannot be written.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="log")
            self._thread.start()
        self.received += 1
        with self._changed:
            self._waiting += piece
            self._changed.notify()
        await self._until(_MOST_BYTES)

    async def drain(self) -> None:
        """Wait until everything is written. Raises OutputFailed."""
        await self._until(0)

    async def _until(self, most: int) -> None:
        while self._error is None and len(self._waiting) > most:
            self._moved.clear()
            if len(self._waiting) > most:
                await self._moved.wait()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """Write the queued bytes until this process ends or standard output fails."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                piece = bytes(self._waiting[:_PIECE])
            try:
                count = self._write(piece) or 0
            except OutputFailed as error:
                self._error = error
            except OSError as error:
                self._error = OutputFailed(error)
            else:
                with self._changed:
                    del self._waiting[:count]
            try:
                self._loop.call_soon_threadsafe(self._moved.set)
            except RuntimeError:  # the event loop is closed
                return
            if self._error is not None:
                return


_SILENT_SECONDS = 30.0
"""Time without new bytes, in seconds, after which the log of an ended run is abandoned."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Result of following a run."""

    run: Object
    """Last observed state of the TaskRun."""
    is_log_lost: bool
    """Whether part of the log did not reach standard output although its reader was still there."""


async def follow(backend: Backend, name: str, printer: ProgressPrinter) -> Followed:
    """Follow a run to its end. Ctrl-C cancels it; a second Ctrl-C kills its container.

    Returns:
        The run and whether its log is complete. A run that is deleted meanwhile is returned in its
        last observed state.

    Raises:
        CommandError: Ctrl-C ended this program before the run had ended.
    """
    last = await backend.run(name)
    async with backend.following(name) as following:
        logs = _Logs(following, printer, name)
        interrupt = Interrupt(backend, name, following, printer)
        try:
            with NOTICES.redirected(printer.print_message):
                async for run in following.changes():
                    printer.show(run)
                    logs.follow(run)
                    interrupt.pod = pod_of(run)
                    last = run
                interrupt.is_over = True
                await logs.finish()
        except asyncio.CancelledError:
            if interrupt.exit_message:
                interrupt.catch()
                raise CommandError(interrupt.exit_message, ExitCode.CANCELLED) from None
            raise
        finally:
            interrupt.forget()
            printer.close()
            logs.stop()
    return Followed(last, logs.is_lost)


def pod_of(run: Object) -> str:
    """Return the name of the current or last attempt's Pod, or an empty string."""
    return text(mapping(run.get("status")).get("podName"))


class _Logs:
    """Copier of each attempt's log to standard output, in order."""

    def __init__(self, following: Following, printer: ProgressPrinter, name: str) -> None:
        self.is_lost = False
        self._following, self._printer, self._name = following, printer, name
        self._writer = LogWriter()
        self._pods: set[str] = set()
        self._late: set[str] = set()
        """Pods of attempts that had ended and been replaced before following began."""
        self._is_left = False
        self._copying: asyncio.Task[None] | None = None
        self._staging: asyncio.Task[None] | None = None

    def follow(self, run: Object) -> None:
        """Start copying the log of each attempt that is new in this state of the run."""
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
        if waiting and self._staging is None and self._printer.live:
            self._staging = asyncio.create_task(self._stage(pod_of(run)))
        if not waiting and self._staging is not None:
            self._staging.cancel()
            self._staging = None

    async def finish(self) -> None:
        """Wait for the rest of the log while bytes arrive or standard output is blocked."""
        while self._copying is not None and not self._copying.done():
            received = self._writer.received
            await asyncio.wait({self._copying}, timeout=_SILENT_SECONDS)
            if self._writer.received == received and not self._writer.is_blocked:
                break
        if self._copying is not None and not self._copying.done():
            self._lose(f"nothing more of it arrived within {_SILENT_SECONDS:g} s")

    def stop(self) -> None:
        """Cancel the copying of logs."""
        for task in (self._staging, self._copying):
            if task is not None:
                task.cancel()

    async def _copy(self, pod: str, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        if self._is_left:
            return
        try:
            await copy_log(self._following.log(pod), self._writer, self._printer)
        except OutputFailed as error:
            self._is_left = True
            if not error.is_left:
                self._lose(f"standard output cannot be written ({error})")
        except LogNotKept as error:
            self._printer.warn(f"{self._name} has no log: {error}")
        except (CommandError, EngineError) as error:
            self._lose(str(error), counts=pod not in self._late)

    def _lose(self, why: str, *, counts: bool = True) -> None:
        self.is_lost |= counts
        self._printer.warn(
            f"the log of {self._name} is not complete: {why}. `taskrun logs {self._name}` prints "
            "what is available"
        )

    async def _stage(self, pod: str) -> None:
        with contextlib.suppress(EngineError):
            async for sentence in self._following.stages(pod):
                self._printer.stage(sentence)


async def copy_log(
    log: AsyncIterator[bytes],
    writer: LogWriter | None = None,
    printer: ProgressPrinter | None = None,
) -> None:
    """Write a log to standard output as it arrives.

    Raises:
        CommandError, EngineError: the rest of the log cannot be read.
        OutputFailed: standard output cannot be written.
    """
    writer = writer or LogWriter()
    try:
        async for piece in log:
            if printer is not None:
                printer.pause()
            await writer.write(piece)
    except (CommandError, EngineError):
        await writer.drain()
        raise
    await writer.drain()
