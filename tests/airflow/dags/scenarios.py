"""One DAG for each task that a test declares beside itself with `@pytest.mark.task`.

The fixture `airflow` has written them down; times are seconds there.
"""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from taskruns_airflow import TaskRunOperator

START = datetime(2026, 1, 1)  # noqa: DTZ001  # a DAG's start has its time zone
TIMES = ("execution_timeout", "retry_delay")


def make(dag_id: str, arguments: dict[str, Any], mapped: dict[str, Any] | None) -> DAG:
    """Make a DAG of one task called `task`."""
    times = {name: timedelta(seconds=arguments[name]) for name in TIMES if name in arguments}
    with DAG(dag_id, schedule=None, start_date=START, is_paused_upon_creation=False) as dag:
        told = {"task_id": "task", "retry_delay": timedelta(seconds=1), **arguments, **times}
        if mapped:
            TaskRunOperator.partial(**told).expand(**mapped)
        else:
            TaskRunOperator(**told)
    return dag


for each in json.loads(Path(os.environ["TASKRUNS_TEST_SCENARIOS"]).read_text()):
    globals()[each["dag_id"]] = make(**each)
