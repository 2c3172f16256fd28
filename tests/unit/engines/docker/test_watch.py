"""Watches of state files begin late, so that a short command need not import their library."""

import asyncio
from pathlib import Path

import pytest

from taskruns.engines.docker import watch
from taskruns.engines.docker.watch import watching


async def test_changes_before_and_after_the_begin_of_a_watch_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_DELAY_SECONDS", 0)
    path, changed = tmp_path / "hello.json", asyncio.Event()
    with watching(path, changed.set):
        await changed.wait()  # the begin counts as a change, because an earlier one is not reported
        changed.clear()
        path.write_text("new")
        await changed.wait()
