"""Detached process that continues the work of a client that has left.

It follows a run to its end, or collects garbage. Its argument names the state file and the daemon.
Values that only the client has, such as those of Secrets, are not passed on.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from taskruns.clock import now
from taskruns.engines.docker.container import grace_of
from taskruns.engines.docker.gc import collect_due
from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.state_file import Record, StateFile

_LONGEST_DELAY = 300.0
"""Seconds after the grace period for which a cancelled run is followed.

The run has ended by that time, unless its daemon is unavailable.
"""


def start_detached_follower(host: Host, file: StateFile) -> "subprocess.Popen[bytes]":
    """Start a process that follows a run to its end independently of this one; return it.

    The process of a cancelled run does not wait forever for an unavailable daemon; the next client
    does the remaining steps.
    """
    return _start(host, {"namespace": file.namespace, "name": file.name})


def start_detached_collector(host: Host) -> "subprocess.Popen[bytes]":
    """Start a process that collects garbage if that is due; return it."""
    return _start(host, {})


def _start(host: Host, run: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    arguments = {"root": str(host.root.absolute()), "endpoint": asdict(host.endpoint), **run}
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603 - this module itself
        [sys.executable, "-m", __name__, json.dumps(arguments)],
        stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
    )  # fmt: skip


def main() -> None:
    """Follow the run that the first argument describes; without a run, collect garbage."""
    arguments = json.loads(sys.argv[1])
    host = Host(Path(arguments["root"]), now, DaemonAddress(**arguments["endpoint"]))
    if "name" in arguments:
        asyncio.run(_follow(host, host.file(arguments["namespace"], arguments["name"])))
    else:
        asyncio.run(_collect(host))


async def _collect(host: Host) -> None:
    async with host.daemon() as daemon:
        await collect_due(host, daemon)


async def _follow(host: Host, file: StateFile) -> None:
    patience = patience_with(await file.read())
    async with asyncio.timeout(patience), host.following(file) as follower:
        async for _ in follower.changes():
            pass


def patience_with(record: Record) -> float | None:
    """Return the longest time for which a run is followed, in seconds; None: without limit."""
    if record.run is None or record.run["spec"].get("cancel") is not True:
        return None
    return max(map(grace_of, record.pods.values()), default=0) + _LONGEST_DELAY


if __name__ == "__main__":
    main()
