"""Health checks of the controller, and the HTTP server that answers /livez and /readyz."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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


Check = Callable[[], str]
"""Says what is wrong; empty when all is well."""


class Pulse:
    """When something last gave a sign of life."""

    def __init__(self, ticks: Callable[[], float] | None = None) -> None:
        self._ticks = ticks or asyncio.get_running_loop().time
        self._last: float | None = None

    def beat(self) -> None:
        """Give a sign of life."""
        self._last = self._ticks()

    def missing(self, longest: float) -> str:
        """Say for how long there was no sign, if that is longer than `longest` seconds.

        What has not begun is not missed.
        """
        if self._last is None:
            return ""
        silence = self._ticks() - self._last
        return f"no sign of life for {silence:.0f} s" if silence > longest else ""


@dataclass(slots=True)
class Health:
    """Checks by the name of what they look at."""

    alive: dict[str, Check] = field(default_factory=dict)
    """What only a restart can mend."""
    ready: dict[str, Check] = field(default_factory=dict)
    """What must be well besides, for runs to be worked on."""
    notes: dict[str, Check] = field(default_factory=dict)
    """What an administrator should know of, although the rest is worked on."""

    def not_alive(self) -> Mapping[str, str]:
        """Return what only a restart can mend."""
        return _troubles(self.alive)

    def not_ready(self) -> Mapping[str, str]:
        """Return all that keeps runs from being worked on."""
        return _troubles(self.alive | self.ready)

    def noted(self) -> Mapping[str, str]:
        """Return what is to be known although all is well."""
        return _troubles(self.notes)


def _troubles(checks: Mapping[str, Check]) -> dict[str, str]:
    said = {name: check() for name, check in checks.items()}
    return {name: trouble for name, trouble in said.items() if trouble}


def probes(health: Health, host: str, port: int) -> Site:
    """Make the little server that the kubelet asks."""
    answers = {
        "/livez": _answer(health.not_alive, dict),
        "/readyz": _answer(health.not_ready, health.noted),
    }
    return Site("probes", host, port, answers)


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
