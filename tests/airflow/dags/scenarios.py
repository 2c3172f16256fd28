"""One DAG for each task of a test (`@pytest.mark.task`) or of a benchmark.

The fixture `airflow` or the benchmark writes the tasks to a file, with times in seconds.
"""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import DAG
from typing_extensions import override

from taskruns_airflow import TaskRunOperator

START = datetime(2026, 1, 1)  # noqa: DTZ001  # a DAG's start has its time zone
TIMES = ("execution_timeout", "retry_delay")


class Impatient(TaskRunOperator):
    """An operator whose deferral times out after `patience` seconds."""

    def __init__(self, *, patience: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patience = timedelta(seconds=patience)

    @override
    def defer(self, **how: Any) -> NoReturn:
        super().defer(**{**how, "timeout": self.patience})


def make(
    dag_id: str,
    arguments: dict[str, Any],
    mapped: dict[str, Any] | None,
    at_once: int,
    patience: float | None,
    *,
    original: bool = False,
) -> DAG:
    """Return a DAG of one task called `task`.

    Args:
        dag_id: the DAG's id.
        arguments: those of the operator.
        mapped: arguments to expand over.
        at_once: maximum number of active tasks.
        patience: maximum duration of a deferral, in seconds.
        original: use KubernetesPodOperator in place of ours, to compare with it.
    """
    times = {name: timedelta(seconds=arguments[name]) for name in TIMES if name in arguments}
    with DAG(
        dag_id,
        schedule=None,
        start_date=START,
        is_paused_upon_creation=False,
        max_active_tasks=at_once,
    ) as dag:
        options = {"task_id": "task", "retry_delay": timedelta(seconds=1), **arguments, **times}
        operator = _original() if original else TaskRunOperator
        if patience:
            Impatient(patience=patience, **options)
        elif mapped:
            operator.partial(**options).expand(**mapped)
        else:
            operator(**options)
    return dag


def _original() -> Any:
    from airflow.providers.cncf.kubernetes.operators.pod import (  # noqa: PLC0415 - takes a second
        KubernetesPodOperator,
    )

    return KubernetesPodOperator


for each in json.loads(Path(os.environ["TASKRUNS_TEST_SCENARIOS"]).read_text()):
    globals()[each["dag_id"]] = make(**each)
