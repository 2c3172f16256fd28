"""Backend for the TaskRuns of a Docker host.

Functions that need the daemon import its client themselves, because runs are listed from files
alone.
"""

# ruff: noqa: PLC0415

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from taskruns.cli.backend import IMAGE_PULL, Following, Listing, Step
from taskruns.cli.exit_status import CommandError, ExitCode, LogNotKept, not_found
from taskruns.cli.target import NAME_HINT, is_name
from taskruns.clock import now
from taskruns.core.unstructured import Object, mapping, mappings, text
from taskruns.engines.docker.container import NO_SECRETS, Secrets
from taskruns.engines.docker.host import Host, state_directory
from taskruns.engines.docker.state_file import PULL_BEGAN, PULL_ENDED, StateError, StateFile
from taskruns.engines.engine import EngineError, Unavailable

if TYPE_CHECKING:
    from taskruns.engines.docker.daemon import Daemon
    from taskruns.engines.docker.follower import Follower

_AT_ONCE = 0
_PROGRESS_SECONDS = 0.2
"""Interval at which a terminal shows the progress of an image pull, in seconds."""


@asynccontextmanager
async def open_host(
    namespace: str | None, secrets: Secrets | None, suggestion: Callable[[], str]
) -> AsyncIterator["DockerBackend"]:
    """Open the Docker host that the docker command would use.

    Args:
        namespace: the namespace of the runs; `default` if None.
        secrets: values for secretKeyRefs, if there are any.
        suggestion: returns a sentence that is added to the error if the daemon is unavailable.

    Raises:
        CommandError: an error that the user can fix.
    """
    with _plain_errors(suggestion):
        host = Host(state_directory(), now, secrets=secrets or NO_SECRETS)
        async with AsyncExitStack() as connections:
            yield DockerBackend(host, namespace or "default", connections)


class DockerBackend:
    """One namespace of a state directory, with the daemon that the docker command would use."""

    kind = "docker"

    def __init__(self, host: Host, namespace: str, connections: AsyncExitStack) -> None:
        self.namespace = namespace
        self._host = host
        self._connections = connections
        self._daemon: Daemon | None = None

    async def _connect(self) -> "Daemon":
        """Return the connection to the daemon, which stays open until the command ends."""
        if self._daemon is None:
            self._daemon = await self._connections.enter_async_context(self._host.daemon())
        return self._daemon

    def _file(self, name: str) -> StateFile:
        """Return a run's state file.

        Raises:
            CommandError: the name or the namespace is invalid.
        """
        if not is_name(name):
            raise not_found(name, self.namespace)
        if not is_name(self.namespace):
            raise CommandError(f"namespace {self.namespace!r}: {NAME_HINT}", ExitCode.USAGE)
        return self._host.file(self.namespace, name)

    async def _claim(self, name: str) -> StateFile:
        """Return the state file of a run that this daemon owns, in order to change it.

        An unavailable daemon does not prevent the change, which takes effect once the daemon is
        back.
        """
        from taskruns.engines.docker.connection import NoDaemon
        from taskruns.engines.docker.follower import claim

        file = self._file(name)
        with suppress(NoDaemon):
            await claim(file, await self._connect())
        return file

    async def runs(self, *, everywhere: bool = False) -> Listing:
        """Return the TaskRuns of the namespace, or of all namespaces."""
        runs, problems = await self._host.listing(None if everywhere else self.namespace)
        runs.sort(key=lambda run: (run["metadata"]["creationTimestamp"], _name(run)))
        return Listing(runs, problems)

    async def run(self, name: str) -> Object:
        """Return a TaskRun. Raises CommandError if it does not exist."""
        run = await self._file(name).read_run()
        if run is None:
            raise not_found(name, self.namespace)
        return run

    async def create(self, manifest: Object) -> Object:
        """Create a TaskRun, provided that the daemon is available."""
        from taskruns.engines.docker.follower import home_of
        from taskruns.engines.docker.store import create_run

        home = await home_of(await self._connect())
        file = self._host.file(self.namespace, _name(manifest))
        return await create_run(file, manifest, now(), home)

    async def patch(self, name: str, patch: Object) -> Object:
        """Change a TaskRun, and reconcile it here in case no other process follows it."""
        from taskruns.engines.docker.store import patch_run

        file = await self._claim(name)
        changed = await patch_run(file, patch)
        if changed is None:
            raise not_found(name, self.namespace)
        async with self._host.following(file, await self._connect()) as follower:
            await follower.settle()
        return changed

    async def delete(self, name: str) -> None:
        """Delete a TaskRun. Its container is stopped first, with its grace period."""
        from taskruns.engines.docker.store import delete_run

        await self.run(name)
        file = await self._claim(name)
        await delete_run(file, now())
        if (await file.read()).run is None:  # nothing had started
            return
        async with self._host.following(file, await self._connect()) as follower:
            async for _ in follower.changes(to_the_last=True):
                pass

    @asynccontextmanager
    async def following(self, name: str) -> AsyncIterator[Following]:
        """Follow a run while the block runs."""
        await self.run(name)
        async with self._host.following(self._file(name), await self._connect()) as follower:
            yield _Following(follower, self._file(name))

    def leave_follower(self, name: str) -> None:
        """Start a detached process that follows the run."""
        from taskruns.engines.docker.detached_follower import start_detached_follower

        start_detached_follower(self._host, self._file(name))

    async def log(self, run: Object, pod: str) -> AsyncIterator[bytes]:
        """Yield the log that an attempt has written so far."""
        from taskruns.engines.docker.follower import claim

        daemon = await self._connect()
        await claim(self._file(_name(run)), daemon)
        if await daemon.inspect(pod) is None:
            raise CommandError(f"container {pod} has been removed, and its log with it")
        async for piece in daemon.logs(pod, follow=False):
            yield piece

    async def steps(self, run: Object, pod: str) -> Sequence[Step]:
        """Return the pull of the attempt's image, if there was one."""
        pull = (await self._file(_name(run)).read()).pulls.get(pod, {})
        began, ended = (text(pull.get(step)) for step in (PULL_BEGAN, PULL_ENDED))
        return (Step(IMAGE_PULL, began, ended),) if began else ()

    async def versions(self) -> Mapping[str, str]:
        """Return the version of the daemon."""
        daemon = await self._connect()
        return {f"docker at {daemon.address}": await daemon.check()}


