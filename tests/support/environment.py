"""An environment without the settings of the user and of the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SETTINGS = ("AIRFLOW_", "DOCKER_", "HELM_", "KUBE", "PIP_", "TASKRUN", "XDG_", "_TASKRUN")
"""Prefixes of variables that choose a cluster, a daemon, a folder or a default."""
_NAMES = frozenset(
    {
        *("COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
        *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"),
        *("SSL_CERT_DIR", "SSL_CERT_FILE"),
    }
)


def is_setting(variable: str) -> bool:
    """Return whether an environment variable can change what a program of ours does."""
    return variable.upper() in _NAMES or variable.startswith(_SETTINGS)


@contextmanager
def isolated(home: Path) -> Iterator[None]:
    """Remove all settings from the environment of this process, and set its home folder.

    A kubeconfig or a Docker configuration in the user's home is then not found either. The
    environment is restored, whatever the block changed. Only variables that differ are written:
    thousands of tests use this, and to write all of them takes a millisecond.
    """
    before = os.environ.copy()
    _set(
        {name: value for name, value in before.items() if not is_setting(name)}
        | {"HOME": str(home)}
    )
    try:
        yield
    finally:
        _set(before)


def _set(environment: dict[str, str]) -> None:
    current = os.environ.copy()
    for name in current.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if current.get(name) != value:
            os.environ[name] = value
