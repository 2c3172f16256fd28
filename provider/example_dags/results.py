"""A result that one task writes and another task reads from its environment."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from taskruns_airflow import TaskRunOperator

with DAG("taskruns_results", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    count = TaskRunOperator(
        task_id="count",
        image="busybox:1",
        command=["sh", "-c"],
        arguments=["echo '{\"rows\": 42}' > /airflow/xcom/return.json"],
    )
    check = TaskRunOperator(
        task_id="check",
        image="busybox:1",
        command=["sh", "-c"],
        arguments=['echo "$ROWS rows"; test "$ROWS" -eq 42'],
        env={"ROWS": "{{ ti.xcom_pull(task_ids='count')['rows'] }}"},
    )
    count >> check

if __name__ == "__main__":
    dag.test()
