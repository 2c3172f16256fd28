"""Connecting to a Docker daemon: client, timeouts, and error messages with advice."""

from urllib.parse import urlsplit

import aiohttp
from aiodocker import Docker, DockerError

from taskruns.engines.docker.host import DaemonAddress
from taskruns.engines.engine import Unavailable

SSH = "ssh://"

_NEEDS_TLS = (
    "it requires TLS: set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or the files in the Airflow "
    "connection"
)


def ssh_message(url: str) -> str:
    """Return the error message for an ssh:// URL, with the command to use instead.

    The client library's ssh support is not used, because it passes every environment variable of
    this process to the other machine.
    """
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]  # the message must not contain the password
    address = f"{SSH}{user}@{host}" if user else f"{SSH}{host}"
    socket = parts.path if parts.path.strip("/") else "/run/docker.sock"
    return (
        f"cannot connect to the Docker daemon at {address}: {SSH} is not supported. Forward its "
        f"socket (`ssh -N -L ~/docker.sock:{socket} {address}`) and write its path, as "
        "unix:///home/..., into DOCKER_HOST or the Airflow connection"
    )


def no_daemon(address: str, error: Exception, *, is_connected: bool = False) -> "NoDaemon":
    """Return the error for a failed request, with advice.

    Args:
        address: URL of the daemon.
        error: Error of the client library.
        is_connected: Whether the daemon accepted the request and then did not respond.
    """
    errors = f"{error} {error.__cause__ or ''} {error.__context__ or ''}"
    if is_connected:
        message = (
            f"the Docker daemon at {address} accepts requests but does not respond: read its log "
            "(`journalctl -u docker`), or restart it"
        )
    elif "Permission denied" in errors:
        message = (
            f"no permission to use the Docker daemon at {address}: join the group docker, or have "
            "an authorised user run the command"
        )
    elif "certificate" in errors.lower():
        message = (
            f"the TLS connection to the Docker daemon at {address} failed ({error}): check the "
            "certificates and the name of the host"
        )
    else:
        message = (
            f"cannot connect to the Docker daemon at {address}: start Docker, install it "
            "(https://docs.docker.com/get-docker/), or set DOCKER_HOST to its address"
        )
    return NoDaemon(message)


def unusable_daemon(address: str, error: Exception) -> "NoDaemon":
    """Return the error for a response that is not that of a Docker daemon."""
    if isinstance(error, ValueError):  # from an invalid URL or invalid JSON
        return NoDaemon(
            f"there is no Docker daemon at {address} ({error}): set DOCKER_HOST to its address"
        )
    why = _NEEDS_TLS if "HTTPS server" in str(error) else str(error)
    return NoDaemon(f"the Docker daemon at {address} rejects the connection: {why}")


_CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""Timeout of requests that are not long-running, in seconds."""


class NoDaemon(Unavailable):
    """No daemon is configured, or it does not respond; the message says what to do."""


def timeouts(seconds: float | None = ANSWER_SECONDS) -> aiohttp.ClientTimeout:
    """Return the timeouts of a request.

    Args:
        seconds: Longest time without data, in seconds; None: without limit.
    """
    return aiohttp.ClientTimeout(connect=_CONNECT_SECONDS, sock_read=seconds)


def connect(endpoint: DaemonAddress) -> Docker:
    """Return a client of a daemon, without sending a request.

    Raises:
        NoDaemon: No daemon is configured, or its configuration cannot be used.
    """
    try:
        context = endpoint.ssl_context()
    except OSError as error:  # includes ssl.SSLError
        raise NoDaemon(
            f"the TLS files for the Docker daemon at {endpoint.url} cannot be used ({error}): "
            "set DOCKER_CERT_PATH, or the files in the Airflow connection"
        ) from error
    try:
        if (url := endpoint.address or _url_of_context()).startswith(SSH):
            raise NoDaemon(ssh_message(url))
        return Docker(endpoint.address, timeout=timeouts(), ssl_context=context)
    except (DockerError, ValueError, AssertionError, OSError) as error:
        raise NoDaemon(
            f"no Docker daemon is configured{_why(error)}: start Docker, install it "
            "(https://docs.docker.com/get-docker/), or set DOCKER_HOST to its address"
        ) from error


def _url_of_context() -> str:
    """Return the daemon's URL in the current context of the docker command, or ""."""
    context = Docker._get_docker_context_endpoint()  # noqa: SLF001 - the library uses the same
    return context.host if context is not None else ""


def _why(error: Exception) -> str:
    return f" ({error})" if str(error) else ""
