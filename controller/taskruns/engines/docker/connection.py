"""Why there is no daemon to talk to, and what to do about it. Pure."""

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
    """Say what to do instead of naming a daemon by ssh://.

    The client library's own way hands every variable of this process over to the other machine.
    """
    found = urlsplit(url)
    login, _, host = found.netloc.rpartition("@")
    user = login.partition(":")[0]  # no password is told
    place = f"{SSH}{user}@{host}" if user else f"{SSH}{host}"
    socket = found.path if found.path.strip("/") else "/run/docker.sock"
    return (
        f"Docker at {place} is not reached by {SSH}: forward its socket "
        f"(`ssh -N -L ~/docker.sock:{socket} {place}`) and name that, as unix:///home/..., in "
        "DOCKER_HOST or the connection"
    )


def silence(address: str, error: Exception) -> str:
    """Say why nothing answers."""
    said = f"{error} {error.__cause__ or ''} {error.__context__ or ''}"
    if "Permission denied" in said:
        return (
            f"no permission to use Docker at {address}: join the group docker, or let somebody "
            "who may run it"
        )
    if "certificate" in said.lower():
        return f"Docker at {address} is not trusted, or does not trust us: {error}"
    return f"Docker does not answer at {address}: start it, or set DOCKER_HOST to where it is"


def unanswered(address: str) -> str:
    """Say that something takes requests and leaves them at that."""
    return (
        f"Docker at {address} takes requests and does not answer them: look at its log "
        "(`journalctl -u docker`), or restart it"
    )


_CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""In which a daemon at work has answered whatever does not last by its nature."""


class NoDaemon(Unavailable):
    """There is no daemon to talk to; the message says what to do."""


def patient(seconds: float | None = ANSWER_SECONDS) -> aiohttp.ClientTimeout:
    """Return for how long a daemon may say nothing before it counts as gone; None: for ever."""
    return aiohttp.ClientTimeout(connect=_CONNECT_SECONDS, sock_read=seconds)


def connect(endpoint: DaemonAddress) -> Docker:
    """Return a client of a daemon; nothing has been asked of it yet.

    Raises:
        NoDaemon: none is configured, or not in a way that is of use.
    """
    try:
        context = endpoint.ssl_context()
    except OSError as error:  # ssl's own, too
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
    """Return where the docker command's context says that the daemon is, if it says so."""
    context = Docker._get_docker_context_endpoint()  # noqa: SLF001 - as the library will find it
    return context.host if context is not None else ""


def _why(error: Exception) -> str:
    return f" ({error})" if str(error) else ""
