"""Container logs: parsing into records, and following a log across restarts of the daemon."""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from aiodocker import DockerError

from taskruns.api.timestamps import nanoseconds_of
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.log_position import LogLost, LogPosition

_HEADER = struct.Struct(">BxxxL")
"""Header of a frame: stream number, and length of the content in bytes."""
_LONGEST_RECORD = 16 * 1024
"""Length, in bytes, above which the daemon splits a line into several records."""
_STDOUT, _SYSTEM_ERROR = 1, 3
"""Numbers of streams: standard output, and errors of the daemon itself."""

Frame = tuple[int, bytes]
"""Stream number and content of a frame."""


class BrokenLog(ConnectionError):
    """The response of the daemon ended within a frame."""


async def frames_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Frame]]:
    """Yield the frames of a response that multiplexes the streams of a container, in batches.

    Raises:
        BrokenLog: The response ends within a frame.
    """
    data = b""
    async for chunk in chunks:
        data += chunk
        at, frames = 0, []
        while len(data) - at >= _HEADER.size:
            stream, length = _HEADER.unpack_from(data, at)
            begin = at + _HEADER.size
            if begin + length > len(data):
                break
            at = begin + length
            frames.append((stream, data[begin:at]))
        data = data[at:]
        if frames:
            yield frames
    if data:
        raise BrokenLog("the response ends within a frame")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """Line of a log, or a part of a line that is longer than 16 KiB."""

    stream: int
    """Stream number: 1 for standard output or a terminal, 2 for standard error."""
    time: bytes
    """Time in the daemon's format, RFC 3339 in UTC."""
    content: bytes
    """Content without the line feed."""
    ends: bool
    """Whether the record is the last one of its line."""


async def records_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[LogRecord]:
    """Yield the records of the log of a container without a terminal.

    Raises:
        BrokenLog: The response ends within a record.
    """
    async for frames in frames_of(chunks):
        for stream, record in frames:
            if record:
                yield _record(stream, record)


async def records_of_terminal(chunks: AsyncIterator[bytes]) -> AsyncIterator[LogRecord]:
    """Yield the records of the log of a container with a terminal.

    A record ends with a line feed or at the maximum length.
    """
    buffer = b""
    async for chunk in chunks:
        buffer += chunk
        while (end := _end_of_first(buffer)) is not None:
            yield _record(_STDOUT, buffer[:end])
            buffer = buffer[end:]
    if buffer:
        yield _record(_STDOUT, buffer)


def _end_of_first(buffer: bytes) -> int | None:
    """Return the end index of the first record, or None if it is incomplete."""
    start = buffer.find(b" ") + 1
    if not start:
        return None
    newline = buffer.find(b"\n", start, start + _LONGEST_RECORD + 1)
    if newline >= 0:
        return newline + 1
    return start + _LONGEST_RECORD if len(buffer) > start + _LONGEST_RECORD else None


def _record(stream: int, record: bytes) -> LogRecord:
    time, _, content = record.partition(b" ")
    ends = content.endswith(b"\n")
    return LogRecord(stream, time, content.removesuffix(b"\n"), ends=ends)


_RETRY_SECONDS = 1.0
"""Delay before a request to an unavailable daemon is repeated, in seconds."""
_STATE_FIRST, _STATE_CAP = 0.01, 0.2
"""First and longest delay, in seconds, before the state of a container is read again whose log has
ended. The daemon reports the end of the container shortly after that of its log.
"""
_TAIL = 20
"""Number of last entries that are compared to recognise the end of a log."""
_NANOSECONDS = 10**9

Read = Callable[..., AsyncIterator[list[bytes]]]
"""Function that requests a log with query parameters and yields batches of entries or bytes."""
HasEnded = Callable[[], Awaitable[bool | None]]
"""Function that returns whether a container has ended, or None if it has been removed."""


class Position(Protocol):
    """Position up to which a log has been read."""

    def query(self) -> dict[str, Any]:
        """Begin another request and return its parameters."""

    def new(self, pieces: list[bytes]) -> bytes:
        """Return the content of received pieces that has not been read before."""

    async def is_end(self, read: Read) -> bool:
        """Return whether the log is known to end at this position."""

    @property
    def gap(self) -> bool:
        """Whether entries were removed before they were read."""


