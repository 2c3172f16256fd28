"""How a daemon is connected to, and how long it may think about a request."""

import aiohttp
from aiodocker import Docker, DockerError

from taskruns.engines.docker.endpoint import Endpoint
from taskruns.engines.docker.silence import SSH, over_ssh
from taskruns.engines.engine import Unavailable

_CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""In which a daemon at work has answered whatever does not last by its nature."""


class NoDaemon(Unavailable):
    """There is no daemon to talk to; the message says what to do."""


def patient(seconds: float | None = ANSWER_SECONDS) -> aiohttp.ClientTimeout:
    """Return for how long a daemon may say nothing before it counts as gone; None: for ever."""
    return aiohttp.ClientTimeout(connect=_CONNECT_SECONDS, sock_read=seconds)


def connect(endpoint: Endpoint) -> Docker:
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
