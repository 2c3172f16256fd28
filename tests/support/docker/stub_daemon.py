"""Stub of a Docker daemon, on a Unix socket: each container runs a program that ends at once."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

OUTPUT = b"hello\n"
_BEGAN, _ENDED = "2026-01-01T10:00:00Z", "2026-01-01T10:00:01Z"
_FIXED: Mapping[str, Mapping[str, str]] = {
    "version": {"Version": "28.2.2", "ApiVersion": "1.41"},
    "info": {"ID": "stub", "DockerRootDir": "/var/lib/docker"},
    "images": {},
}
_VERSION = re.compile(r"^/v1\.41")
_ENTRY = b"\x01\0\0\0" + (len(_BEGAN) + 1 + len(OUTPUT)).to_bytes(4)


@dataclass
class StubDaemon:
    """Daemon that has every image, and the requests that it has received."""

    address: str
    exit_code: int = 0
    requests: list[str] = field(default_factory=list)
    """Method and path of each request; a container's name is replaced by NAME."""
    _containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    _events: list[asyncio.Queue[str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = _VERSION.sub("", request.path)
        kind, name, action = [*path.split("/")[1:], "", ""][:3]
        shown = path.replace(f"/{name}/", "/NAME/") if name in self._containers else path
        self.requests.append(f"{request.method} {shown}")
        if kind == "events":
            return await self._send_events(request)
        if kind == "containers":
            return await self._answer_about(request, name, action)
        return web.json_response(_FIXED[kind])

    async def _answer_about(
        self, request: web.Request, name: str, action: str
    ) -> web.StreamResponse:
        if name == "create":
            state = {"Status": "created", "ExitCode": 0}
            body = {**await request.json(), "Tty": False}
            self._containers[request.query["name"]] = {"Config": body, "State": state}
            return web.json_response({"Id": "stub"}, status=201)
        if name not in self._containers:
            return web.json_response({"message": "no such container"}, status=404)
        if action == "json":
            return web.json_response(self._containers[name])
        if action == "logs":
            return web.Response(body=_ENTRY + f"{_BEGAN} ".encode() + OUTPUT)
        return self._start(name)

    def _start(self, name: str) -> web.Response:
        times = {"StartedAt": _BEGAN, "FinishedAt": _ENDED}
        state = {"Status": "exited", "ExitCode": self.exit_code, **times}
        self._containers[name]["State"] = state
        for queue in self._events:
            queue.put_nowait("die")
        return web.Response(status=204)

    async def _send_events(self, request: web.Request) -> web.StreamResponse:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._events.append(queue)
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            line = json.dumps({"Action": await queue.get()}).encode() + b"\n"
            try:
                await response.write(line)
            except ConnectionError:
                return response


@contextmanager
def stub_daemon(folder: Path, exit_code: int = 0) -> Iterator[StubDaemon]:
    """Run a stub daemon in a thread for the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    daemon = StubDaemon(f"unix://{folder}/docker.sock", exit_code)

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", daemon.answer)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, folder / "docker.sock").start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield daemon
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
