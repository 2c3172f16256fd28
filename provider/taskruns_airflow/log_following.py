"""The log of one container, however often it has to be opened: each line once, none left out."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from taskruns_airflow.client import Connect, Refused
from taskruns_airflow.log_pieces import Piece, Text
from taskruns_airflow.log_position import Discontinued, Found, Place, Reading, Search
from taskruns_airflow.log_time import datetime_of

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
