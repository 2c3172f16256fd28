"""Client for a Docker daemon: the requests of the engine, and the errors that they raise."""

import asyncio
import base64
import io
import json
import tarfile
from asyncio import IncompleteReadError
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol, Self

import aiohttp
from aiodocker import Docker, DockerError

from taskruns.core.unstructured import mapping, number, text
from taskruns.engines.docker.connection import (
    ANSWER_SECONDS,
    BEHIND_TLS,
    NoDaemon,
    connect,
    patient,
    silence,
    unanswered,
)
from taskruns.engines.docker.host import DaemonAddress
from taskruns.engines.docker.image_pull import credentials_for
from taskruns.engines.docker.log import (
    Bytes,
    Entries,
    LogRecord,
    Position,
    in_entries,
    records_of,
    records_of_terminal,
    to_its_end,
    unix,
)
from taskruns.engines.docker.pod_status import has_ended
from taskruns.engines.engine import EngineError

_FILE_FOR_ANYBODY = 0o666
_FOLDER_FOR_ANYBODY = 0o777
_NEW_FILE = 0o644
_PIECE = 1 << 16
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
"""Entries that only tell more of the one that follows."""


class Stream(Protocol):
    """What comes in over a connection, such as aiohttp's StreamReader."""

    async def readexactly(self, n: int) -> bytes:
        """Read that many bytes; IncompleteReadError: there are fewer."""


def empty_file(path: str) -> bytes:
    """Return an archive with an empty file that anybody may write; its folders come with it."""
    return _archive([_entry(path, tarfile.REGTYPE, _FILE_FOR_ANYBODY)])


def new_file(path: str) -> bytes:
    """Return an archive with an empty file that everybody may read."""
    return _archive([_entry(path, tarfile.REGTYPE, _NEW_FILE)])


def open_folders(paths: Iterable[str]) -> bytes:
    """Return an archive with folders that anybody may write into."""
    return _archive(_entry(path, tarfile.DIRTYPE, _FOLDER_FOR_ANYBODY) for path in paths)


