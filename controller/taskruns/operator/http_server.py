"""A little HTTP server of the controller's own: the probes are one, the metrics another."""

import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)


class CannotServe(Exception):
    """The address cannot be had; the text says which, what for, and why."""


class Site:
    """Answers GET on some paths of one address, in the loop of the controller."""

    def __init__(self, what: str, host: str, port: int, answers: Mapping[str, Handler]) -> None:
        application = web.Application()
        for path, answer in answers.items():
            application.router.add_get(path, answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self._what = what
        self._paths = " and ".join(answers)
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            CannotServe: the address cannot be had.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            address = f"{self._host}:{self._port}"
            raise CannotServe(f"{self._what} cannot be served on {address}: {error}") from error
        host, port = self._runner.addresses[0][:2]
        log.info("%s are answered on http://%s:%s%s", self._what, host, port, self._paths)

    async def stop(self) -> None:
        """End, and close what connections are left."""
        await self._runner.cleanup()
