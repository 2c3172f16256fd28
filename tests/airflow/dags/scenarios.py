"""One DAG for each task that a test declares with `@pytest.mark.task`.

The fixture `airflow` writes the tasks to a file, with times in seconds.
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
) -> DAG:
    """Return a DAG of one task called `task`."""
    times = {name: timedelta(seconds=arguments[name]) for name in TIMES if name in arguments}
    with DAG(
        dag_id,
        schedule=None,
        start_date=START,
        is_paused_upon_creation=False,
        max_active_tasks=at_once,
    ) as dag:
        options = {"task_id": "task", "retry_delay": timedelta(seconds=1), **arguments, **times}
        if patience:
            Impatient(patience=patience, **options)
        elif mapped:
            TaskRunOperator.partial(**options).expand(**mapped)
        else:
            TaskRunOperator(**options)
    return dag


for each in json.loads(Path(os.environ["TASKRUNS_TEST_SCENARIOS"]).read_text()):
    globals()[each["dag_id"]] = make(**each)
