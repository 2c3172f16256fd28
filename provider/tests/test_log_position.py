"""Property tests: each log line is delivered once and in order, despite breaks and rotations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskruns.api.timestamps import nanoseconds_of
from taskruns_airflow import log_position
from taskruns_airflow.client import Refused
from taskruns_airflow.log_position import MAX_PIECE_BYTES, Piece, Text, pieces_of
from taskruns_airflow.logs import ContainerLog

BEGIN = datetime(2026, 11, 29, 1, tzinfo=UTC)
BROKEN_OFF = ConnectionResetError("broken")


@dataclass
class Record:
    """Log record of a container runtime: a line or a part of one."""

    second: float
    content: bytes
    ends: bool = True

    @property
    def time(self) -> bytes:
        """RFC 3339 timestamp; zone offset and number of fractional digits vary with the time."""
        zone = timezone(timedelta(hours=int(self.second) % 3))
        time = (BEGIN + timedelta(seconds=self.second)).astimezone(zone)
        return time.isoformat().encode().replace(b"+00:00", b"Z")


@dataclass
class Kubelet:
    """Fake kubelet that sends a log file, the oldest records of which may be rotated away."""

    records: list[Record]
    breaks: list[int]
    """Number of bytes after which each connection breaks; later connections do not break."""
    chunk: int
    rotated: list[int] = field(default_factory=list)
    """Number of records that are gone, for each following connection."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        yield self

    @asynccontextmanager
    async def log(
        self,
        _pod: str,
        _container: str,
        since: str = "",
        *,
        follow: bool = True,
        previous: bool = False,
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        if previous:
            raise Refused(400, "previous terminated container not found")
        earliest = nanoseconds_of(since.encode()) if since else None
        if follow:
            self.gone = self.rotated.pop(0) if self.rotated else getattr(self, "gone", 0)
        sent = self.sent(earliest)
        upto = self.breaks.pop(0) if follow and self.breaks else None

        async def chunks() -> AsyncIterator[bytes]:
            some = sent if upto is None else sent[:upto]
            for at in range(0, len(some), self.chunk):
                yield some[at : at + self.chunk]
            if upto is not None:
                raise BROKEN_OFF

        yield pieces_of(chunks())

    def sent(self, earliest: int | None) -> bytes:
        """Return the output of the kubelet's ReadLogs, with a timestamp at the start of lines."""
        output, begins = b"", True
        for record in self.records[self.gone :]:
            time = nanoseconds_of(record.time)
            assert time is not None
            if earliest is None or time >= earliest:
                output += (record.time + b" " if begins else b"") + record.content
                output += b"\n" if record.ends else b""
            begins = record.ends
        return output


async def delivered_by(kubelet: Any) -> tuple[list[str], list[str]]:
    """Read a log until a connection does not break; return delivered texts and warnings."""
    parts: list[str] = []
    warned: list[str] = []

    async def deliver(_container: str, _time: datetime | None, text: str) -> None:
        parts.append(text)

    log = ContainerLog(kubelet.connect, "pod", "main", deliver, warned.append)
    for _ in range(100):
        try:
            if await log.read() and not kubelet.breaks:
                break
        except ConnectionResetError:
            continue
    await log.end()
    return parts, warned


WORDS = st.sampled_from([b"", b"a", b"b", "€uro".encode(), b"2999-01-01T00:00:00Z x", b"\0", b"\r"])
RECORDS = st.lists(st.builds(Record, st.integers(0, 5000), WORDS), max_size=25)
BREAKS = st.lists(st.integers(0, 900), max_size=6)
CHUNKS = st.integers(1, 200)


def line_of(record: Record) -> str:
    return record.content.decode().removesuffix("\r")


@settings(deadline=None)
@given(RECORDS, BREAKS, CHUNKS)
def test_each_line_is_delivered_once_and_in_order(
    records: list[Record], breaks: list[int], chunk: int
) -> None:
    lines, warned = asyncio.run(delivered_by(Kubelet(records, breaks, chunk)))
    assert lines == [line_of(record) for record in records]
    assert warned == []


@settings(deadline=None)
@given(
    st.lists(st.integers(-30, 30), max_size=60),
    BREAKS,
    st.lists(st.sampled_from([b"a", b"b"]), min_size=60, max_size=60),
)
def test_a_long_log_is_resumed_from_a_time_without_loss_or_repetition(
    crossings: list[int], breaks: list[int], words: list[bytes]
) -> None:
    """Read a log that is not read from its start, with times out of order by half a minute."""
    records = [
        Record(100 + 20 * number + redacted, word)
        for number, (redacted, word) in enumerate(zip(crossings, words, strict=False))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_position, "_REREAD_BYTES", 0)
        patch.setattr(log_position, "_KEPT_RECORDS", 8)
        lines, warned = asyncio.run(delivered_by(Kubelet(records, breaks, 50)))
    assert lines == [line_of(record) for record in records]
    assert warned == []


@settings(deadline=None)
@given(
    st.lists(WORDS, min_size=1, max_size=25),
    st.lists(st.integers(100, 900), max_size=6),
    st.lists(st.integers(0, 24), max_size=6),
)
def test_a_rotation_loses_only_the_reported_lines(
    words: list[bytes], breaks: list[int], rotations: list[int]
) -> None:
    """Check a log that was read before a rotation; lines rotated before any read are unknown."""
    gone = sorted(min(each, len(words) - 1) for each in rotations)
    records = [Record(number / 7, word) for number, word in enumerate(words)]
    lines, warned = asyncio.run(delivered_by(Kubelet(records, breaks, 50, list(gone))))
    whole = [line_of(record) for record in records]
    rest = iter(whole)
    assert all(line in rest for line in lines)  # in order and without duplicates
    assert warned or lines == whole[gone[0] if gone else 0 :]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=30), st.booleans()), max_size=12),
    BREAKS,
    CHUNKS,
    st.integers(32, 64),
)
def test_pieces_of_a_long_line_are_its_whole_text(
    stored: list[tuple[int, bytes, bool]], breaks: list[int], chunk: int, longest: int
) -> None:
    """Read records that the runtime has cut anywhere, even within characters."""
    clean = [(second, content.replace(b"\n", b"")) for second, content, _ in stored]
    ends = [ends for *_, ends in stored[:-1]] + [True]
    records = [
        Record(second, content, end or not content)
        for (second, content), end in zip(clean, ends, strict=False)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_position, "MAX_PIECE_BYTES", longest)
        lines, _ = asyncio.run(delivered_by(Kubelet(records, breaks, chunk)))
    whole = b"".join(each.content + (b"\n" if each.ends else b"") for each in records)
    expected = [each.removesuffix("\r") for each in whole.decode(errors="replace").split("\n")]
    assert "".join(lines).replace("\r", "") == "".join(expected).replace("\r", "")


