"""How DockerOperator's arguments name a daemon, in the engine's words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taskruns_airflow.connection import DockerAccess

_USUAL = "var/run/docker.sock"
_SCHEMES = ("unix://", "tcp://", "http://", "https://")


def docker_access(given: Mapping[str, Any]) -> DockerAccess:
    """Return the daemon that the arguments name, as far as they name one."""
    check_hostname = given["tls_hostname"]
    return DockerAccess(
        url=daemon_url(given["docker_url"]),
        tls_ca_cert=given["tls_ca_cert"] or None,
        tls_client_cert=given["tls_client_cert"] or None,
        tls_client_key=given["tls_client_key"] or None,
        tls_hostname=None if check_hostname == "" else check_hostname,
    )


def daemon_url(given: str | Sequence[str] | None) -> str | None:
    """Return the daemon's URL, in the forms that docker-py takes; None where none is named."""
    url = given if isinstance(given, str) else next(iter(given or ()), None)
    if not url:
        return None
    if url.startswith("http+unix://"):
        url = url.removeprefix("http+")
    if url.startswith("unix://"):
        return f"unix:///{url.removeprefix('unix://').lstrip('/') or _USUAL}"
    return url if "://" in url else f"tcp://{url}"


def refused_daemons(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot be had of the ways to a daemon."""
    named = given["docker_url"]
    if named is not None and not isinstance(named, str | list | tuple):
        yield "docker_url: write the daemon's URL, such as unix:///var/run/docker.sock"
        return
    if isinstance(named, list | tuple) and len(named) > 1:
        yield "docker_url: name one daemon: a run stays where it was begun"
    url = daemon_url(named) or ""
    if url.startswith("ssh://"):
        yield "docker_url ssh://: forward the daemon's socket with `ssh -L`, and name that: unix://"
    elif url and not url.startswith(_SCHEMES):
        yield f"docker_url {url!r}: write unix:// with a socket, or tcp:// with a host and port"
    if not given["tls_verify"] and given["tls_ca_cert"]:
        yield "tls_verify=False: name the authority of the daemon's certificate: tls_ca_cert"
    if isinstance(given["tls_hostname"], str) and given["tls_hostname"]:
        yield "tls_hostname: write False where the daemon's certificate is for another name"
