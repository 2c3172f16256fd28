"""DockerOperator by its own name and parameters; what runs is a TaskRun."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Context
from typing_extensions import override

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.compat.docker_parameters import PARAMETERS
from taskruns_airflow.compat.docker_translation import daemon_url, refusals, translate
from taskruns_airflow.compat.migrated import Migrated
from taskruns_airflow.compat.parameters import Fate, Parameter, named, notes
from taskruns_airflow.connection import DOCKER, Access, DockerAccess
from taskruns_airflow.manifest import Order
from taskruns_airflow.operator import TaskRunOperator

if TYPE_CHECKING:
    from taskruns_airflow.execution import Execution

_KEPT = tuple(each.name for each in PARAMETERS if each.fate is Fate.KEPT)
_OWN = tuple(
    each.name
    for each in PARAMETERS
    if each.fate is Fate.TRANSLATED and each.name != "private_environment"
)
"""Parameters that stay attributes by their names, to be translated once templates are rendered."""

_TEMPLATED = ("image", "command", "environment", "env_file", "mounts")
_INHERITED = tuple(
    n for n in TaskRunOperator.template_fields if n not in ("arguments", *_TEMPLATED)
)


class DockerOperator(Migrated):
    """Takes what DockerOperator takes, and TaskRunOperator's own arguments besides.

    It runs on Docker where the connection `taskruns_conn_id` does not name another engine. A row
    for each parameter is in docs/airflow-docker.md. What cannot be had is refused when the DAG is
    parsed. The task's XCom is the JSON that it writes to /airflow/xcom/return.json or, without, the
    last line of its log.

    Raises:
        ValueError: names each parameter that cannot be had, and says what to use instead.
    """

    parameters: ClassVar[Iterable[Parameter]] = PARAMETERS
    stands_for = "DockerOperator"

    docker_url: str | Sequence[str] | None
    retrieve_output: bool | None
    tls_ca_cert: str | None
    tls_client_cert: str | None
    tls_client_key: str | None
    tls_hostname: bool | None

    template_fields: Collection[str] = (*_INHERITED, *_TEMPLATED)
    template_fields_renderers: ClassVar[dict[str, str]] = {"env_file": "yaml"}
    template_ext: Sequence[str] = (".sh", ".bash", ".env")

    @named(PARAMETERS)
    def __init__(self, **kwargs: Any) -> None:
        self.refuse(kwargs)
        told = {each.name: kwargs.pop(each.name, None) for each in PARAMETERS}
        kept = {name: told[name] for name in _KEPT if told[name] is not None}
        super().__init__(**kept, **kwargs)
        for name in _OWN:
            setattr(self, name, told[name])
        self._private_environment = told["private_environment"]
        self._notes = notes(PARAMETERS, told)

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
    def order(self, context: Mapping[str, Any]) -> Order:
        return translate(super().order(context), self._told())

    @override
    def access(self) -> Access:
        docker = DockerAccess(
            url=daemon_url(self.docker_url),
            tls_ca_cert=self.tls_ca_cert,
            tls_client_cert=self.tls_client_cert,
            tls_client_key=self.tls_client_key,
            tls_hostname=self.tls_hostname,
        )
        return replace(super().access(), default_engine=DOCKER, docker=docker)

    @override
    def _conclude(self, execution: "Execution", run: TaskRun) -> Any:
        result = super()._conclude(execution, run)
        if result is None and self.do_xcom_push and not self.retrieve_output:
            return execution.last_line
        return result

    def _told(self) -> Mapping[str, Any]:
        told = {name: getattr(self, name) for name in _OWN}
        return told | {"private_environment": self._private_environment}
