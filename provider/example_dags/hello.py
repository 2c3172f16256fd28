"""A minimal DAG: one container writes a log line and a result, another reads the result."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from taskruns_airflow import TaskRunOperator

with DAG("taskruns_hello", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    hello = TaskRunOperator(
        task_id="hello",
        image="busybox:1",
        command=["sh", "-c"],
        arguments=[
            "echo hello from a TaskRun; echo '{\"answer\": 42}' > /airflow/xcom/return.json"
        ],
    )
    answer = TaskRunOperator(
        task_id="answer",
        deferrable=True,
        image="busybox:1",
        command=["echo"],
        arguments=["the answer is {{ ti.xcom_pull(task_ids='hello')['answer'] }}"],
    )
    hello >> answer

if __name__ == "__main__":
    dag.test()
