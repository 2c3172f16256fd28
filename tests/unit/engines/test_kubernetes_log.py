"""A cluster's log is read completely and once, even if connections end within a line."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.engines.engine import Unavailable
from taskruns.engines.kubernetes import log
from taskruns.engines.kubernetes.client import Denied
from taskruns.engines.kubernetes.endpoints import GET_LOG
from taskruns.engines.kubernetes.log import LogReader
from taskruns.engines.kubernetes.responses import Response
from taskruns.engines.log_position import LogLost

START = datetime(2026, 1, 1, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(log, "_END_SECONDS", 0)


class Pod:
    """A Pod whose log comes in responses of so many bytes, some of which are cut off."""

    def __init__(self, lines: list[tuple[datetime, bytes]], answers: Iterator[int]) -> None:
        self.lines, self.answers = lines, answers
        self.over = asyncio.Event()

    async def read(self, *, follow: bool, since: datetime | None) -> AsyncIterator[bytes]:
        data = b"".join(
            time.isoformat(timespec="microseconds").encode() + b" " + line
            for time, line in self.lines
            if since is None or time >= since
        )
        length = next(self.answers, None) if follow else None
        part = data[:length]
        middle = len(part) // 3
        for piece in (part[:middle], part[middle:]):
            yield piece
        if length is None:
            self.over.set()
        elif length % 2:
            raise Unavailable("no answer")

    def follow(self) -> AsyncIterator[bytes]:
        return LogReader(self.read, self.over, "hello-1").pieces()


@given(
    st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(0, 4_000_000), st.binary(max_size=9)),
        max_size=30,
    ),
    st.lists(st.integers(0, 900), max_size=6),
)
async def test_every_byte_is_read_once_despite_interruptions_and_unordered_times(
    steps: list[tuple[int, int, bytes]], answers: list[int]
) -> None:
    clock, lines = 0, []
    for step, late, content in steps:
        clock += step
        time = START + timedelta(microseconds=max(clock - late, 0))
        lines.append((time, content.replace(b"\n", b"") + b"\n"))
    pod = Pod(lines, iter(answers))
    received = b"".join([piece async for piece in pod.follow()])
    assert received == b"".join(content for _, content in lines)


async def test_a_response_that_ends_early_is_not_the_end_of_the_log() -> None:
    lines = [(START, b"one\n"), (START, b"two\n")]
    pod = Pod(lines, iter([2 * (len("2026-01-01T10:00:00.000000+00:00 one\n") // 2)]))
    assert b"".join([piece async for piece in pod.follow()]) == b"one\ntwo\n"


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
async def test_a_request_that_was_allowed_before_is_retried(code: int) -> None:
    answers = iter([True, False])
    over = asyncio.Event()
    line = START.isoformat().encode() + b" one\n"

    async def read(*, follow: bool, since: datetime | None) -> AsyncIterator[bytes]:
        assert since is None
        if follow and not next(answers):
            over.set()
            raise Denied(GET_LOG, Response(code))
        yield line

    assert b"".join([piece async for piece in LogReader(read, over, "a").pieces()]) == b"one\n"


def vanishing(over: asyncio.Event, *, complete: bool, absent: int) -> LogReader:
    """Return a reader of a Pod that, after its first response, is reported absent several times."""
    line, requests = START.isoformat().encode() + b" one\n", iter(range(1000))

    async def read(*, follow: bool, since: datetime | None) -> AsyncIterator[bytes]:
        assert follow is not None or since is None
        number = next(requests)
        if 0 < number <= absent:
            raise Denied(GET_LOG, Response(404))
        yield line
        if number:
            over.set()
        elif not complete:
            raise Unavailable("no answer")

    return LogReader(read, over, "hello-1")


async def test_a_pod_that_is_deleted_before_its_log_was_read_is_an_error() -> None:
    over = asyncio.Event()
    pieces = vanishing(over, complete=False, absent=99).pieces()
    assert await anext(pieces) == b"one\n"
    over.set()
    with pytest.raises(LogLost, match="hello-1 was deleted before"):
        await anext(pieces)


async def test_a_pod_that_is_deleted_after_its_log_was_read_is_no_error() -> None:
    over = asyncio.Event()
    pieces = vanishing(over, complete=True, absent=99).pieces()
    assert await anext(pieces) == b"one\n"
    over.set()
    assert [piece async for piece in pieces] == []


async def test_a_kubelet_that_does_not_know_the_pod_yet_is_retried() -> None:
    reader = vanishing(asyncio.Event(), complete=False, absent=3)
    assert b"".join([piece async for piece in reader.pieces()]) == b"one\n"


async def test_a_kubelets_error_message_in_the_log_is_an_error() -> None:
    over = asyncio.Event()
    over.set()

    async def read(*, follow: bool, since: datetime | None) -> AsyncIterator[bytes]:
        assert (follow, since) == (False, None)
        yield b"unable to retrieve container logs for containerd://4711"

    pieces = LogReader(read, over, "a").pieces()
    assert await anext(pieces) == b""
    with pytest.raises(LogLost, match="unable to retrieve container logs"):
        await anext(pieces)
