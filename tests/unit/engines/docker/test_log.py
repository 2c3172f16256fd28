"""A log is told whole and once, although the daemon may hand out its end a second time, or late."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from taskruns.engines.docker.log import to_its_end, unix

FIRST, SECOND, THIRD = (f"2026-01-01T10:00:00.00000000{n}Z ".encode() for n in (1, 2, 3))


def a_log(*, followed: list[bytes], afterwards: list[bytes]) -> Any:
    async def read(*, follow: bool = False, **asked: Any) -> AsyncIterator[bytes]:
        assert asked["timestamps"]
        if not follow:
            assert asked["since"] == "1767261600.000000002"
        for piece in followed if follow else afterwards:
            yield piece

    return read


@pytest.mark.parametrize(
    ("followed", "afterwards"),
    [
        ([FIRST + b"a\n", SECOND + b"b"], [SECOND + b"b"]),
        ([FIRST + b"a\n", SECOND + b"b"], []),
        ([FIRST + b"a\n", SECOND + b"b"], [FIRST + b"a\n", SECOND + b"b"]),
    ],
    ids=["as it was", "nothing", "from before"],
)
async def test_what_comes_again_is_told_once(
    followed: list[bytes], afterwards: list[bytes]
) -> None:
    read = a_log(followed=followed, afterwards=afterwards)
    assert b"".join([piece async for piece in to_its_end(read)]) == b"a\nb"


async def test_what_was_left_out_is_told_although_it_is_of_the_same_time() -> None:
    followed = [FIRST + b"a\n", SECOND + b"b\n", SECOND + b"b\n", FIRST + b"late\n"]
    afterwards = [SECOND + b"b\n", SECOND + b"b\n", SECOND + b"b\n", THIRD + b"c"]
    read = a_log(followed=followed, afterwards=afterwards)
    told = [piece async for piece in to_its_end(read)]
    assert b"".join(told) == b"a\nb\nb\nlate\nb\nc"


@pytest.mark.parametrize(
    ("time", "asked"),
    [
        ("", "0.0"),
        ("2026-01-01T10:00:00.000000002Z", "1767261600.000000002"),
        ("2026-01-01T10:00:00Z", "1767261600.0"),
    ],
)
def test_a_time_is_asked_for_as_the_daemon_wants_it(time: str, asked: str) -> None:
    assert unix(time) == asked
