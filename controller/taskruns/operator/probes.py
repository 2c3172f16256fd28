"""Answers /livez and /readyz: 200 `ok`, or 500 and a line for each thing that is wrong.

After its `ok` /readyz has a line for each thing that is not well and keeps nothing else waiting.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from taskruns.operator.health import Health
from taskruns.operator.http_server import Site


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
