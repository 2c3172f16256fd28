"""Reader of a run's log: attempt by attempt, each line once, with bounded memory."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from http import HTTPStatus

from taskruns.api.reasons import Reason
from taskruns.api.timestamps import datetime_of
from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns_airflow.api import BROKEN, backoff_delays
from taskruns_airflow.client import Connect, Ref, Refused, Unreachable
from taskruns_airflow.containers import Shown
from taskruns_airflow.log_position import (
    LogDiscontinued,
    Piece,
    Position,
    Reading,
    Search,
    SearchResult,
    Text,
)

Deliver = Callable[[str, datetime | None, str], Awaitable[None]]
"""Takes a container's name, a line's time, and the line or a part of a long line."""
Warn = Callable[[str], None]

_NO_RESTART = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""Statuses of the response to a request for a previous log that does not exist."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One log of a container: the current one, or the one before its last restart."""

    connect: Connect
    pod: str
    container: str
    previous: bool = False

    async def search(self, position: Position) -> SearchResult | None:
        """Return the point where delivery continues; None if the last delivered record is gone."""
        search = Search(position)
        async with self.connect() as runs:
            opened = runs.log(self.pod, self.container, follow=False, previous=self.previous)
            async with opened as pieces:
                async for piece in pieces:
                    search.take(piece)
        return search.result


class ContainerLog:
    """Reads one container's log, across rotations and restarts."""

    def __init__(
        self, connect: Connect, pod: str, container: str, deliver: Deliver, warn: Warn
    ) -> None:
        self._current = _Source(connect, pod, container)
        self._previous = _Source(connect, pod, container, previous=True)
        self._container = container
        self._deliver = deliver
        self._warn = warn
        self._position = Position()
        self._search_result: SearchResult | None = None
        self._texts: dict[int, Text] = {}
        self._times: dict[int, datetime | None] = {}
        self.opened = False
        """Whether the log was opened at least once."""

    async def read(self) -> bool:
        """Deliver new lines until the log ends; return whether it was read to its end.

        After False, the log was rotated or the container restarted; call `read` again.

        Raises:
            Refused: The log cannot be read.
            Unreachable, aiohttp.ClientError, OSError: The connection broke.
        """
        point, self._search_result = self._search_result, None
        try:
            await self._read(self._current, Reading(self._position, point), follow=True)
        except LogDiscontinued:
            with suppress(
                LogDiscontinued
            ):  # rotated during the search: the next read searches again
                await self._find_position()
            return False
        return True

    async def end(self) -> None:
        """Deliver incomplete characters at the end of the log; no more input follows."""
        for stream, text in self._texts.items():
            if (rest := text.end()) is not None:
                await self._deliver(self._container, self._times.get(stream), rest)
        self._texts.clear()

    async def _read(self, source: _Source, reading: Reading, *, follow: bool) -> None:
        async with source.connect() as runs:
            opened = runs.log(
                source.pod,
                source.container,
                reading.since,
                follow=follow,
                previous=source.previous,
            )
            async with opened as pieces:
                self.opened = True
                async for piece in pieces:
                    content = reading.take(piece)
                    if content is not None:
                        await self._deliver_piece(piece, content)
                reading.end()

    async def _deliver_piece(self, piece: Piece, content: bytes) -> None:
        text = self._texts.get(piece.stream)
        if text is None:
            text = self._texts[piece.stream] = Text()
        if piece.first:
            time = piece.time
            self._times[piece.stream] = None if time is None else datetime_of(time)
        decoded = text.of(content, newline=piece.newline)
        if decoded is not None:
            await self._deliver(self._container, self._times.get(piece.stream), decoded)

    async def _find_position(self) -> None:
        """Find the position in a log that was rotated or that belongs to a restarted container."""
        self._search_result = await self._current.search(self._position)
        if self._search_result is not None:
            return
        try:
            point = await self._previous.search(self._position)
        except Refused as refused:
            if refused.status not in _NO_RESTART:
                raise
            since = self._position.last_time
            time = f" after {datetime_of(since).isoformat()}" if since is not None else ""
            self._warn(
                f"Lines of the log of {self._container} are missing here: the log was rotated"
                f"{time} before they were read"
            )
        else:
            if point is None:
                self._warn(
                    f"Lines of the log of {self._container} may be missing here: the container "
                    "restarted more than once before they were read"
                )
                await self._reset()
            await self._read(self._previous, Reading(self._position, point), follow=False)
        await self._reset()

    async def _reset(self) -> None:
        await self.end()
        self._position = Position()


