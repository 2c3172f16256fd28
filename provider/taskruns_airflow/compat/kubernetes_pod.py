"""KubernetesPodOperator with the parameters of Airflow's Kubernetes provider; runs a TaskRun."""

from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException, Context
from typing_extensions import override

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.argument_types import check_container_names
from taskruns_airflow.compat.kubernetes_pod_parameters import ALL, KEPT, TEMPLATED
from taskruns_airflow.compat.kubernetes_pod_translation import (
    EARLIER_NAMES,
    pod_of,
    refusals,
    translate,
)
from taskruns_airflow.compat.parameters import Migrated, Parameter, named, notes
from taskruns_airflow.compat.pod_reconciliation import TEMPLATED_FIELDS, owned
from taskruns_airflow.containers import Containers, ContainerSelection, Shown, names_of
from taskruns_airflow.identity import Try
from taskruns_airflow.manifest import Order
from taskruns_airflow.operator import TaskRunOperator, exit_codes

if TYPE_CHECKING:
    from taskruns_airflow.execution import Execution

_DEFAULT_CONNECTION = "kubernetes_default"
_LISTS = (
    "cmds",
    "arguments",
    "ports",
    "volume_mounts",
    "volumes",
    "env_vars",
    "env_from",
    "secrets",
    "configmaps",
    "pod_runtime_info_envs",
    "init_containers",
    "tolerations",
    "image_pull_secrets",
)
_DICTS = ("labels", "annotations", "node_selector")
_OTHERS = (
    "image",
    "name",
    "pod_template_file",
    "pod_template_dict",
    "full_pod_spec",
    "init_container_logs",
    "container_name_log_prefix_enabled",
    "base_container_name",
    "image_pull_policy",
    "container_resources",
    "affinity",
    "service_account_name",
    "priority_class_name",
    "security_context",
    "container_security_context",
    "runtime_class_name",
    "automount_service_account_token",
    "hostnetwork",
    "host_aliases",
    "dnspolicy",
    "dns_config",
    "hostname",
    "subdomain",
    "schedulername",
    "termination_grace_period",
    "on_finish_action",
    "is_delete_operator_pod",
    "active_deadline_seconds",
)
_OWN = (*_LISTS, *_DICTS, *_OTHERS)
"""Parameters that are kept as attributes, with the names and forms of KubernetesPodOperator, for
subclasses. They are translated once templates are rendered."""


_NAMES = {each.name for each in ALL}
_SET_LATER = tuple(name for name in TaskRunOperator.template_fields if name in _OWN)
"""Arguments of TaskRunOperator that are also parameters here; `default_args` must not set the
former."""


