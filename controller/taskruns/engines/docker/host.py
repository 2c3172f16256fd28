"""A Docker host as clients know it: a state directory, and the daemon that goes with it.

What speaks to the daemon is imported by whoever needs it: a list of runs is read from files.
"""

# ruff: noqa: PLC0415

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from taskruns.core.defaults import SiteDefaults
from taskruns.engines.docker.container import NOTHING_GIVEN, Given
from taskruns.engines.docker.endpoint import Endpoint
from taskruns.engines.docker.state_file import RecordFile, StateTrouble, records
from taskruns.engines.engine import Object

if TYPE_CHECKING:
    from taskruns.engines.docker.daemon import Daemon
    from taskruns.engines.docker.follower import Follower

STATE_VARIABLE = "TASKRUNS_STATE_DIR"


def state_directory() -> Path:
    """Return where runs are kept: TASKRUNS_STATE_DIR, or a folder of XDG's state home."""
    if given := os.environ.get(STATE_VARIABLE):
        return Path(given)
    from platformdirs import user_state_path

    return user_state_path("taskruns") / "docker"


@dataclass(frozen=True, slots=True)
class Host:
    """What is needed to run TaskRuns on a Docker host."""

    root: Path
    """The state directory: all clients of one daemon share it, and each run knows its daemon."""
    now: Callable[[], datetime]
    endpoint: Endpoint = field(default_factory=Endpoint)
    site: SiteDefaults = field(default_factory=SiteDefaults)
    given: Given = NOTHING_GIVEN

    def file(self, namespace: str, name: str) -> RecordFile:
        """Return where a run is kept."""
        return RecordFile(self.root, namespace, name)

    async def runs(self, namespace: str | None = None) -> list[Object]:
        """Return the TaskRuns of a namespace, or of all, as they were last looked at.

        Raises:
            StateTrouble: the state directory, or a record in it, cannot be read.
        """
        runs, problems = await self.listing(namespace)
        if problems:
            raise StateTrouble(problems[0])
        return runs

    async def listing(self, namespace: str | None = None) -> tuple[list[Object], list[str]]:
        """Return the TaskRuns whose records can be read, and why others cannot.

        Raises:
            StateTrouble: the state directory cannot be read.
        """
        files = await asyncio.to_thread(records, self.root, namespace)
        runs: list[Object] = []
        problems: list[str] = []
        for file in files:
            try:
                run = await file.read_run()
            except StateTrouble as error:
                problems.append(str(error))
            else:
                runs += [run] if run is not None else []
        return runs, problems

    def daemon(self) -> "AbstractAsyncContextManager[Daemon]":
        """Open a connection to the daemon; raises NoDaemon."""
        from taskruns.engines.docker.daemon import Daemon

        return Daemon.open(self.endpoint)

    @asynccontextmanager
    async def following(self, file: RecordFile) -> "AsyncIterator[Follower]":
        """Look after a run while the block runs; what is due of finished ones is done meanwhile.

        Raises:
            NoDaemon: the daemon does not answer.
            OfAnotherDaemon: the run is not the daemon's.
        """
        from taskruns.engines.docker.follower import Follower
        from taskruns.engines.docker.gc import swept

        async with (
            self.daemon() as daemon,
            Follower.open(file, daemon, self.now, self.site, self.given) as follower,
            swept(self.root, daemon, self.now, self.site, spared=file),
        ):
            yield follower