_POLL_SECONDS = 2.0
_MAX_POLL_SECONDS = 10.0
"""Maximum interval between reads of an init container that has not begun, in seconds."""
_STALL_SECONDS = 30.0
"""Time after the run's end without a new line after which the rest of the log is given up, in
seconds."""
_MAX_SECONDS_AFTER_END = 600.0
"""Maximum time after the run's end for reading the rest of the log, in seconds."""
_CHARACTERS_BETWEEN_WAITS = 32 * 1024
"""Number of characters that are delivered before `room` is awaited again."""

_WITHOUT_NODE = {Reason.UNSCHEDULABLE, Reason.SCHEDULING_GATED}
_NO_SUCH_CONTAINER = "is not valid for pod"
"""Text of the apiserver's response; the status alone does not distinguish an unknown container from
one that has not started."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a container's log, as it is written to the task's log."""

    container: str
    time: datetime | None
    """Time at which the container wrote the line; parts of a long line have the time of its
    beginning."""
    text: str


class _Round(Enum):
    """Result of one round of reading a log."""

    COMPLETE = auto()
    """The log was read to its end."""
    BROKEN = auto()
    """The connection broke, or the log must be opened again."""
    NOT_STARTED = auto()
    """There is nothing to read yet."""
    UNREADABLE = auto()
    """The log cannot be read; another round is useless."""


