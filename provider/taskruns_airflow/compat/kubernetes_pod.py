"""KubernetesPodOperator by its own name and parameters; what runs is a TaskRun."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context
from typing_extensions import override

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.compat.kubernetes_pod_parameters import ALL, KEPT
from taskruns_airflow.compat.kubernetes_pod_translation import (
    EARLIER_NAMES,
    pod_of,
    refusals,
    translate,
)
from taskruns_airflow.compat.migrated import Migrated
from taskruns_airflow.compat.parameters import Parameter, named, notes
from taskruns_airflow.containers import Asked, Containers, Shown, names_of
from taskruns_airflow.identity import Try
from taskruns_airflow.manifest import Order
from taskruns_airflow.operator import TaskRunOperator
from taskruns_airflow.plain import plain

if TYPE_CHECKING:
    from taskruns_airflow.execution import Execution

_DEFAULT_CONNECTION = "kubernetes_default"
_OWN = (
    "name",
    "cmds",
    "env_vars",
    "ports",
    "secrets",
    "configmaps",
    "pod_runtime_info_envs",
    "pod_template_file",
    "pod_template_dict",
    "full_pod_spec",
    "init_containers",
    "init_container_logs",
    "container_name_log_prefix_enabled",
    "base_container_name",
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
"""Parameters that stay attributes by their names, to be translated once templates are rendered."""

_NOT_TEMPLATED = {
    "secrets",
    "hostnetwork",
    "init_container_logs",
    "container_name_log_prefix_enabled",
    "on_finish_action",
    "is_delete_operator_pod",
}


class KubernetesPodOperator(Migrated):
    """Takes what KubernetesPodOperator takes, and TaskRunOperator's own arguments besides.

    docs/airflow-migration.md has a row for each parameter. What cannot be had is refused when the
    DAG is parsed. `security_context` is the Pod's here, as it is there.

    Raises:
        ValueError: names each parameter that cannot be had, and says what to use instead.
    """

    parameters: ClassVar[Iterable[Parameter]] = ALL
    stands_for = "KubernetesPodOperator"

    BASE_CONTAINER_NAME: ClassVar[str] = "base"
    """The main container's name, unless `base_container_name` says another."""

    name: str | None
    base_container_name: str | None
    init_container_logs: Asked
    container_name_log_prefix_enabled: bool | None

    template_fields: Collection[str] = (
        *TaskRunOperator.template_fields,
        *(name for name in _OWN if name not in _NOT_TEMPLATED),
        "pod_security_context",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **TaskRunOperator.template_fields_renderers,
        "cmds": "json",
        "env_vars": "json",
        "pod_template_dict": "json",
        "full_pod_spec": "json",
    }

    @named(ALL)
    def __init__(self, **kwargs: Any) -> None:
        self.refuse(kwargs)
        told = {each.name: kwargs.pop(each.name, None) for each in ALL}
        for earlier, now in EARLIER_NAMES.items():
            told[now] = told[earlier] if told[now] is None else told[now]
        super().__init__(**_for_task_run(told), **kwargs)
        for name in _OWN:
            setattr(self, name, told[name] if name == "secrets" else plain(told[name]))
        self.pod_security_context = plain(told["security_context"])
        self._notes = notes(ALL, told)

    @classmethod
    @override
    def refusals(cls, told: Mapping[str, Any]) -> Iterable[str]:
        return refusals(told)

    @override
    def execute(self, context: Context) -> Any:
        for note in self._notes:
            self.log.info(note)
        return super().execute(context)

    @override
    def place(self, own: Try) -> dict[str, str]:
        name = {"name": own.named(self.name) if self.name else own.name}
        namespace = self.namespace or (pod_of(self._told()).get("metadata") or {}).get("namespace")
        return name | {"namespace": namespace} if namespace else name

    @override
    def order(self, context: Mapping[str, Any]) -> Order:
        main = self.base_container_name or self.BASE_CONTAINER_NAME
        return translate(super().order(context), self._told(), main)

    @override
    def shown_logs(self, spec: Mapping[str, Any]) -> Shown | None:
        if not self.get_logs:
            return None
        there = Containers.of(spec)
        init = names_of(self.init_container_logs, there.init)
        others = names_of(self.container_logs, there.others, default=[there.main])
        return there.shown(
            (*init, *others), named=self.container_name_log_prefix_enabled is not False
        )

    @override
    def _conclude(self, execution: "Execution", run: TaskRun) -> Any:
        execution.push("pod_name", run.status.pod_name)
        execution.push("pod_namespace", run.status.pod_name and run.metadata.namespace)
        return super()._conclude(execution, run)

    def _told(self) -> Mapping[str, Any]:
        told = {name: getattr(self, name) for name in _OWN}
        return told | {"security_context": self.pod_security_context}


def _for_task_run(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return TaskRunOperator's arguments; what is not said is left to `default_args`."""
    given = {name: told[name] for name in KEPT if told[name] is not None}
    if told["labels"]:
        given["labels"] = {
            key: "" if value is None else value for key, value in told["labels"].items()
        }
    secrets = told["image_pull_secrets"]
    if isinstance(secrets, str):
        secrets = [name.strip() for name in secrets.split(",")]
    connection = told["kubernetes_conn_id"]
    return {
        **given,
        "container_logs": told["container_logs"],
        "image_pull_secrets": secrets,
        "kubernetes_conn_id": None if connection == _DEFAULT_CONNECTION else connection,
        # The Pod's, in `default_args` too, has this name there.
        "security_context": told["container_security_context"],
        "do_xcom_push": bool(told["do_xcom_push"]),
    }
