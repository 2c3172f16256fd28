"""A log is read completely and once, across broken connections and unordered times."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from aiodocker import DockerError
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.timestamps import nanoseconds_of
from taskruns.engines.docker import log
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.log import (
    BrokenLog,
    Bytes,
    Entries,
    entries_of,
    follow_log,
    since_parameter,
)
from taskruns.engines.log_position import LogLost

START = 1767261600 * 10**9


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(log, "_STATE_FIRST", 0)


class Container:
    """Container whose log is returned in responses that may end early."""

    def __init__(self, times: Sequence[int], answers: Iterator[int]) -> None:
        """Initialize the container.

        Args:
            times: Time of each log entry, in nanoseconds after START.
            answers: Number of log entries after which each follow request ends; with an odd number
                the connection breaks.
        """
        self.entries = [(START + time, b"%d\n" % number) for number, time in enumerate(times)]
        self.answers = answers
        self.ended: bool | None = False
        self.requests = 0

    @property
    def content(self) -> bytes:
        return b"".join(line for _, line in self.entries)

    async def has_ended(self) -> bool | None:
        return self.ended

    async def read(
        self, *, timestamps: bool, follow: bool = False, since: str = "0", tail: int = 0
    ) -> AsyncIterator[list[bytes]]:
        assert timestamps
        self.requests += 1
        whole, _, fraction = since.partition(".")
        first = int(whole) * 10**9 + int(fraction or 0)
        reach = next(self.answers, None) if follow else None
        entries = self.entries[-tail:] if tail else self.entries
        for time, line in entries[:reach]:
            if time >= first:
                yield [stamped(time) + b" " + line]
        if reach is None:
            self.ended = True
        elif reach % 2:
            raise NoDaemon("Docker does not answer")


def stamped(time: int) -> bytes:
    second, nanoseconds = divmod(time - START, 10**9)
    minutes, seconds = divmod(second, 60)
    return b"2026-01-01T10:%02d:%02d.%09dZ" % (minutes, seconds, nanoseconds)


async def entries() -> Entries:
    return Entries()


async def read_all(container: Container) -> bytes:
    pieces = follow_log(container.read, container.has_ended, entries)
    return b"".join([piece async for piece in pieces])


@given(
    st.lists(st.tuples(st.integers(0, 3 * 10**9), st.integers(0, 4 * 10**9)), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
)
async def test_every_entry_is_read_once_across_breaks_and_unordered_times(
    steps: list[tuple[int, int]], answers: list[int]
) -> None:
    clock, times = 0, []
    for step, late in steps:
        clock += step
        times.append(max(clock - late, 0))
    container = Container(times, iter(answers))
    assert await read_all(container) == container.content


async def test_a_complete_log_is_not_read_twice() -> None:
    container = Container(range(500), iter(()))
    assert await read_all(container) == container.content
    assert container.requests == 2


async def test_a_delayed_last_entry_is_read() -> None:
    container = Container([5, 5, 5], iter([2]))

    async def has_ended() -> bool:
        return container.requests > 0

    pieces = follow_log(container.read, has_ended, entries)
    assert b"".join([piece async for piece in pieces]) == b"0\n1\n2\n"


async def test_a_container_removed_before_its_log_was_read_is_an_error() -> None:
    container = Container(range(9), iter([3]))

    async def has_ended() -> bool | None:
        return None if container.requests else False

    with pytest.raises(LogLost, match="removed before its log was read"):
        [_ async for _ in follow_log(container.read, has_ended, entries)]


async def test_entries_removed_by_rotation_are_an_error() -> None:
    container = Container(range(9), iter([5]))
    pieces = follow_log(container.read, container.has_ended, entries)
    assert await anext(pieces) == b"0\n"
    container.entries = container.entries[7:]
    received = [await anext(pieces) for _ in range(6)]
    with pytest.raises(LogLost, match="lines are missing"):
        [_ async for _ in pieces]
    assert received == [b"1\n", b"2\n", b"3\n", b"4\n", b"7\n", b"8\n"]


async def test_the_output_of_a_terminal_continues_at_its_byte() -> None:
    position = Bytes()
    assert position.query() == {}
    assert position.new([b"abc", b"d"]) == b"abcd"
    position.query()
    assert [position.new([piece]) for piece in (b"ab", b"cdef", b"g")] == [b"", b"ef", b"g"]


@pytest.mark.parametrize("cut", range(1, 30))
async def test_entries_are_parsed_from_chunks_of_any_size(cut: int) -> None:
    data = b"".join(
        bytes([stream, 0, 0, 0]) + len(line).to_bytes(4, "big") + line
        for stream, line in ((1, b"out\n"), (2, b"err\n"), (1, b"end"))
    )

    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        yield data[:cut]
        yield data[cut:]

    lines = [entry async for batch in entries_of(chunks(data)) for entry in batch]
    assert lines == [b"out\n", b"err\n", b"end"]
    with pytest.raises(BrokenLog):
        [_ async for _ in entries_of(chunks(data[:-1]))]


async def test_an_error_of_the_daemon_is_not_part_of_the_log() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"\x03\0\0\0\0\0\0\x05wrong"

    with pytest.raises(DockerError, match="wrong"):
        [_ async for _ in entries_of(chunks())]


@pytest.mark.parametrize(
    ("time", "parameter"),
    [
        (0, "0.000000000"),
        (nanoseconds_of(b"2026-01-01T10:00:00.000000002Z"), "1767261600.000000002"),
        (nanoseconds_of(b"2026-01-01T10:00:00Z"), "1767261600.000000000"),
    ],
)
def test_the_since_parameter_has_seconds_and_nanoseconds(time: int, parameter: str) -> None:
    assert since_parameter(time) == parameter
