"""Client of a Docker daemon: the requests of the engine, and their errors."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Self

import aiohttp
from aiodocker import Docker, DockerError

from taskruns.api.timestamps import nanoseconds_of
from taskruns.core.unstructured import mapping, number, text
from taskruns.engines.docker.connection import (
    ANSWER_SECONDS,
    connect,
    no_daemon,
    timeouts,
    unusable_daemon,
)
from taskruns.engines.docker.host import DaemonAddress
from taskruns.engines.docker.image_pull import credentials_for
from taskruns.engines.docker.log import (
    Bytes,
    Entries,
    LogRecord,
    Position,
    entries_of,
    follow_log,
    records_of,
    records_of_terminal,
    since_parameter,
)
from taskruns.engines.docker.pod_status import has_ended
from taskruns.engines.docker.tarball import empty_file, end_of_file, new_file, open_folders
from taskruns.engines.engine import EngineError

_NO_ANSWER = 900
"""Status that the client library reports when there is no HTTP response."""
_GREETING_SECONDS = 30.0
"""Timeout of the version request, in seconds."""
_FOLDER = "/taskruns"
_BIND = {"Type": "bind", "Target": _FOLDER}
"""Target at which a helper container mounts a path of the host."""
NO_SUCH_SOURCE = "bind source path does not exist"
"""Text of the daemon's error for a bind mount whose source path does not exist."""
_VOLUMES = "-volumes"
"""Suffix of the name of the helper container that shares a container's volumes."""
LOG_LINES = 80
"""Lines at the end of a log that a termination message is taken from, as in the kubelet."""


