"""Tests that a trigger ends only with an empty pipe to its supervisor, and never fills the pipe."""

import asyncio
import os
from collections.abc import Iterator
from importlib import import_module
from socket import socket, socketpair
from typing import Any

import airflow
import pytest

from taskruns_airflow import log_entries

ON_AIRFLOW_2 = airflow.__version__.startswith("2.")
pytestmark = pytest.mark.skipif(ON_AIRFLOW_2, reason="Airflow 2 has no such pipe")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket, socket]]:
    """Return both ends of the socket to which Airflow's configuration of structlog writes."""
    structlog = import_module("structlog")
    logging = import_module("airflow.sdk._shared.logging.structlog")
    ours, supervisors = socketpair()
    io = os.fdopen(os.dup(ours.fileno()), "wb", buffering=0)
    factory = logging.LoggerFactory(logging.NamedBytesLogger, io=io)
    monkeypatch.setattr(structlog, "get_config", lambda: {"logger_factory": factory})
    with ours, supervisors, io:
        yield ours, supervisors


def read_all(pipe: socket, size: int) -> None:
    while size > 0:
        size -= len(pipe.recv(size))


async def test_drain_waits_until_all_is_read(pipe: tuple[socket, socket]) -> None:
    ours, supervisors = pipe
    ours.send(b"x" * 10_000)
    drained = asyncio.create_task(log_entries.drain())
    supervisors.recv(4096)
    await asyncio.sleep(0.1)
    assert not drained.done()
    read_all(supervisors, 5_904)
    assert await drained


async def test_writers_wait_while_the_pipe_is_drained(pipe: tuple[socket, socket]) -> None:
    ours, supervisors = pipe
    ours.send(b"x")
    drained, roomy = (
        asyncio.create_task(log_entries.drain()),
        asyncio.create_task(log_entries.room()),
    )
    await asyncio.sleep(0.1)
    assert not roomy.done()
    supervisors.recv(1)
    assert await drained
    await roomy


async def test_a_full_pipe_has_no_room(pipe: tuple[socket, socket]) -> None:
    ours, supervisors = pipe
    for _ in range(30):
        ours.send(b"x" * 2_000)
    roomy = asyncio.create_task(log_entries.room())
    await asyncio.sleep(0.1)
    assert not roomy.done()
    read_all(supervisors, 50_000)
    await roomy


async def test_drain_has_a_time_limit(
    pipe: tuple[socket, socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pipe
    ours.send(b"x")
    monkeypatch.setattr(log_entries, "_DRAIN_SECONDS", 0.1)
    assert not await log_entries.drain()


@pytest.mark.parametrize("config", [{}, {"logger_factory": None}])
async def test_without_a_pipe_drain_returns_at_once(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("structlog"), "get_config", lambda: config)
    assert await log_entries.drain()
    await log_entries.room()
