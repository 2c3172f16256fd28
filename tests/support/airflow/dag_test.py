"""DAGs that Airflow itself runs to their end in one process, by `dag.test()`."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.cluster.installation import ROOT

AIRFLOW = ROOT / ".build/airflow-3/bin"
SECONDS = 280


@dataclass(frozen=True)
class Home:
    """An Airflow home that no component was started for: a folder with a database and DAGs."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, template: Path) -> "Home":
        """Make a home whose database is a copy of the template's."""
        shutil.copytree(template, folder)
        (folder / "dags").mkdir(exist_ok=True)
        return cls(folder)

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder}/airflow.db",
        }

    def connect(self, **extra: Any) -> dict[str, str]:
        """Return the environment variable that defines the connection `taskruns_default`."""
        connection = json.dumps({"conn_type": "taskruns", "extra": extra})
        return {"AIRFLOW_CONN_TASKRUNS_DEFAULT": connection}

    def run(self, dag: Path | str, **environ: str) -> str:
        """Run a DAG's file, or its source text, to its end; return its output without colours."""
        path = self.folder / "dags" / (dag.name if isinstance(dag, Path) else "dag.py")
        path.write_text(dag.read_text() if isinstance(dag, Path) else dag)
        ran = subprocess.run(
            [AIRFLOW / "python", "-W", "ignore", path],
            env={**self.environ, **environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout + ran.stderr)

    def states(self) -> dict[str, str]:
        """Return the final state of each task, by task id."""
        return dict(self._ask("SELECT task_id, state FROM task_instance"))

    def xcom(self, task: str, key: str = "return_value") -> Any:
        """Return an XCom of a task, or None if there is none."""
        rows = self._ask("SELECT value FROM xcom WHERE task_id = ? AND key = ?", task, key)
        value = rows[0][0] if rows else None
        return json.loads(value) if isinstance(value, str) else value

    def _ask(self, query: str, *values: str) -> list[Any]:
        database = sqlite3.connect(self.folder / "airflow.db")
        try:
            return database.execute(query, values).fetchall()
        finally:
            database.close()
