"""DockerOperator with the parameters of Airflow's Docker provider; runs a TaskRun."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException, Context
from typing_extensions import override

from taskruns.api.conditions import Phase
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.compat.docker_parameters import ALL, EARLIER_NAMES
from taskruns_airflow.compat.docker_translation import refusals, translate
from taskruns_airflow.compat.docker_values import TEMPLATE_FILES, docker_access, last_line, lines_of
from taskruns_airflow.compat.parameters import Fate, Migrated, Parameter, named, notes
from taskruns_airflow.connection import DOCKER, Access
from taskruns_airflow.failures import TaskRunResultInvalid
from taskruns_airflow.manifest import Order
from taskruns_airflow.operator import TaskRunOperator
from taskruns_airflow.xcom import find_unstorable

if TYPE_CHECKING:
    from taskruns_airflow.execution import Execution

_KEPT = tuple(each.name for each in ALL if each.fate is Fate.KEPT)
_NO_ATTRIBUTES = {"private_environment", *EARLIER_NAMES}
_OWN = tuple(
    each.name for each in ALL if each.fate is Fate.TRANSLATED and each.name not in _NO_ATTRIBUTES
)
"""Parameters that are kept as attributes of the same name and translated once templates are
rendered."""

_TRUE = ("mount_tmp_dir", "tls_verify")
"""Parameters whose default is True; an explicit None means False."""

_TEMPLATED = ("image", "command", "environment", "env_file", "mounts")
"""DockerOperator's template fields. Only these may name a template file."""
_NEVER_TEMPLATED = ("arguments", *(each.name for each in ALL))
_FURTHER = tuple(n for n in TaskRunOperator.template_fields if n not in _NEVER_TEMPLATED)
"""Template fields of TaskRunOperator that DockerOperator does not have."""


class _Private:
    """Wrapper that hides the private variables of a mapped task.

    Airflow stores the text of all arguments of `partial`.
    """

    def __init__(self, variables: Any) -> None:
        self.variables = variables

    @override
    def __repr__(self) -> str:
        return "***"


class DockerOperator(Migrated):
    """Takes the parameters of DockerOperator and the arguments of TaskRunOperator.

    The task runs on Docker unless the connection `taskruns_conn_id` names another engine.
    docs/airflow-docker.md lists every parameter. Unsupported values are refused when the DAG is
    parsed. The task's XCom is the JSON in /airflow/xcom/return.json or, without that file, the
    last line of its log.

    Raises:
        ValueError: Some parameters are not supported. The message names each and says what to use
            instead.
    """

    parameters: ClassVar[Iterable[Parameter]] = ALL
    stands_for = "DockerOperator"
    argument_names: ClassVar[Mapping[str, str]] = {
        "command": "entrypoint",
        "arguments": "command",
        "env": "environment",
    }

    retrieve_output: bool | None
    xcom_all: bool | None

    template_fields: Collection[str] = (*_FURTHER, *_TEMPLATED)
    template_fields_renderers: ClassVar[dict[str, str]] = {"env_file": "yaml"}
    template_ext: Sequence[str] = TEMPLATE_FILES

    @named(ALL)
    def __init__(self, **kwargs: Any) -> None:
        if isinstance(hidden := kwargs.get("private_environment"), _Private):
            kwargs["private_environment"] = hidden.variables
        self.refuse(kwargs)
        values = {each.name: kwargs.pop(each.name, each.name in _TRUE or None) for each in ALL}
        kept = {name: values[name] for name in _KEPT if values[name] is not None}
        for earlier, now in EARLIER_NAMES.items():
            if values[earlier] is not None:
                kwargs.setdefault(now, values[earlier])
        super().__init__(**kept, **kwargs)
        for name in _OWN:
            setattr(self, name, values[name])
        self._private_environment = values["private_environment"]
        self._notes = notes(ALL, values)

    @classmethod
    @override
    def refuse(cls, arguments: Mapping[str, Any]) -> None:
        super().refuse(dict.fromkeys(_TRUE, True) | dict(arguments))

    @classmethod
    @override
    def partial(cls, **kwargs: Any) -> Any:
        mapped = super().partial(**kwargs)
        if (variables := mapped.kwargs.get("private_environment")) is not None:
            mapped.kwargs["private_environment"] = _Private(variables)
        return mapped

    @classmethod
    @override
    def refusals(cls, arguments: Mapping[str, Any]) -> Iterable[str]:
        return refusals(arguments)

    @override
    def execute(self, context: Context) -> Any:
        for note in self._notes:
            self.log.info(note)
        return super().execute(context)

    @override
    def order(self, context: Mapping[str, Any]) -> Order:
        return translate(super().order(context), self._parameter_values())

    @override
    def access(self) -> Access:
        return replace(
            super().access(), default_engine=DOCKER, docker=docker_access(self._parameter_values())
        )

    @override
    def resolve_template_files(self) -> None:
        self.template_fields = _TEMPLATED
        try:
            super().resolve_template_files()
        finally:
            del self.template_fields

    @override
    def _do_render_template_fields(  # Airflow passes these by position and by name
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Any,
        jinja_env: Any,
        seen_oids: set[int],
    ) -> None:
        """Render the fields; only DockerOperator's own fields may name a template file."""
        fields = list(template_fields)
        own = [name for name in fields if parent is not self or name in _TEMPLATED]
        super()._do_render_template_fields(parent, own, context, jinja_env, seen_oids)
        further = [name for name in fields if name not in own]
        if not further:
            return
        self.template_ext = ()
        try:
            super()._do_render_template_fields(parent, further, context, jinja_env, seen_oids)
        finally:
            del self.template_ext

    @override
    def _conclude(self, execution: "Execution", run: TaskRun) -> Any:
        succeeded = run.status.phase is Phase.SUCCEEDED
        by_log = succeeded and self.do_xcom_push and not self.retrieve_output
        # Read the log first: once the run is collected, its container may be removed.
        output = self._output_of(execution, run) if by_log else None
        result = super()._conclude(execution, run)
        if succeeded and 0 in _codes(self.skip_on_exit_code):
            raise AirflowSkipException("skip_on_exit_code: the exit code is 0")
        if result is not None and not (by_log and self.xcom_all):
            return result
        if problem := find_unstorable(output):
            raise TaskRunResultInvalid(
                f"The output {problem}. Print another last line, or set do_xcom_push=False"
            )
        return output

    def _output_of(self, execution: "Execution", run: TaskRun) -> list[str] | str | None:
        """Return the last line of the log or, with `xcom_all`, all lines."""
        if self.xcom_all:
            return lines_of(execution.log_end(run) or b"")
        line = last_line(lambda count: execution.log_end(run, count))
        if line is None and execution.last_line is not None:
            return execution.last_line.rstrip()
        return line

    def _parameter_values(self) -> Mapping[str, Any]:
        values = {name: getattr(self, name) for name in _OWN}
        return values | {"private_environment": self._private_environment}


def _codes(codes: int | Container[int] | None) -> Container[int]:
    return () if codes is None else codes if isinstance(codes, Container) else (codes,)
