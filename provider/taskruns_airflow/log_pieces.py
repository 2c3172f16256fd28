"""A container's log as a stream of pieces, each of which is a line or a part of a long one."""

import codecs
from collections.abc import AsyncIterator
from dataclasses import dataclass

from taskruns_airflow.log_time import nanoseconds_of

LONGEST_PIECE = 64 * 1024
"""Bytes of a line that are held in memory at most."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a record; a record is what the runtime gives a time of its own.

    The kubelet sends a record for each line. Docker sends several for a line of more than 16 KiB.
    """

    content: bytes
    time: int | None
    """Nanoseconds since 1970; None without a time, or where an earlier piece has it."""
    first: bool = True
    """Whether it begins a record."""
    last: bool = True
    """Whether it ends the record."""
    newline: bool = True
    """Whether it ends the line."""
    stream: int = 1
    """Standard output is 1, standard error 2, where the runtime tells them apart."""


async def pieces_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """Cut a log that the kubelet sends into pieces: one time for each line, at its start."""
    rest, inside, timed = b"", False, False
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            *parts, end = [line] if len(line) <= LONGEST_PIECE else _cut(line)
            for part in parts:
                yield _piece(part, inside=inside)
                inside = True
            piece = _piece(end, inside=inside, newline=True)
            timed, inside = timed or piece.time is not None, False
            yield piece
        while len(rest) > LONGEST_PIECE:
            yield _piece(rest[:LONGEST_PIECE], inside=inside)
            rest, inside = rest[LONGEST_PIECE:], True
    if rest:
        piece = _piece(rest, inside=inside)
        # Without a time it is a time that was cut, where lines have one.
        if inside or piece.time is not None or not timed:
            yield piece


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST_PIECE] for at in range(0, len(line), LONGEST_PIECE)]


def _piece(text: bytes, *, inside: bool, newline: bool = False) -> Piece:
    time = None
    if not inside:
        head, _, tail = text.partition(b" ")
        if (time := nanoseconds_of(head)) is not None:
            text = tail
    return Piece(text, time, first=not inside, last=newline, newline=newline)


class Text:
    """Decodes the pieces of one stream; a character may begin in one and end in another."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._inside = False

    def of(self, content: bytes, *, newline: bool) -> str | None:
        """Return the text of a piece without the line's end; None where there is nothing of it."""
        text = self._decoder.decode(content, final=newline)
        if newline:
            text = text.removesuffix("\r")
        nothing = not text and (self._inside or not newline)
        self._inside = not newline
        return None if nothing else text

    def end(self) -> str | None:
        """Return what is left of a character that was never ended."""
        return self._decoder.decode(b"", final=True) or None
