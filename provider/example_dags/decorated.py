"""Python functions that run in containers without Airflow, pickle or a shell."""

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

with DAG("taskruns_decorated", schedule=None, start_date=datetime(2026, 1, 1)) as dag:

    @task.taskrun(image="python:3.13-slim", multiple_outputs=True)
    def measure(numbers: list[int]) -> dict[str, Any]:
        import statistics
        import sys

        print(f"measuring {len(numbers)} numbers with Python {sys.version_info.major}")
        return {"mean": statistics.mean(numbers), "most": max(numbers)}

    @task.taskrun(image="python:3.13-slim", deferrable=True)
    def report(mean: float, most: int, run_id: str | None = None) -> str:
        return f"{run_id}: mean {mean}, most {most}"

    result: Any = measure([3, 4, 8])
    report(result["mean"], result["most"])

if __name__ == "__main__":
    dag.test()
