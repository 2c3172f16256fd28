"""Paths of the cache and of each cluster's folder.

The cache contains everything that takes minutes to create. It is keyed by content, and all clusters
share it. A cluster's folder contains everything else of the cluster; once its processes have ended,
removing the folder removes the cluster.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.error import ClusterError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
# The kernel limits the path of a Unix socket to 108 bytes; the longest below a cluster has 40.
LONGEST_FOLDER = 66


def _base(environ: Mapping[str, str], variable: str, default: str) -> Path:
    value = environ.get(variable, "")
    home = Path(value) if value.startswith("/") else Path(environ.get("HOME", "/")) / default
    return (home / "taskruns").resolve()


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    return _base(environ, "XDG_CACHE_HOME", ".cache")


def state(environ: Mapping[str, str] = os.environ) -> Path:
    return _base(environ, "XDG_STATE_HOME", ".local/state")


def clusters(environ: Mapping[str, str] = os.environ) -> Path:
    return state(environ) / "clusters"


@dataclass(frozen=True)
class Place:
    """The folders and files of one cluster."""

    name: str
    folder: Path

    @classmethod
    def of(cls, name: str, environ: Mapping[str, str] = os.environ) -> "Place":
        if not NAME.fullmatch(name):
            raise ClusterError(
                f"{name!r} is not a valid cluster name: use up to 30 of a-z, 0-9 and inner dashes"
            )
        folder = clusters(environ) / name
        if len(str(folder)) > LONGEST_FOLDER:
            raise ClusterError(
                f"{folder} is too long for the paths of sockets below it (at most {LONGEST_FOLDER} "
                "characters): choose a shorter name, or set XDG_STATE_HOME to a shorter folder"
            )
        return cls(name, folder)

    @property
    def lock(self) -> Path:
        """Lock file beside the folder, so that it can be held while the folder is removed."""
        return self.folder.with_name(f".{self.name}.lock")

    @property
    def rubbish(self) -> Path:
        """Path of the folder during its removal, because a partial folder is not a cluster."""
        return self.folder.with_name(f".{self.name}.removed")

    def node_name(self, number: int = 0) -> str:
        """Return the Node name of a node; 0 is the node that every cluster has."""
        return f"{self.name}-node-{number}" if number else f"{self.name}-node"

    @property
    def simulated_node(self) -> str:
        """Name of the Node that kwok simulates."""
        return f"{self.name}-simulated"

    @property
    def slot(self) -> Path:
        return self.folder / "slot"

    @property
    def driver(self) -> Path:
        return self.folder / "driver"

    @property
    def kubernetes(self) -> Path:
        """File with the release of Kubernetes."""
        return self.folder / "kubernetes"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def tuning(self) -> Path:
        return self.folder / "tuning.json"

    @property
    def stages(self) -> Path:
        """Configuration of kwok, with the Stage objects of the simulated node."""
        return self.folder / "stages.yaml"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def audit_log(self) -> Path:
        return self.log / "audit.log"

    @property
    def etcd(self) -> Path:
        return self.folder / "etcd"


def all_names(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield the names of the clusters that have a folder, running or not."""
    folder = clusters(environ)
    if folder.is_dir():
        yield from sorted(each.name for each in folder.iterdir() if NAME.fullmatch(each.name))
