"""@task.taskrun: the decorator that runs a Python function in a container, as a TaskRun."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    TaskDecorator,
    task_decorator_factory,
)
from typing_extensions import override

from taskruns_airflow.argument_types import list_of
from taskruns_airflow.function_source import PROGRAM, Function
from taskruns_airflow.manifest import RESULT_PATH, Order
from taskruns_airflow.operator import TaskRunOperator

_SET_BY_DECORATOR = ("command", "arguments")


class TaskRunDecoratedOperator(DecoratedOperator, TaskRunOperator):
    """Runs a function in the container; its return value, as JSON, is the task's result.

    Args:
        python_command: The image's Python 3: a program, or a list of a program and its arguments.
        kwargs: Any argument of TaskRunOperator except `command` and `arguments`.

    Raises:
        ValueError: The function depends on names of the DAG's file.
    """

    custom_operator_name = "@task.taskrun"

    template_fields: Sequence[str] = (  # type: ignore[mutable-override]  # both are valid in Airflow
        "op_args",
        "op_kwargs",
        "python_command",
        *(name for name in TaskRunOperator.template_fields if name not in _SET_BY_DECORATOR),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **TaskRunOperator.template_fields_renderers,
        "op_args": "py",
        "op_kwargs": "py",
    }

    def __init__(self, *, python_command: str | Sequence[str] = "python3", **kwargs: Any) -> None:
        refused = [name for name in _SET_BY_DECORATOR if kwargs.get(name) is not None]
        if refused:
            raise ValueError(
                f"{refused[0]}: cannot be set, because the container runs the function; remove it"
            )
        super().__init__(**kwargs)
        self.python_command = python_command
        self._function = Function.of(self.python_callable)

    @override
    def order(self, context: Mapping[str, Any]) -> Order:
        order = super().order(context)
        path = (order.spec or {}).get("resultPath", RESULT_PATH) if order.do_xcom_push else ""
        python = self.python_command
        forms = "a string or a list of strings"
        python = [python] if isinstance(python, str) else list_of("python_command", python, forms)
        keywords = {**self._context_arguments(context), **self.op_kwargs}
        return replace(
            order,
            command=[*python, "-u", "-c", PROGRAM.read_text()],
            arguments=[self._function.call(self.op_args, keywords, path)],
        )

    def _context_arguments(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of Airflow's context for which the function has parameters."""
        signature = inspect.signature(self.python_callable)
        bound = signature.bind_partial(*self.op_args, **self.op_kwargs).arguments
        requested = (name for name in signature.parameters if name not in bound and name in context)
        return {name: context[name] for name in requested}


def taskrun_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,  # noqa: FBT001  # as Airflow passes it
    **kwargs: Any,
) -> TaskDecorator:
    """Return a task that runs a function in a container.

    Args:
        python_callable: The function.
        multiple_outputs: Whether a returned mapping becomes one XCom per key.
        kwargs: Arguments of TaskRunDecoratedOperator.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=TaskRunDecoratedOperator,
        **kwargs,
    )
