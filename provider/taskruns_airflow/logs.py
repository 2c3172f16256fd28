"""A run's log as it is written: attempt after attempt, each line once, memory bounded."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from http import HTTPStatus

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1 import Attempt, TaskRun
from taskruns_airflow.api import BROKEN, pauses
from taskruns_airflow.client import Connect, Ref, Refused, Unreachable
from taskruns_airflow.containers import Shown
from taskruns_airflow.log_position import (
    Discontinued,
    Found,
    Piece,
    Place,
    Reading,
    Search,
    Text,
    datetime_of,
)

Deliver = Callable[[str, datetime | None, str], Awaitable[None]]
"""Takes a container's name, a line's time, and the line, or a part of a long one."""
Warn = Callable[[str], None]

_NO_RESTART = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
"""The status of an answer about a container that has not restarted."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One of the logs that a container has: of now, or of before its last restart."""

    connect: Connect
    pod: str
    container: str
    previous: bool = False

    async def search(self, place: Place) -> Found | None:
        """Return where it goes on; None: the last record that was delivered is not there."""
        search = Search(place)
        async with self.connect() as runs:
            opened = runs.log(self.pod, self.container, follow=False, previous=self.previous)
            async with opened as pieces:
                async for piece in pieces:
                    search.take(piece)
        return search.found


class ContainerLog:
    """Reads one container's log."""

    def __init__(
        self, connect: Connect, pod: str, container: str, deliver: Deliver, warn: Warn
    ) -> None:
        self._now = _Source(connect, pod, container)
        self._before = _Source(connect, pod, container, previous=True)
        self._container = container
        self._deliver = deliver
        self._warn = warn
        self._place = Place()
        self._found: Found | None = None
        self._texts: dict[int, Text] = {}
        self._times: dict[int, datetime | None] = {}
        self.opened = False
        """Whether it could be opened once."""

    async def read(self) -> bool:
        """Deliver what is new until the log ends; return False where it has to be opened again.

        Raises:
            Refused: it is not to be had.
            Unreachable, aiohttp.ClientError, OSError: the connection broke.
        """
        found, self._found = self._found, None
        try:
            await self._read(self._now, Reading(self._place, found), follow=True)
        except Discontinued:
            with suppress(Discontinued):  # again: it is rotated quickly, and searched once more
                await self._find_place()
            return False
        return True

    async def end(self) -> None:
        """Deliver what is left of a character that was never ended: no more comes."""
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
                        await self._pass_on(piece, content)
                reading.end()

    async def _pass_on(self, piece: Piece, content: bytes) -> None:
        text = self._texts.get(piece.stream)
        if text is None:
            text = self._texts[piece.stream] = Text()
        if piece.first:
            time = piece.time
            self._times[piece.stream] = None if time is None else datetime_of(time)
        decoded = text.of(content, newline=piece.newline)
        if decoded is not None:
            await self._deliver(self._container, self._times.get(piece.stream), decoded)

    async def _find_place(self) -> None:
        """Find where the log goes on that does not begin as it did: rotated, or of a restart."""
        self._found = await self._now.search(self._place)
        if self._found is not None:
            return
        try:
            found = await self._before.search(self._place)
        except Refused as refused:
            if refused.status not in _NO_RESTART:
                raise
            since = self._place.last_time
            time = f" after {datetime_of(since).isoformat()}" if since is not None else ""
            self._warn(
                f"Lines of the log of {self._container} are missing here: the log was rotated"
                f"{time} before they were read"
            )
        else:
            if found is None:
                self._warn(
                    f"Lines of the log of {self._container} may be missing here: the container "
                    "restarted more than once before they were read"
                )
                await self._start_anew()
            await self._read(self._before, Reading(self._place, found), follow=False)
        await self._start_anew()

    async def _start_anew(self) -> None:
        await self.end()
        self._place = Place()


_SECONDS_BETWEEN_ROUNDS = 2.0
_SECONDS_BETWEEN_LOOKS = 10.0
"""At most, for an init container that has not begun: what it waits for may take long."""
_SECONDS_OF_STANDSTILL = 30.0
"""How long the verdict waits for the rest of the log while no more of it comes."""
_SECONDS_AFTER_THE_END = 600.0
"""How long it waits at most."""
_BYTES_WITHOUT_ROOM = 32 * 1024
"""How much is delivered before `room` is awaited again."""