class KubernetesPodOperator(Migrated):
    """Takes the parameters of KubernetesPodOperator and the arguments of TaskRunOperator.

    docs/airflow-migration.md lists every parameter. Unsupported values are refused when the DAG is
    parsed. As in KubernetesPodOperator, `security_context` is the Pod's.

    Raises:
        ValueError: Some parameters are not supported. The message names each and says what to use
            instead.
    """

    parameters: ClassVar[Iterable[Parameter]] = ALL
    stands_for = "KubernetesPodOperator"
    argument_names: ClassVar[Mapping[str, str]] = {"command": "cmds", "env": "env_vars"}

    BASE_CONTAINER_NAME: ClassVar[str] = "base"
    """Name of the main container, unless `base_container_name` is given."""

    name: str | None
    base_container_name: str | None
    init_container_logs: ContainerSelection
    container_name_log_prefix_enabled: bool | None

    env_vars: Any

    template_fields: Collection[str] = (
        *TEMPLATED,
        *(name for name in TaskRunOperator.template_fields if name not in _NAMES),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **TaskRunOperator.template_fields_renderers,
        "cmds": "json",
        "env_vars": "py",
        "pod_template_dict": "json",
        "full_pod_spec": "json",
    }

    @named(ALL)
    def __init__(self, **kwargs: Any) -> None:
        self.refuse(kwargs)
        values = {each.name: kwargs.pop(each.name, None) for each in ALL}
        for earlier, now in EARLIER_NAMES.items():
            values[now] = values[earlier] if values[now] is None else values[now]
        super().__init__(**_for_task_run(values), **kwargs)
        for name in _OWN:
            setattr(self, name, owned(values[name]) or _empty(name, values[name]))
        self._notes = notes(ALL, values)

    @classmethod
    @override
    def refusals(cls, arguments: Mapping[str, Any]) -> Iterable[str]:
        return refusals(
            {**arguments, "base_container_name": cls._main(arguments.get("base_container_name"))}
        )

    @override
    def execute(self, context: Context) -> Any:
        for note in self._notes:
            self.log.info(note)
        return super().execute(context)

    @override
    def place(self, own: Try) -> dict[str, str]:
        metadata = pod_of(self._parameter_values()).get("metadata") or {}
        name = self.name or str(metadata.get("name") or "")
        namespace = self.namespace or metadata.get("namespace")
        place = {"name": own.named(name) if name else own.name}
        return place | {"namespace": namespace} if namespace else place

    @override
    def order(self, context: Mapping[str, Any]) -> Order:
        return translate(super().order(context), self._parameter_values())

    @override
    def shown_logs(self, spec: Mapping[str, Any]) -> Shown | None:
        if not self.get_logs:
            return None
        containers = Containers.of(spec)
        init = names_of(self.init_container_logs, containers.init)
        ordinary = names_of(self.container_logs, containers.regular, default=[containers.main])
        return containers.shown(
            (*init, *ordinary), named=self.container_name_log_prefix_enabled is not False
        )

    @override
    def _check_types(self) -> None:
        super()._check_types()
        check_container_names("init_container_logs", self.init_container_logs)

    @override
    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: Any,
        seen_oids: set[int],
    ) -> None:
        # Airflow renders only the values of a dict; names of variables must be rendered as well.
        if parent is self and isinstance(self.env_vars, dict):
            self.env_vars = [_variable(*each) for each in self.env_vars.items()]
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    @override
    def _render_nested_template_fields(
        self, value: Any, context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        fields = TEMPLATED_FIELDS.get(type(value).__name__)
        if fields is None or id(value) in seen_oids:
            super()._render_nested_template_fields(value, context, jinja_env, seen_oids)
            return
        seen_oids.add(id(value))
        self._do_render_template_fields(value, fields, context, jinja_env, seen_oids)

    @override
    def _conclude(self, execution: "Execution", run: TaskRun) -> Any:
        execution.push("pod_name", run.status.pod_name)
        execution.push("pod_namespace", run.status.pod_name and run.metadata.namespace)
        result = super()._conclude(execution, run)
        if self.skip_on_exit_code is not None and 0 in exit_codes(self.skip_on_exit_code):
            raise AirflowSkipException("skip_on_exit_code: the container's exit code is 0")
        return result

    @classmethod
    def _main(cls, name: Any) -> Any:
        return name or cls.BASE_CONTAINER_NAME

    def _parameter_values(self) -> Mapping[str, Any]:
        values = {name: getattr(self, name) for name in _OWN}
        return values | {"base_container_name": self._main(self.base_container_name)}


def _empty(name: str, value: Any) -> Any:
    """Return the empty value of a parameter that is not given, as KubernetesPodOperator has it."""
    return [] if name in _LISTS else {} if name in _DICTS else value


def _variable(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom" if isinstance(value, Mapping) else "value": value}


def _for_task_run(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for TaskRunOperator; `default_args` may set the others."""
    kept = {
        name: arguments[name] for name in KEPT if arguments[name] is not None and name not in _OWN
    }
    if kept.get("startup_timeout_seconds") is not None:
        kept["startup_timeout_seconds"] = ceil(kept["startup_timeout_seconds"])
    if seconds := kept.pop("schedule_timeout_seconds", None):
        kept["schedule_timeout_seconds"] = ceil(seconds)
    connection = arguments["kubernetes_conn_id"]
    return {
        **dict.fromkeys(_SET_LATER),
        **kept,
        "container_logs": arguments["container_logs"],
        "kubernetes_conn_id": None if connection == _DEFAULT_CONNECTION else connection,
        "do_xcom_push": bool(arguments["do_xcom_push"]),
    }
