"""A DAG that was written for KubernetesPodOperator; only its import has changed."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

# Was: from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from taskruns_airflow.compat import KubernetesPodOperator

with DAG("taskruns_migrated", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    count = KubernetesPodOperator(
        task_id="count",
        name="count",
        image="busybox:1",
        cmds=["sh", "-c"],
        arguments=['echo counting; echo "{\\"rows\\": $ROWS}" > /airflow/xcom/return.json'],
        env_vars={"ROWS": "42"},
        labels={"team": "data"},
        do_xcom_push=True,
        is_delete_operator_pod=True,
        startup_timeout_seconds=300,
    )
    report = KubernetesPodOperator(
        task_id="report",
        name="report",
        image="busybox:1",
        cmds=["echo"],
        arguments=["{{ ti.xcom_pull(task_ids='count')['rows'] }} rows"],
        deferrable=True,
        poll_interval=10,
    )
    count >> report

if __name__ == "__main__":
    dag.test()
