"""Airflow tasks as TaskRuns: Airflow says what to run, taskruns sees it through.

Names are loaded when they are asked for: Airflow imports this package to learn of the provider in
every process, and most of them run no task.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskruns_airflow.operator import TaskRunOperator as TaskRunOperator

__all__ = ["TaskRunOperator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("taskruns_airflow.operator"), name)