async def end_of_file(archive: Stream, limit: int) -> bytes:
    """Return the last `limit` bytes of the file that an archive holds, and keep no more of it.

    Empty where it holds none, or something else.
    """
    try:
        entry = await _next_entry(archive)
        while entry.type in _EXTENSIONS:
            await archive.readexactly(-(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
            entry = await _next_entry(archive)
    except (tarfile.TarError, IncompleteReadError):
        return b""
    left, end = entry.size if entry.isreg() else 0, b""
    while left:
        piece = await archive.readexactly(min(left, _PIECE))
        left -= len(piece)
        end = (end + piece)[-limit:]
    return end


async def _next_entry(archive: Stream) -> tarfile.TarInfo:
    block = await archive.readexactly(tarfile.BLOCKSIZE)
    return tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _archive(entries: Iterable[tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry)
    return buffer.getvalue()


_NO_ANSWER = 900
"""What the client library reports in place of an HTTP code."""
_GREETING_SECONDS = 30.0
"""In which a daemon at work tells its version."""
_FOLDER = "/taskruns"
_BIND = {"Type": "bind", "Target": _FOLDER}
"""Where such a container has a path of the host."""
NO_SUCH_SOURCE = "bind source path does not exist"
"""The daemon's words about a path of its machine that is not there."""
_VOLUMES = "-volumes"
"""What is added to the name of a container for that which shares its volumes."""
LOG_LINES = 80
"""Lines of a log's end that are looked at for a container's last words, as the kubelet does."""


class DaemonError(EngineError):
    """The daemon said no; `code` is HTTP's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Daemon:
    """A connection to one daemon, found as the docker command finds it unless its URL is given."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self.address = docker._connection_info  # noqa: SLF001 - what it was opened with
        self.local = self.address.startswith("unix://")
        """Whether the daemon can see this machine's files."""
        self._identity = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, at: DaemonAddress | str | None = None) -> AsyncIterator[Self]:
        """Open a connection.

        Args:
            at: an endpoint or its URL, such as unix:///run/docker.sock; by default DOCKER_HOST,
                the current context of the docker command, or the usual socket.

        Raises:
            NoDaemon: none is configured, or it does not answer.
        """
        endpoint = (at if isinstance(at, DaemonAddress) else DaemonAddress(at)).found()
        async with connect(endpoint) as docker:
            daemon = cls(docker)
            await daemon.check()
            yield daemon

    async def check(self) -> str:
        """See that the daemon answers; return its version. Raises NoDaemon."""
        try:
            with self._said():
                async with asyncio.timeout(_GREETING_SECONDS):
                    return text((await self._docker.version()).get("Version"))
        except DaemonError as error:
            why = BEHIND_TLS if "HTTPS server" in str(error) else str(error)
            raise NoDaemon(f"what answers at {self.address} is no use: {why}") from error
        except ValueError as error:  # of what is no URL, or no JSON
            raise NoDaemon(
                f"{self.address} is no use ({error}): set DOCKER_HOST to where Docker is"
            ) from error

    async def identity(self) -> str:
        """Return what tells this daemon from every other, whatever address it is reached at.

        Two daemons of one machine may have one ID between them, but never one folder.
        """
        if not self._identity:
            with self._said():
                info = await self._docker.system.info()
            # Podman makes up another ID with each answer.
            name = "Name" if "BuildahVersion" in info else "ID"
            self._identity = " ".join(text(info.get(key)) for key in (name, "DockerRootDir"))
        return self._identity

    async def inspect(self, name: str) -> Mapping[str, Any] | None:
        """Return what the daemon knows of a container; None when there is none of that name."""
        try:
            with self._said():
                return dict(await self._docker.containers.container(name).show())
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a container under a name. Raises DaemonError, 409 where the name is taken."""
        with self._said():
            await self._docker.containers.create(dict(body), name=name)

    async def start(self, name: str) -> None:
        """Start a container; one that runs goes on."""
        with self._said():
            await self._docker.containers.container(name).start()

    async def stop(self, name: str, grace: int) -> None:
        """Send SIGTERM and, after `grace` seconds, SIGKILL; return when it has ended."""
        with self._said(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_MODIFIED):
            container = self._docker.containers.container(name)
            await container.stop(t=grace, timeout=patient(ANSWER_SECONDS + grace))

    async def remove(self, name: str) -> None:
        """Remove a container and its anonymous volumes, whatever it does."""
        for each in (name + _VOLUMES, name):  # the former where a client died at its volumes
            with self._said(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                container = self._docker.containers.container(each)
                await container.delete(force=True, v=True, timeout=patient())

    async def has_image(self, image: str) -> bool:
        """Whether an image is there."""
        try:
            with self._said():
                await self._docker.images.inspect(image)
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    async def pull(self, image: str, tell: Callable[[Mapping[str, Any]], None]) -> None:
        """Pull an image, with the credentials of the docker command. Raises DaemonError.

        `tell` is handed what the daemon tells of each layer meanwhile.
        """
        found = await credentials_for(image)
        try:
            with self._said():
                pull = self._docker.images.pull(found.image, auth=found.auth, stream=True)
                async for told in pull:
                    tell(told)
        except DaemonError as error:
            if not found.trouble:
                raise
            raise DaemonError(error.code, f"{error}; {found.trouble}") from error

    async def log_tail(self, name: str, lines: int | None = LOG_LINES) -> bytes:
        """Return the last lines of a container's log; None: all of it.

        The daemon counts each 16 KiB of a longer line as a line.
        """
        tail = "all" if lines is None else lines
        return b"".join([piece async for piece in self._log(name, tail=tail)])

    async def logs(self, name: str, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield a container's log byte for byte; with `follow` to its end, across restarts.

        Raises:
            DaemonError: there is no such container, or its log cannot be read.
            LogLost: a part of it can no longer be read.
            NoDaemon: the daemon does not answer, where the log is not followed.
        """
        if not follow:
            async for piece in self._log(name, follow=False):
                yield piece
            return

        async def begin() -> Position:
            return Bytes() if await self._has_terminal(name) else Entries()

        read, has_ended = partial(self._batches, name), partial(self._has_ended, name)
        async for piece in to_its_end(read, has_ended, begin):
            yield piece

    async def log_records(
        self, name: str, since: str = "", *, follow: bool = True
    ) -> AsyncIterator[LogRecord]:
        """Yield a container's log until it has ended.

        Args:
            name: the container's.
            since: the time, in the daemon's form, of the first record to yield; all by default.
            follow: whether to wait for what the container has not written yet.

        Raises:
            NoDaemon: the connection broke.
        """
        read = records_of_terminal if await self._has_terminal(name) else records_of
        params = {"stdout": True, "stderr": True, "timestamps": True, "follow": follow}
        limit = patient(None if follow else ANSWER_SECONDS)
        with self._said():
            async with self._docker._query(  # noqa: SLF001
                f"containers/{name}/logs", params=params | {"since": unix(since)}, timeout=limit
            ) as response:
                async for record in read(response.content):
                    yield record

    async def _log(self, name: str, **asked: Any) -> AsyncIterator[bytes]:
        """Yield a log as it comes, piece by piece."""
        async for batch in self._batches(name, **asked):
            for piece in batch:
                yield piece

    async def _batches(self, name: str, **asked: Any) -> AsyncIterator[list[bytes]]:
        """Yield the pieces of a log as they come.

        The library's own ways to read one drop bytes, keep all of it, or take a connection that
        breaks for the end of the log.
        """
        params = {"stdout": True, "stderr": True, **asked}
        raw = await self._has_terminal(name)
        limit = patient(None if asked.get("follow") else ANSWER_SECONDS)
        with self._said():
            path = f"containers/{name}/logs"
            async with self._docker._query(  # noqa: SLF001
                path, params=params, timeout=limit
            ) as response:
                chunks = response.content.iter_any()
                if not raw:
                    async for entries in in_entries(chunks):
                        yield entries
                else:
                    async for chunk in chunks:
                        yield [chunk]

    async def _has_ended(self, name: str) -> bool | None:
        """Return whether a container has ended; None where there is none of that name."""
        found = await self.inspect(name)
        return None if found is None else has_ended(found)

    async def _has_terminal(self, name: str) -> bool:
        with self._said():
            found = await self._docker.containers.container(name).show()
        return found["Config"]["Tty"] is True

    async def has_run(self, name: str) -> bool:
        """Whether there is a container of that name that has run, or runs."""
        found = await self.inspect(name)
        return found is not None and _has_run(found)

    async def end_of_file(self, name: str, path: str, limit: int) -> bytes:
        """Return the last bytes of a file of a container, ended or not; empty: there is none."""
        asked = {"path": path}
        try:
            with self._said():
                # The library's own way to read one keeps all of it.
                async with self._docker._query(  # noqa: SLF001
                    f"containers/{name}/archive", params=asked, timeout=patient()
                ) as response:
                    return await end_of_file(response.content, limit)
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return b""
            raise

    async def write_empty_file(self, name: str, path: str) -> None:
        """Put an empty file that anybody may write, and its folders, into a container."""
        await self._put(name, empty_file(path))

    async def open_volumes(self, name: str, image: str, volumes: Mapping[str, str]) -> None:
        """Let anybody write into volumes of a container that has not started.

        It is done through another container that shares them, for the root of the first may be
        read-only; that one never starts, and goes at once.

        Args:
            name: the container's.
            image: an image that is there.
            volumes: their names, by where they are mounted.
        """
        as_they_are = {"Type": "volume", "VolumeOptions": {"NoCopy": True}}
        mounts = [
            {**as_they_are, "Source": volume, "Target": path} for path, volume in volumes.items()
        ]
        async with self._beside(name, image, mounts) as other:
            await self._put(other, open_folders(volumes))

    async def ensure_file(self, name: str, image: str, path: str) -> None:
        """Create an empty file on the daemon's machine, unless there is something at its path.

        Args:
            name: the container that is to have it.
            image: an image that is there.
            path: the file's, in a folder that is there.
        """
        try:
            async with self._beside(name, image, [{**_BIND, "Source": path}]):
                return
        except DaemonError as error:
            if NO_SUCH_SOURCE not in str(error):
                raise
        folder, _, file = path.rpartition("/")
        async with self._beside(name, image, [{**_BIND, "Source": folder or "/"}]) as other:
            await self._put(other, new_file(f"{_FOLDER}/{file}"))

    async def mode_of(self, name: str, path: str) -> int | None:
        """Return the mode bits, in Go's numbers, of what a container has at a path.

        A mount is looked at as it is on the daemon's machine, whether or not the container runs.
        None where there is nothing, or the daemon cannot look.
        """
        try:
            with self._said():
                async with self._docker._query(  # noqa: SLF001
                    f"containers/{name}/archive", "HEAD", params={"path": path}, timeout=patient()
                ) as response:
                    stat = response.headers.get("X-Docker-Container-Path-Stat", "")
            return number(mapping(json.loads(base64.b64decode(stat))).get("mode"))
        except (DaemonError, ValueError):  # the library looks for a reason, and a HEAD has none
            return None

    @asynccontextmanager
    async def _beside(
        self, name: str, image: str, mounts: Sequence[Mapping[str, Any]]
    ) -> AsyncIterator[str]:
        """Create another container that never starts, for what it mounts; yield its name."""
        other = name + _VOLUMES
        body: dict[str, Any] = {
            "Image": image, "Cmd": ["true"], "HostConfig": {"Mounts": list(mounts)}
        }  # fmt: skip
        try:
            for _ in range(2):
                try:
                    with self._said():
                        await self._docker.containers.create(body, name=other)
                    break
                except DaemonError as error:
                    if error.code != HTTPStatus.CONFLICT:
                        raise
                    await self._remove_other(other)  # of a client that died here
            yield other
        finally:
            await self._remove_other(other)

    async def _remove_other(self, other: str) -> None:
        with self._said(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            await self._docker.containers.container(other).delete(timeout=patient())

    async def _put(self, name: str, archive: bytes) -> None:
        with self._said():
            container = self._docker.containers.container(name)
            await container.put_archive("/", archive)  # type: ignore[no-untyped-call]

    async def events(self, label: str, since: float) -> AsyncIterator[Mapping[str, Any]]:
        """Yield what happens to containers that carry a label, until the daemon goes away.

        Args:
            label: as KEY=VALUE.
            since: what has happened from then on is told, too (seconds of Unix time), so that
                nothing falls between a look and the first word.
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
    def _said(self) -> Iterator[None]:
        """Turn the library's errors into ours."""
        try:
            yield
        except DockerError as error:
            if error.status == _NO_ANSWER:
                raise NoDaemon(silence(self.address, error)) from error
            raise DaemonError(error.status, " ".join(error.message.split())) from error
        except (TimeoutError, aiohttp.ClientError, OSError, EOFError) as error:
            connected = not isinstance(error, aiohttp.ConnectionTimeoutError)
            if connected and isinstance(error, TimeoutError):
                raise NoDaemon(unanswered(self.address)) from error
            raise NoDaemon(silence(self.address, error)) from error


def _has_run(found: Mapping[str, Any]) -> bool:
    return bool(mapping(found.get("State")).get("Status") != "created")


@contextmanager
def _tolerated(*codes: int) -> Iterator[None]:
    try:
        yield
    except DockerError as error:
        if error.status not in codes:
            raise
