"""Serves /livez and /readyz: 200 `ok`, or 500 and a line for each thing that is wrong.

After its `ok` /readyz has a line for each thing that is not well and keeps nothing else waiting.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from taskruns.operator.health import Health

log = logging.getLogger(__name__)


class Probes:
    """The little server that the kubelet asks."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        application = web.Application()
        application.router.add_get("/livez", _answer(health.not_alive, dict))
        application.router.add_get("/readyz", _answer(health.not_ready, health.noted))
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            OSError: the address cannot be had.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        host, port = self._runner.addresses[0][:2]
        log.info("probes are answered on http://%s:%s/livez and /readyz", host, port)

    async def stop(self) -> None:
        """End, and close what connections are left."""
        await self._runner.cleanup()


def _answer(
    troubles: Callable[[], Mapping[str, str]], notes: Callable[[], Mapping[str, str]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        found = troubles()
        text = _lines(found) or f"ok\n{_lines(notes())}"
        return web.Response(status=500 if found else 200, text=text)

    return answer


def _lines(said: Mapping[str, str]) -> str:
    return "".join(f"{name}: {what}\n" for name, what in said.items())
