"""A container's log record by record, each with its time and its stream."""

import struct
from asyncio import IncompleteReadError
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import StreamReader

_HEADER = struct.Struct(">BxxxL")
"""Stream and length, before each record of a container without a terminal."""
_LONGEST_RECORD = 16 * 1024
"""Bytes after which the daemon cuts a line into records."""
_STDOUT = 1


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A line, or a part of one that is longer than 16 KiB."""

    stream: int
    """1: standard output, or a terminal; 2: standard error."""
    time: bytes
    """As the daemon writes it, RFC 3339 in UTC."""
    content: bytes
    """Without the line's end."""
    ends: bool
    """Whether the line ends with it."""


class BrokenLog(ConnectionError):
    """The daemon ended the answer within a record."""


async def records_of(content: StreamReader) -> AsyncIterator[LogRecord]:
    """Read the log of a container without a terminal.

    Raises:
        BrokenLog: the answer ends within a record.
    """
    while True:
        try:
            stream, length = _HEADER.unpack(await content.readexactly(_HEADER.size))
            record = await content.readexactly(length)
        except IncompleteReadError as error:
            if error.partial or error.expected != _HEADER.size:
                raise BrokenLog("the log ended within a record") from error
            return
        if record:
            yield _record(stream, record)


async def records_of_terminal(content: StreamReader) -> AsyncIterator[LogRecord]:
    """Read the log of a container with a terminal: a record's end is its newline or its length."""
    buffer = b""
    async for chunk in content.iter_any():
        buffer += chunk
        while (end := _end_of_first(buffer)) is not None:
            yield _record(_STDOUT, buffer[:end])
            buffer = buffer[end:]
    if buffer:
        yield _record(_STDOUT, buffer)


def _end_of_first(buffer: bytes) -> int | None:
    """Return where the first record ends; None where it has not come as a whole."""
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
