"""One task of a DAG run as a test follows it: Airflow's view, and the containers that ran."""

import os
import signal
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from tests.support.airflow.processes import SCHEDULER, Airflow, is_told_to_stop, parent_of
from tests.support.airflow.rest import Object
from tests.support.cluster import invariants
from tests.support.cluster.client import RUNS, Kube
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import StartCounter
from tests.support.cluster.watch_recorder import WatchRecorder

SYNC, DEFERRED = (("sync",), ("deferred",))
BOTH = SYNC + DEFERRED
"""The modes in which a task waits: in a worker, or in the triggerer."""

OWN_UID = 'echo "\\"$TASKRUN_UID\\"" > /airflow/xcom/return.json'
"""Shell command that makes the TaskRun's uid the task's result."""

TERMINAL = frozenset({"success", "failed", "skipped"})
END = 180
"""Limit for a task with short work to have ended on a busy machine, in seconds."""


@dataclass(frozen=True, slots=True)
class Count:
    """Number of TaskRuns, Pods and container starts that a task has used."""

    created: int
    """TaskRuns that were created."""
    released: int
    """Pods that were released to run."""
    started: int
    """Real starts of the work, counted by lines that the containers wrote."""


ONCE = Count(created=1, released=1, started=1)
TWICE = Count(created=2, released=2, started=2)


@dataclass(frozen=True, slots=True)
class Observers:
    """Sources that show what really happened, independent of Airflow."""

    kube: Kube
    watch_recorder: WatchRecorder
    start_counter: StartCounter
    namespaces: AbstractSet[str]
    """Namespaces of this Airflow's TaskRuns; others may hold runs of the same DAGs."""


