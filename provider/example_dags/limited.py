"""Requests, limits, deadlines, and retries in the cluster in addition to Airflow's retries."""

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from taskruns_airflow import TaskRunOperator

with DAG("taskruns_limited", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    limited = TaskRunOperator(
        task_id="limited",
        image="busybox:1",
        command=["sh", "-c"],
        # The first attempt fails, and the controller creates another without an Airflow retry.
        arguments=["echo attempt $TASKRUN_ATTEMPT; test $TASKRUN_ATTEMPT -gt 1"],
        container_resources={
            "requests": {"cpu": "50m", "memory": "16Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        backoff_limit=2,
        disruption_limit=1,
        spec={"backoff": {"duration": "1s"}},
        startup_timeout_seconds=120,
        execution_timeout=timedelta(minutes=5),
    )

if __name__ == "__main__":
    dag.test()
