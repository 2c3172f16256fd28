"""Following a log waits until it begins, and every missing part is reported."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from taskruns.cli.docker_backend import _Following
from taskruns.cli.exit_status import CommandError, LogNotKept
from taskruns.engines.docker.daemon import DaemonError
from taskruns.engines.docker.follower import Follower
from taskruns.engines.docker.state_file import StateFile


class Removed:
    """A follower of a run whose container was removed by another client, with its daemon."""

    def __init__(self, *, started: bool = False, code: int = 404) -> None:
        self.attempt = {"podName": "hello-1"} | ({"startedTime": "now"} if started else {})
        self.code = code

    @property
    def daemon(self) -> "Removed":
        return self

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        yield {"status": {"phase": "Failed", "attempts": [self.attempt]}}

    async def started(self, _pod: str) -> None:
        await asyncio.Event().wait()

    async def logs(self, _pod: str, *, follow: bool) -> AsyncIterator[bytes]:
        assert follow
        raise DaemonError(self.code, "no such container")
        yield b""


def following_of(follower: Removed) -> _Following:
    return _Following(cast(Follower, follower), cast(StateFile, None))


async def test_a_missing_container_is_awaited_until_the_run_ends() -> None:
    following = following_of(Removed())
    async with asyncio.timeout(10):
        reading = asyncio.create_task(_read(following))
        await asyncio.sleep(0)
        assert not reading.done()
        async for _ in following.changes():
            pass
        assert await reading == b""


async def test_the_log_of_a_removed_container_is_lost() -> None:
    following = following_of(Removed(started=True))
    async for _ in following.changes():
        pass
    with pytest.raises(CommandError, match="container hello-1 has been removed"):
        await _read(following)


async def test_a_log_driver_that_keeps_no_log_is_reported() -> None:
    following = following_of(Removed(started=True, code=501))
    async for _ in following.changes():
        pass
    with pytest.raises(LogNotKept, match="Docker keeps no log of it"):
        await _read(following)


async def _read(following: _Following) -> bytes:
    return b"".join([piece async for piece in following.log("hello-1")])
