"""Pure functions that parse DockerOperator's parameters and results as docker-py does."""

import ast
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

from taskruns_airflow.connection import DockerAccess

_DEFAULT_SOCKET = "var/run/docker.sock"
_SCHEMES = ("unix://", "tcp://", "http://", "https://")


def docker_access(arguments: Mapping[str, Any]) -> DockerAccess:
    """Return the settings of the daemon that the arguments name; None where they name nothing."""
    check_hostname = arguments["tls_hostname"]
    return DockerAccess(
        url=daemon_url(arguments["docker_url"]),
        tls_ca_cert=arguments["tls_ca_cert"] or None,
        tls_client_cert=arguments["tls_client_cert"] or None,
        tls_client_key=arguments["tls_client_key"] or None,
        tls_hostname=None if check_hostname == "" else check_hostname,
    )


def daemon_url(urls: str | Sequence[str] | None) -> str | None:
    """Return the daemon's URL, given in any form that docker-py accepts; None if none is given."""
    url = urls if isinstance(urls, str) else next(iter(urls or ()), None)
    if not url:
        return None
    if url.startswith("http+unix://"):
        url = url.removeprefix("http+")
    if url.startswith("unix://"):
        return f"unix:///{url.removeprefix('unix://').lstrip('/') or _DEFAULT_SOCKET}"
    return url if "://" in url else f"tcp://{url}"


