"""The whole controller in the test's own process, while a block runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from taskruns.core.defaults import SiteDefaults
from taskruns.core.election import Timing
from taskruns.engines.engine import Engine
from taskruns.engines.kubernetes import connect
from taskruns.operator.controller import Controller
from taskruns.operator.settings import Settings
from taskruns.operator.structured_logging import Format

_PAUSE = 0.01
_TRIES = 3000
"""Number of polls, which take at least thirty seconds together; a busy machine needs many."""


class Apiserver(Protocol):
    """An apiserver that a controller can be connected to."""

    def kubeconfig(self, folder: Path) -> str | Path:
        """Write a kubeconfig for the server; return its path."""


class RunningController:
    """A running controller."""

    def __init__(self, controller: Controller, serving: "asyncio.Task[int]") -> None:
        self.controller = controller
        self.serving = serving

    async def until(self, look: Callable[[], object], what: str = "") -> None:
        for _ in range(_TRIES):
            if look():
                return
            await asyncio.sleep(_PAUSE)
        raise AssertionError(what or "not in time")

    async def ready(self) -> None:
        for _ in range(_TRIES):
            if self.controller.sites[0].address and await self._is_ready():
                return
            await asyncio.sleep(_PAUSE)
        raise AssertionError(await self.probe("readyz"))

    async def _is_ready(self) -> bool:
        return (await self.probe("readyz"))[0] == 200

    async def probe(self, path: str, site: int = 0) -> tuple[int, str]:
        address = self.controller.sites[site].address
        assert address is not None, "it is not running"
        host, port = address
        url = f"http://{host}:{port}/{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def ends(self) -> int:
        return await asyncio.wait_for(asyncio.shield(self.serving), 8)

    def task(self, name: str) -> "asyncio.Task[Any]":
        (match,) = (t for t in asyncio.all_tasks() if re.match(name, t.get_name()))
        return match


@asynccontextmanager
async def at_work(
    server: Apiserver,
    folder: Path,
    every: float = 60,
    namespaces: tuple[str, ...] | None = None,
) -> AsyncIterator[RunningController]:
    settings = Settings(
        log_format=Format.PLAIN,
        log_level=20,
        workers=4,
        site=SiteDefaults(-1, timedelta(seconds=1)),
        probes_host="127.0.0.1",
        probes_port=0,
        metrics_host="127.0.0.1",
        metrics_port=0,
        resync_seconds=every,
        lease=None,
        timing=Timing(),
        namespaces=namespaces,
        kubeconfig=str(server.kubeconfig(folder)),
        context=None,
    )

    def unwrapped(engine: Engine) -> Engine:
        return engine

    client = await connect(settings.kubeconfig, None, 6)
    controller = Controller(settings, client, unwrapped)
    serving = asyncio.create_task(controller.serve(), name="taskruns: test")
    try:
        await asyncio.sleep(0)
        yield RunningController(controller, serving)
    finally:
        controller.stopping.set()
        await asyncio.wait({serving}, timeout=5)
        await controller.close()
        await client.close()
