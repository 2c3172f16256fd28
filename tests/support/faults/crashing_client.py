"""A Docker client that ends itself by SIGKILL at a chosen step.

    python -m tests.support.faults.crashing_client --crash after:claim ADDRESS STATE NAME

Besides the steps of tests.support.faults.crashing there are those of requests to the daemon:
`container` (create it), `volumes` (open them), `start`, `remove`.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from taskruns.clock import now
from taskruns.core.defaults import SiteDefaults
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.follower import Follower
from taskruns.engines.docker.state_file import StateFile
from tests.support.faults.crashing import STEPS, Crash, CrashingEngine

REQUESTS = {
    "container": "create",
    "volumes": "open_volumes",
    "start": "start",
    "remove": "remove",
}


def crash_around(daemon: Daemon, crash: Crash) -> None:
    """Make the daemon's client crash at its requests too."""
    for step, request in REQUESTS.items():
        setattr(daemon, request, _crashing(getattr(daemon, request), step, crash))


def _crashing(
    ask: Callable[..., Awaitable[None]], step: str, crash: Crash
) -> Callable[..., Awaitable[None]]:
    async def asked(*arguments: Any) -> None:
        await crash.around(step, lambda: ask(*arguments))

    return asked


async def follow(address: str, file: StateFile, crash: Crash) -> None:
    async with Daemon.open(address) as daemon:
        crash_around(daemon, crash)
        async with Follower.open(file, daemon, now, SiteDefaults()) as follower:
            follower._engine = CrashingEngine(follower._engine, crash)
            async for _ in follower.changes(to_the_last=True):
                pass


def run(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults.crashing_client")
    parser.add_argument("--crash", required=True, metavar="POINT", help="such as before:claim")
    parser.add_argument("address")
    parser.add_argument("state", type=Path)
    parser.add_argument("name")
    options = parser.parse_args(argv)
    file = StateFile(options.state, "default", options.name)
    asyncio.run(follow(options.address, file, Crash(options.crash, steps=(*STEPS, *REQUESTS))))


if __name__ == "__main__":
    run(sys.argv[1:])