class Task:
    """Follow one task, with all its tries."""

    def __init__(
        self,
        airflow: Airflow,
        observers: Observers,
        dag_id: str,
        run_id: str,
        task_id: str = "task",
    ) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.run_id = run_id
        self.task_id = task_id
        self._observers = observers

    # ------------------------------------------------------------------ Airflow's view

    def instances(self) -> list[Object]:
        """Return the task's instances: one, or one for each map index."""
        instances = self.airflow.rest.instances(self.dag_id, self.run_id)
        return [each for each in instances if each["task_id"] == self.task_id]

    def instance(self) -> Object:
        (instance,) = self.instances()
        return instance

    def reaches(self, *states: str, try_number: int = 1, seconds: float = END) -> Object:
        """Wait until the task is in one of these states, in this try or a later one."""

        def look() -> Object | None:
            ti = self.instance()
            reached = ti["state"] in states and ti["try_number"] >= try_number
            if ti["state"] in TERMINAL - set(states) and ti["try_number"] >= try_number:
                raise AssertionError(f"{self} ended {ti['state']}, not {states}:\n{self.log()}")
            return ti if reached else None

        description = f"{self} is {' or '.join(states)} in try {try_number}"
        ti: Object = self.airflow.wait(look, description, seconds)
        return ti

    def succeeds(self, **how: Any) -> Object:
        return self.reaches("success", **how)

    def fails(self, **how: Any) -> Object:
        return self.reaches("failed", **how)

    def all_end(self, count: int, seconds: float) -> None:
        """Wait until exactly that many mapped instances have ended."""

        def look() -> bool | None:
            # Much cheaper for Airflow than a page of all instances twice a second.
            state = self.airflow.rest.dag_run(self.dag_id, self.run_id)["state"]
            return state in TERMINAL or None

        self.airflow.wait(look, f"the DAG run of {self} has ended", seconds)
        states = [each["state"] for each in self.instances()]
        assert len(states) == count
        assert TERMINAL.issuperset(states)

    def settles(self, state: str) -> None:
        """Wait until the task's process has ended, then assert the task's state."""
        pid = self.instance()["pid"]
        gone = lambda: None if Path(f"/proc/{pid}").exists() else True  # noqa: E731
        self.airflow.wait(gone, f"the process of {self} has ended")
        assert self.instance()["state"] == state

    def log(self, try_number: int = 0, map_index: int = -1) -> str:
        """Return the log of a try, one line per entry; 0 means the latest try."""
        number = try_number or self.instance()["try_number"]
        entries = self.airflow.rest.log(self.dag_id, self.run_id, self.task_id, number, map_index)
        return "\n".join(_text(entry) for entry in entries)

    def says(self, text: str, try_number: int = 0, seconds: float = END) -> str:
        """Wait until the log of a try contains a text; return the log."""

        def look() -> str | None:
            log = self.log(try_number)
            return log if text in log else None

        log: str = self.airflow.wait(look, f"the log of {self} says {text!r}", seconds)
        return log

    def xcom(self, key: str = "return_value") -> Any:
        return self.airflow.rest.xcom(self.dag_id, self.run_id, self.task_id, key)

    def start(self) -> None:
        """Start the DAG run of a task that was declared with `later`."""
        self.airflow.rest.trigger(self.dag_id, self.run_id)

    def forget(self) -> None:
        """Delete the task's DAG run, once it has succeeded and the scheduler has logged that.

        Otherwise Airflow attributes the late report of the old task's worker to the new task.
        """
        noted = (f"TaskInstance Finished: dag_id={self.dag_id},", "state=success")

        def has_ended() -> bool | None:
            dag_run = self.airflow.rest.dag_run(self.dag_id, self.run_id)
            return (dag_run["state"] == "success" and self.airflow.said(SCHEDULER, *noted)) or None

        self.airflow.wait(has_ended, f"the DAG run of {self} has ended")
        self.airflow.rest.delete(self.dag_id, self.run_id)

    def mark(self, state: str) -> None:
        self.airflow.rest.mark(self.dag_id, self.run_id, self.task_id, state)

    def clear(self) -> None:
        self.airflow.rest.clear(self.dag_id, self.run_id, self.task_id)

    # ------------------------------------------------------------------ processes

    def pid(self) -> int:
        """Return the PID of the running task; its parent process is the worker."""
        pid: int = self.reaches("running")["pid"]
        return pid

    def stop_worker(self) -> None:
        """End the task's worker as a shutdown does: it passes SIGTERM on to the task."""
        os.kill(parent_of(self.pid()), signal.SIGTERM)

    def kill_worker(self) -> None:
        """End the worker and the task by SIGKILL, as when a machine is lost."""
        pid = self.pid()
        os.kill(parent_of(pid), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)

    def is_told_to_stop(self, pid: int) -> None:
        """Wait until SIGTERM is pending for the task's process, which is paused."""
        self.airflow.wait(lambda: is_told_to_stop(pid) or None, f"{self} is told to stop")

    # ------------------------------------------------------------------ TaskRuns

    def runs(self) -> list[Run]:
        """Return all TaskRuns that the task ever had, oldest first."""
        kube, watch_recorder = self._observers.kube, self._observers.watch_recorder
        labels = {"dag_id": self.dag_id, "task_id": self.task_id}
        runs = [r for r in watch_recorder.ever(RUNS) if self._is_there(r)]
        matching = [run for run in runs if labels.items() <= (_labels(run) or {}).items()]
        matching.sort(key=lambda run: str(run["metadata"]["creationTimestamp"]))
        return [Run(each, kube, watch_recorder) for each in matching]

    def run(self, number: int = 1, seconds: float = END) -> Run:
        """Wait until the task has that many TaskRuns; return the one of that number."""
        runs: list[Run] = self._observers.watch_recorder.wait(
            lambda: runs_so_far if len(runs_so_far := self.runs()) >= number else None,
            seconds,
            f"{self} has {number} TaskRuns",
        )
        return runs[number - 1]

    def at_work(self, number: int = 1) -> Run:
        """Wait until the container of a TaskRun runs; return the TaskRun."""
        run = self.run(number)
        run.main_started()
        return run

    def counted(self) -> Count:
        """Return the count so far; every TaskRun of the task must keep the invariants."""
        runs = self.runs()
        for run in runs:
            invariants.check(run)
        released = [
            history for run in runs for history in run.pods() if invariants.was_released(history)
        ]
        started = sum(self._observers.start_counter.starts(run.uid) for run in runs)
        return Count(len(runs), len(released), started)

    def evict(self, run: Run) -> None:
        """Evict the Pod of a TaskRun as `kubectl drain` does."""
        self._observers.kube.evict(run.namespace, run.pod_name())

    def cue(self, run: Run) -> None:
        """Release the work of a TaskRun that waits with `UNTIL_CUE`."""
        self._observers.start_counter.cue(run.uid)

    def was_asked_to_stop(self, run: Run) -> bool:
        """Return whether a TaskRun's work got SIGTERM and had the time to write its end."""
        return self._observers.start_counter.ends(run.uid) == 1

    def _is_there(self, run: Object) -> bool:
        return run["metadata"]["namespace"] in self._observers.namespaces

    @override
    def __str__(self) -> str:
        return f"{self.dag_id}.{self.task_id}"


def _labels(found: Object) -> Mapping[str, str] | None:
    labels: Mapping[str, str] | None = found["metadata"].get("labels")
    return labels


def _text(entry: Object) -> str:
    text = str(entry.get("event", ""))
    for error in entry.get("error_detail") or []:
        text += f"\n{error.get('exc_type')}: {error.get('exc_value')}"
    return text