class Entries:
    """Position in a log whose pieces are entries, each with a time prefix."""

    def __init__(self) -> None:
        self._position = LogPosition()
        self._last: deque[bytes] = deque(maxlen=_TAIL)

    @property
    def gap(self) -> bool:
        """Whether entries were removed before they were read."""
        return self._position.gap

    def query(self) -> dict[str, Any]:
        """Begin another request and return its parameters."""
        self._position.rewind()
        return {"timestamps": True, "since": since_parameter(self._position.since)}

    def new(self, pieces: list[bytes]) -> bytes:
        """Return the content of the entries that have not been read before."""
        content = []
        for piece in pieces:
            time, _, line = piece.partition(b" ")
            written_at = nanoseconds_of(time)
            if written_at is None or self._position.passes(written_at):
                content.append(line)
                self._last.append(piece)
        return b"".join(content)

    async def is_end(self, read: Read) -> bool:
        """Return whether the last entries read are those of the log; faster than a second read."""
        batches = read(timestamps=True, tail=_TAIL)
        return [piece async for batch in batches for piece in batch] == [*self._last]


class Bytes:
    """Position in a terminal's output, which has no entries: the number of bytes read."""

    gap = False

    def __init__(self) -> None:
        self._count = self._known = 0

    def query(self) -> dict[str, Any]:
        """Begin another request and return its parameters."""
        self._known = self._count
        return {}

    def new(self, pieces: list[bytes]) -> bytes:
        """Return the bytes that have not been read before."""
        data = b"".join(pieces)
        known = min(self._known, len(data))
        self._known -= known
        self._count += len(data) - known
        return data[known:]

    async def is_end(self, read: Read) -> bool:  # noqa: ARG002 - part of the protocol
        """Return False: the end can only be recognised by reading the whole log."""
        return False


async def follow_log(
    read: Read, has_ended: HasEnded, begin: Callable[[], Awaitable[Position]]
) -> AsyncIterator[bytes]:
    """Follow a log to its end, across restarts of the daemon; empty pieces are heartbeats.

    A follow request may end before the log does: when the daemon stops, and just before a last
    line without a line feed. The log is complete only when a request that began after the end of
    the container has been read to its end.

    Args:
        read: Requests the log.
        has_ended: Returns whether the container has ended.
        begin: Returns the position to start from.

    Raises:
        DaemonError: The container does not exist, or its log cannot be read.
        LogLost: A part of the log can no longer be read.
    """
    position: Position | None = None
    complete, delays = None, _state_delays()
    while True:
        try:
            ended = await has_ended()
            position = position or await begin()
            if complete is not None and await _is_over(
                position, read, delays, ended=ended, complete=complete
            ):
                break
            complete = False
            async for batch in read(follow=not ended, **position.query()):
                yield position.new(batch)
            complete = True
            if ended:
                break
        except NoDaemon:
            await asyncio.sleep(_RETRY_SECONDS)
    if not complete:
        raise LogLost("the container was removed before its log was read to the end")
    if position.gap:
        raise LogLost("the log was rotated while Docker did not answer, lines are missing")


async def _is_over(
    position: Position,
    read: Read,
    delays: Iterator[float],
    *,
    ended: bool | None,
    complete: bool | None,
) -> bool:
    """Return whether there is nothing more to read.

    Args:
        position: Position up to which the log has been read.
        read: Requests the log.
        delays: Delays before the state of a container that has not ended is read again.
        ended: Whether the container has ended; None if it has been removed.
        complete: Whether the last request was read to its end; None if there was no request.
    """
    if ended is None or not complete:
        return ended is None and complete is not None
    if ended:
        return await position.is_end(read)
    await asyncio.sleep(next(delays))
    return False


def _state_delays() -> Iterator[float]:
    delay = _STATE_FIRST
    while True:
        yield delay
        delay = min(delay * 2, _STATE_CAP)


async def entries_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield the entries of a response that multiplexes standard output and standard error.

    Raises:
        BrokenLog: The response ends within an entry.
        DockerError: The daemon reports an error of its own.
    """
    async for frames in frames_of(chunks):
        for stream, content in frames:
            if stream == _SYSTEM_ERROR:
                message = content.decode(errors="replace")
                raise DockerError(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        yield [content for _, content in frames]


def since_parameter(nanoseconds: int) -> str:
    """Return a time, in nanoseconds of Unix time, as the daemon's `since` parameter."""
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    return f"{seconds}.{rest:09d}"
