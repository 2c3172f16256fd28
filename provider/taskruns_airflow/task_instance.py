"""What Airflow tells a task about itself: which try it is, and whether it is still wanted."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

from airflow.providers.common.compat.sdk import conf

from taskruns_airflow.identity import Try, moment

_UNWANTED = {"failed", "success", "skipped", "upstream_failed", "removed", "restarting"}
"""States that somebody has set over a task that runs: marked, or (`restarting`) cleared."""

_REMEMBERED = "taskrun"

_AT_WORK = {"running", "deferred"}

_SECONDS_TO_ASK = 2.0
"""How long Airflow has to say how a task stands that was told to stop."""


def try_of(context: Mapping[str, Any]) -> Try:
    """Return the try that runs in this context, on Airflow 2 as on Airflow 3."""
    ti = context["ti"]
    dag_run = context["dag_run"]
    # Airflow 2 numbers a task instance's tries and has no id for one of them.
    instance = str(getattr(ti, "id", None) or "")
    return Try(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        run_start=moment(dag_run.start_date),
        instance=instance,
        dag_version=str(getattr(ti, "dag_version_id", None) or "") if instance else "",
        deployment="" if instance else conf.get("webserver", "base_url", fallback=""),
    )


def is_wanted(states: Collection[str | None]) -> bool:
    """Whether nobody has marked or cleared a task of these states.

    What cannot be found out counts as wanted: a run that goes on is found by the next try, and
    has its deadlines.
    """
    return not _UNWANTED.intersection(states)


def goes_on(context: Mapping[str, Any], states: Collection[str | None]) -> bool:
    """Whether another try follows if this one fails, or follows already.

    A scheduler that misses a task's heartbeat, or takes over from one that died, schedules the task
    again while its process may live, whatever `retries` says: its state is another then.
    """
    ti = context["ti"]
    retried = bool(ti.max_tries) and bool(ti.try_number <= ti.max_tries)
    return retried or any(state not in _AT_WORK for state in states)


@dataclass(slots=True)
class TaskState:
    """What Airflow says of a task that is told to stop; nothing, as long as it does not answer."""

    states: Collection[str | None] = ()
    """The state that it is in now."""
    superseded: bool = False
    """Whether another try is under way, of a task that seems to be at work."""


def standing_of(context: Mapping[str, Any], remembered: str = "") -> TaskState:
    """Ask Airflow how the task stands now, and wait two seconds for an answer.

    It is asked in a thread that may outlive the question: whoever tells a task to stop kills it
    five seconds later, and its run is still to be cancelled then.

    Args:
        context: Airflow's, of the task.
        remembered: the uid that this try has had Airflow remember, where it has.
    """
    found = TaskState()

    def ask() -> None:
        with suppress(Exception):  # whatever happens here, the task is about to end
            found.states = _states(context["ti"])
            found.superseded = bool(remembered) and _is_superseded(context, remembered)

    asking = Thread(target=ask, name="taskruns: ask Airflow", daemon=True)
    asking.start()
    asking.join(_SECONDS_TO_ASK)
    return replace(found)


def _states(ti: Any) -> list[str | None]:
    if not hasattr(ti, "get_task_states"):
        ti.refresh_from_db()
        return [ti.state]
    index = -1 if ti.map_index is None else ti.map_index
    found = ti.get_task_states(
        dag_id=ti.dag_id,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
        map_index=index if index >= 0 else None,
    )
    return list(found.get(ti.run_id, {}).values())


def remember(context: Mapping[str, Any], uid: str) -> None:
    """Leave the run's uid with this try, where Airflow keeps such things (3.3 or newer)."""
    store = context.get("task_state_store")
    if store is not None:
        store.set(_REMEMBERED, uid)


def _is_superseded(context: Mapping[str, Any], uid: str) -> bool:
    """Only the latest try of a task can ask for what it has left; an older one finds nothing."""
    store = context.get("task_state_store")
    return store is not None and store.get(_REMEMBERED) != uid


def is_of_another_try(context: Mapping[str, Any], uid: str) -> bool:
    """Whether the run of this uid is not the one that the task's latest try has remembered.

    A database that gives a trigger's number again, as SQLite does, lets the last word of a cleared
    try's trigger reach the next try. Without Airflow's store (before 3.3) nothing is known.
    """
    store = context.get("task_state_store")
    try:
        found = store.get(_REMEMBERED) if store is not None else None
    except Exception:  # noqa: BLE001  # a run that is waited for is this try's
        return False
    return bool(uid and found) and found != uid
