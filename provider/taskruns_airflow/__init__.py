"""Airflow provider that runs tasks as TaskRuns.

Names are loaded on first access: Airflow imports this package in every process to read the
provider's metadata, and most processes run no task.
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
