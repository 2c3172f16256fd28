"""Position in a container's log that is read in several requests. This module does no I/O.

Runtimes copy standard output and standard error concurrently, so the times of a log's entries are
not in order. A reader that continues by the latest time alone loses or repeats entries. Therefore
the position is a count: the number of entries read at or after a time well in the past.
"""

from dataclasses import dataclass

from taskruns.api.timestamps import nanoseconds_of
from taskruns.engines.engine import EngineError

_DISORDER_NANOSECONDS = 10 * 10**9
"""Largest expected difference between the times of adjacent entries that are out of order."""
_LONGEST_TIME = 40
"""Maximum length of the time at the start of a line, in bytes, including the space after it."""


class LogLost(EngineError):
    """A part of a log can no longer be read; the message says why."""


@dataclass(slots=True)
class _Checkpoint:
    """A time, and the number of entries read at or after it."""

    since: int = 0
    """Nanoseconds of Unix time; 0 is the start of the log."""
    count: int = 0
    first: int = 0
    """Time of the first of these entries, in nanoseconds of Unix time."""

    def add(self, time: int) -> None:
        """Count an entry."""
        if time >= self.since:
            self.first = self.first if self.count else time
            self.count += 1


class LogPosition:
    """Position up to which a log has been read.

    Call `rewind` before each request, request the entries from `since` on, and pass the time of
    each to `passes` in the order of the response.
    """

    def __init__(self) -> None:
        self.gap = False
        """Whether entries were removed from the log before they were read, by its rotation."""
        self._old, self._new = _Checkpoint(), _Checkpoint()
        self._newest = 0
        self._begun = self._left = 0
        """Entries of this request that were read before: their total, and those still to come."""
        self._not_after = 0
        """After a gap, entries up to this time are skipped as already read."""

    @property
    def since(self) -> int:
        """The time to read from, in nanoseconds of Unix time; 0 means the start of the log."""
        return self._old.since

    def rewind(self) -> None:
        """Begin another request, which returns the entries from `since` on."""
        self._begun = self._left = self._old.count
        self._not_after = 0

    def passes(self, time: int) -> bool:
        """Return whether the next entry, of this time, is new."""
        if self._left and self._is_known(time):
            return False
        if time <= self._not_after:
            return False
        self._not_after = 0
        self._count(time)
        return True

    def take_back(self) -> None:
        """Treat the last entry that passed as unread, because its rest was not received."""
        for checkpoint in (self._old, self._new):
            checkpoint.count = max(checkpoint.count - 1, 0)

    def _is_known(self, time: int) -> bool:
        """Consume an entry that was read before; return False where the log has been rotated."""
        if time < self._old.since:  # servers round the requested time
            return True
        if self._left == self._begun and time != self._old.first:
            self.gap, self._left, self._not_after = True, 0, self._newest
            return False
        self._left -= 1
        return True

    def _count(self, time: int) -> None:
        newer, self._newest = time > self._newest, max(time, self._newest)
        if newer and self._new.count and time - self._new.since > _DISORDER_NANOSECONDS:
            self._old, self._new = self._new, _Checkpoint(time)
        self._old.add(time)
        self._new.add(time)


class TimedLines:
    """Extracts the new content of a log with timestamps from the responses of several requests."""

    def __init__(self) -> None:
        self.position = LogPosition()
        self.error = ""
        """Error message that a kubelet sent in place of the log."""
        self._rest = b""
        self._within = self._passing = False
        self._timed = False
        self._read = self._sent = 0

    def rewind(self) -> None:
        """Begin another request; it returns a line that was received in part again."""
        if self._within and self._passing:
            self.position.take_back()
        self._rest, self._within, self._passing = b"", False, False
        self._timed = False
        self.error = ""
        self.position.rewind()

    def feed(self, chunk: bytes) -> bytes:
        """Process a chunk of a response, of any size; return its new content."""
        data, at, content = self._rest + chunk, 0, []
        while at < len(data):
            if not self._within:
                begin = self._begin(data, at)
                if begin is None:
                    break
                at = begin
            end = data.find(b"\n", at) + 1 or len(data)
            content.append(self._continue(data[at:end]))
            at = end
        self._rest = data[at:]
        return b"".join(content)

    def _begin(self, data: bytes, at: int) -> int | None:
        """Parse the time of a line; return the offset of its content, or None if more is needed."""
        space = data.find(b" ", at, at + _LONGEST_TIME)
        if space < 0 and len(data) - at < _LONGEST_TIME and b"\n" not in data[at:]:
            return None
        time = nanoseconds_of(data[at:space]) if space > 0 else None
        self._within, self._read = True, 0
        if time is None:  # the rest of a long line has no time
            return at
        self._timed = True
        self._passing = self.position.passes(time)
        return space + 1

    def _continue(self, piece: bytes) -> bytes:
        """Return the part of a piece of a line that was not returned before."""
        if not self._timed:
            self.error = " ".join((self.error + piece.decode(errors="replace")).split())
        known = max(self._sent - self._read, 0) if self._passing else 0
        self._read += len(piece)
        if self._passing:
            self._sent = max(self._sent, self._read)
        new = piece[known:] if self._passing else b""
        if piece.endswith(b"\n"):
            self._within = False
            self._sent = 0 if self._passing else self._sent
        return new
