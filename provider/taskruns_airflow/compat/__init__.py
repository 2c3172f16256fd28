"""Operators with the names and arguments of other providers' operators, which run TaskRuns.

A DAG that was written for one of these operators changes only its import. Each operator is loaded
on first access, because its imports take time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskruns_airflow.compat.docker import DockerOperator as DockerOperator
    from taskruns_airflow.compat.kubernetes_pod import (
        KubernetesPodOperator as KubernetesPodOperator,
    )

_MODULES = {"DockerOperator": "docker", "KubernetesPodOperator": "kubernetes_pod"}
"""Module of each operator, by the operator's name."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
