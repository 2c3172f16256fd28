"""One task of a DAG run whose TaskRuns are on a Docker host: its records, and its daemon."""

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from tests.support.airflow.processes import Airflow
from tests.support.airflow.rest import Object
from tests.support.airflow.task import END, Observers, Task

SESSION = datetime.now(UTC)


class DockerTask(Task):
    """Follow one task with all its tries; its work writes to the start counter as on a cluster."""

    def __init__(
        self,
        airflow: Airflow,
        observers: Observers,
        place: tuple[str, str],
        host: Mapping[str, str],
    ) -> None:
        """Follow a task.

        Args:
            airflow: the Airflow that the task belongs to.
            observers: sources of the session; only the start counter is used.
            place: ids of the DAG and of its run.
            host: the Docker host in the form of Airflow's connection.
        """
        super().__init__(airflow, observers, *place)
        self._start_counter = observers.start_counter
        self._host = host

    def records(self) -> list[Object]:
        """Return all existing TaskRuns of the task, oldest first."""
        paths = Path(self._host["state_directory"]).glob("*/*.json")
        runs = [json.loads(path.read_text())["run"] for path in paths]
        matching = [run for run in runs if run["metadata"]["labels"]["dag_id"] == self.dag_id]
        return sorted(matching, key=lambda run: str(run["metadata"]["creationTimestamp"]))

    def begins(self, number: int = 1) -> str:
        """Wait until the work of the TaskRun of that number has begun; return the run's uid."""

        def look() -> str | None:
            uids = [run["metadata"]["uid"] for run in self.records()][number - 1 :]
            return uids[0] if uids and self._start_counter.starts(uids[0]) else None

        uid: str = self.airflow.wait(look, f"TaskRun {number} of {self} has begun", END)
        return uid

    def comes_to_its_end(self, uid: str) -> Any:
        """Wait until the record of a TaskRun is terminal; return its status."""

        def look() -> Any:
            (status,) = [r["status"] for r in self.records() if r["metadata"]["uid"] == uid]
            return status if status.get("phase") in TERMINAL_PHASES else None

        return self.airflow.wait(look, f"a TaskRun of {self} has ended", END)

    def let_end(self, uid: str) -> None:
        """Release the work of a TaskRun that waits with `UNTIL_CUE`."""
        self._start_counter.cue(uid)

    def got_sigterm(self, uid: str) -> bool:
        """Return whether a TaskRun's work got SIGTERM once and had the time to write its end."""
        return self._start_counter.ends(uid) == 1

    def ran(self) -> list[Counter[str]]:
        """Return the daemon's count of container creates and starts of each TaskRun."""
        return [self._told_of(run["metadata"]["uid"]) for run in self.records()]

    def containers_go(self) -> None:
        """Wait until the task has no containers left."""

        def look() -> bool | None:
            uids = [run["metadata"]["uid"] for run in self.records()]
            containers = [self._docker("ps", "--all", "--quiet", *_of(uid)) for uid in uids]
            return None if any(containers) else True

        self.airflow.wait(look, f"no container of {self} is left", END)

    def _told_of(self, uid: str) -> Counter[str]:
        since, until = SESSION.timestamp(), datetime.now(UTC).timestamp()
        span = ("--since", f"{since:.0f}", "--until", f"{until:.0f}", "--format", "{{.Action}}")
        actions = self._docker("events", *span, "--filter", "type=container", *_of(uid)).split()
        return Counter(action for action in actions if action in {"create", "start"})

    def _docker(self, *arguments: str) -> str:
        command = ["docker", "--host", self._host["url"], *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _of(uid: str) -> tuple[str, str]:
    return "--filter", f"label={names.LABEL_UID}={uid}"