async def test_an_interrupted_line_is_resumed() -> None:
    wide = "€".encode() * MAX_PIECE_BYTES
    kubelet = Kubelet([Record(1, wide), Record(2, b"end")], [MAX_PIECE_BYTES * 2 + 100], 1000)
    lines, warned = await delivered_by(kubelet)
    assert "".join(lines) == "€" * MAX_PIECE_BYTES + "end"
    assert max(map(len, lines)) <= MAX_PIECE_BYTES
    assert warned == []


async def test_a_line_without_an_end_needs_bounded_memory() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"2026-11-29T01:00:00Z "
        for _ in range(100):
            yield b"x" * 1_000_000

    sizes = [len(piece.content) async for piece in pieces_of(chunks())]
    assert sum(sizes) == 100_000_000
    assert max(sizes) == MAX_PIECE_BYTES


async def test_delivered_records_need_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_position, "_KEPT_RECORDS", 100)
    position = log_position.Position()
    for number in range(10_000):
        position.begin(number, 0)
        position.add(b"line", last=True)
    assert position.total == 10_000
    assert len(list(position.records())) < 200


async def test_a_time_that_is_cut_off_is_no_line() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"2026-11-29T01:00:00Z whole\n2026-11-29T0"

    assert [piece.content async for piece in pieces_of(chunks())] == [b"whole"]


def test_each_stream_is_decoded_by_itself_with_replacements() -> None:
    euro = "€".encode()
    text = Text()
    assert text.of(euro[:2], newline=False) is None
    assert text.of(euro[2:] + b"\xff!", newline=True) == "€\ufffd!"
    assert text.of(euro[:1], newline=False) is None
    assert text.end() == "\ufffd"
