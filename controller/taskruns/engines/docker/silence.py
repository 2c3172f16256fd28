"""Why there is no daemon to talk to, and what to do about it. Pure."""

from urllib.parse import urlsplit

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
