"""Whoever follows a log waits for its begin, but not for that of a log that will never be."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from taskruns.cli.host import _Following
from taskruns.engines.docker.daemon import DaemonError
from taskruns.engines.docker.follower import Follower


class Removed:
    """A follower of a run whose container somebody has removed, and its daemon."""

    @property
    def daemon(self) -> "Removed":
        return self

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        yield {"status": {"phase": "Failed"}}

    async def started(self, _pod: str) -> None:
        await asyncio.Event().wait()

    async def logs(self, _pod: str, *, follow: bool) -> AsyncIterator[bytes]:
        assert follow
        raise DaemonError(404, "no such container")
        yield b""


async def test_a_container_that_is_gone_is_waited_for_until_the_runs_end() -> None:
    following = _Following(cast(Follower, Removed()))
    async with asyncio.timeout(10):
        reading = asyncio.create_task(_read(following))
        await asyncio.sleep(0)
        assert not reading.done()
        async for _ in following.changes():
            pass
        assert await reading == b""


async def _read(following: _Following) -> bytes:
    return b"".join([piece async for piece in following.log("hello-1")])
