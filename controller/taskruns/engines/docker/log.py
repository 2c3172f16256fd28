"""A container's log as a daemon hands it out: in pieces, each a line or 16 KiB of one."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

Read = Callable[..., AsyncIterator[bytes]]
"""Reads a container's log, as is asked by the names of the daemon's API."""


async def to_its_end(read: Read) -> AsyncIterator[bytes]:
    """Follow a log to its end.

    The daemon may end a log that is followed just before its last line, where that does not end:
    so it is asked once more, for what came since the last piece.
    """
    last, count = b"", 0
    async for piece in read(follow=True, timestamps=True):
        time, _, content = piece.partition(b" ")
        if time >= last:
            last, count = time, count + 1 if time == last else 1
        yield content
    async for piece in read(timestamps=True, since=unix(last.decode())):
        time, _, content = piece.partition(b" ")
        if time == last and count:
            count -= 1
        elif time >= last:
            yield content


def unix(time: str) -> str:
    """Turn a time of a log into the form in which the daemon can be asked for what is since."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() if whole else 0
    return f"{seconds:.0f}.{fraction or '0'}"
