"""Two tasks with an operating system, a Python and a pandas each, which no one image could hold.

The images are Debian 12 and Debian 13 with their packages `python3-pandas`; a Dockerfile of two
lines makes each: `FROM debian:bookworm-slim`, `RUN apt-get update && apt-get install -y
python3-pandas`.
"""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, task

with DAG("taskruns_isolated", schedule=None, start_date=datetime(2026, 1, 1)) as dag:

    def versions() -> dict[str, str]:
        import platform

        import pandas  # type: ignore[import-untyped]  # noqa: ICN001

        found = {
            "os": platform.freedesktop_os_release()["VERSION_CODENAME"],
            "python": platform.python_version(),
            "pandas": pandas.__version__,
        }
        print(", ".join(f"{name} {value}" for name, value in found.items()))
        return found

    older = task.taskrun(task_id="older", image="pandas:bookworm")(versions)()
    newer = task.taskrun(task_id="newer", image="pandas:trixie")(versions)()

if __name__ == "__main__":
    dag.test()
