"""A watch that is silent while its connection stays open is opened again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from taskruns.operator import watch
from tests.cluster import Cluster
from tests.operator.conftest import Submit
from tests.support.cluster.client import Object
from tests.support.cluster.in_process_controller import at_work
from tests.support.faults.fault_proxy import FaultProxy

SECONDS_OF_A_BOOKMARK = 60
"""Interval of the apiserver's bookmarks on a watch without changes, in seconds."""
NEVER = 3600


async def test_runs_continue_when_their_watches_are_silent(
    served: Cluster,
    submit: Submit,
    ended: Callable[[Object], Object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No list runs in this time, so the runs continue by the new watches alone."""
    monkeypatch.setattr(watch, "_SILENT_SECONDS", 2.0)
    with FaultProxy(served.kubeconfig) as fault_proxy:
        async with at_work(fault_proxy, tmp_path, every=NEVER) as running:
            await running.ready()
            at_its_work = await asyncio.to_thread(submit, "sleep 2", "at-its-work")
            await running.until(running.controller.cache.pods, "its Pod is there")
            assert fault_proxy.silence_watches() == 2
            new = await asyncio.to_thread(submit, "exit 0", "new")
            for run in (at_its_work, new):
                await asyncio.to_thread(ended, run)
            await running.until(
                lambda: not fault_proxy.silent_watches(), "neither is open any more"
            )


def test_the_inactivity_timeout_exceeds_the_apiservers_bookmark_interval() -> None:
    settings = watch.kopf_settings().watching
    assert SECONDS_OF_A_BOOKMARK < settings.inactivity_timeout == 70
