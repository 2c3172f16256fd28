"""Detached follower of a run: it continues after its client and ends with the run."""

import asyncio
from pathlib import Path
from typing import Any

from taskruns.api.conditions import Phase
from taskruns.engines.docker.detached_follower import start_detached_follower
from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.state_file import StateFile
from taskruns.engines.docker.store import create_run, patch_run
from tests.engine.docker_runtime import manifest, now

SECONDS = 120
SLOW_TO_STOP = "trap 'sleep 2; exit 4' TERM; sleep 600 & wait $!"


async def test_a_detached_follower_completes_a_cancelled_run_and_exits(
    docker_address: str, tmp_path: Path
) -> None:
    host = Host(tmp_path, now, DaemonAddress(docker_address))
    file = host.file("default", "left")
    await create_run(file, manifest(SLOW_TO_STOP), now())
    async with asyncio.timeout(SECONDS):
        await _begun(host, file)
        await patch_run(file, {"spec": {"cancel": True}})
        successor = start_detached_follower(host, file)
        assert await asyncio.to_thread(successor.wait, SECONDS) == 0
    status = await _status(file)
    assert (status["phase"], status["exitCode"]) == (Phase.CANCELLED, 4)


async def _begun(host: Host, file: StateFile) -> None:
    async with host.following(file) as follower:
        async for run in follower.changes():
            if run["status"].get("phase") == Phase.RUNNING:
                return


async def _status(file: StateFile) -> Any:
    run = (await file.read()).run
    assert run is not None
    return run["status"]
