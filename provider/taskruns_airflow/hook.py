"""Airflow hook: combines a connection with operator arguments and opens API clients."""

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
"""Default connection of Airflow's Kubernetes provider; used if it is defined."""

_FORMER_PREFIX = "extra__kubernetes__"
"""Former prefix of names in the extra of a connection of type `kubernetes`; still accepted."""
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CLUSTER_SETTINGS = {"in_cluster": None, "kube_config_path": None, "kube_config": None}
"""Settings by which a Kubernetes connection names its cluster; an operator's choice of one clears
the others."""


class TaskRunHook(BaseHook):
    """Opens clients to the cluster or the Docker host that a connection names.

    The extra of a connection of type `taskruns` holds `engine`: `kubernetes` (the default) or
    `docker`.

    For a cluster it holds `kubernetes_conn_id`, the name of an Airflow connection of type
    `kubernetes`, or the settings of such a connection: `in_cluster`, `kube_config_path`,
    `kube_config`, `cluster_context`, `namespace`. Without `kubernetes_conn_id`, the connection
    `kubernetes_default` supplies the missing settings if it is defined. If no cluster is named,
    the cluster that Airflow runs in is used, or else the default kubeconfig.

    For Docker it holds `url`, `state_directory`, `tls_ca_cert`, `tls_client_cert`,
    `tls_client_key`, `tls_hostname` and `secrets`; see docs/airflow-docker.md.
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
        """Return the hook for the access settings of an operator or a trigger."""
        hook = cls()
        hook.access = access
        return hook

    @classmethod
    @override
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields for Airflow 2; Airflow 3 reads them from provider_info."""
        from flask_appbuilder.fieldwidgets import (  # noqa: PLC0415  # only web servers have it
            BS3TextFieldWidget,
        )
        from wtforms import StringField  # noqa: PLC0415

        return {
            name: StringField(label, widget=BS3TextFieldWidget()) for name, label in FIELDS.items()
        }

    @classmethod
    @override
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the hidden standard fields of the connection's form, and a sample of the extra."""
        return {
            "hidden_fields": ["host", "schema", "login", "password", "port"],
            "relabeling": {},
            "placeholders": {"extra": '{"secrets": {"database": {"password": "..."}}}'},
        }

    async def settings(self) -> dict[str, Any]:
        """Return the connection's settings, overridden by the operator's.

        Raises:
            ValueError: The engine is unknown, or the dashboard has an invalid placeholder.
        """
        if self._settings is None:
            settings = await self._read_settings()
            _link(settings, namespace="namespace", name="name")
            self._settings = settings
        return self._settings

    async def link(self, ref: Ref) -> str:
        """Return the URL of a TaskRun in the connection's dashboard; empty without a dashboard."""
        return _link(await self.settings(), namespace=ref.namespace, name=ref.name)

    async def namespace(self, requested: str | None = None) -> str:
        """Return `requested`, or else the connection's namespace, Airflow's own, or `default`."""
        settings = await self.settings()
        namespace = requested or settings.get("namespace")
        if namespace:
            return str(namespace)
        own = _SERVICE_ACCOUNT / "namespace"
        on_docker = settings["engine"] == DOCKER
        return own.read_text().strip() if own.is_file() and not on_docker else "default"

    async def edge(self, namespace: str) -> Client:
        """Return the client of a namespace, on Kubernetes or on Docker."""
        settings = await self.settings()
        if settings["engine"] == DOCKER:
            return _docker_client(settings, namespace)
        return KubernetesClient(
            open=lambda: self.api(namespace),
            open_fresh=lambda: type(self).of(self.access).api(namespace),
            place=(self.access, namespace),
        )

    @asynccontextmanager
    async def api(self, namespace: str) -> AsyncIterator[Api]:
        """Open the API of a cluster's namespace."""
        async with self.client() as client:
            yield Api(client, namespace)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Open a Kubernetes client with current credentials."""
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
        engine = DOCKER if access.docker.settings else own.pop("engine", access.default_engine)
        if engine not in ENGINES:
            raise ValueError(
                f"connection {access.taskruns_conn_id}: unknown engine {engine!r}; "
                f"write {' or '.join(ENGINES)}"
            )
        if engine == DOCKER:
            return {**own, **access.docker.settings, "engine": engine}
        through = own.pop("kubernetes_conn_id", None) or DEFAULT_CLUSTER
        settings = {**await _extra(access.kubernetes_conn_id or through), **own}
        return {**_with_overrides(settings, access), "engine": engine}


def _link(settings: dict[str, Any], *, namespace: str, name: str) -> str:
    return link_to(str(settings.get("dashboard") or ""), namespace=namespace, name=name)


def _docker_client(settings: dict[str, Any], namespace: str) -> Client:
    try:
        from taskruns_airflow.docker_client import docker_client_of  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise ValueError(
            f"the connection selects the engine docker, but {missing.name} is not installed: "
            "install the provider with its extra `docker` on workers and triggerers"
        ) from missing
    return docker_client_of(settings, namespace)


async def _extra(conn_id: str) -> dict[str, Any]:
    try:
        extra = dict((await get_async_connection(conn_id)).extra_dejson)
    except AirflowNotFoundException:
        if conn_id not in {DEFAULT_CONNECTION, DEFAULT_CLUSTER}:
            raise
        return {}
    settings = {name: value for name, value in extra.items() if value not in (None, "")}
    earlier = {
        n.removeprefix(_FORMER_PREFIX): v
        for n, v in settings.items()
        if n.startswith(_FORMER_PREFIX)
    }
    return earlier | settings


def _with_overrides(connection_settings: dict[str, Any], access: Access) -> dict[str, Any]:
    settings = dict(connection_settings)
    if access.in_cluster:
        settings |= _CLUSTER_SETTINGS
    if access.in_cluster is not None:
        settings["in_cluster"] = access.in_cluster
    if access.config_file:
        settings |= _CLUSTER_SETTINGS | {"kube_config_path": access.config_file}
    if access.cluster_context:
        settings["cluster_context"] = access.cluster_context
    if not any(settings.get(way) for way in _CLUSTER_SETTINGS) and access.in_cluster is None:
        settings["in_cluster"] = _runs_in_a_cluster()
    return settings


def _runs_in_a_cluster() -> bool:
    return "KUBERNETES_SERVICE_HOST" in environ and (_SERVICE_ACCOUNT / "token").is_file()
