"""Garbage collection never delays the run that a client follows, and is never forgotten."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from taskruns.core.unstructured import Draft
from taskruns.engines.docker import detached_follower, gc
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.gc import collect_in_background
from taskruns.engines.docker.host import Host
from taskruns.engines.docker.state_file import StateFile

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
DAEMON = cast(Daemon, None)
ENDED: Draft = {"metadata": {"name": "old", "uid": "run-1"}, "spec": {}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, lambda: NOW)


@pytest.fixture(autouse=True)
def detached(monkeypatch: pytest.MonkeyPatch) -> list[Host]:
    """Record the detached collectors, without starting them."""
    started: list[Host] = []
    monkeypatch.setattr(detached_follower, "start_detached_collector", started.append)
    return started


@pytest.fixture(autouse=True)
def collected(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[str]:
    """Record the names of the runs that are collected in this process."""
    names: asyncio.Queue[str] = asyncio.Queue()

    async def collect(file: StateFile, *_: object) -> None:
        names.put_nowait(file.name)

    monkeypatch.setattr(gc, "collect_garbage", collect)
    return names


def collected_before(host: Host, ago: timedelta) -> None:
    mark = host.root / gc._MARK
    mark.touch()
    moment = (NOW - ago).timestamp()
    os.utime(mark, (moment, moment))


async def write(file: StateFile) -> None:
    async with file.change() as record:
        record.run = ENDED


@pytest.mark.parametrize(
    ("ago", "others", "expected"),
    [
        (gc.INTERVAL, ["old"], 1),
        (gc.INTERVAL, [], 0),
        (gc.INTERVAL / 2, ["old"], 0),
        (None, ["old"], 0),
    ],
    ids=["due", "no other run", "done recently", "new directory"],
)
async def test_a_short_command_leaves_a_due_collection_to_a_process_of_its_own(
    host: Host, detached: list[Host], ago: timedelta | None, others: list[str], expected: int
) -> None:
    if ago is not None:
        collected_before(host, ago)
    for name in ("own", *others):
        await write(host.file("default", name))
    async with collect_in_background(host, DAEMON, host.file("default", "own")):
        pass
    assert detached == [host] * expected


async def test_a_new_directory_is_due_after_the_interval(host: Host, detached: list[Host]) -> None:
    await write(host.file("default", "old"))
    own = host.file("default", "own")
    async with collect_in_background(host, DAEMON, own):
        pass
    later = Host(host.root, lambda: NOW + timedelta(days=10**4))
    async with collect_in_background(later, DAEMON, own):
        pass
    assert detached == [later]


async def test_a_longer_command_collects_itself_and_once(
    host: Host,
    detached: list[Host],
    collected: asyncio.Queue[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gc, "_DELAY_SECONDS", 0)
    collected_before(host, gc.INTERVAL)
    for name in ("own", "old"):
        await write(host.file("default", name))
    async with collect_in_background(host, DAEMON, host.file("default", "own")):
        assert await collected.get() == "old"
    await gc.collect_due(Host(host.root, lambda: NOW + timedelta(seconds=1)), DAEMON)
    assert (detached, collected.empty()) == ([], True)
