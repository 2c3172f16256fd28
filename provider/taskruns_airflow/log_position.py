"""Pieces of a container's log, and the position up to which the log was delivered."""

import codecs
from array import array
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from zlib import crc32

from taskruns.api.timestamps import MILLION, nanoseconds_of, rfc3339_of

MAX_PIECE_BYTES = 64 * 1024
"""Maximum number of bytes of a line in memory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a log record. A record is a unit to which the runtime gives its own timestamp.

    The kubelet sends one record per line. Docker sends several for a line of more than 16 KiB.
    """

    content: bytes
    time: int | None
    """Nanoseconds since 1970; None if the record has no time or the piece is not its first."""
    first: bool = True
    """Whether the piece begins a record."""
    last: bool = True
    """Whether the piece ends its record."""
    newline: bool = True
    """Whether the piece ends its line."""
    stream: int = 1
    """1 for standard output, 2 for standard error; always 1 if the runtime does not separate
    them."""


async def pieces_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """Yield the pieces of a log from the kubelet, whose lines each begin with a timestamp."""
    rest, inside, timed = b"", False, False
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            *parts, end = [line] if len(line) <= MAX_PIECE_BYTES else _cut(line)
            for part in parts:
                yield _piece(part, inside=inside)
                inside = True
            piece = _piece(end, inside=inside, newline=True)
            timed, inside = timed or piece.time is not None, False
            yield piece
        while len(rest) > MAX_PIECE_BYTES:
            yield _piece(rest[:MAX_PIECE_BYTES], inside=inside)
            rest, inside = rest[MAX_PIECE_BYTES:], True
    if rest:
        piece = _piece(rest, inside=inside)
        # If lines have timestamps, a rest without one is a timestamp that was cut off.
        if inside or piece.time is not None or not timed:
            yield piece


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + MAX_PIECE_BYTES] for at in range(0, len(line), MAX_PIECE_BYTES)]


def _piece(text: bytes, *, inside: bool, newline: bool = False) -> Piece:
    time = None
    if not inside:
        head, _, tail = text.partition(b" ")
        if (time := nanoseconds_of(head)) is not None:
            text = tail
    return Piece(text, time, first=not inside, last=newline, newline=newline)


