"""An environment without the settings of the user and of the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

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

    A kubeconfig or a Docker configuration in the user's home is then not found either.
    """
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    with mock.patch.dict(os.environ, kept | {"HOME": str(home)}, clear=True):
        yield
