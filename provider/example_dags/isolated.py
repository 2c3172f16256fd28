"""Two tasks with different versions of the operating system, Python and pandas.

The images are Debian 12 and Debian 13 with the package `python3-pandas`. Each is built from a
Dockerfile of two lines: `FROM debian:bookworm-slim` (or `trixie-slim`) and
`RUN apt-get update && apt-get install -y python3-pandas`.
"""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

with DAG("taskruns_isolated", schedule=None, start_date=datetime(2026, 1, 1)) as dag:

    def versions() -> dict[str, str]:
        import platform

        import pandas  # type: ignore[import-untyped]  # noqa: ICN001

        by_name = {
            "os": platform.freedesktop_os_release()["VERSION_CODENAME"],
            "python": platform.python_version(),
            "pandas": pandas.__version__,
        }
        print(", ".join(f"{name} {value}" for name, value in by_name.items()))
        return by_name

    older = task.taskrun(task_id="older", image="pandas:bookworm")(versions)()
    newer = task.taskrun(task_id="newer", image="pandas:trixie")(versions)()

if __name__ == "__main__":
    dag.test()
