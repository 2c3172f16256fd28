"""The Docker daemon: the few requests that a node makes of it, and what its silence means."""

import io
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, Self

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.multiplexed import MultiplexedResult

from taskruns.core.wire import mapping, text
from taskruns.engines.docker.credentials import credentials_for
from taskruns.engines.docker.endpoint import Endpoint
from taskruns.engines.docker.log import in_lines, to_its_end, unix
from taskruns.engines.docker.silence import BEHIND_TLS, SSH, over_ssh, silence
from taskruns.engines.port import EngineError, Unavailable

_NO_ANSWER = 900
"""What the client library reports in place of an HTTP code."""
_CONNECT_SECONDS = 10.0
_FOR_ANYBODY = 0o666
LOG_LINES = 80
"""Lines of a log's end that are looked at for a container's last words, as the kubelet does."""


class DaemonError(EngineError):
    """The daemon said no; `code` is HTTP's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoDaemon(Unavailable):
    """There is no daemon to talk to; the message says what to do."""


class Daemon:
    """A connection to one daemon, found as the docker command finds it unless its URL is given."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self.address = docker._connection_info  # noqa: SLF001 - what it was opened with
        self.local = self.address.startswith("unix://")
        """Whether the daemon can see this machine's files."""

    @classmethod
    @asynccontextmanager
    async def open(cls, at: Endpoint | str | None = None) -> AsyncIterator[Self]:
        """Open a connection.

        Args:
            at: an endpoint or its URL, such as unix:///run/docker.sock; by default DOCKER_HOST,
                the current context of the docker command, or the usual socket.

        Raises:
            NoDaemon: none is configured, or it does not answer.
        """
        endpoint = (at if isinstance(at, Endpoint) else Endpoint(at)).found()
        async with _client(endpoint) as docker:
            daemon = cls(docker)
            await daemon.check()
            yield daemon

    async def check(self) -> str:
        """See that the daemon answers; return its version. Raises NoDaemon."""
        try:
            with self._said():
                return text((await self._docker.version()).get("Version"))
        except DaemonError as error:
            why = BEHIND_TLS if "HTTPS server" in str(error) else str(error)
            raise NoDaemon(f"what answers at {self.address} is no use: {why}") from error
        except ValueError as error:  # of what is no URL, or no JSON
            raise NoDaemon(
                f"{self.address} is no use ({error}): set DOCKER_HOST to where Docker is"
            ) from error

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
            await self._docker.containers.container(name).stop(t=grace)

    async def remove(self, name: str) -> None:
        """Remove a container and its anonymous volumes, whatever it does."""
        with self._said(), _tolerated(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            await self._docker.containers.container(name).delete(force=True, v=True)

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
        with self._said():
            async for told in self._docker.images.pull(found.image, auth=found.auth, stream=True):
                tell(told)

    async def log_tail(self, name: str) -> bytes:
        """Return the last lines of a container's log."""
        return b"".join([piece async for piece in self._log(name, tail=LOG_LINES)])

    async def logs(self, name: str, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield a container's log, piece by piece and byte for byte; with `follow` to its end."""
        read = partial(self._log, name)
        whole = follow and not await self._has_terminal(name)
        async for piece in to_its_end(read) if whole else read(follow=follow):
            yield piece

    async def log_lines(self, name: str, since: str = "") -> AsyncIterator[bytes]:
        """Yield a container's log until it has ended, each line after its time.

        A line of more than 16 KiB comes in pieces, each after a time of its own, as the daemon
        keeps it.

        Args:
            name: the container's.
            since: the time, in the daemon's form, of the first line to yield; all by default.
        """
        async for line in in_lines(
            self._log(name, follow=True, timestamps=True, since=unix(since))
        ):
            yield line

    async def _log(self, name: str, **asked: Any) -> AsyncIterator[bytes]:
        """Yield a log as it comes; the library's own ways to read one drop bytes, or keep all."""
        params = {"stdout": True, "stderr": True, **asked}
        raw = await self._has_terminal(name)
        with self._said():
            path = f"containers/{name}/logs"
            async with self._docker._query(path, params=params) as response:  # noqa: SLF001
                pieces = MultiplexedResult(response, raw=raw)  # type: ignore[no-untyped-call]
                async for piece in pieces:
                    yield piece

    async def _has_terminal(self, name: str) -> bool:
        with self._said():
            found = await self._docker.containers.container(name).show()
        return found["Config"]["Tty"] is True

    async def has_run(self, name: str) -> bool:
        """Whether there is a container of that name that has run, or runs."""
        found = await self.inspect(name)
        return found is not None and _has_run(found)

    async def read_file(self, name: str, path: str) -> bytes:
        """Return the content of a file of a container, ended or not; empty where there is none."""
        try:
            with self._said():
                archive = await self._docker.containers.container(name).get_archive(path)
        except DaemonError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return b""
            raise
        with archive:
            member = next(iter(archive.getmembers()), None)
            content = archive.extractfile(member) if member is not None else None
            return content.read() if content is not None else b""

    async def write_empty_file(self, name: str, path: str) -> None:
        """Put an empty file that anybody may write, and its folders, into a container."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for folder in reversed(PurePosixPath(path).parents[:-1]):
                entry = tarfile.TarInfo(str(folder).lstrip("/"))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.mode = _FOR_ANYBODY
            archive.addfile(entry, io.BytesIO())
        with self._said():
            await self._docker.containers.container(name).put_archive(  # type: ignore[no-untyped-call]
                "/", buffer.getvalue()
            )

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
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise NoDaemon(silence(self.address, error)) from error


def _client(endpoint: Endpoint) -> Docker:
    try:
        context = endpoint.ssl_context()
    except OSError as error:  # ssl's own, too
        raise NoDaemon(
            f"the TLS files for Docker at {endpoint.url} are of no use ({error}): name others by "
            "DOCKER_CERT_PATH, or in the connection"
        ) from error
    timeout = aiohttp.ClientTimeout(connect=_CONNECT_SECONDS)
    try:
        if (url := endpoint.address or _url_of_context()).startswith(SSH):
            raise NoDaemon(over_ssh(url))
        return Docker(endpoint.address, timeout=timeout, ssl_context=context)
    except (DockerError, ValueError, AssertionError, OSError) as error:
        raise NoDaemon(
            f"no Docker daemon is configured{_why(error)}: start Docker, or set DOCKER_HOST"
        ) from error


def _url_of_context() -> str:
    """Return where the docker command's context says that the daemon is, if it says so."""
    context = Docker._get_docker_context_endpoint()  # noqa: SLF001 - as the library will find it
    return context.host if context is not None else ""


def _why(error: Exception) -> str:
    return f" ({error})" if str(error) else ""


def _has_run(found: Mapping[str, Any]) -> bool:
    return bool(mapping(found.get("State")).get("Status") != "created")


@contextmanager
def _tolerated(*codes: int) -> Iterator[None]:
    try:
        yield
    except DockerError as error:
        if error.status not in codes:
            raise
