"""Runtime on a real Docker daemon: runs followers in a thread and reads the state files."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import override

from taskruns.api import names
from taskruns.core.plan import PodRef
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.engine import DockerEngine
from taskruns.engines.docker.follower import Follower
from taskruns.engines.docker.host import Host
from taskruns.engines.docker.pod_status import pod_status
from taskruns.engines.docker.state_file import StateFile, records
from taskruns.engines.docker.store import create_run, delete_run, patch_run
from tests.engine.runtime import SITE, Object, RecordedEvent, Runtime
from tests.engine.work import IMAGE
from tests.support.background import end_tasks

T = TypeVar("T")

PATIENCE = 60.0
"""Timeout of every wait of a scenario, in seconds."""
LOOK_SECONDS = 0.5
"""Interval, in seconds, at which a scenario polls if no follower reports a change."""


def now() -> datetime:
    return datetime.now(UTC)


def manifest(script: str, **spec: Any) -> Object:
    """Return a TaskRun manifest, without a name, for a shell script."""
    kind = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {}}
    fields = {"image": IMAGE, "command": ["sh", "-c", script], "imagePullPolicy": "IfNotPresent"}
    return {**kind, "spec": {**fields, **spec}}


async def ended(host: Host, file: StateFile, seconds: float) -> Any:
    """Follow a run to its end, as a client does; return its status."""
    status: Any = None
    async with asyncio.timeout(seconds), host.following(file) as follower:
        async for run in follower.changes():
            status = run["status"]
    return status


class DockerRuntime(Runtime):
    """Runtime with its own state directory and a daemon that all tests share."""

    def __init__(self, address: str, root: Path) -> None:
        self.namespace = "default"
        self._address = address
        self._root = root
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._changed = threading.Condition()
        self._clients: list[_Client] = []
        self._thread.start()
        self._stack = AsyncExitStack()
        self._daemon: Daemon = self._do(self._stack.enter_async_context(Daemon.open(address)))

    def close(self) -> None:
        """Delete all runs, wait until their containers are removed, and close the connection."""
        for file in records(self._root):
            self._do(delete_run(file, now()))
        if not self._clients:
            self.resume()
        self.wait("nothing is left", lambda: None if records(self._root) else True)
        self.pause()
        self._do(self._stack.aclose())
        self._do(end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _file(self, name: str) -> StateFile:
        return StateFile(self._root, self.namespace, name)

    def wake(self) -> None:
        """Wake up all waits."""
        with self._changed:
            self._changed.notify_all()

    @override
    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + PATIENCE
        while (answer := look()) is None:
            for client in self._clients:
                client.check()
            assert time.monotonic() < deadline, f"it never comes to that: {what}"
            with self._changed:
                self._changed.wait(LOOK_SECONDS)
        return answer

    @override
    def create_run(self, manifest: Object) -> Object:
        file = self._file(manifest["metadata"]["name"])
        created = self._do(create_run(file, manifest, now()))
        for client in self._clients:
            client.follow(file)
        return created

    @override
    def create_pod(self, manifest: Object) -> Object:
        raise NotImplementedError

    @override
    def run(self, name: str) -> Object | None:
        return self._do(self._file(name).read()).run

    @override
    def pods(self) -> list[Object]:
        return self._do(self._pods())

    async def _pods(self) -> list[Object]:
        """Return the Pods with the current status of their containers, even without a follower."""
        recorded = [
            pod for file in records(self._root) for pod in (await file.read()).pods.values()
        ]
        containers = [await self._daemon.inspect(pod["metadata"]["name"]) for pod in recorded]
        return [
            pod if container is None else {**pod, "status": pod_status(pod, container)}
            for pod, container in zip(recorded, containers, strict=True)
        ]

    @override
    def events(self, run_uid: str) -> list[RecordedEvent]:
        raise NotImplementedError

    @override
    def patch_run(self, name: str, patch: Object) -> None:
        self._do(patch_run(self._file(name), patch))

    @override
    def delete_run(self, name: str, *, foreground: bool = False) -> None:
        self._do(delete_run(self._file(name), now()))

    @override
    def delete_pod(self, name: str) -> None:
        for file in records(self._root):
            pod = self._do(file.read()).pods.get(name)
            if pod is not None:
                ref = PodRef(self.namespace, name, pod["metadata"]["uid"])
                self._do(DockerEngine(file, now).delete_pod(ref))

    def remove_container(self, name: str) -> None:
        """Remove a container, as `docker rm --force` does."""
        self._do(self._daemon.remove(name))

    @override
    def pause(self) -> None:
        for client in self._clients:
            client.stop()
        self._clients.clear()

    @override
    def resume(self, *, blind_to_pods: bool = False) -> None:
        assert not blind_to_pods, "a follower reads the record, which has both kinds"
        client = _Client(self._loop, self._address, self.wake)
        self._clients.append(client)
        for file in records(self._root):
            client.follow(file)


class _Client:
    """Client that follows runs until it is stopped, as abruptly as by a kill."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, address: str, wake: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._address = address
        self._tell = wake
        self._followed: list[Future[None]] = []

    def follow(self, file: StateFile) -> None:
        self._followed.append(asyncio.run_coroutine_threadsafe(self._follow(file), self._loop))

    def check(self) -> None:
        for followed in self._followed:
            if followed.done() and not followed.cancelled():
                followed.result()

    def stop(self) -> None:
        for followed in self._followed:
            followed.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), self._loop).result(PATIENCE)

    async def _follow(self, file: StateFile) -> None:
        async with (
            Daemon.open(self._address) as daemon,
            Follower.open(file, daemon, now, SITE) as follower,
        ):
            async for _ in follower.changes(to_the_last=True):
                self._tell()
        self._tell()