class Text:
    """Decodes the pieces of one stream; a character may span two pieces."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._inside = False

    def of(self, content: bytes, *, newline: bool) -> str | None:
        """Return the text of a piece without its line end; None if nothing is to be delivered."""
        text = self._decoder.decode(content, final=newline)
        if newline:
            text = text.removesuffix("\r")
        nothing = not text and (self._inside or not newline)
        self._inside = not newline
        return None if nothing else text

    def end(self) -> str | None:
        """Return the replacement for an incomplete character at the end, or None."""
        return self._decoder.decode(b"", final=True) or None


_KEPT_RECORDS = 262_144
"""Minimum number of records whose times and checksums are kept; more than a kubelet's log file of
10 MiB can hold."""
_REREAD_BYTES = 1024 * 1024
"""Size of a log, in bytes, up to which every reading starts at the beginning."""
_DISORDER_SECONDS = 60
"""In a longer log, tolerated difference by which a record may be older than its predecessor, in
seconds."""

_NO_TIME = -(1 << 62)


class LogDiscontinued(Exception):
    """The records of this reading differ from those that were delivered before."""


@dataclass(slots=True)
class _Open:
    """The delivered part of an incomplete record."""

    time: int
    sum: int
    size: int = 0


class Position:
    """Position in one container's log: times and checksums of the delivered records."""

    def __init__(self) -> None:
        self.open: _Open | None = None
        self._times = array("q")
        self._sums = array("I")
        self._first: tuple[int, int] | None = None
        self._forgotten = 0
        self._latest_forgotten = _NO_TIME
        self._timeless = False
        self._bytes = 0

    @property
    def total(self) -> int:
        """Number of records that were delivered completely."""
        return self._forgotten + len(self._times)

    @property
    def forgotten(self) -> int:
        """Number of records, counted from the start, whose times and checksums are not kept."""
        return self._forgotten

    @property
    def first(self) -> tuple[int, int] | None:
        """Time and checksum of the first record."""
        return self._first

    @property
    def last_time(self) -> int | None:
        """Time of the last record that has one, in nanoseconds since 1970; None if none has."""
        time = next((each for each in reversed(self._times) if each != _NO_TIME), None)
        return None if time is None else time * 1000

    def since(self) -> int | None:
        """Return the time from which the next reading may start; None for the log's beginning.

        The time is in whole seconds since 1970.
        """
        if self._bytes <= _REREAD_BYTES or self._timeless or not self._times:
            return None
        latest = min(self._times[-1], self.open.time if self.open else self._times[-1])
        second = latest // MILLION - _DISORDER_SECONDS
        return second if second > 0 and second * MILLION > self._latest_forgotten else None

    def records(self, since: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield time and checksum of the kept records, in order.

        Args:
            since: Earliest time, in seconds since 1970; None for all records.
        """
        earliest = _NO_TIME if since is None else since * MILLION
        pairs = zip(self._times, self._sums, strict=True)
        return (pair for pair in pairs if pair[0] >= earliest)

    def begin(self, time: int, seed: int) -> None:
        """Record that a record has begun.

        Args:
            time: Its time, in microseconds since 1970.
            seed: Start value of its checksum.
        """
        self.open = _Open(time, seed)

    def add(self, content: bytes, *, last: bool) -> None:
        """Record that a part of the open record was delivered."""
        assert self.open is not None  # noqa: S101  # `begin` is called for its first part
        self.open.sum = crc32(content, self.open.sum)
        self.open.size += len(content)
        self._bytes += len(content)
        if last:
            self._close(self.open)
            self.open = None

    def _close(self, record: _Open) -> None:
        if self._first is None:
            self._first = record.time, record.sum
        self._timeless |= record.time == _NO_TIME
        self._times.append(record.time)
        self._sums.append(record.sum)
        if len(self._times) >= 2 * _KEPT_RECORDS:
            latest = max(self._times[:_KEPT_RECORDS])
            self._latest_forgotten = max(self._latest_forgotten, latest)
            self._forgotten += _KEPT_RECORDS
            del self._times[:_KEPT_RECORDS], self._sums[:_KEPT_RECORDS]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The point in a log where delivery continues; result of a Search."""

    skip: int
    """Number of records to skip."""
    last: tuple[int, int] | None
    """Time and checksum of the last skipped record; None if none is skipped."""
    in_record: bool
    """Whether the record after the skipped ones was delivered in part."""


class Reading:
    """One reading of the log: separates new pieces from those that were delivered before."""

    def __init__(self, position: Position, result: SearchResult | None = None) -> None:
        """Start a reading.

        Args:
            position: The position; updated with what this reading delivers.
            result: The result of a Search; by default, the whole log is compared with `position`.
        """
        self._position = position
        second = position.since() if result is None else None
        self.since = "" if second is None else rfc3339_of(second)
        self._unknown = 0
        """Number of records that are skipped without a comparison."""
        self._first: tuple[int, int] | None = None
        """Expected time and checksum of the first skipped record; None to accept any."""
        self._expected: Iterator[tuple[int, int]] = iter(())
        if result is None:
            self._expected = position.records(second)
            if second is None and position.forgotten:
                self._unknown, self._first = position.forgotten, position.first
        elif result.last is not None:
            self._unknown, self._expected = result.skip - 1, iter((result.last,))
        if result is not None and not result.in_record:
            position.open = None
        self._next = next(self._expected, None)
        self._searched = result is not None
        self._record = _Record()
        self._skipped = 0

    def take(self, piece: Piece) -> bytes | None:
        """Return the new part of a piece; None if there is none.

        Raises:
            LogDiscontinued: The log does not continue at the position.
        """
        if piece.first:
            self._record = _Record.of(piece)
        if self._unknown or self._next is not None:
            self._record.add(piece.content)
            if piece.last:
                self._repeat(self._record.key)
            return None
        return self._deliver(piece)

    def end(self) -> None:
        """Finish the reading at the end of the log.

        Raises:
            LogDiscontinued: The log was rotated after the search.
        """
        if self._searched and self._next is not None:
            raise LogDiscontinued

    def _repeat(self, key: tuple[int, int]) -> None:
        if self._unknown:
            first, self._first = self._first, None
            self._unknown -= 1
            if first not in (None, key):
                raise LogDiscontinued
            return
        if key != self._next:
            raise LogDiscontinued
        self._next = next(self._expected, None)

    def _deliver(self, piece: Piece) -> bytes | None:
        position, content = self._position, piece.content
        if piece.first:
            self._skipped = 0
            if position.open is not None and position.open.time == self._record.time:
                self._skipped = position.open.size
            elif position.open is not None:
                raise LogDiscontinued
            else:
                position.begin(self._record.time, self._record.sum)
        content, self._skipped = (
            content[self._skipped :],
            max(0, self._skipped - len(content)),
        )
        if not content and not piece.last:
            return None
        position.add(content, last=piece.last)
        return content


class Search:
    """Searches a whole log for the last record that was delivered."""

    def __init__(self, position: Position) -> None:
        self._open = position.open
        self._total = position.total
        records = list(position.records())
        timed = (
            number for number in range(len(records), 0, -1) if records[number - 1][0] > _NO_TIME
        )
        end = next(timed, 0)
        self._last = records[end - 1] if end else None
        self._after = len(records) - end
        self._alike = records.count(self._last) if self._last else 0
        self._record = _Record()
        self._before: tuple[int, int] | None = None
        self._count = 0
        self._remaining = 0
        self._end: SearchResult | None = None
        self._start: SearchResult | None = None

    def take(self, piece: Piece) -> None:
        """Process the next piece of the log."""
        if piece.first:
            self._record = _Record.of(piece)
            if self._open and self._record.time == self._open.time > _NO_TIME:
                self._start = SearchResult(self._count, self._before, in_record=True)
        self._record.add(piece.content)
        if piece.last:
            self._count += 1
            self._before = self._record.key
            if self._before == self._last and self._alike:
                self._alike -= 1
                self._remaining = self._after + 1
            if self._remaining:
                self._remaining -= 1
                self._end = SearchResult(self._count, self._before, in_record=False)
            elif self._last is None and not self._open and self._count == self._total:
                self._end = SearchResult(self._count, self._before, in_record=False)

    @property
    def result(self) -> SearchResult | None:
        """The point where delivery continues; None if the last delivered record is gone."""
        return self._start or self._end


@dataclass(slots=True)
class _Record:
    """Time (in microseconds since 1970) and checksum of the pieces of a record so far."""

    time: int = _NO_TIME
    sum: int = 0

    @classmethod
    def of(cls, piece: Piece) -> "_Record":
        if piece.time is None:
            return cls()
        microseconds, rest = divmod(piece.time, 1000)
        return cls(microseconds, rest)

    def add(self, content: bytes) -> None:
        self.sum = crc32(content, self.sum)

    @property
    def key(self) -> tuple[int, int]:
        return self.time, self.sum
