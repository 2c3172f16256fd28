"""A process that follows a run to its end when the client that did so has to go.

It is told where the run is and where the daemon is; of what only a client was given, such as the
values of Secrets, it knows nothing.
"""

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from taskruns.clock import now
from taskruns.engines.docker.container import grace_of
from taskruns.engines.docker.host import DaemonAddress, Host
from taskruns.engines.docker.state_file import Record, StateFile

_LONGEST_DELAY = 300.0
"""Seconds after its grace period in which a cancelled run has ended, unless its daemon is away."""


def start_detached_follower(host: Host, file: StateFile) -> "subprocess.Popen[bytes]":
    """Start a process that follows a run to its end, whatever becomes of this one; return it.

    That of a cancelled run does not wait for a daemon that stays away: what it leaves, the next
    client does.
    """
    told = {
        "root": str(host.root.absolute()),
        "endpoint": asdict(host.endpoint),
        "namespace": file.namespace,
        "name": file.name,
    }
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603 - this module itself
        [sys.executable, "-m", __name__, json.dumps(told)],
        stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
    )  # fmt: skip


def main() -> None:
    """Follow the run that the first argument tells of."""
    told = json.loads(sys.argv[1])
    host = Host(Path(told["root"]), now, DaemonAddress(**told["endpoint"]))
    asyncio.run(_follow(host, host.file(told["namespace"], told["name"])))


async def _follow(host: Host, file: StateFile) -> None:
    patience = patience_with(await file.read())
    async with asyncio.timeout(patience), host.following(file) as follower:
        async for _ in follower.changes():
            pass


def patience_with(record: Record) -> float | None:
    """Return for how many seconds a run is followed at most; None: for as long as it takes."""
    if record.run is None or record.run["spec"].get("cancel") is not True:
        return None
    return max(map(grace_of, record.pods.values()), default=0) + _LONGEST_DELAY


if __name__ == "__main__":
    main()
