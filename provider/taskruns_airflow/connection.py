"""The connection type `taskruns`: its settings, as the form shows them and the hook reads them."""

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
"""Fields of the connection's form with their labels; all are stored in the connection's extra."""


def form_fields() -> dict[str, Any]:
    """Return the form's fields in the form of Airflow's provider_info.schema.json."""
    form: dict[str, Any] = {
        name: {"label": label, "schema": {"type": ["string", "null"]}}
        for name, label in FIELDS.items()
    }
    form["engine"]["schema"]["enum"] = [*ENGINES, None]
    return form


@dataclass(frozen=True, slots=True)
class DockerAccess:
    """Settings of a Docker host that the task itself gives; files are named by path."""

    url: str | None = None
    state_directory: str | None = None
    tls_ca_cert: str | None = None
    tls_client_cert: str | None = None
    tls_client_key: str | None = None
    tls_hostname: bool | None = None
    """Whether the daemon's certificate must match its host name."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that are not None, by their names in a connection's extra."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Access:
    """Choice of a cluster or host by the task; fields that are None are left to the connection."""

    taskruns_conn_id: str = DEFAULT_CONNECTION
    kubernetes_conn_id: str | None = None
    in_cluster: bool | None = None
    config_file: str | None = None
    cluster_context: str | None = None
    default_engine: str = KUBERNETES
    """Engine for a connection that names none."""
    docker: DockerAccess = field(default_factory=DockerAccess)
    """Settings of the Docker host; setting any of them selects the Docker engine."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-compatible arguments of a trigger."""
        return asdict(self)

    @classmethod
    def of_json(cls, serialized: dict[str, Any]) -> Self:
        """Read the output of `to_json`."""
        return cls(**{**serialized, "docker": DockerAccess(**serialized.get("docker", {}))})
