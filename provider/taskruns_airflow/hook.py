"""The way to a cluster: Airflow connections and operator arguments, made into an open client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from os import environ
from pathlib import Path
from typing import Any, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from typing_extensions import override

from taskruns_airflow.api import Api

DEFAULT_CONNECTION = "taskruns_default"
DEFAULT_CLUSTER = "kubernetes_default"
"""The connection of Airflow's Kubernetes provider, which is used where it is defined."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_ELSEWHERE = {"in_cluster": None, "kube_config_path": None, "kube_config": None}
"""The ways in which a Kubernetes connection can name its cluster: one chosen rules out the rest."""


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster is meant, as far as it was said; what is None, the connection says."""

    taskruns_conn_id: str = DEFAULT_CONNECTION
    kubernetes_conn_id: str | None = None
    in_cluster: bool | None = None
    config_file: str | None = None
    cluster_context: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the parts as a trigger is given them."""
        return asdict(self)


class TaskRunHook(BaseHook):
    """Opens the way to the apiserver that a connection names.

    A connection of type `taskruns` has in its extra `kubernetes_conn_id`, an Airflow connection of
    type `kubernetes`, or that connection's own settings: `in_cluster`, `kube_config_path`,
    `kube_config`, `cluster_context`, `namespace`. Where it names no other connection, it goes over
    `kubernetes_default`, if that is defined; where nothing names a cluster, it is the one that
    Airflow itself runs in, or else the default kubeconfig's.
    """

    conn_name_attr = "taskruns_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = "taskruns"
    hook_name = "TaskRuns"

    def __init__(
        self,
        taskruns_conn_id: str = DEFAULT_CONNECTION,
        kubernetes_conn_id: str | None = None,
        *,
        in_cluster: bool | None = None,
        config_file: str | None = None,
        cluster_context: str | None = None,
    ) -> None:
        super().__init__()
        self.access = Access(
            taskruns_conn_id, kubernetes_conn_id, in_cluster, config_file, cluster_context
        )
        self._settings: dict[str, Any] | None = None

    @classmethod
    def of(cls, access: Access) -> Self:
        """Make the hook that an operator or a trigger describes."""
        return cls(
            access.taskruns_conn_id,
            access.kubernetes_conn_id,
            in_cluster=access.in_cluster,
            config_file=access.config_file,
            cluster_context=access.cluster_context,
        )

    @classmethod
    @override
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Leave the connection's form to its extra."""
        return {
            "hidden_fields": ["host", "schema", "login", "password", "port"],
            "relabeling": {},
            "placeholders": {"extra": '{"kubernetes_conn_id": "kubernetes_default"}'},
        }

    async def settings(self) -> dict[str, Any]:
        """Return the Kubernetes connection's settings, with what was said otherwise over them."""
        if self._settings is None:
            own = await _extra(self.access.taskruns_conn_id)
            if own.pop("engine", "kubernetes") != "kubernetes":
                raise ValueError(
                    f"connection {self.access.taskruns_conn_id}: engine: only kubernetes is known"
                )
            through = own.pop("kubernetes_conn_id", None) or DEFAULT_CLUSTER
            told = {**await _extra(self.access.kubernetes_conn_id or through), **own}
            self._settings = _over(told, self.access)
        return self._settings

    async def namespace(self, wanted: str | None = None) -> str:
        """Return the namespace to work in: as wanted, as connected, as Airflow's own."""
        found = wanted or (await self.settings()).get("namespace")
        if found:
            return str(found)
        own = _SERVICE_ACCOUNT / "namespace"
        return own.read_text().strip() if own.is_file() else "default"

    @asynccontextmanager
    async def api(self, namespace: str) -> AsyncIterator[Api]:
        """Open the way to a namespace's TaskRuns."""
        async with self.client() as client:
            yield Api(client, namespace)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Open a client with credentials as they are now."""
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import (  # noqa: PLC0415
            AsyncKubernetesHook,  # loading it takes seconds, and parsing a DAG does not need it
        )

        hook = AsyncKubernetesHook(
            connection_extras=await self.settings(), conn_id=None, kubernetes_conn_id=None
        )
        async with hook.get_conn() as client:
            yield client


async def _extra(conn_id: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = dict((await get_async_connection(conn_id)).extra_dejson)
    except AirflowNotFoundException:
        if conn_id not in {DEFAULT_CONNECTION, DEFAULT_CLUSTER}:
            raise
        return {}
    return found


def _over(told: dict[str, Any], access: Access) -> dict[str, Any]:
    settings = dict(told)
    if access.in_cluster:
        settings |= _ELSEWHERE | {"in_cluster": True}
    if access.config_file:
        settings |= _ELSEWHERE | {"kube_config_path": access.config_file}
    if access.cluster_context:
        settings["cluster_context"] = access.cluster_context
    if not any(settings.get(way) for way in _ELSEWHERE) and access.in_cluster is None:
        settings["in_cluster"] = _runs_in_a_cluster()
    return settings


def _runs_in_a_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in environ and (_SERVICE_ACCOUNT / "token").is_file()
