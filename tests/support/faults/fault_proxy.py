"""A proxy to the apiserver that a test can break, request by request.

The program under test gets the proxy's kubeconfig. The proxy forwards requests byte by byte, with
the credentials of the original kubeconfig, until a test injects a fault. It has its own thread and
event loop.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web
from kubernetes import config

from tests.support.background import Background
from tests.support.faults.stub_apiserver import failure

_HOP_BY_HOP = frozenset({"connection", "host", "content-length", "transfer-encoding"})
_PATIENCE = 0.05
_NO_SERVICE = 503


class Fault(Enum):
    """The fault that is injected into one request."""

    LOST = auto()
    """The request never arrives; the connection is reset."""
    UNANSWERED = auto()
    """The request arrives; the connection is reset instead of a response."""
    CUT = auto()
    """The request arrives; the connection is reset in the middle of the response."""
    LATE = auto()
    """No response comes until the client gives up; then the request arrives."""
    HELD = auto()
    """The request arrives; no response comes until the client gives up or dies."""
    BUSY = auto()
    """The request does not arrive; the response is 429, Too Many Requests."""


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """A request that passes through the proxy."""

    method: str
    path: str
    watch: bool
    body: bytes


class FaultProxy:
    """Serve the apiserver on a loopback port while the context is entered."""

    def __init__(self, kubeconfig: Path) -> None:
        self.choose_fault: Callable[[ProxiedRequest], Fault | None] = lambda _: None
        """Function that decides the fault of each request but watches, on the proxy's thread."""
        self.injected: list[tuple[ProxiedRequest, Fault]] = []
        self.expired = 0
        """Number of watches that ended with 410 because their resourceVersion was too old."""
        self._open = asyncio.Event()
        self._watches: set[asyncio.Transport] = set()
        self._silent: set[asyncio.Transport] = set()
        self._server, self._tls, self._credentials = _access(kubeconfig)
        self._background = Background()
        self._url = ""

    def __enter__(self) -> Self:
        self._background.start()
        self._background.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._background.run(self._end())
        self._background.close()

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig for the proxy; it needs no credentials."""
        written = {
            "current-context": "fault-proxy",
            "clusters": [{"name": "fault-proxy", "cluster": {"server": self._url}}],
            "users": [{"name": "fault-proxy", "user": {}}],
            "contexts": [
                {
                    "name": "fault-proxy",
                    "context": {"cluster": "fault-proxy", "user": "fault-proxy"},
                }
            ],
        }
        path = folder / "fault-proxy.kubeconfig"
        path.write_text(json.dumps(written))
        return path

    def cut_watches(self) -> None:
        """Reset every watch, and refuse new ones until `open_watches`."""

        async def cut() -> None:
            self._open.clear()
            self._reset_watches()

        self._background.run(cut())

    def open_watches(self) -> None:
        self._background.loop.call_soon_threadsafe(self._open.set)

    def silence_watches(self) -> int:
        """Stop forwarding on every open watch without closing it; return how many there are."""

        async def silence() -> int:
            self._silent |= self._watches
            return len(self._silent)

        return self._background.run(silence())

    def silent_watches(self) -> int:
        """Count the silenced watches that their clients have not closed yet."""
        return sum(not way.is_closing() for way in self._silent)

    async def _start(self) -> None:
        self._open.set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{rest:.*}", self._pass)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._url = f"http://{host}:{port}"

    async def _end(self) -> None:
        self._open.set()
        self._reset_watches()
        await self._runner.cleanup()
        await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") == "true"
        proxied = ProxiedRequest(request.method, request.path_qs, watch, await request.read())
        fault = None if watch else self.choose_fault(proxied)
        if fault is not None:
            self.injected.append((proxied, fault))
        if watch and not self._open.is_set():
            return web.Response(status=_NO_SERVICE)
        if fault is Fault.LOST:
            return _reset(request)
        if fault is Fault.BUSY:
            return failure(429, "too many requests", **{"Retry-After": "1"})(request)
        if fault is Fault.LATE:
            await _left(request)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        sent = self._session.request(
            proxied.method,
            f"{self._server}{proxied.path}",
            data=proxied.body or None,
            headers=headers | self._credentials,
        )
        try:
            async with sent as answer:
                return await self._answer(request, proxied, fault, answer)
        except aiohttp.ClientError:
            return _reset(request)

    async def _answer(
        self,
        request: web.Request,
        proxied: ProxiedRequest,
        fault: Fault | None,
        answer: aiohttp.ClientResponse,
    ) -> web.StreamResponse:
        if proxied.watch:
            return await self._watch(request, answer)
        body = await answer.read()
        if fault is Fault.HELD:
            await _left(request)
        if fault in (Fault.UNANSWERED, Fault.LATE, Fault.HELD):
            return _reset(request)
        response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
        response.content_length = len(body)
        await response.prepare(request)
        if fault is Fault.CUT:
            await response.write(body[: len(body) // 2])
            return _reset(request, response)
        await response.write(body)
        return response

    def _reset_watches(self) -> None:
        for transport in tuple(self._watches):
            transport.abort()

    async def _watch(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None, "whoever asked for a watch is still there"
        self._watches.add(transport)
        response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
        try:
            await response.prepare(request)
            async for line in answer.content:
                self.expired += b'"type":"ERROR"' in line and b'"code":410' in line
                if transport not in self._silent:
                    await response.write(line)
        except (aiohttp.ClientError, OSError):
            return _reset(request, response)
        finally:
            self._watches.discard(transport)
        return response


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k.lower() not in _HOP_BY_HOP}


async def _left(request: web.Request) -> None:
    """Wait until the client has given up and closed the connection."""
    while request.transport is not None:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(_PATIENCE)


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()


def _access(kubeconfig: Path) -> tuple[str, ssl.SSLContext, dict[str, str]]:
    """Return the apiserver's address, its TLS context, and the headers that carry a token."""
    client = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    configuration = client.configuration
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    client.rest_client.close()
    headers = configuration.auth_settings().values()
    return configuration.host, tls, {each["key"].title(): each["value"] for each in headers}