class _Following:
    """A followed run of a Docker host."""

    def __init__(self, follower: "Follower", file: StateFile) -> None:
        self._follower, self._daemon, self._file = follower, follower.daemon, file
        self._over = asyncio.Event()
        self._ran: set[str] = set()
        """Names of the containers that have started."""

    async def changes(self) -> AsyncIterator[Object]:
        """Yield the TaskRun after every change, until it has ended."""
        try:
            async for run in self._follower.changes():
                attempts = mappings(mapping(run.get("status")).get("attempts"))
                self._ran |= {text(a.get("podName")) for a in attempts if a.get("startedTime")}
                yield run
        finally:
            self._over.set()

    async def log(self, pod: str) -> AsyncIterator[bytes]:
        """Yield the container's log, once the container has started or the run is over."""
        from taskruns.engines.docker.daemon import DaemonError

        waits = {
            asyncio.create_task(wait) for wait in (self._follower.started(pod), self._over.wait())
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        try:
            async for piece in self._daemon.logs(pod, follow=True):
                yield piece
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND and pod in self._ran:
                raise CommandError(f"container {pod} has been removed") from error
            if error.code == HTTPStatus.NOT_IMPLEMENTED:
                raise LogNotKept(f"Docker keeps no log of it: {error}") from error
            if error.code != HTTPStatus.NOT_FOUND:  # otherwise the container never ran
                raise

    async def cancel(self) -> None:
        """Cancel the run. Its follower acts as soon as the daemon responds."""
        from taskruns.engines.docker.store import patch_run

        await patch_run(self._file, {"spec": {"cancel": True}})

    async def stages(self, pod: str) -> AsyncIterator[str]:  # noqa: ARG002 - there is only one pull
        """Yield the progress of the image pull."""
        shown = ""
        while True:
            if (pulling := self._follower.pulling) not in ("", shown):
                shown = pulling
                yield shown
            await asyncio.sleep(_PROGRESS_SECONDS)

    async def kill(self, pod: str) -> None:
        """Kill the container."""
        from taskruns.engines.docker.daemon import DaemonError

        try:
            await self._daemon.stop(pod, _AT_ONCE)
        except DaemonError as error:
            raise CommandError(f"container {pod} cannot be killed: {error}") from error


@contextmanager
def _plain_errors(suggestion: Callable[[], str]) -> Iterator[None]:
    """Convert errors that the user can fix to CommandErrors."""
    try:
        yield
    except Unavailable as error:
        message = ". ".join(filter(None, (str(error), suggestion())))
        raise CommandError(message, ExitCode.NOT_RUN) from error
    except StateError as error:
        raise CommandError(str(error), ExitCode.NOT_RUN) from error
    except EngineError as error:
        raise CommandError(str(error)) from error


def _name(run: Mapping[str, Any]) -> str:
    return text(mapping(run.get("metadata")).get("name"))
