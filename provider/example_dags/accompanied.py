"""A task with an init container and a second container; the task's log shows all three."""

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from taskruns_airflow import TaskRunOperator

SHARED = {
    "image": "busybox:1",
    "command": ["sh", "-c"],
    "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
}
FETCH = "echo fetching; echo 42 > /shared/rows"
PROXY = "trap 'echo leaving; exit' TERM; echo ready; touch /shared/ready; while :; do sleep 1; done"
MAIN = 'until test -e /shared/ready; do sleep 1; done; echo "$(cat /shared/rows) rows"'

POD: dict[str, Any] = {
    "spec": {
        "initContainers": [{"name": "fetch", **SHARED, "args": [FETCH]}],
        "containers": [
            {"name": "proxy", **SHARED, "args": [PROXY]},
            {"name": "main", **SHARED, "args": [MAIN]},
        ],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
}

with DAG("taskruns_accompanied", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    in_a_worker = TaskRunOperator(task_id="in_a_worker", template=POD, container_logs=True)
    deferred = TaskRunOperator(
        task_id="deferred", template=POD, container_logs=True, deferrable=True
    )
    in_a_worker >> deferred

if __name__ == "__main__":
    dag.test()
