"""One task of a DAG run, as a test follows it: what Airflow says, and what really ran."""

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
from tests.support.cluster.start_counter import Ledger
from tests.support.cluster.watch_recorder import Journal

SYNC, DEFERRED = (("sync",), ("deferred",))
BOTH = SYNC + DEFERRED
"""How tasks wait: in a worker, or in the triggerer."""

OWN_UID = 'echo "\\"$TASKRUN_UID\\"" > /airflow/xcom/return.json'
"""What a task runs to have its TaskRun's uid as its result."""

TERMINAL = frozenset({"success", "failed", "skipped"})
END = 180
"""Seconds in which a task with short work must have ended, on a machine that is busy with many."""


@dataclass(frozen=True, slots=True)
class Count:
    """What the apiserver and the task's own words say that a task has cost."""

    created: int
    """TaskRuns."""
    released: int
    """Pods that were let go to run."""
    started: int
    """How often the work has really begun: lines that containers wrote."""


ONCE = Count(created=1, released=1, started=1)
TWICE = Count(created=2, released=2, started=2)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who tells a test what really happened."""

    kube: Kube
    journal: Journal
    ledger: Ledger
    namespaces: AbstractSet[str]
    """Where the TaskRuns of this Airflow are; others may have had the same DAGs before."""


class Task:
    """Follows one task, with all its tries."""

    def __init__(
        self,
        airflow: Airflow,
        witnesses: Witnesses,
        dag_id: str,
        run_id: str,
        task_id: str = "task",
    ) -> None:
        self.airflow = airflow
        self.dag_id = dag_id
        self.run_id = run_id
        self.task_id = task_id
        self._witnesses = witnesses

    # ------------------------------------------------------------------ as Airflow tells it

    def instances(self) -> list[Object]:
        """Its task instances: one, or one for each map index."""
        found = self.airflow.rest.instances(self.dag_id, self.run_id)
        return [each for each in found if each["task_id"] == self.task_id]

    def instance(self) -> Object:
        (instance,) = self.instances()
        return instance

    def reaches(self, *states: str, try_number: int = 1, seconds: float = END) -> Object:
        """Wait until it is in one of these states, in this try or a later one."""

        def look() -> Object | None:
            found = self.instance()
            there = found["state"] in states and found["try_number"] >= try_number
            if found["state"] in TERMINAL - set(states) and found["try_number"] >= try_number:
                raise AssertionError(f"{self} ended {found['state']}, not {states}:\n{self.log()}")
            return found if there else None

        what = f"{self} is {' or '.join(states)} in try {try_number}"
        found: Object = self.airflow.wait(look, what, seconds)
        return found

    def succeeds(self, **how: Any) -> Object:
        return self.reaches("success", **how)

    def fails(self, **how: Any) -> Object:
        return self.reaches("failed", **how)

    def all_end(self, count: int, seconds: float) -> None:
        """Wait until that many mapped instances have ended."""

        def look() -> bool | None:
            states = [each["state"] for each in self.instances()]
            return sum(state in TERMINAL for state in states) == count or None

        self.airflow.wait(look, f"{count} tasks of {self} have ended", seconds)

    def settles(self, state: str) -> None:
        """Wait until no process is at work on it; it must then be in a state, as it was before."""
        pid = self.instance()["pid"]
        gone = lambda: None if Path(f"/proc/{pid}").exists() else True  # noqa: E731
        self.airflow.wait(gone, f"the process of {self} has ended")
        assert self.instance()["state"] == state

    def log(self, try_number: int = 0, map_index: int = -1) -> str:
        """What the log of a try says (the newest's, unless told), a line for each entry."""
        number = try_number or self.instance()["try_number"]
        entries = self.airflow.rest.log(self.dag_id, self.run_id, self.task_id, number, map_index)
        return "\n".join(_text(entry) for entry in entries)

    def says(self, text: str, try_number: int = 0, seconds: float = END) -> str:
        """Wait until its log has a text; return the log."""

        def look() -> str | None:
            log = self.log(try_number)
            return log if text in log else None

        log: str = self.airflow.wait(look, f"the log of {self} says {text!r}", seconds)
        return log

    def xcom(self, key: str = "return_value") -> Any:
        return self.airflow.rest.xcom(self.dag_id, self.run_id, self.task_id, key)

    def start(self) -> None:
        """Start the DAG run of a task that was to be started later."""
        self.airflow.rest.trigger(self.dag_id, self.run_id)

    def forget(self) -> None:
        """Delete its DAG run, once it has succeeded and the scheduler has taken note.

        Otherwise Airflow takes what the old task's worker has to tell for the new task's word.
        """
        noted = (f"TaskInstance Finished: dag_id={self.dag_id},", "state=success")

        def has_ended() -> bool | None:
            found = self.airflow.rest.dag_run(self.dag_id, self.run_id)
            return (found["state"] == "success" and self.airflow.said(SCHEDULER, *noted)) or None

        self.airflow.wait(has_ended, f"the DAG run of {self} has ended")
        self.airflow.rest.delete(self.dag_id, self.run_id)

    def mark(self, state: str) -> None:
        self.airflow.rest.mark(self.dag_id, self.run_id, self.task_id, state)

    def clear(self) -> None:
        self.airflow.rest.clear(self.dag_id, self.run_id, self.task_id)

    # ------------------------------------------------------------------ its process

    def pid(self) -> int:
        """The process that the task runs in; its parent is the worker."""
        found: int = self.reaches("running")["pid"]
        return found

    def stop_worker(self) -> None:
        """End its worker as a shutdown does: SIGTERM, which it hands to the task."""
        os.kill(parent_of(self.pid()), signal.SIGTERM)

    def kill_worker(self) -> None:
        """End its worker and itself with no warning, as when a machine is lost."""
        pid = self.pid()
        os.kill(parent_of(pid), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)

    def is_told_to_stop(self, pid: int) -> None:
        """Wait until SIGTERM has come to its process, which stands still."""
        self.airflow.wait(lambda: is_told_to_stop(pid) or None, f"{self} is told to stop")

    # ------------------------------------------------------------------ as it really was

    def runs(self) -> list[Run]:
        """All TaskRuns that there ever were of it, oldest first."""
        kube, journal = self._witnesses.kube, self._witnesses.journal
        mine = {"dag_id": self.dag_id, "task_id": self.task_id}
        there = [r for r in journal.ever(RUNS) if self._is_there(r)]
        found = [run for run in there if mine.items() <= (_labels(run) or {}).items()]
        found.sort(key=lambda run: str(run["metadata"]["creationTimestamp"]))
        return [Run(each, kube, journal) for each in found]

    def run(self, number: int = 1, seconds: float = END) -> Run:
        """Wait until it has that many TaskRuns; return that one."""
        runs: list[Run] = self._witnesses.journal.wait(
            lambda: found if len(found := self.runs()) >= number else None,
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
        """What it has cost so far; every TaskRun of it is held against the laws."""
        runs = self.runs()
        for run in runs:
            invariants.check(run)
        released = [
            history for run in runs for history in run.pods() if invariants.was_released(history)
        ]
        started = sum(self._witnesses.ledger.starts(run.uid) for run in runs)
        return Count(len(runs), len(released), started)

    def evict(self, run: Run) -> None:
        """End the Pod of a TaskRun as `kubectl drain` does."""
        self._witnesses.kube.evict(run.namespace, run.pod_name())

    def cue(self, run: Run) -> None:
        """Let the work of a TaskRun end that waits for it."""
        self._witnesses.ledger.cue(run.uid)

    def was_asked_to_stop(self, run: Run) -> bool:
        """Whether the work of a TaskRun got SIGTERM, and the time to write that down."""
        return self._witnesses.ledger.ends(run.uid) == 1

    def _is_there(self, run: Object) -> bool:
        return run["metadata"]["namespace"] in self._witnesses.namespaces

    @override
    def __str__(self) -> str:
        return f"{self.dag_id}.{self.task_id}"


def _labels(found: Object) -> Mapping[str, str] | None:
    labels: Mapping[str, str] | None = found["metadata"].get("labels")
    return labels


def _text(entry: Object) -> str:
    told = str(entry.get("event", ""))
    for error in entry.get("error_detail") or []:
        told += f"\n{error.get('exc_type')}: {error.get('exc_value')}"
    return told
