"""Airflow tasks as TaskRuns: Airflow says what to run, taskruns sees it through."""

from taskruns_airflow.operator import TaskRunOperator

__all__ = ["TaskRunOperator"]
