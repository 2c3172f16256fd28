"""The Docker host that a connection names. Imported only where one does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import timezone  # type: ignore[attr-defined]

from taskruns.engines.docker.container import Given
from taskruns.engines.docker.endpoint import Endpoint
from taskruns.engines.docker.host import Host, state_directory
from taskruns_airflow.docker_client import DockerEdge


def docker_edge(settings: Mapping[str, Any], namespace: str) -> DockerEdge:
    """Return the way to a namespace of the host that a connection's settings describe."""
    root = settings.get("state_directory")
    endpoint = Endpoint(
        url=settings.get("url"),
        ca_cert=settings.get("tls_ca_cert"),
        client_cert=settings.get("tls_client_cert"),
        client_key=settings.get("tls_client_key"),
        check_hostname=settings.get("tls_hostname", True) is not False,
    )
    host = Host(
        root=Path(root) if root else state_directory(),
        now=timezone.utcnow,
        endpoint=endpoint,
        given=Given(secrets=_secrets(settings.get("secrets") or {})),
    )
    return DockerEdge(host, namespace)


def _secrets(told: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], str]:
    return {(name, key): str(value) for name, keys in told.items() for key, value in keys.items()}
