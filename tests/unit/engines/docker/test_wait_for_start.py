"""Waiting for a container's start uses the events of the daemon instead of polling."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

from taskruns.core.defaults import SiteDefaults
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import Follower
from taskruns.engines.docker.state_file import StateFile
from tests.support.builders.objects import at


class OneContainer:
    """Daemon with one container; counts the requests and sends the given events."""

    def __init__(self) -> None:
        self.running = False
        self.asked = 0
        self.news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def has_run(self, _name: str) -> bool:
        self.asked += 1
        return self.running

    async def events(self, _label: str, _since: float) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self.news.get()


async def test_a_start_is_awaited_without_polling(tmp_path: Path) -> None:
    container = OneContainer()
    file = StateFile(tmp_path, "default", "hello")
    file.path.parent.mkdir(parents=True)
    opened = Follower.open(file, cast(Daemon, container), lambda: at(0), SiteDefaults())
    async with opened as follower, asyncio.timeout(10):
        waiting = asyncio.create_task(follower.started("hello-1"))
        await asyncio.sleep(0.2)
        assert container.asked == 1
        container.running = True
        container.news.put_nowait({"Action": "start"})
        await waiting
    assert container.asked == 2