def refused_daemons(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each unsupported argument about the daemon."""
    named = arguments["docker_url"]
    urls = [named] if isinstance(named, str | None) else named
    if not isinstance(urls, list | tuple) or not all(isinstance(url, str | None) for url in urls):
        yield "docker_url: write the daemon's URL, such as unix:///var/run/docker.sock"
        return
    if isinstance(named, list | tuple) and len(named) > 1:
        yield "docker_url: write exactly one address"
    url = daemon_url(named) or ""
    if url.startswith("ssh://"):
        yield (
            "docker_url: ssh:// is not supported; forward the daemon's socket with `ssh -L`, and "
            "write its unix:// address"
        )
    elif url and not url.startswith(_SCHEMES):
        yield (
            f"docker_url {url!r}: unknown scheme; write unix:// with a socket, or tcp:// with a "
            "host and port"
        )
    if not arguments["tls_verify"] and arguments["tls_ca_cert"]:
        yield "tls_verify: False is not supported; set tls_ca_cert to the CA of the daemon"
    if isinstance(arguments["tls_hostname"], str) and arguments["tls_hostname"]:
        yield "tls_hostname: write False if the daemon's certificate is for another host name"


_FIRST_PIECES = 8
_PIECES_FACTOR = 8
"""Number of log pieces in the first read of a log's end, and the factor by which each further read
grows; a line of more than 16 KiB consists of several pieces."""


def lines_of(log: bytes) -> list[str] | None:
    """Return the lines of a whole log without trailing white space; None if there are none."""
    lines = log.decode(errors="replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip() for line in lines] or None


def last_line(read_end: Callable[[int], bytes | None]) -> str | None:
    """Return the complete last line of a log without trailing white space; None without a line.

    Args:
        read_end: Returns the given number of pieces at the end of the log, where a piece is at
            most a line; returns None if the log cannot be read.
    """
    count, before, end = _FIRST_PIECES, -1, read_end(_FIRST_PIECES)
    while end and b"\n" not in end[:-1] and len(end) > before:
        before, count = len(end), count * _PIECES_FACTOR
        end = read_end(count)
    if not end:
        return None
    return end.removesuffix(b"\n").rpartition(b"\n")[2].decode(errors="replace").rstrip()


TEMPLATE_FILES = (".sh", ".bash", ".env")
"""File name extensions of template files, the same as DockerOperator's."""

_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MARKS = ("{{", "{%", "{#")


def is_templated(value: Any) -> bool:
    """Whether the value of a template field is known only when the task runs.

    True for Jinja, for the name of a template file and for another task's output (XComArg), also
    inside lists, tuples, sets and mappings.
    """
    if isinstance(value, str):
        return value.endswith(TEMPLATE_FILES) or any(mark in value for mark in _MARKS)
    if isinstance(value, Mapping):
        return any(map(is_templated, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(is_templated, value))
    resolves = hasattr(value, "resolve") and not isinstance(value, PathLike)
    return resolves or callable(value)


def words_of(name: str, value: Any) -> list[str] | None:
    """Return the words of a command; None if none is given.

    A string is split as a shell does. A string that begins with `[` is read as a Python list.
    """
    if value is None:
        return None
    if isinstance(value, str):
        is_list = value.strip().startswith("[")
        try:
            value = ast.literal_eval(value.strip()) if is_list else shlex.split(value)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{name}: {error}; write a list of strings") from None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: {_type(value)}; write a string or a list of strings")  # noqa: TRY004
    return [str(word) for word in value]


def bytes_of(name: str, value: Any) -> int:
    """Return a size in bytes, as docker-py's `parse_bytes` does; 0 means that none is set."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name}: {_type(value)}; {_SIZES}")  # noqa: TRY004
    try:
        size = int(_bytes_in(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} {value!r}: {_SIZES}") from None
    if size < 0:
        raise ValueError(f"{name} {value!r}: {_SIZES}")
    return size


_SIZES = "write a number of bytes, 512m or 2g"


def _bytes_in(text: str) -> float:
    """Read `512m`, `1.5g`, `64kb` or `1024`; units are powers of 1024."""
    if not text:
        return 0
    if text[-2:-1].isalpha() and text[-1] in "bB":
        text = text[:-1]
    suffix = text[-1].lower()
    if suffix.isdigit():
        return float(text)
    if suffix not in _UNITS:
        raise ValueError(text)
    return float(text[:-1]) * _UNITS[suffix]


def shares_of(cpus: Any) -> int:
    """Return the CPU shares of a number of CPUs; 0 means that none are set."""
    if not isinstance(cpus, int | float):
        raise ValueError(f"cpus: {_type(cpus)}; write a number, such as 0.5")  # noqa: TRY004
    try:
        shares = round(cpus * 1024)
    except (ValueError, OverflowError):
        shares = -1
    if shares < 0:
        raise ValueError(f"cpus {cpus!r}: write a number, such as 0.5")
    return shares


def texts_of(name: str, value: Any) -> list[str]:
    """Return a list of strings; empty if none is given."""
    if isinstance(value, str) and value:
        raise ValueError(f"{name} {value!r}: write a list: [{value!r}]")
    texts = list(value) if isinstance(value, Iterable) else [value] if value else []
    if not all(isinstance(each, str) for each in texts):
        raise ValueError(f"{name}: {_type(value)}; write a list of strings")
    return texts


def text_of(name: str, value: Any) -> str:
    """Return a string; empty if none is given."""
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError(f"{name}: {_type(value)}; write a string")


def hosts_of(value: Any) -> dict[str, str]:
    """Return addresses by host name, given as a mapping or as a list of `name:address`."""
    if not value:
        return {}
    pairs = value.items() if isinstance(value, Mapping) else _pairs("extra_hosts", value)
    hosts = dict(pairs)
    if not all(isinstance(each, str) for pair in hosts.items() for each in pair):
        raise ValueError("extra_hosts: write names and addresses as strings")
    return hosts


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, Sequence) and not isinstance(value, str) else [None]:
        host, colon, address = each.partition(":") if isinstance(each, str) else ("", "", "")
        if not (host and colon and address):
            raise ValueError(f"{name}: write a dict of host names to addresses")
        yield host, address


def labels_of(value: Any) -> dict[str, str]:
    """Return labels, given as a mapping or as a list of names."""
    if not value:
        return {}
    pairs = value if isinstance(value, Mapping) else dict.fromkeys(texts_of("labels", value))
    for name, label in pairs.items():
        if not isinstance(name, str) or not isinstance(label, str | None):
            raise ValueError(  # noqa: TRY004
                f"labels {name}: write strings, such as {{{name!r}: '1'}}"
            )
    return {name: label or "" for name, label in pairs.items()}


def _type(value: object) -> str:
    return f"is of type {type(value).__name__}"
