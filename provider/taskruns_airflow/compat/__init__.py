"""Operators of other providers, by their names and arguments, whose work runs as TaskRuns.

A DAG that was written for one of them changes its import and nothing else. Each is loaded when it
is asked for, so that nobody pays for another's.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskruns_airflow.compat.docker import DockerOperator as DockerOperator
    from taskruns_airflow.compat.kubernetes_pod import (
        KubernetesPodOperator as KubernetesPodOperator,
    )

_MODULES = {"DockerOperator": "docker", "KubernetesPodOperator": "kubernetes_pod"}
"""The module of this package that each operator is in."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
