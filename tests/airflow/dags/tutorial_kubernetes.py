"""The tutorial's KubernetesPodOperator; only its import and its image are changed."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from taskruns_airflow.compat import KubernetesPodOperator

with DAG(
    dag_id="tutorial_kubernetes",
    start_date=datetime(2024, 1, 1),  # noqa: DTZ001  # as the tutorial has it
    schedule="@daily",
    catchup=False,
) as dag:
    KubernetesPodOperator(
        task_id="run_in_k8s",
        namespace="default",
        image="python:3.13-slim",
        cmds=["python", "-c"],
        arguments=["print('Hello from inside Kubernetes!')"],
        name="airflow-k8s-task",
        get_logs=True,
        is_delete_operator_pod=True,
    )
