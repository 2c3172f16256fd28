"""The TaskRuns of this machine's Docker host, as the commands use them."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_state_path

from taskruns.cli.ending import CommandError, ExitCode
from taskruns.core.site import SiteDefaults
from taskruns.core.wire import mapping, text
from taskruns.engines.docker.container import NOTHING_GIVEN, Given
from taskruns.engines.docker.daemon import Daemon, NoDaemon
from taskruns.engines.docker.follower import Follower
from taskruns.engines.docker.record import RecordFile, StateTrouble, records
from taskruns.engines.docker.submission import InvalidRun, create_run, delete_run, patch_run
from taskruns.engines.port import AlreadyExists, Object

SITE = SiteDefaults()
STATE_VARIABLE = "TASKRUNS_STATE_DIR"


def now() -> datetime:
    """Return the time of this moment, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - a command line has no clock of its own


def state_directory() -> Path:
    """Return where runs are kept: TASKRUNS_STATE_DIR, or a folder of XDG's state home."""
    given = os.environ.get(STATE_VARIABLE)
    return Path(given) if given else user_state_path("taskruns") / "docker"


class Host:
    """One state directory, and the daemon that the docker command would use."""

    def __init__(self, namespace: str, root: Path | None = None) -> None:
        self.namespace = namespace
        self._root = root or state_directory()

    def file(self, name: str) -> RecordFile:
        """Return where a run of that name is kept."""
        return RecordFile(self._root, self.namespace, name)

    async def runs(self, *, everywhere: bool = False) -> list[Object]:
        """Return the TaskRuns of the namespace, or of all, the oldest first."""
        files = [f for f in records(self._root) if everywhere or f.namespace == self.namespace]
        found = [run for file in files if (run := (await file.read()).run) is not None]
        return sorted(found, key=lambda run: (run["metadata"]["creationTimestamp"], _name(run)))

    async def run(self, name: str) -> Object:
        """Return a TaskRun. Raises CommandError when there is none of that name."""
        run = (await self.file(name).read()).run
        if run is None:
            raise CommandError(f"there is no TaskRun {name} here: `taskrun list` shows all")
        return run

    async def create(self, manifest: Object) -> Object:
        """Create a TaskRun."""
        name = text(mapping(manifest.get("metadata")).get("name"))
        return await create_run(self.file(name), manifest, now())

    async def patch(self, name: str, patch: Object) -> Object:
        """Change a TaskRun."""
        changed = await patch_run(self.file(name), patch)
        if changed is None:
            raise CommandError(f"there is no TaskRun {name} here: `taskrun list` shows all")
        return changed

    async def delete(self, name: str) -> None:
        """Delete a TaskRun; its container ends first, with its grace period."""
        await self.run(name)
        await delete_run(self.file(name), now())
        async with self.following(name) as (follower, _):
            async for _ in follower.changes(to_the_last=True):
                pass

    @asynccontextmanager
    async def following(
        self, name: str, given: Given = NOTHING_GIVEN
    ) -> AsyncIterator[tuple[Follower, Daemon]]:
        """Look after a run while the block runs."""
        file = self.file(name)
        async with (
            Daemon.open() as daemon,
            Follower.open(file, daemon, now, SITE, given) as follower,
        ):
            yield follower, daemon

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Daemon]:
        """Open a connection to the daemon."""
        async with Daemon.open() as daemon:
            yield daemon


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what a person can mend into one line and an exit code."""
    try:
        yield
    except (NoDaemon, StateTrouble) as error:
        raise CommandError(str(error), ExitCode.NOT_RUN) from error
    except (InvalidRun, AlreadyExists) as error:
        raise CommandError(str(error)) from error


def _name(run: Object) -> str:
    return text(run["metadata"].get("name"))
