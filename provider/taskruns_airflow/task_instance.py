"""Identity and current state of a task instance, as Airflow reports them to the task."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

from airflow.providers.common.compat.sdk import conf

from taskruns_airflow.identity import Try, format_time

_SET_BY_USER = {"failed", "success", "skipped", "upstream_failed", "removed", "restarting"}
"""States that a user can set on a running task by marking or (`restarting`) clearing it."""

_STORE_KEY = "taskrun"

_ACTIVE_STATES = {"running", "deferred"}

_QUERY_SECONDS = 2.0
"""Time limit for querying the state of a task that is being stopped, in seconds."""


def try_of(context: Mapping[str, Any]) -> Try:
    """Return the try that runs in this context, on Airflow 2 as on Airflow 3."""
    ti = context["ti"]
    dag_run = context["dag_run"]
    # Airflow 2 numbers the tries of a task instance and has no id for a single try.
    instance = str(getattr(ti, "id", None) or "")
    return Try(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        run_start=format_time(dag_run.start_date),
        instance=instance,
        dag_version=str(getattr(ti, "dag_version_id", None) or "") if instance else "",
        deployment="" if instance else conf.get("webserver", "base_url", fallback=""),
    )


def is_wanted(states: Collection[str | None]) -> bool:
    """Whether no user has marked or cleared a task in these states.

    An unknown state counts as wanted: the next try finds a run that continues, and the run's
    deadlines still hold.
    """
    return not _SET_BY_USER.intersection(states)


def another_try_follows(context: Mapping[str, Any], states: Collection[str | None]) -> bool:
    """Whether another try follows if this one fails, or has been scheduled already.

    A scheduler that misses a task's heartbeat, or replaces a dead scheduler, schedules the task
    again regardless of `retries`, while the old process may still live. The task's state is then
    neither running nor deferred.
    """
    ti = context["ti"]
    retried = bool(ti.max_tries) and bool(ti.try_number <= ti.max_tries)
    return retried or any(state not in _ACTIVE_STATES for state in states)


@dataclass(slots=True)
class TaskState:
    """State of a task in Airflow; the defaults mean that Airflow did not respond."""

    states: Collection[str | None] = ()
    """Current state: one item, or none if Airflow did not respond."""
    superseded: bool = False
    """Whether a later try has begun, which the task's state alone does not show."""


def current_state(context: Mapping[str, Any], stored_uid: str = "") -> TaskState:
    """Return the task's current state in Airflow, or an empty one after two seconds.

    The query runs in a thread, because it may block for longer. Airflow kills a task five seconds
    after the stop signal, and the cancellation of the run needs the rest of that time.

    Args:
        context: Airflow's context of the task.
        stored_uid: The uid that this try has stored in Airflow; empty if none.
    """
    state = TaskState()

    def query() -> None:
        with suppress(Exception):  # the task ends in any case
            state.states = _states(context["ti"])
            state.superseded = bool(stored_uid) and _is_superseded(context, stored_uid)

    thread = Thread(target=query, name="taskruns: query task state", daemon=True)
    thread.start()
    thread.join(_QUERY_SECONDS)
    return replace(state)


def _states(ti: Any) -> list[str | None]:
    if not hasattr(ti, "get_task_states"):
        ti.refresh_from_db()
        return [ti.state]
    index = -1 if ti.map_index is None else ti.map_index
    states = ti.get_task_states(
        dag_id=ti.dag_id,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
        map_index=index if index >= 0 else None,
    )
    return list(states.get(ti.run_id, {}).values())


def store_uid(context: Mapping[str, Any], uid: str) -> None:
    """Store the run's uid in Airflow's task state store (3.3 or newer), if there is one."""
    store = context.get("task_state_store")
    if store is not None:
        store.set(_STORE_KEY, uid)


def _is_superseded(context: Mapping[str, Any], uid: str) -> bool:
    """Whether the store returns the uid of a later try; it keeps only the latest."""
    store = context.get("task_state_store")
    return store is not None and store.get(_STORE_KEY) != uid


def is_of_another_try(context: Mapping[str, Any], uid: str) -> bool:
    """Whether the task's latest try has stored another uid than this one.

    Some databases, such as SQLite, reuse the numbers of triggers. The event of a cleared try's
    trigger can then reach the next try. Without Airflow's store (before 3.3) the answer is False.
    """
    store = context.get("task_state_store")
    try:
        stored = store.get(_STORE_KEY) if store is not None else None
    except Exception:  # noqa: BLE001  # without a response, assume that the run is this try's
        return False
    return bool(uid and stored) and stored != uid
