"""A mapped task: one TaskRun per item of a list that another task returns."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

from taskruns_airflow import TaskRunOperator

with DAG("taskruns_mapped", schedule=None, start_date=datetime(2026, 1, 1)) as dag:

    @task.taskrun(image="python:3.13-slim")
    def cities() -> list[dict[str, str]]:
        return [{"CITY": city} for city in ("Athens", "Berlin")]

    TaskRunOperator.partial(
        task_id="greet",
        image="busybox:1",
        command=["sh", "-c"],
        arguments=["echo hello $CITY"],
    ).expand(env=cities())

if __name__ == "__main__":
    dag.test()
