"""Docker host as clients use it: daemon address, state directory, and the runs in it."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskruns.clock import Clock
from taskruns.core.defaults import SiteDefaults
from taskruns.core.unstructured import Object
from taskruns.engines.docker.container import NO_SECRETS, Secrets
from taskruns.engines.docker.state_file import StateError, StateFile, records

_PLAIN = ("tcp://", "http://")
_SECURE = "https://"
_OVER_TCP = (*_PLAIN, _SECURE)


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """URL of a daemon, and the PEM files for TLS.

    Fields that are None default as in the docker command: the URL comes from DOCKER_HOST or the
    current context. If DOCKER_TLS_VERIFY is set, the files come from DOCKER_CERT_PATH or ~/.docker.
    """

    url: str | None = None
    """URL, such as unix:///run/docker.sock or tcp://host:2376."""
    ca_cert: str | None = None
    """File with the CA certificate of the daemon's certificate; setting it enables TLS."""
    client_cert: str | None = None
    client_key: str | None = None
    check_hostname: bool = True
    """Whether the daemon's certificate must match the host in `url`."""

    def found(self) -> "DaemonAddress":
        """Return a copy in which environment variables fill in missing fields."""
        address = replace(self, url=self.url or os.environ.get("DOCKER_HOST") or None)
        with_tls = os.environ.get("DOCKER_TLS_VERIFY") and (address.url or "").startswith(_OVER_TCP)
        if not with_tls or address.ca_cert is not None:
            return address
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        ca_cert, cert, key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
        if cert.exists():
            address = replace(address, client_cert=str(cert), client_key=str(key))
        return replace(address, ca_cert=str(ca_cert))

    @property
    def address(self) -> str | None:
        """URL to open; with TLS its scheme is https."""
        plain_scheme = next(
            (scheme for scheme in _PLAIN if (self.url or "").startswith(scheme)), None
        )
        if self.url is None or plain_scheme is None or self.ca_cert is None:
            return self.url
        return _SECURE + self.url.removeprefix(plain_scheme)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, or None without TLS or if the docker context provides it.

        Raises:
            ssl.SSLError: A file has invalid content.
            OSError: A file cannot be read.
        """
        if self.ca_cert is None:
            return None
        context = ssl.create_default_context(cafile=Path(self.ca_cert))
        context.check_hostname = self.check_hostname
        if self.client_cert is not None:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context


# ruff: noqa: PLC0415


if TYPE_CHECKING:
    from taskruns.engines.docker.daemon import Daemon
    from taskruns.engines.docker.follower import Follower

STATE_VARIABLE = "TASKRUNS_STATE_DIR"


def state_directory() -> Path:
    """Return the state directory: TASKRUNS_STATE_DIR, or a folder of XDG's state home."""
    if configured := os.environ.get(STATE_VARIABLE):
        return Path(configured)
    from platformdirs import user_state_path

    return user_state_path("taskruns") / "docker"


@dataclass(frozen=True, slots=True)
class Host:
    """State directory, daemon address and settings for running TaskRuns on a Docker host."""

    root: Path
    """State directory, shared by all clients of a daemon; each record names its daemon."""
    now: Clock
    endpoint: DaemonAddress = field(default_factory=DaemonAddress)
    site: SiteDefaults = field(default_factory=SiteDefaults)
    secrets: Secrets = NO_SECRETS

    def file(self, namespace: str, name: str) -> StateFile:
        """Return the state file of a run."""
        return StateFile(self.root, namespace, name)

    async def runs(self, namespace: str | None = None) -> list[Object]:
        """Return the TaskRuns of a namespace, or of all, as last recorded.

        Raises:
            StateError: The state directory, or a record in it, cannot be read.
        """
        runs, problems = await self.listing(namespace)
        if problems:
            raise StateError(problems[0])
        return runs

    async def listing(self, namespace: str | None = None) -> tuple[list[Object], list[str]]:
        """Return the TaskRuns whose records can be read, and the errors of the other records.

        Raises:
            StateError: The state directory cannot be read.
        """
        return await asyncio.to_thread(self._listing, namespace)

    def _listing(self, namespace: str | None) -> tuple[list[Object], list[str]]:
        runs: list[Object] = []
        problems: list[str] = []
        for file in records(self.root, namespace):
            try:
                run = file.load_run()
            except StateError as error:
                problems.append(str(error))
            else:
                runs += [run] if run is not None else []
        return runs, problems

    def daemon(self) -> "AbstractAsyncContextManager[Daemon]":
        """Open a connection to the daemon. Raises NoDaemon."""
        from taskruns.engines.docker.daemon import Daemon

        return Daemon.open(self.endpoint)

    @asynccontextmanager
    async def following(
        self, file: StateFile, daemon: "Daemon | None" = None
    ) -> "AsyncIterator[Follower]":
        """Open a follower of a run, and ensure that the garbage of other runs is collected.

        Args:
            file: State file of the run.
            daemon: Open connection to the daemon; None opens one.

        Raises:
            NoDaemon: The daemon does not answer.
            OfAnotherDaemon: The run belongs to another daemon.
        """
        from taskruns.engines.docker.follower import Follower
        from taskruns.engines.docker.gc import collect_in_background

        async with (
            nullcontext(daemon) if daemon is not None else self.daemon() as connected,
            Follower.open(file, connected, self.now, self.site, self.secrets) as follower,
            collect_in_background(self, connected, excluded=file),
        ):
            yield follower
