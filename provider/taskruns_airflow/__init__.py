"""Airflow tasks as TaskRuns: Airflow says what to run, taskruns sees it through."""