_WITHOUT_NODE = {Reason.UNSCHEDULABLE, Reason.SCHEDULING_GATED}
_NO_SUCH_CONTAINER = "is not valid for pod"
"""In the apiserver's answer, which has the same status for a container that has not started."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a container's log, as it is told."""

    container: str
    time: datetime | None
    """When the container wrote it; the parts of a long line have that of its beginning."""
    text: str


class _Round(Enum):
    """How a round has ended."""

    WHOLE = auto()
    """As the container did, or as if it had."""
    BROKEN = auto()
    EARLY = auto()
    """There is nothing to read yet."""
    NEVER = auto()
    """There is no use in another."""


class LogReader:
    """Tells the logs of one run's containers, attempt after attempt."""

    def __init__(
        self,
        connect: Connect,
        ref: Ref,
        shown: Shown,
        tell: Callable[[Line], None],
        warn: Callable[[str], None],
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make a reader.

        Args:
            connect: opens the way to the logs.
            ref: the run.
            shown: the containers.
            tell: takes each line.
            warn: takes a sentence about what is wrong with a log.
            room: waits until whoever takes the lines can take more; by default they always can.
        """
        self._connect = connect
        self._ref = ref
        self._shown = shown
        self._tell = tell
        self._warn = warn
        self._attempts: dict[int, Attempt] = {}
        self._without_node = False
        self._news = asyncio.Event()
        """Set, and replaced by another, when there is something new."""
        self._ended = False
        self._allowed = False
        self._room = room
        self._without_room = 0
        self._delivered = 0
        """Lines, so far."""
        self._trouble = ""
        """The latest error of a connection, until there is another round."""
        self._task: asyncio.Task[None] | None = None

    def see(self, run: TaskRun) -> None:
        """Take notice of how the run is; starts reading when there is something to read."""
        self._attempts |= {each.number: each for each in run.status.attempts or []}
        self._without_node = run.status.reason in _WITHOUT_NODE
        self._wake()
        if self._task is None and any(map(self._has_begun, self._attempts.values())):
            self._task = asyncio.create_task(self._read_all())

    async def finish(self) -> None:
        """Wait for the rest of the log, after the run has ended, as long as more of it comes."""
        self._ended = True
        self._wake()
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        latest = loop.time() + _SECONDS_AFTER_THE_END
        while not self._task.done():
            delivered = self._delivered
            patience = min(_SECONDS_OF_STANDSTILL, latest - loop.time())
            await asyncio.wait({self._task}, timeout=patience)
            if not self._task.done() and (patience <= 0 or self._delivered == delivered):
                why = f" ({self._trouble})" if self._trouble else ""
                self._warn(
                    f"The log could not be read to its end in time{why}; the rest is left out."
                )
                break
        await self.stop()

    async def stop(self) -> None:
        """Read no further."""
        if self._task is None:
            return
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            self._warn(f"The log could not be read: {outcome!r}")

    async def _read_all(self) -> None:
        number = 0
        while True:
            news = self._news
            due = min((each for each in self._attempts if each > number), default=None)
            if due is not None and self._has_begun(self._attempts[due]):
                number = due
                await self._read_attempt(number)
            elif self._ended:
                return
            else:
                await _happens(news)

    async def _read_attempt(self, number: int) -> None:
        if self._shown.before:
            await self._read_before(number)
        beside = [each for each in self._shown.beside if self._may_have_run(number, each)]
        if self._is_over(number):  # nothing more comes: one after another is easier to follow
            for container in beside:
                await self._read(number, container)
            return
        async with asyncio.TaskGroup() as group:
            for container in beside:
                group.create_task(self._read(number, container))

    async def _read_before(self, number: int) -> None:
        """Read init containers in their order, until main has started."""
        logs = {each: self._log(number, each) for each in self._shown.before}
        for wait in pauses(_SECONDS_BETWEEN_LOOKS):
            news = self._news
            last = self._is_over(number) or self._attempts[number].started_time is not None
            broken = False
            for container, log in list(logs.items()):
                how = await self._round(number, container, log)
                broken |= how is _Round.BROKEN
                if how is _Round.NEVER:
                    del logs[container]
                elif how is not _Round.WHOLE:
                    break  # those after it have not begun
            if last and not broken:
                for log in logs.values():
                    await log.end()
                return
            await _happens(news, within=None if self._without_node else wait)

    async def _read(self, number: int, container: str) -> None:
        """Read one container's log until the attempt is over and all of it is told."""
        log, whole, wait = self._log(number, container), False, _SECONDS_BETWEEN_ROUNDS
        while True:
            news, last, delivered = self._news, self._is_over(number), self._delivered
            how = await self._round(number, container, log, again=whole)
            whole = how is _Round.WHOLE
            if how is _Round.NEVER or (whole and last):
                await log.end()
                return
            idle = whole and self._delivered == delivered
            wait = min(2 * wait, _SECONDS_OF_STANDSTILL) if idle else _SECONDS_BETWEEN_ROUNDS
            await _happens(news, within=wait)

    def _log(self, number: int, container: str) -> ContainerLog:
        pod = self._attempts[number].pod_name
        return ContainerLog(self._connect, pod, container, self._deliver, self._warn)

    async def _deliver(self, container: str, time: datetime | None, text: str) -> None:
        self._tell(Line(container, time, self._shown.line(container, text)))
        self._delivered += 1
        self._without_room += len(text)
        if self._room is not None and self._without_room >= _BYTES_WITHOUT_ROOM:
            self._without_room = 0
            await self._room()

    async def _round(
        self, number: int, container: str, log: ContainerLog, *, again: bool = False
    ) -> _Round:
        """Read until the log ends."""
        try:
            whole = await log.read()
        except Refused as refused:
            self._allowed |= log.opened
            how, told = self._answered(refused, self._attempts[number])
            if told and not again:
                self._warn(f"The log of {container} {told}: {refused.sentence}")
            self._trouble = str(refused)
            return _Round.NEVER if again and how is _Round.EARLY else how
        except (*BROKEN, Unreachable) as error:
            self._allowed |= log.opened
            self._trouble = str(error) or repr(error)
            return _Round.BROKEN
        except Exception as error:  # noqa: BLE001  # whatever it is, the run is what counts
            self._warn(f"The log of {container} could not be read: {error!r}")
            return _Round.NEVER
        self._allowed, self._trouble = True, ""
        return _Round.WHOLE if whole else _Round.BROKEN

    def _answered(self, refused: Refused, attempt: Attempt) -> tuple[_Round, str]:
        """Say whether another round may go better, and what is worth a word where none will.

        What was allowed is allowed again when the apiserver is back: one that has just started
        knows no role yet, and forbids everything.
        """
        started, over = attempt.started_time is not None, self._is_over(attempt.number)
        if refused.status == HTTPStatus.FORBIDDEN and not self._allowed:
            return _Round.NEVER, (
                "may not be read: the role of Airflow's service account needs `get` on `pods/log` "
                f"in namespace {self._ref.namespace}"
            )
        if refused.status == HTTPStatus.BAD_REQUEST and _NO_SUCH_CONTAINER in refused.sentence:
            return _Round.NEVER, "is not there"
        if refused.status == HTTPStatus.NOT_FOUND and (started or over):
            return _Round.NEVER, "is gone" if started else ""
        if refused.status == HTTPStatus.BAD_REQUEST and over:
            return _Round.NEVER, "is empty, it never ran" if started else ""
        if refused.status == HTTPStatus.NOT_IMPLEMENTED:
            return _Round.NEVER, "cannot be read"
        early = refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
        return _Round.EARLY if early else _Round.BROKEN, ""

    def _has_begun(self, attempt: Attempt) -> bool:
        """Whether an attempt may have something to read, or never will."""
        at_work = attempt.started_time is not None or attempt.outcome is not None
        return at_work or (bool(self._shown.before) and not self._without_node)

    def _may_have_run(self, number: int, container: str) -> bool:
        return container != self._shown.main or self._attempts[number].started_time is not None

    def _is_over(self, number: int) -> bool:
        return self._ended or self._attempts[number].outcome is not None

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def _happens(news: asyncio.Event, within: float | None = None) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), within)
