"""Timeouts of requests: a daemon that does not answer is reported, a quiet log is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import AsyncMock

import aiohttp
import pytest
from aiohttp import web

from taskruns.engines.docker import daemon
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.daemon import Daemon

SOON, LATER = 0.1, 0.3
SENTENCE = r"accepts requests but does not respond: read its log .*, or restart it"


class Standin:
    """Daemon with one container that leaves requests unanswered until a test ends."""

    def __init__(self) -> None:
        self.greets = True
        self.quiet = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/version"):
            if not self.greets:
                await self.quiet.wait()
            return web.json_response({"Version": "20.10.24", "ApiVersion": "1.41"})
        if request.path.endswith("/logs"):
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.sleep(LATER)
            await response.write(b"said at last\n")
            return response
        await self.quiet.wait()
        return web.Response()


@asynccontextmanager
async def listening(standin: Standin, folder: Path) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", standin.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.UnixSite(runner, folder / "docker.sock").start()
        yield f"unix://{folder}/docker.sock"
    finally:
        standin.quiet.set()
        await runner.cleanup()


@asynccontextmanager
async def impatient(standin: Standin, folder: Path) -> AsyncIterator[Daemon]:
    """Open a connection whose timeout is short after the version request."""
    async with listening(standin, folder) as url, Daemon.open(url) as docker:
        docker._docker._timeout = aiohttp.ClientTimeout(sock_read=SOON)
        yield docker


async def test_a_daemon_that_does_not_respond_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_GREETING_SECONDS", SOON)
    standin = Standin()
    standin.greets = False
    async with listening(standin, tmp_path) as url:
        with pytest.raises(NoDaemon, match=SENTENCE):
            async with Daemon.open(url):
                pass


async def test_a_request_has_a_timeout(tmp_path: Path) -> None:
    async with impatient(Standin(), tmp_path) as docker:
        with pytest.raises(NoDaemon, match=SENTENCE):
            await docker.inspect("hello-1")


async def test_a_followed_log_has_no_timeout(tmp_path: Path) -> None:
    async with impatient(Standin(), tmp_path) as docker:
        docker._has_terminal = AsyncMock(return_value=True)  # type: ignore[method-assign]
        assert [each.content async for each in docker.log_records("talks")] == [b"at last"]
