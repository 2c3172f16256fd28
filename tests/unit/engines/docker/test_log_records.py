"""Parsing of logs into records, for responses that are split at any byte."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.engines.docker.log import BrokenLog, LogRecord, records_of, records_of_terminal

TIME = b"2026-01-01T10:00:00.000000001Z"
LONG = 16 * 1024
CONTENTS = st.sampled_from([b"", b"a", b"two words", TIME + b" x", b"\0\xff\r"])
RECORDS = st.lists(
    st.builds(LogRecord, st.sampled_from([1, 2]), st.just(TIME), CONTENTS, ends=st.booleans())
)
Read = Callable[[Any], AsyncIterator[LogRecord]]


def read(parse: Read, sent: bytes, size: int = 1000) -> list[LogRecord]:
    """Return the records of a response that arrives in chunks of a size."""

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), size):
            yield sent[at : at + size]

    async def read() -> list[LogRecord]:
        return [record async for record in parse(chunks())]

    return asyncio.run(read())


def line_of(record: LogRecord) -> bytes:
    return record.time + b" " + record.content + (b"\n" if record.ends else b"")


def framed(record: LogRecord) -> bytes:
    return struct.pack(">BxxxL", record.stream, len(line_of(record))) + line_of(record)


@given(RECORDS, st.integers(1, 50))
def test_each_record_has_its_stream(records: list[LogRecord], size: int) -> None:
    assert read(records_of, b"".join(map(framed, records)), size) == records


@pytest.mark.parametrize("missing", [1, 5, 40])
def test_a_response_that_ends_within_a_record_is_broken(missing: int) -> None:
    sent = framed(LogRecord(1, TIME, b"whole", ends=True)) * 2
    with pytest.raises(BrokenLog):
        read(records_of, sent[:-missing])


@given(st.lists(st.tuples(CONTENTS, st.integers(0, 3))), st.integers(1000, 50_000))
def test_records_of_a_terminal_end_at_their_length(
    lines: list[tuple[bytes, int]], size: int
) -> None:
    """A time within a line is not mistaken for the time that the daemon adds to each part."""
    records = [
        record
        for content, parts in lines
        for record in [
            *[LogRecord(1, TIME, b"y" * LONG, ends=False)] * parts,
            LogRecord(1, TIME, content + b"\r", ends=True),
        ]
    ]
    assert read(records_of_terminal, b"".join(map(line_of, records)), size) == records


def test_the_last_line_of_a_terminal_needs_no_line_feed() -> None:
    last = LogRecord(1, TIME, b"prompt> ", ends=False)
    assert read(records_of_terminal, line_of(last)) == [last]
