"""The fence on Docker: a container is started once, even by late or repeated requests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from taskruns.core.unstructured import Draft, stamp
from taskruns.engines.docker.container import LABEL_POD_UID
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.kubelet import PATIENCE, Kubelet
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import StateFile

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class FakeDaemon:
    """Daemon with one container; records the requests that it receives."""

    def __init__(self) -> None:
        self.status = "created"
        self.later: str | None = None
        self.effects: list[str] = []
        self.recorded: list[Any] = []
        self.file: StateFile | None = None

    async def inspect(self, _name: str) -> dict[str, Any]:
        labels = {LABEL_POD_UID: "pod-1"}
        status, self.status = self.status, self.later or self.status
        return {"Config": {"Labels": labels}, "State": {"Status": status}}

    async def start(self, _name: str) -> None:
        assert self.file is not None
        self.recorded.append((await self.file.read()).requests)
        self.effects.append("start")

    async def remove(self, _name: str) -> None:
        self.effects.append("remove")


def a_pod(**spec: Any) -> Draft:
    return {
        "metadata": {"name": "hello-1", "namespace": "default", "uid": "pod-1"},
        "spec": {"nodeName": "docker", "containers": [{"name": "main", "image": "i"}], **spec},
        "status": {"phase": "Pending"},
    }


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon()


async def sync(tmp_path: Path, daemon: FakeDaemon, pod: Draft, started: datetime | None) -> Any:
    file = daemon.file = StateFile(tmp_path, "default", "hello")
    async with file.change() as record:
        record.pods["hello-1"] = pod
        if started is not None:
            record.note(pod, "start", started)
    docker = cast(Daemon, daemon)
    return await Kubelet(file, docker, Runtime(file, docker, lambda: NOW)).sync()


async def test_a_start_is_recorded_before_it_is_requested(
    tmp_path: Path, daemon: FakeDaemon
) -> None:
    await sync(tmp_path, daemon, a_pod(), None)
    assert daemon.effects == ["start"]
    assert daemon.recorded == [{"pod-1": {"start": stamp(NOW)}}]


async def test_a_start_that_may_still_take_effect_is_awaited(
    tmp_path: Path, daemon: FakeDaemon
) -> None:
    requested_at = NOW - PATIENCE + SECOND
    assert await sync(tmp_path, daemon, a_pod(), requested_at) == NOW + SECOND
    assert daemon.effects == []


async def test_a_start_that_took_no_effect_is_repeated(tmp_path: Path, daemon: FakeDaemon) -> None:
    await sync(tmp_path, daemon, a_pod(), NOW - PATIENCE)
    assert daemon.effects == ["start"]


@pytest.mark.parametrize("status", ["running", "paused"])
async def test_a_running_container_is_not_started(
    tmp_path: Path, daemon: FakeDaemon, status: str
) -> None:
    daemon.status = status
    await sync(tmp_path, daemon, a_pod(), NOW)
    assert daemon.effects == []


async def test_a_container_stopped_before_its_start_is_never_started(
    tmp_path: Path, daemon: FakeDaemon
) -> None:
    await sync(tmp_path, daemon, a_pod(activeDeadlineSeconds=1), None)
    assert daemon.effects == ["remove"]


@pytest.mark.parametrize("requested_at", [NOW - SECOND, NOW - PATIENCE])
@pytest.mark.parametrize("status", ["created", "running", "exited"])
async def test_a_container_stopped_as_it_starts_keeps_its_grace_period_and_outcome(
    tmp_path: Path, daemon: FakeDaemon, status: str, requested_at: datetime
) -> None:
    daemon.later = status
    await sync(tmp_path, daemon, a_pod(activeDeadlineSeconds=1), requested_at)
    never_started = status == "created" and requested_at == NOW - PATIENCE
    assert daemon.effects == (["remove"] if never_started else [])
