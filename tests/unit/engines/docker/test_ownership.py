"""Ownership of a run: the first daemon owns it; clients of other daemons are refused."""

from pathlib import Path
from typing import cast

import pytest

from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import Draft
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import OfAnotherDaemon, claim
from taskruns.engines.docker.gc import collect_garbage
from taskruns.engines.docker.state_file import StateFile
from tests.support.builders.objects import a_run, at


class Known:
    """Daemon that only reports its identity."""

    def __init__(self, name: str, address: str = "unix:///run/docker.sock") -> None:
        self.name, self.address = name, address

    async def identity(self) -> str:
        return self.name


def daemon(name: str, *address: str) -> Daemon:
    return cast(Daemon, Known(name, *address))


@pytest.fixture
async def file(tmp_path: Path) -> StateFile:
    return await made(StateFile(tmp_path, "default", "hello"), a_run())


async def made(file: StateFile, run: Draft) -> StateFile:
    async with file.change() as record:
        record.run = run
    return file


async def test_a_run_belongs_to_the_first_daemon_at_any_address(file: StateFile) -> None:
    await claim(file, daemon("mine"))
    before = file.path.read_bytes()
    await claim(file, daemon("mine", "tcp://127.0.0.1:2375"))
    with pytest.raises(OfAnotherDaemon, match=r"hello .*docker.sock.*tcp://far.*set DOCKER_HOST"):
        await claim(file, daemon("other", "tcp://far"))
    assert file.path.read_bytes() == before


async def test_a_name_is_free_once_its_run_is_deleted(file: StateFile) -> None:
    await claim(file, daemon("mine"))
    async with file.change() as record:
        record.run = None
    await claim(file, daemon("other"))
    await made(file, a_run())
    await claim(file, daemon("other"))


async def test_runs_of_another_daemon_are_not_collected(file: StateFile) -> None:
    await claim(file, daemon("mine"))
    async with file.change() as record:
        assert record.run is not None
        record.run["spec"]["cancel"] = True
    before = file.path.read_bytes()
    await collect_garbage(file, daemon("other"), lambda: at(10**6), SiteDefaults())
    assert file.path.read_bytes() == before
