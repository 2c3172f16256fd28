"""Health checks of the controller, and the HTTP server that answers /livez and /readyz."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)


class CannotServe(Exception):
    """An address cannot be bound; the message names the address, its purpose and the cause."""


class Site:
    """HTTP server for GET on some paths of one address, in the event loop of the controller."""

    def __init__(self, purpose: str, host: str, port: int, answers: Mapping[str, Handler]) -> None:
        application = web.Application()
        for path, answer in answers.items():
            application.router.add_get(path, answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self._purpose = purpose
        self._paths = " and ".join(answers)
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Start the server.

        Raises:
            CannotServe: the address cannot be bound.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            address = f"{self._host}:{self._port}"
            raise CannotServe(f"{self._purpose} cannot be served on {address}: {error}") from error
        host, port = self._runner.addresses[0][:2]
        log.info("serving %s on http://%s:%s%s", self._purpose, host, port, self._paths)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port on which the server listens; None unless it is running."""
        return self._runner.addresses[0][:2] if self._runner.addresses else None

    async def stop(self) -> None:
        """Stop the server and close its remaining connections."""
        await self._runner.cleanup()


Check = Callable[[], str]
"""Function that describes a problem; it returns an empty string when there is none."""


class Heartbeat:
    """Heartbeat of one part: the time of its last beat."""

    def __init__(self, ticks: Callable[[], float] | None = None) -> None:
        self._ticks = ticks or asyncio.get_running_loop().time
        self.last: float | None = None
        """Time of the last beat, in seconds of `ticks`; None before the first one."""

    def beat(self) -> None:
        """Record a beat."""
        self.last = self._ticks()

    def missing(self, longest: float) -> str:
        """Describe the time since the last beat if it is longer than `longest` seconds.

        Otherwise, and before the first beat, return an empty string.
        """
        if self.last is None:
            return ""
        silence = self._ticks() - self.last
        return f"no activity for {silence:.0f} s" if silence > longest else ""


@dataclass(slots=True)
class Health:
    """Health checks, by the name of the part that they check."""

    alive: dict[str, Check] = field(default_factory=dict)
    """Checks for /livez. Only a restart can solve the problems that they report."""
    ready: dict[str, Check] = field(default_factory=dict)
    """Further checks for /readyz. Their problems keep runs from being processed."""
    notes: dict[str, Check] = field(default_factory=dict)
    """Checks whose problems affect only some runs; shown by /readyz while it is ready."""

    def not_alive(self) -> Mapping[str, str]:
        """Return the problems that only a restart can solve, by check."""
        return _problems(self.alive)

    def not_ready(self) -> Mapping[str, str]:
        """Return all problems that keep runs from being processed, by check."""
        return _problems(self.alive | self.ready)

    def noted(self) -> Mapping[str, str]:
        """Return the problems that leave the controller ready, by check."""
        return _problems(self.notes)


def _problems(checks: Mapping[str, Check]) -> dict[str, str]:
    results = {name: check() for name, check in checks.items()}
    return {name: problem for name, problem in results.items() if problem}


def probes(health: Health, host: str, port: int) -> Site:
    """Build the HTTP server for the probes of the kubelet."""
    answers = {
        "/livez": _answer(health.not_alive, dict),
        "/readyz": _answer(health.not_ready, health.noted),
    }
    return Site("probes", host, port, answers)


def _answer(
    find_problems: Callable[[], Mapping[str, str]], notes: Callable[[], Mapping[str, str]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        problems = find_problems()
        text = _lines(problems) or f"ok\n{_lines(notes())}"
        return web.Response(status=500 if problems else 200, text=text)

    return answer


def _lines(problems: Mapping[str, str]) -> str:
    return "".join(f"{name}: {problem}\n" for name, problem in problems.items())
