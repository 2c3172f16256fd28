"""The way to where TaskRuns are kept: Airflow connections and operator arguments, made one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import environ
from pathlib import Path
from typing import Any, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from typing_extensions import override

from taskruns_airflow.api import Api
from taskruns_airflow.client import Client, Ref
from taskruns_airflow.connection import (
    CONNECTION_TYPE,
    DEFAULT_CONNECTION,
    DOCKER,
    ENGINES,
    FIELDS,
    Access,
)
from taskruns_airflow.kubernetes_client import KubernetesClient
from taskruns_airflow.link import link_to

DEFAULT_CLUSTER = "kubernetes_default"
"""The connection of Airflow's Kubernetes provider, which is used where it is defined."""

_EARLIER = "extra__kubernetes__"
"""How names in the extra of a connection of type `kubernetes` began, and may still do."""
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_ELSEWHERE = {"in_cluster": None, "kube_config_path": None, "kube_config": None}
"""The ways in which a Kubernetes connection can name its cluster: one chosen rules out the rest."""


class TaskRunHook(BaseHook):
    """Opens the way to the cluster or the Docker host that a connection names.

    A connection of type `taskruns` has in its extra `engine`, which is `kubernetes` unless it says
    `docker`. For a cluster it has `kubernetes_conn_id`, an Airflow connection of type `kubernetes`,
    or that connection's own settings: `in_cluster`, `kube_config_path`, `kube_config`,
    `cluster_context`, `namespace`. Where it names no other connection, it goes over
    `kubernetes_default`, if that is defined; where nothing names a cluster, it is the one that
    Airflow itself runs in, or else the default kubeconfig's. For Docker it has `url`,
    `state_directory`, `tls_ca_cert`, `tls_client_cert`, `tls_client_key`, `tls_hostname` and
    `secrets`, as docs/airflow-docker.md tells.
    """

    conn_name_attr = "taskruns_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = CONNECTION_TYPE
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
        hook = cls()
        hook.access = access
        return hook

    @classmethod
    @override
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields for Airflow 2; Airflow 3 reads them from provider_info."""
        from flask_appbuilder.fieldwidgets import (  # noqa: PLC0415  # a web server alone has it
            BS3TextFieldWidget,
        )
        from wtforms import StringField  # noqa: PLC0415

        return {
            name: StringField(label, widget=BS3TextFieldWidget()) for name, label in FIELDS.items()
        }

    @classmethod
    @override
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Leave the rest of the connection's form to its extra."""
        return {
            "hidden_fields": ["host", "schema", "login", "password", "port"],
            "relabeling": {},
            "placeholders": {"extra": '{"secrets": {"database": {"password": "..."}}}'},
        }

    async def settings(self) -> dict[str, Any]:
        """Return what the connection says, with what was said otherwise over it.

        Raises:
            ValueError: it names an engine that there is not, or a dashboard that links to nothing.
        """
        if self._settings is None:
            settings = await self._read_settings()
            _link(settings, namespace="namespace", name="name")
            self._settings = settings
        return self._settings

    async def link(self, ref: Ref) -> str:
        """Return where the connection's dashboard shows a TaskRun; empty without a dashboard."""
        return _link(await self.settings(), namespace=ref.namespace, name=ref.name)

    async def namespace(self, wanted: str | None = None) -> str:
        """Return the namespace to work in: as wanted, as connected, as Airflow's own."""
        settings = await self.settings()
        found = wanted or settings.get("namespace")
        if found:
            return str(found)
        own = _SERVICE_ACCOUNT / "namespace"
        on_docker = settings["engine"] == DOCKER
        return own.read_text().strip() if own.is_file() and not on_docker else "default"

    async def edge(self, namespace: str) -> Client:
        """Return the way to a namespace, wherever it is."""
        settings = await self.settings()
        if settings["engine"] == DOCKER:
            return _docker_edge(settings, namespace)
        return KubernetesClient(
            open=lambda: self.api(namespace),
            open_anew=lambda: type(self).of(self.access).api(namespace),
            place=(self.access, namespace),
        )

    @asynccontextmanager
    async def api(self, namespace: str) -> AsyncIterator[Api]:
        """Open the way to the TaskRuns of a namespace of a cluster."""
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

    async def _read_settings(self) -> dict[str, Any]:
        access = self.access
        own = await _extra(access.taskruns_conn_id)
        engine = DOCKER if access.docker.told else own.pop("engine", access.default_engine)
        if engine not in ENGINES:
            raise ValueError(
                f"connection {access.taskruns_conn_id}: engine {engine!r}: "
                f"write {' or '.join(ENGINES)}"
            )
        if engine == DOCKER:
            return {**own, **access.docker.told, "engine": engine}
        through = own.pop("kubernetes_conn_id", None) or DEFAULT_CLUSTER
        told = {**await _extra(access.kubernetes_conn_id or through), **own}
        return {**_over(told, access), "engine": engine}


def _link(settings: dict[str, Any], *, namespace: str, name: str) -> str:
    return link_to(str(settings.get("dashboard") or ""), namespace=namespace, name=name)


def _docker_edge(settings: dict[str, Any], namespace: str) -> Client:
    try:
        from taskruns_airflow.docker_client import docker_edge  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise ValueError(
            f"the connection says docker, and {missing.name} is not installed: "
            "pip install 'airflow-provider-taskruns[docker]' on workers and triggerers"
        ) from missing
    return docker_edge(settings, namespace)


async def _extra(conn_id: str) -> dict[str, Any]:
    try:
        found = dict((await get_async_connection(conn_id)).extra_dejson)
    except AirflowNotFoundException:
        if conn_id not in {DEFAULT_CONNECTION, DEFAULT_CLUSTER}:
            raise
        return {}
    told = {name: value for name, value in found.items() if value not in (None, "")}
    earlier = {n.removeprefix(_EARLIER): v for n, v in told.items() if n.startswith(_EARLIER)}
    return earlier | told


def _over(told: dict[str, Any], access: Access) -> dict[str, Any]:
    settings = dict(told)
    if access.in_cluster:
        settings |= _ELSEWHERE
    if access.in_cluster is not None:
        settings["in_cluster"] = access.in_cluster
    if access.config_file:
        settings |= _ELSEWHERE | {"kube_config_path": access.config_file}
    if access.cluster_context:
        settings["cluster_context"] = access.cluster_context
    if not any(settings.get(way) for way in _ELSEWHERE) and access.in_cluster is None:
        settings["in_cluster"] = _runs_in_a_cluster()
    return settings


def _runs_in_a_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in environ and (_SERVICE_ACCOUNT / "token").is_file()
