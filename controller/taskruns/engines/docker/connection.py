"""Connecting to a Docker daemon: client, timeouts, and error messages with advice."""

from urllib.parse import urlsplit

import aiohttp
from aiodocker import Docker, DockerError

from taskruns.engines.docker.host import DaemonAddress
from taskruns.engines.engine import Unavailable

SSH = "ssh://"

BEHIND_TLS = (
    "it is behind TLS: set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or name the files in the "
    "connection"
)


def over_ssh(url: str) -> str:
    """Return the error message for an ssh:// URL, with the command to use instead.

    The client library's ssh support is not used, because it passes every environment variable of
    this process to the other machine.
    """
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]  # the message must not contain the password
    place = f"{SSH}{user}@{host}" if user else f"{SSH}{host}"
    socket = parts.path if parts.path.strip("/") else "/run/docker.sock"
    return (
        f"Docker at {place} is not reached by {SSH}: forward its socket "
        f"(`ssh -N -L ~/docker.sock:{socket} {place}`) and name that, as unix:///home/..., in "
        "DOCKER_HOST or the connection"
    )


def silence(address: str, error: Exception) -> str:
    """Return the error message for a failed connection."""
    errors = f"{error} {error.__cause__ or ''} {error.__context__ or ''}"
    if "Permission denied" in errors:
        return (
            f"no permission to use Docker at {address}: join the group docker, or let somebody "
            "who may run it"
        )
    if "certificate" in errors.lower():
        return f"Docker at {address} is not trusted, or does not trust us: {error}"
    return f"Docker does not answer at {address}: start it, or set DOCKER_HOST to where it is"


def unanswered(address: str) -> str:
    """Return the error message for a daemon that accepts requests but does not answer."""
    return (
        f"Docker at {address} takes requests and does not answer them: look at its log "
        "(`journalctl -u docker`), or restart it"
    )


_CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""Timeout of requests that are not long-running, in seconds."""


class NoDaemon(Unavailable):
    """No daemon is configured, or it does not answer; the message says what to do."""


def patient(seconds: float | None = ANSWER_SECONDS) -> aiohttp.ClientTimeout:
    """Return the timeouts of a request.

    Args:
        seconds: Longest time without data, in seconds; None: without limit.
    """
    return aiohttp.ClientTimeout(connect=_CONNECT_SECONDS, sock_read=seconds)


def connect(endpoint: DaemonAddress) -> Docker:
    """Return a client of a daemon, without sending a request.

    Raises:
        NoDaemon: No daemon is configured, or its configuration is not usable.
    """
    try:
        context = endpoint.ssl_context()
    except OSError as error:  # includes ssl.SSLError
        raise NoDaemon(
            f"the TLS files for Docker at {endpoint.url} are of no use ({error}): name others by "
            "DOCKER_CERT_PATH, or in the connection"
        ) from error
    try:
        if (url := endpoint.address or _url_of_context()).startswith(SSH):
            raise NoDaemon(over_ssh(url))
        return Docker(endpoint.address, timeout=patient(), ssl_context=context)
    except (DockerError, ValueError, AssertionError, OSError) as error:
        raise NoDaemon(
            f"no Docker daemon is configured{_why(error)}: start Docker, or set DOCKER_HOST"
        ) from error


def _url_of_context() -> str:
    """Return the daemon's URL in the current context of the docker command, or ""."""
    context = Docker._get_docker_context_endpoint()  # noqa: SLF001 - the library uses the same
    return context.host if context is not None else ""


def _why(error: Exception) -> str:
    return f" ({error})" if str(error) else ""
