"""A minimal apiserver that fails on demand: discovery, lists and watches, but no writes.

It has its own thread and event loop, because kopf cancels every task of its loop when it ends.

A test can replace the responses: it puts them into `turns` by (verb, plural), and each is used once
before the ordinary responses continue. Requests for one namespace use `namespace/plural` in place
of the plural.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from taskruns.api import names
from tests.support.background import Background

Object = dict[str, Any]
Answer = Callable[[web.Request], web.Response]

GROUPS = {"pods": "/api/v1", names.PLURAL: f"/apis/{names.GROUP}/{names.VERSION}"}


def failure(code: int, message: str = "", **headers: str) -> Answer:
    """Return a maker of a Status response, as the apiserver sends on failure."""
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return lambda _: web.json_response(body, status=code, headers=headers)


class StubApiserver:
    """Serve on a loopback port while the context is entered."""

    def __init__(self) -> None:
        self.turns: defaultdict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        """Verb, plural and headers of every request."""
        self._held: dict[tuple[str, str], asyncio.Event] = {}
        self._objects: dict[str, dict[str, Object]] = {plural: {} for plural in GROUPS}
        self.watches: defaultdict[str, list[asyncio.Queue[Object | None]]] = defaultdict(list)
        self._version = 100
        self._background = Background()
        self._loop = self._background.loop
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        self.url = ""

    def __enter__(self) -> Self:
        self._background.start()
        self._background.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.end_watches()
        self._background.run(self._runner.cleanup())
        self._background.close()

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    def kubeconfig(self, folder: Path) -> str:
        """Write a kubeconfig for this server, with a token."""
        config = {
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "c", "user": {"token": "secret"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return str(path)

    def put(self, plural: str, name: str, *, tell: bool = True, **parts: Any) -> Object:
        """Create or change an object; without `tell` no watch gets an event."""
        self._version += 1
        known = self._objects[plural]
        metadata = {"namespace": "default", "name": name, "uid": f"uid-{name}"}
        metadata |= parts.pop("metadata", {}) | {"resourceVersion": str(self._version)}
        event = "MODIFIED" if name in known else "ADDED"
        known[name] = {"metadata": metadata, "spec": {}, **parts}
        if tell:
            self.tell(plural, event, known[name])
        return known[name]

    def remove(self, plural: str, name: str, *, tell: bool = True) -> None:
        """Delete an object; without `tell` no watch gets an event."""
        gone = self._objects[plural].pop(name)
        if tell:
            self.tell(plural, "DELETED", gone)

    def tell(self, plural: str, event: str, found: Object) -> None:
        """Send an event to every watch that covers the object."""
        place = found.get("metadata", {}).get("namespace", "")
        for watch in (*self.watches[plural], *self.watches[f"{place}/{plural}"]):
            self._loop.call_soon_threadsafe(watch.put_nowait, {"type": event, "object": found})

    def end_watches(self) -> None:
        """Close every watch, as the apiserver does from time to time."""
        for watches in self.watches.values():
            for watch in tuple(watches):
                self._loop.call_soon_threadsafe(watch.put_nowait, None)

    def hold(self, verb: str, plural: str) -> Callable[[], None]:
        """Hold such requests of the watching part until the returned function is called."""
        gate = self._held[verb, plural] = asyncio.Event()
        return lambda: (self._loop.call_soon_threadsafe(gate.set), None)[1]

    def asked(self, verb: str, plural: str) -> int:
        return sum(request[:2] == (verb, plural) for request in self.requests)

    @property
    def writes(self) -> int:
        return sum(verb not in ("list", "watch", "get") for verb, _, _ in self.requests)

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/api", _fixed({"versions": ["v1"]}))
        resources = [_resource("pods", "Pod"), _resource("namespaces", "Namespace")]
        application.router.add_get("/api/v1", _fixed({"resources": resources}))
        version = {"version": names.VERSION}
        group = {"name": names.GROUP, "versions": [version], "preferredVersion": version}
        application.router.add_get("/apis", _fixed({"groups": [group]}))
        runs = _fixed({"resources": [_resource(names.PLURAL, names.KIND)]})
        application.router.add_get(GROUPS[names.PLURAL], runs)
        for plural, path in GROUPS.items():
            application.router.add_get(f"{path}/{plural}", self._collection(plural))
            namespaced = f"{path}/namespaces/{{namespace}}/{plural}"
            application.router.add_get(namespaced, self._collection(plural))
        application.router.add_route("*", "/{rest:.*}", self._anything_else)
        return application

    def _collection(self, plural: str) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            verb = "watch" if request.query.get("watch") else "list"
            place = request.match_info.get("namespace", "")
            scope = f"{place}/{plural}" if place else plural
            self.requests.append((verb, scope, request.headers))
            watching = "(watch)" in request.headers["User-Agent"]
            if watching and (gate := self._held.get((verb, scope))):
                await gate.wait()
            if watching and self.turns[verb, scope]:
                return self.turns[verb, scope].popleft()(request)
            if not watching and self.turns["resync", scope]:
                return self.turns["resync", scope].popleft()(request)
            if verb == "watch":
                return await self._watch(request, scope)
            return self._list(plural, place)

        return answer

    def _list(self, plural: str, place: str) -> web.Response:
        known = self._objects[plural].values()
        items = [each for each in known if place in ("", each["metadata"]["namespace"])]
        metadata = {"resourceVersion": str(self._version)}
        return web.json_response({"kind": "List", "metadata": metadata, "items": items})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        events: asyncio.Queue[Object | None] = asyncio.Queue()
        self.watches[plural].append(events)
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            while (event := await events.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self.watches[plural].remove(events)
        return response

    async def _anything_else(self, request: web.Request) -> web.Response:
        plural = next((plural for plural in GROUPS if f"/{plural}" in request.path), "")
        self.requests.append((request.method.lower(), plural, request.headers))
        return failure(503, "no writes here")(request)


def _fixed(body: Object) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body)

    return answer


def _resource(plural: str, kind: str) -> Object:
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    return {"name": plural, "singularName": "", "kind": kind, "namespaced": True, "verbs": verbs}
