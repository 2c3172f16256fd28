"""Clients of two Docker daemons with one state directory: each ignores the other's runs."""

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from taskruns.api.conditions import Phase
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import OfAnotherDaemon
from taskruns.engines.docker.gc import collect_garbage
from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.state_file import StateFile
from taskruns.engines.docker.store import create_run, patch_run
from tests.cluster.docker_engine import DockerEngine
from tests.cluster.progress import Progress
from tests.conftest import CLUSTER_NAME
from tests.engine.docker_runtime import ended, manifest, now
from tests.support.command_line import CommandLine

SECONDS = 120
STOPPED_AT_LAST = "trap 'exit 4' TERM; while :; do sleep 600 & wait; done"


@pytest.fixture(scope="module")
def other(docker_address: str) -> Iterator[str]:
    """Address of a second daemon on this machine."""
    del docker_address  # skips without --with-cluster
    engine = DockerEngine.for_containers(f"{CLUSTER_NAME}-away")
    with engine.running(Progress(print)):
        yield engine.address


async def test_each_daemon_has_one_identity_at_every_address(
    docker_address: str, other: str, tmp_path: Path
) -> None:
    link = tmp_path / "docker.sock"
    link.symlink_to(docker_address.removeprefix("unix://"))
    known = []
    for url in (docker_address, f"unix://{link}", other):
        async with Daemon.open(url) as daemon:
            known.append(await daemon.identity())
    assert known[0] == known[1] != known[2]


async def test_clients_of_another_daemon_do_not_touch_a_run(
    docker_address: str, other: str, tmp_path: Path
) -> None:
    mine, theirs = (Host(tmp_path, now, DaemonAddress(url)) for url in (docker_address, other))
    file = mine.file("default", "hello")
    await create_run(file, manifest(STOPPED_AT_LAST), now())
    async with asyncio.timeout(SECONDS):
        pod = await running(mine, file)
        with pytest.raises(OfAnotherDaemon, match=rf"at {docker_address}.*set DOCKER_HOST"):
            async with theirs.following(file):
                pass
        before = file.path.read_bytes()
        assert_refused(other, tmp_path)
        assert file.path.read_bytes() == before
        await patch_run(file, {"spec": {"cancel": True}})
        async with theirs.daemon() as daemon:
            await collect_garbage(file, daemon, lambda: now() + timedelta(days=8), theirs.site)
        async with mine.daemon() as daemon:
            assert await daemon.inspect(pod) is not None
    status = await ended(mine, file, SECONDS)
    assert (status["phase"], status["exitCode"]) == (Phase.CANCELLED, 4)


def assert_refused(other: str, state: Path) -> None:
    """Check that the commands fail with one line and do not look for the container."""
    taskrun = CommandLine({**os.environ, "DOCKER_HOST": other, "TASKRUNS_STATE_DIR": str(state)})
    for command in (["wait", "hello"], ["logs", "hello"], ["cancel", "hello"], ["delete", "hello"]):
        done = taskrun(*command)
        assert (done.returncode, done.stdout) == (125, ""), command
        assert done.stderr.startswith("taskrun: hello belongs to another Docker daemon")
        assert len(done.stderr.splitlines()) == 1


async def running(host: Host, file: StateFile) -> str:
    async with host.following(file) as follower:
        async for run in follower.changes():
            if run["status"].get("phase") == Phase.RUNNING:
                return str(run["status"]["podName"])
    raise AssertionError("it never runs")
