"""The TaskRuns of this machine's Docker host, as the commands use them.

A client of the daemon is imported by whatever needs one: a list of runs is read from files.
"""

# ruff: noqa: PLC0415

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskruns.cli.clock import now
from taskruns.cli.ending import CommandError, ExitCode, none_of_that_name
from taskruns.cli.place import Following, Object, Step
from taskruns.core.wire import mapping, text
from taskruns.engines.docker.record import RecordFile, StateTrouble, records
from taskruns.engines.port import EngineError, Unavailable

if TYPE_CHECKING:
    from taskruns.engines.docker.container import Given
    from taskruns.engines.docker.daemon import Daemon
    from taskruns.engines.docker.follower import Follower

STATE_VARIABLE = "TASKRUNS_STATE_DIR"
_AT_ONCE = 0


def state_directory() -> Path:
    """Return where runs are kept: TASKRUNS_STATE_DIR, or a folder of XDG's state home."""
    if given := os.environ.get(STATE_VARIABLE):
        return Path(given)
    from platformdirs import user_state_path

    return user_state_path("taskruns") / "docker"


@asynccontextmanager
async def open_host(namespace: str | None, given: "Given | None") -> AsyncIterator["Host"]:
    """Open the host of the docker command; what a person can mend becomes a CommandError."""
    with _plain_errors():
        yield Host(namespace or "default", given)


class Host:
    """One state directory, and the daemon that the docker command would use."""

    kind = "docker"

    def __init__(self, namespace: str, given: "Given | None" = None) -> None:
        self.namespace = namespace
        self._given = given
        self._root = state_directory()

    def _file(self, name: str) -> RecordFile:
        return RecordFile(self._root, self.namespace, name)

    async def runs(self, *, everywhere: bool = False) -> Sequence[Object]:
        """Return the TaskRuns of the namespace, or of all, the oldest first."""
        files = [f for f in records(self._root) if everywhere or f.namespace == self.namespace]
        found = [run for file in files if (run := (await file.read()).run) is not None]
        return sorted(found, key=lambda run: (run["metadata"]["creationTimestamp"], _name(run)))

    async def run(self, name: str) -> Object:
        """Return a TaskRun. Raises CommandError when there is none of that name."""
        run = (await self._file(name).read()).run
        if run is None:
            raise none_of_that_name(name, "here")
        return run

    async def create(self, manifest: Object) -> Object:
        """Create a TaskRun, if there is a daemon that could run it."""
        from taskruns.engines.docker.daemon import Daemon
        from taskruns.engines.docker.submission import create_run

        async with Daemon.open():
            return await create_run(self._file(_name(manifest)), manifest, now())

    async def patch(self, name: str, patch: Object) -> Object:
        """Change a TaskRun; whoever follows it acts upon it, and this does where nobody does."""
        from taskruns.engines.docker.submission import patch_run

        changed = await patch_run(self._file(name), patch)
        if changed is None:
            raise none_of_that_name(name, "here")
        async with self._opened(name) as (follower, _):
            await follower.settle()
        return changed

    async def delete(self, name: str) -> None:
        """Delete a TaskRun; its container ends first, with its grace period."""
        from taskruns.engines.docker.submission import delete_run

        await self.run(name)
        await delete_run(self._file(name), now())
        async with self._opened(name) as (follower, _):
            async for _ in follower.changes(to_the_last=True):
                pass

    @asynccontextmanager
    async def following(self, name: str) -> AsyncIterator[Following]:
        """Look after a run while the block runs."""
        await self.run(name)
        async with self._opened(name) as (follower, daemon):
            yield _Following(follower, daemon, self._file(name))

    def leave_follower(self, name: str) -> None:
        """Start a process that follows the run when this one has gone."""
        nowhere = subprocess.DEVNULL
        command = [sys.executable, "-m", "taskruns.cli", "follow", name, "--on", self.kind]
        subprocess.Popen(  # noqa: S603 - this program itself
            [*command, "--namespace", self.namespace],
            stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
        )  # fmt: skip

    async def log(self, run: Object, pod: str) -> AsyncIterator[bytes]:
        """Yield what an attempt's log has by now."""
        from taskruns.engines.docker.daemon import Daemon

        async with Daemon.open() as daemon:
            if await daemon.inspect(pod) is None:
                raise CommandError(f"{_name(run)} has no container {pod} any more, nor its log")
            async for piece in daemon.logs(pod, follow=False):
                yield _bytes(piece)

    async def steps(self, run: Object, pod: str) -> Sequence[Step]:  # noqa: ARG002 - the place's
        """There are none beside the record."""
        return ()

    async def versions(self) -> Mapping[str, str]:
        """Return the version of the daemon."""
        from taskruns.engines.docker.daemon import Daemon

        async with Daemon.open() as daemon:
            told = await daemon._docker.version()  # noqa: SLF001 - asked for here alone
            return {f"docker at {daemon.address}": text(told.get("Version"))}

    @asynccontextmanager
    async def _opened(self, name: str) -> "AsyncIterator[tuple[Follower, Daemon]]":
        from taskruns.core.site import SiteDefaults
        from taskruns.engines.docker.container import NOTHING_GIVEN
        from taskruns.engines.docker.daemon import Daemon
        from taskruns.engines.docker.follower import Follower

        file, given = self._file(name), self._given or NOTHING_GIVEN
        async with (
            Daemon.open() as daemon,
            Follower.open(file, daemon, now, SiteDefaults(), given) as follower,
        ):
            yield follower, daemon


class _Following:
    """One run, its follower and its daemon."""

    def __init__(self, follower: "Follower", daemon: "Daemon", file: RecordFile) -> None:
        self._follower, self._daemon, self._file = follower, daemon, file

    def changes(self) -> AsyncIterator[Object]:
        """Yield the TaskRun whenever it has changed, until it has ended."""
        return self._follower.changes()

    async def log(self, pod: str) -> AsyncIterator[bytes]:
        """Yield the container's log; it need not be there yet."""
        from taskruns.engines.docker.daemon import DaemonError

        try:
            await self._daemon.started(pod)
            async for piece in self._daemon.logs(pod, follow=True):
                yield _bytes(piece)
        except DaemonError:  # it has been removed: its status says so
            return

    async def stages(self, pod: str) -> AsyncIterator[str]:
        """Tell whether its image has to be pulled."""
        found = (await self._file.read()).pods.get(pod) or {}
        for container in mapping(found.get("spec")).get("containers") or ():
            image = text(container.get("image"))
            if not await self._daemon.has_image(image):
                yield f"pulling {image}"

    async def kill(self, pod: str) -> None:
        """End the container at once."""
        from taskruns.engines.docker.daemon import DaemonError

        try:
            await self._daemon.stop(pod, _AT_ONCE)
        except (DaemonError, Unavailable) as error:
            raise CommandError(f"it cannot be killed: {error}") from error


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what a person can mend into one line and an exit code."""
    try:
        yield
    except (Unavailable, StateTrouble) as error:
        raise CommandError(str(error), ExitCode.NOT_RUN) from error
    except EngineError as error:
        raise CommandError(str(error)) from error


def _name(run: Mapping[str, Any]) -> str:
    return text(mapping(run.get("metadata")).get("name"))


def _bytes(piece: str) -> bytes:
    return piece.encode(errors="surrogateescape")