class DaemonError(EngineError):
    """Error response of the daemon; `code` is its HTTP code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Daemon:
    """Connection to one daemon."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self.address = docker._connection_info  # noqa: SLF001 - no public accessor
        self.local = self.address.startswith("unix://")
        """Whether the daemon is assumed to have access to this machine's files."""
        self._identity = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, at: DaemonAddress | str | None = None) -> AsyncIterator[Self]:
        """Open a connection.

        Args:
            at: Address of the daemon, or its URL, such as unix:///run/docker.sock. The default is
                that of the docker command: DOCKER_HOST, its current context, or the usual socket.

        Raises:
            NoDaemon: No daemon is configured, or it does not answer.
        """
        endpoint = (at if isinstance(at, DaemonAddress) else DaemonAddress(at)).found()
        async with connect(endpoint) as docker:
            daemon = cls(docker)
            await daemon.check()
            yield daemon

    async def check(self) -> str:
        """Ensure that the daemon answers; return its version. Raises NoDaemon."""
        try:
            with self._converted_errors():
                async with asyncio.timeout(_GREETING_SECONDS):
                    version = await self._docker._query_json(  # noqa: SLF001
                        "version", versioned_api=False
                    )
            # Otherwise the library requests the version once more.
            self._docker.api_version = f"v{text(version.get('ApiVersion'))}"
        except (DaemonError, ValueError) as error:
            raise unusable_daemon(self.address, error) from error
        return text(version.get("Version"))

    async def identity(self) -> str:
        """Return a string that identifies the daemon independently of its address.

        It contains the data root, because two daemons of one machine may share an ID but never
        that folder.
        """
        if not self._identity:
            with self._converted_errors():
                info = await self._docker.system.info()
            # Podman returns a new ID in every response.
            name = "Name" if "BuildahVersion" in info else "ID"
            self._identity = " ".join(text(info.get(key)) for key in (name, "DockerRootDir"))
        return self._identity

    async def inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return a container as Docker inspects it, or None."""
        try:
            with self._converted_errors():
                return dict(await self._docker.containers.container(name).show())
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a container. Raises DaemonError, with code 409 if the name is taken."""
        with self._converted_errors():
            await self._docker.containers.create(dict(body), name=name)

    async def start(self, name: str) -> None:
        """Start a container; a running one is not changed."""
        with self._converted_errors():
            await self._docker.containers.container(name).start()

    async def stop(self, name: str, grace: int) -> None:
        """Send SIGTERM and, after `grace` seconds, SIGKILL; return when the container has ended."""
        with self._converted_errors(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_MODIFIED):
            container = self._docker.containers.container(name)
            await container.stop(t=grace, timeout=timeouts(ANSWER_SECONDS + grace))

    async def remove(self, name: str) -> None:
        """Remove a container and its anonymous volumes, even if it is running."""
        for container_name in (
            name + _VOLUMES,
            name,
        ):  # the helper is left by a client that died while it existed
            with self._converted_errors(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                container = self._docker.containers.container(container_name)
                await container.delete(force=True, v=True, timeout=timeouts())

    async def has_image(self, image: str) -> bool:
        """Return whether the daemon has an image."""
        try:
            with self._converted_errors():
                await self._docker.images.inspect(image)
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    async def pull(self, image: str, tell: Callable[[Mapping[str, Any]], None]) -> None:
        """Pull an image with the credentials of the docker command. Raises DaemonError.

        Args:
            image: Name of the image.
            tell: Called with every progress message of the daemon.
        """
        request = await credentials_for(image)
        try:
            with self._converted_errors():
                pull = self._docker.images.pull(request.image, auth=request.auth, stream=True)
                async for progress in pull:
                    tell(progress)
        except DaemonError as error:
            if not request.problem:
                raise
            raise DaemonError(error.code, f"{error}; {request.problem}") from error

    async def log_tail(self, name: str, lines: int | None = LOG_LINES) -> bytes:
        """Return the last lines of a container's log; all of it if `lines` is None.

        The daemon counts each 16 KiB of a longer line as a line.
        """
        tail = "all" if lines is None else lines
        return b"".join([piece async for piece in self._log(name, tail=tail)])

    async def logs(self, name: str, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield a container's log, unchanged, in pieces.

        Args:
            name: Name of the container.
            follow: Whether to read until the container has ended, across restarts of the daemon.

        Raises:
            DaemonError: The container does not exist, or its log cannot be read.
            LogLost: A part of the log can no longer be read.
            NoDaemon: The daemon does not answer, and `follow` is false.
        """
        if not follow:
            async for piece in self._log(name, follow=False):
                yield piece
            return

        async def begin() -> Position:
            return Bytes() if await self._has_terminal(name) else Entries()

        read, has_ended = partial(self._batches, name), partial(self._has_ended, name)
        async for piece in follow_log(read, has_ended, begin):
            yield piece

    async def log_records(
        self, name: str, since: str = "", *, follow: bool = True
    ) -> AsyncIterator[LogRecord]:
        """Yield the records of a container's log.

        Args:
            name: Name of the container.
            since: Time of the first record, in the daemon's RFC 3339 format; by default, all
                records are yielded.
            follow: Whether to wait for further output until the container has ended.

        Raises:
            NoDaemon: The connection broke.
        """
        read = records_of_terminal if await self._has_terminal(name) else records_of
        params: dict[str, Any] = {
            "stdout": True, "stderr": True, "timestamps": True, "follow": follow,
            "since": since_parameter(nanoseconds_of(since.encode()) or 0),
        }  # fmt: skip
        limit = timeouts(None if follow else ANSWER_SECONDS)
        with self._converted_errors():
            async with self._docker._query(  # noqa: SLF001
                f"containers/{name}/logs", params=params, timeout=limit
            ) as response:
                async for record in read(response.content.iter_any()):
                    yield record

    async def _log(self, name: str, **query: Any) -> AsyncIterator[bytes]:
        """Yield the pieces of a log as they arrive."""
        async for batch in self._batches(name, **query):
            for piece in batch:
                yield piece

    async def _batches(self, name: str, **query: Any) -> AsyncIterator[list[bytes]]:
        """Yield the pieces of a log in batches as they arrive.

        The request is built here, because the library's methods drop bytes, keep the whole log in
        memory, or treat a broken connection as the end of the log.

        Args:
            name: Name of the container.
            query: Query parameters of the daemon's API.
        """
        params = {"stdout": True, "stderr": True, **query}
        raw = await self._has_terminal(name)
        limit = timeouts(None if query.get("follow") else ANSWER_SECONDS)
        with self._converted_errors():
            path = f"containers/{name}/logs"
            async with self._docker._query(  # noqa: SLF001
                path, params=params, timeout=limit
            ) as response:
                chunks = response.content.iter_any()
                if not raw:
                    async for entries in entries_of(chunks):
                        yield entries
                else:
                    async for chunk in chunks:
                        yield [chunk]

    async def _has_ended(self, name: str) -> bool | None:
        """Return whether a container has ended, or None if it does not exist."""
        container = await self.inspect(name)
        return None if container is None else has_ended(container)

    async def _has_terminal(self, name: str) -> bool:
        with self._converted_errors():
            container = await self._docker.containers.container(name).show()
        return container["Config"]["Tty"] is True

    async def has_run(self, name: str) -> bool:
        """Return whether a container exists and has started."""
        container = await self.inspect(name)
        return container is not None and _has_run(container)

    async def end_of_file(self, name: str, path: str, limit: int) -> bytes:
        """Return the last `limit` bytes of a file in a container; empty if there is none."""
        params = {"path": path}
        try:
            with self._converted_errors():
                # The library's method keeps the whole file in memory.
                async with self._docker._query(  # noqa: SLF001
                    f"containers/{name}/archive", params=params, timeout=timeouts()
                ) as response:
                    return await end_of_file(response.content, limit)
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return b""
            raise

    async def write_empty_file(self, name: str, path: str) -> None:
        """Create an empty file that every user may write, and its folders, in a container."""
        await self._put(name, empty_file(path))

    async def open_volumes(self, name: str, image: str, volumes: Mapping[str, str]) -> None:
        """Make volumes of a container that has not started writable for every user.

        A helper container that shares the volumes is used, because the root of the container may
        be read-only. The helper is never started and is removed at once.

        Args:
            name: Name of the container.
            image: An image that the daemon has.
            volumes: Names of the volumes, by mount path.
        """
        as_they_are = {"Type": "volume", "VolumeOptions": {"NoCopy": True}}
        mounts = [
            {**as_they_are, "Source": volume, "Target": path} for path, volume in volumes.items()
        ]
        async with self._helper_container(name, image, mounts) as helper:
            await self._put(helper, open_folders(volumes))

    async def ensure_file(self, name: str, image: str, path: str) -> None:
        """Create an empty file on the daemon's machine unless its path exists.

        Args:
            name: Name of the container that will mount the file.
            image: An image that the daemon has.
            path: Path of the file; its folder must exist.
        """
        try:
            async with self._helper_container(name, image, [{**_BIND, "Source": path}]):
                return
        except DaemonError as error:
            if NO_SUCH_SOURCE not in str(error):
                raise
        folder, _, file = path.rpartition("/")
        async with self._helper_container(
            name, image, [{**_BIND, "Source": folder or "/"}]
        ) as helper:
            await self._put(helper, new_file(f"{_FOLDER}/{file}"))

    async def mode_of(self, name: str, path: str) -> int | None:
        """Return the file mode, in Go's encoding, of a path in a container.

        A mounted path is resolved on the daemon's machine, even if the container does not run. The
        result is None if the path does not exist or the daemon cannot inspect it.
        """
        try:
            with self._converted_errors():
                async with self._docker._query(  # noqa: SLF001
                    f"containers/{name}/archive", "HEAD", params={"path": path}, timeout=timeouts()
                ) as response:
                    stat = response.headers.get("X-Docker-Container-Path-Stat", "")
            return number(mapping(json.loads(base64.b64decode(stat))).get("mode"))
        except (
            DaemonError,
            ValueError,
        ):  # the library reads the error from the body, which HEAD lacks
            return None

    @asynccontextmanager
    async def _helper_container(
        self, name: str, image: str, mounts: Sequence[Mapping[str, Any]]
    ) -> AsyncIterator[str]:
        """Create a helper container with some mounts, never started; yield its name."""
        helper = name + _VOLUMES
        body: dict[str, Any] = {
            "Image": image, "Cmd": ["true"], "HostConfig": {"Mounts": list(mounts)}
        }  # fmt: skip
        try:
            for _ in range(2):
                try:
                    with self._converted_errors():
                        await self._docker.containers.create(body, name=helper)
                    break
                except DaemonError as error:
                    if error.code != HTTPStatus.CONFLICT:
                        raise
                    await self._remove_helper(helper)  # left by a client that died
            yield helper
        finally:
            await self._remove_helper(helper)

    async def _remove_helper(self, helper: str) -> None:
        with self._converted_errors(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            await self._docker.containers.container(helper).delete(timeout=timeouts())

    async def _put(self, name: str, archive: bytes) -> None:
        with self._converted_errors():
            container = self._docker.containers.container(name)
            await container.put_archive("/", archive)  # type: ignore[no-untyped-call]

    async def events(self, label: str, since: float) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the events of containers with a label until the daemon closes the connection.

        Args:
            label: Label, as KEY=VALUE.
            since: Unix time, in seconds, of the first event. A time in the past ensures that no
                event is missed between the last inspection and this request.
        """
        filters = f'{{"type": ["container"], "label": ["{label}"]}}'
        subscriber = self._docker.events.subscribe(  # type: ignore[no-untyped-call]
            filters=filters, since=f"{since:.0f}"
        )
        try:
            while (event := await subscriber.get()) is not None:
                yield event
        finally:
            await self._docker.events.stop()  # type: ignore[no-untyped-call]

    @contextmanager
    def _converted_errors(self) -> Iterator[None]:
        """Convert the client library's errors into NoDaemon and DaemonError."""
        try:
            yield
        except DockerError as error:
            if error.status == _NO_ANSWER:
                raise no_daemon(self.address, error) from error
            raise DaemonError(error.status, " ".join(error.message.split())) from error
        except (TimeoutError, aiohttp.ClientError, OSError, EOFError) as error:
            is_connected = isinstance(error, TimeoutError) and not isinstance(
                error, aiohttp.ConnectionTimeoutError
            )
            raise no_daemon(self.address, error, is_connected=is_connected) from error


def _has_run(container: Mapping[str, Any]) -> bool:
    return bool(mapping(container.get("State")).get("Status") != "created")


@contextmanager
def _tolerated(*codes: int) -> Iterator[None]:
    try:
        yield
    except DockerError as error:
        if error.status not in codes:
            raise