class LogReader:
    """Delivers the logs of one run's containers, attempt by attempt."""

    def __init__(
        self,
        connect: Connect,
        ref: Ref,
        shown: Shown,
        add_line: Callable[[Line], None],
        warn: Callable[[str], None],
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Create a reader; it starts when `update` is called with a run that has begun.

        Args:
            connect: Opens a connection for the logs.
            ref: The run.
            shown: The containers whose logs are read.
            add_line: Takes each line.
            warn: Takes a message about a problem with a log.
            room: Waits until `add_line` can take more lines; None if it always can.
        """
        self._connect = connect
        self._ref = ref
        self._shown = shown
        self._add_line = add_line
        self._warn = warn
        self._attempts: dict[int, Attempt] = {}
        self._without_node = False
        self._changed = asyncio.Event()
        """Set and replaced when the run has changed."""
        self._ended = False
        self._allowed = False
        self._room = room
        self._without_room = 0
        self._delivered = 0
        """Number of lines delivered so far."""
        self._last_error = ""
        """The latest error of a connection; cleared by a round without one."""
        self._task: asyncio.Task[None] | None = None

    def update(self, run: TaskRun) -> None:
        """Update the run's state; start reading if a log may exist."""
        self._attempts |= {each.number: each for each in run.status.attempts or []}
        self._without_node = run.status.reason in _WITHOUT_NODE
        self._wake()
        if self._task is None and any(map(self._has_begun, self._attempts.values())):
            self._task = asyncio.create_task(self._read_all())

    async def finish(self) -> None:
        """Read the rest of the log after the run's end, within the time limits."""
        self._ended = True
        self._wake()
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        latest = loop.time() + _MAX_SECONDS_AFTER_END
        while not self._task.done():
            delivered = self._delivered
            patience = min(_STALL_SECONDS, latest - loop.time())
            await asyncio.wait({self._task}, timeout=patience)
            if not self._task.done() and (patience <= 0 or self._delivered == delivered):
                cause = f" ({self._last_error})" if self._last_error else ""
                self._warn(
                    f"The log could not be read to its end in time{cause}; the rest is omitted."
                )
                break
        await self.stop()

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is None:
            return
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            self._warn(f"The log could not be read: {outcome!r}")

    async def _read_all(self) -> None:
        number = 0
        while True:
            changed = self._changed
            due = min((each for each in self._attempts if each > number), default=None)
            if due is not None and self._has_begun(self._attempts[due]):
                number = due
                await self._read_attempt(number)
            elif self._ended:
                return
            else:
                await _wait_for_change(changed)

    async def _read_attempt(self, number: int) -> None:
        if self._shown.before:
            await self._read_before(number)
        beside = [each for each in self._shown.beside if self._may_have_run(number, each)]
        if self._is_over(number):  # complete logs are easier to read one after another
            for container in beside:
                await self._read(number, container)
            return
        async with asyncio.TaskGroup() as group:
            for container in beside:
                group.create_task(self._read(number, container))

    async def _read_before(self, number: int) -> None:
        """Read init containers in order, until main has started or the attempt is over."""
        logs = {each: self._log(number, each) for each in self._shown.before}
        for wait in backoff_delays(_MAX_POLL_SECONDS):
            changed = self._changed
            is_last = self._is_over(number) or self._attempts[number].started_time is not None
            is_broken = False
            for container, log in list(logs.items()):
                result = await self._round(number, container, log)
                is_broken |= result is _Round.BROKEN
                if result is _Round.UNREADABLE:
                    del logs[container]
                elif result is not _Round.COMPLETE:
                    break  # later init containers have not begun
            if is_last and not is_broken:
                for log in logs.values():
                    await log.end()
                return
            # Without a node no log can appear, so only a change of the run ends the wait.
            await _wait_for_change(changed, within=None if self._without_node else wait)

    async def _read(self, number: int, container: str) -> None:
        """Read one container's log until the attempt is over and the log is complete."""
        log, whole, wait = self._log(number, container), False, _POLL_SECONDS
        while True:
            changed, last, delivered = self._changed, self._is_over(number), self._delivered
            result = await self._round(number, container, log, again=whole)
            whole = result is _Round.COMPLETE
            if result is _Round.UNREADABLE or (whole and last):
                await log.end()
                return
            idle = whole and self._delivered == delivered
            wait = min(2 * wait, _STALL_SECONDS) if idle else _POLL_SECONDS
            await _wait_for_change(changed, within=wait)

    def _log(self, number: int, container: str) -> ContainerLog:
        pod = self._attempts[number].pod_name
        return ContainerLog(self._connect, pod, container, self._deliver, self._warn)

    async def _deliver(self, container: str, time: datetime | None, text: str) -> None:
        self._add_line(Line(container, time, self._shown.line(container, text)))
        self._delivered += 1
        self._without_room += len(text)
        if self._room is not None and self._without_room >= _CHARACTERS_BETWEEN_WAITS:
            self._without_room = 0
            await self._room()

    async def _round(
        self, number: int, container: str, log: ContainerLog, *, again: bool = False
    ) -> _Round:
        """Read a log until it ends or an error occurs; return how the round ended."""
        try:
            whole = await log.read()
        except Refused as refused:
            self._allowed |= log.opened
            result, warning = self._after_refusal(refused, self._attempts[number])
            if warning and not again:
                self._warn(f"The log of {container} {warning}: {refused.sentence}")
            self._last_error = str(refused)
            return _Round.UNREADABLE if again and result is _Round.NOT_STARTED else result
        except (*BROKEN, Unreachable) as error:
            self._allowed |= log.opened
            self._last_error = str(error) or repr(error)
            return _Round.BROKEN
        except Exception as error:  # noqa: BLE001  # an error of the log must not fail the task
            self._warn(f"The log of {container} could not be read: {error!r}")
            return _Round.UNREADABLE
        self._allowed, self._last_error = True, ""
        return _Round.COMPLETE if whole else _Round.BROKEN

    def _after_refusal(self, refused: Refused, attempt: Attempt) -> tuple[_Round, str]:
        """Return the round's result after a refusal, and the warning to log, if any.

        An apiserver that has just started knows no roles yet and forbids everything. A log that
        was allowed before is therefore tried again after 403.
        """
        started, over = attempt.started_time is not None, self._is_over(attempt.number)
        if refused.status == HTTPStatus.FORBIDDEN and not self._allowed:
            return _Round.UNREADABLE, (
                "cannot be read: the role of Airflow's service account needs `get` on `pods/log` "
                f"in namespace {self._ref.namespace}"
            )
        if refused.status == HTTPStatus.BAD_REQUEST and _NO_SUCH_CONTAINER in refused.sentence:
            return _Round.UNREADABLE, "does not exist"
        if refused.status == HTTPStatus.NOT_FOUND and (started or over):
            return _Round.UNREADABLE, "no longer exists" if started else ""
        if refused.status == HTTPStatus.BAD_REQUEST and over:
            return _Round.UNREADABLE, "is empty: the container did not run" if started else ""
        if refused.status == HTTPStatus.NOT_IMPLEMENTED:
            return _Round.UNREADABLE, "cannot be read"
        early = refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
        return _Round.NOT_STARTED if early else _Round.BROKEN, ""

    def _has_begun(self, attempt: Attempt) -> bool:
        """Whether an attempt may have a log, or has ended without one."""
        at_work = attempt.started_time is not None or attempt.outcome is not None
        return at_work or (bool(self._shown.before) and not self._without_node)

    def _may_have_run(self, number: int, container: str) -> bool:
        return container != self._shown.main or self._attempts[number].started_time is not None

    def _is_over(self, number: int) -> bool:
        return self._ended or self._attempts[number].outcome is not None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _wait_for_change(changed: asyncio.Event, within: float | None = None) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(changed.wait(), within)
