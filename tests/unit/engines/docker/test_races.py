"""Races between clients of one run, and clients that die between request and effect."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from taskruns.core.unstructured import Draft
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.container import LABEL_POD_UID
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.kubelet import PATIENCE, Kubelet
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import StateError, StateFile

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POD: Draft = {"metadata": {"name": "hello-1", "namespace": "default", "uid": "pod-1"}}
STOPPED: dict[str, Any] = {"activeDeadlineSeconds": 1}

Meanwhile = Callable[[], Awaitable[None]]


class Containers:
    """Daemon with hooks that run another action while a request is being processed."""

    local = False

    def __init__(self) -> None:
        self.there: dict[str, tuple[str, str]] = {}
        """Pod uid and status of each container, by name."""
        self.received: list[str] = []
        self.meanwhile: dict[str, Meanwhile] = {}

    async def _hear(self, request: str) -> None:
        self.received.append(request)
        if request in self.meanwhile:
            await self.meanwhile[request]()

    async def inspect(self, name: str) -> dict[str, Any] | None:
        container = self.there.get(name)
        if "inspect" in self.meanwhile:
            await self.meanwhile.pop("inspect")()
        if container is None:
            return None
        return {
            "Config": {"Labels": {LABEL_POD_UID: container[0]}},
            "State": {"Status": container[1]},
        }

    async def has_image(self, _image: str) -> bool:
        await self._hear("has image")
        return True

    async def create(self, name: str, body: dict[str, Any]) -> None:
        await self._hear("create")
        if name in self.there:
            raise DaemonError(409, f"the name {name} is in use: remove that container")
        self.there[name] = (body["Labels"][LABEL_POD_UID], "created")

    async def start(self, name: str) -> None:
        await self._hear("start")
        self.there[name] = (self.there[name][0], "running")

    async def stop(self, _name: str, _grace: int) -> None:
        await self._hear("stop")

    async def remove(self, name: str) -> None:
        await self._hear("remove")
        self.there.pop(name, None)


class Place:
    """State file and daemon of one run, and their clients."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.daemon = Containers()
        self.now = NOW

    def client(self) -> Kubelet:
        docker, file = cast(Daemon, self.daemon), self.file()
        return Kubelet(file, docker, Runtime(file, docker, lambda: self.now))

    def file(self) -> StateFile:
        return StateFile(self.root, "default", "hello")

    async def put(self, status: str = "Pending", request: str = "", **spec: Any) -> None:
        """Record the Pod.

        Args:
            status: Phase of the Pod.
            request: Request that was sent to the daemon one second ago, or "".
            spec: Additional fields of the spec.
        """
        pod_spec = {"nodeName": "docker", "containers": [{"name": "main", "image": "i"}], **spec}
        async with self.file().change() as record:
            record.pods["hello-1"] = {**POD, "spec": pod_spec, "status": {"phase": status}}
            if request:
                record.note(POD, request, self.now - SECOND)

    async def pod(self) -> Draft | None:
        return (await self.file().read()).live(POD)

    async def phase(self) -> str:
        pod = await self.pod()
        assert pod is not None
        phase: str = pod["status"]["phase"]
        return phase


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_pod_stopped_before_its_container_exists_gets_none(place: Place) -> None:
    place.daemon.meanwhile["has image"] = lambda: place.put(**STOPPED)
    await place.put()
    client = place.client()
    await client.sync()
    await client.finish()
    assert place.daemon.received == ["has image"]
    await client.sync()
    assert await place.phase() == "Failed"


async def test_a_pod_removed_before_its_container_exists_gets_none(place: Place) -> None:
    async def forget() -> None:
        async with place.file().change() as record:
            record.pods.clear()

    place.daemon.meanwhile["has image"] = forget
    await place.put()
    client = place.client()
    await client.sync()
    await client.finish()
    assert place.daemon.there == {}


async def test_a_late_container_of_a_dead_client_is_awaited_and_removed(
    place: Place,
) -> None:
    requested = asyncio.Event()

    async def never_answer() -> None:
        requested.set()
        await asyncio.Event().wait()

    place.daemon.meanwhile["create"] = never_answer
    await place.put()
    first = place.client()
    await first.sync()
    await requested.wait()
    await first.close()

    await place.put(**STOPPED)
    second = place.client()
    assert await second.sync() == NOW + PATIENCE
    assert await place.phase() == "Pending", "its container may come yet"
    place.daemon.there["hello-1"] = ("pod-1", "created")
    await second.sync()
    assert place.daemon.there == {}
    await second.sync()
    assert await place.phase() == "Failed"


async def test_a_container_that_is_never_created_is_not_awaited_forever(place: Place) -> None:
    await place.put(request="create", **STOPPED)
    place.now = NOW + PATIENCE
    await place.client().sync()
    assert await place.phase() == "Failed"


async def test_a_container_started_by_another_client_is_not_lost(
    place: Place,
) -> None:
    await place.put()
    place.daemon.meanwhile["inspect"] = lambda: place.put(request="start")
    client = place.client()
    await client.sync()
    await client.close()
    assert await place.pod() is not None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_an_end_reported_by_another_client_is_kept(place: Place, phase: str) -> None:
    place.daemon.there["hello-1"] = ("pod-1", "running")
    await place.put(request="start")
    place.daemon.meanwhile["inspect"] = lambda: place.put(status=phase)
    await place.client().sync()
    assert await place.phase() == phase


async def test_a_container_is_stopped_once_by_all_clients(place: Place) -> None:
    place.daemon.there["hello-1"] = ("pod-1", "running")
    await place.put(**STOPPED, terminationGracePeriodSeconds=5)
    clients = [place.client() for _ in range(3)]
    again = [await client.sync() for client in clients]
    for client in clients:
        await client.finish()
    assert place.daemon.received == ["stop"]
    assert set(again) == {NOW + PATIENCE + 5 * SECOND}


async def test_a_stop_without_effect_is_repeated(place: Place) -> None:
    async def not_there() -> None:
        raise NoDaemon("gone")

    place.daemon.there["hello-1"] = ("pod-1", "running")
    place.daemon.meanwhile["stop"] = not_there
    await place.put(**STOPPED)
    client = place.client()
    await client.sync()
    await client.finish()
    await client.sync()
    await client.finish()
    assert place.daemon.received == ["stop", "stop"]


async def test_a_foreign_container_with_the_same_name_is_reported(place: Place) -> None:
    place.daemon.there["hello-1"] = ("another", "running")
    await place.put()
    client = place.client()
    await client.sync()
    with suppress(TimeoutError):
        await asyncio.wait_for(_waits(place), 30)
    await client.close()
    pod = await place.pod()
    assert pod is not None
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerError"
    assert "is in use: remove that container" in waiting["message"]
    assert place.daemon.there == {"hello-1": ("another", "running")}


async def _waits(place: Place) -> None:
    while "in use" not in str(await place.pod()):  # noqa: ASYNC110 - a file sends no event
        await asyncio.sleep(0.01)


async def test_nothing_is_started_before_the_decision(place: Place) -> None:
    await place.put()
    client = place.client()
    await client.sync(begin=False)
    assert not await client.finish()
    place.daemon.there["hello-1"] = ("pod-1", "created")
    await client.sync(begin=False)
    assert place.daemon.received == []


async def test_an_error_of_a_background_task_is_raised_at_the_next_sync(place: Place) -> None:
    async def no_room() -> None:
        raise StateError("the disk is full")

    place.daemon.meanwhile["has image"] = no_room
    await place.put()
    client = place.client()
    await client.sync()
    await client.finish()
    with pytest.raises(StateError, match="the disk is full"):
        await client.sync()
