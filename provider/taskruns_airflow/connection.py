"""The connection type `taskruns`: what it can say, as a form shows it and as a hook reads it."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

CONNECTION_TYPE = "taskruns"
DEFAULT_CONNECTION = "taskruns_default"

KUBERNETES, DOCKER = "kubernetes", "docker"
ENGINES = (KUBERNETES, DOCKER)

FIELDS = {
    "engine": "Where TaskRuns run: kubernetes (the default) or docker",
    "namespace": "Namespace",
    "kubernetes_conn_id": "Cluster: a connection of type kubernetes",
    "dashboard": "Dashboard, such as https://example.com/{namespace}/{name}",
    "url": "Docker: daemon, such as unix:///run/docker.sock or tcp://host:2376",
    "state_directory": "Docker: folder of the runs, shared by workers and triggerers",
    "tls_ca_cert": "Docker: file with the authority of the daemon's certificate (TLS)",
    "tls_client_cert": "Docker: file with our certificate",
    "tls_client_key": "Docker: file with its key",
}
"""What the form asks for, and its words; all of it goes into the connection's extra."""


def form_fields() -> dict[str, Any]:
    """Return the form's fields as Airflow's provider_info.schema.json has them."""
    told: dict[str, Any] = {
        name: {"label": label, "schema": {"type": ["string", "null"]}}
        for name, label in FIELDS.items()
    }
    told["engine"]["schema"]["enum"] = [*ENGINES, None]
    return told


@dataclass(frozen=True, slots=True)
class DockerAccess:
    """Which Docker host is meant, as far as a task says it itself; files are named by path."""

    url: str | None = None
    state_directory: str | None = None
    tls_ca_cert: str | None = None
    tls_client_cert: str | None = None
    tls_client_key: str | None = None
    tls_hostname: bool | None = None
    """False: the daemon's certificate may be for another host."""

    @property
    def told(self) -> dict[str, Any]:
        """What is said, by its name in a connection's extra."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster or host is meant, as far as it was said; what is None, the connection says."""

    taskruns_conn_id: str = DEFAULT_CONNECTION
    kubernetes_conn_id: str | None = None
    in_cluster: bool | None = None
    config_file: str | None = None
    cluster_context: str | None = None
    default_engine: str = KUBERNETES
    """Where the connection names none."""
    docker: DockerAccess = field(default_factory=DockerAccess)
    """Whatever is said here means Docker."""

    def to_json(self) -> dict[str, Any]:
        """Return the parts as a trigger is given them."""
        return asdict(self)

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Self:
        """Read what `to_json` has written."""
        return cls(**{**told, "docker": DockerAccess(**told.get("docker", {}))})
