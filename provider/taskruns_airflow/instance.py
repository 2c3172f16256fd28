"""What Airflow tells a task about itself: which try it is, and whether it is still wanted."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import conf

from taskruns_airflow.identity import Try, moment

_WANTED = {"running", "queued", "deferred"}


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


def is_wanted(context: Mapping[str, Any]) -> bool:
    """Ask Airflow whether this try should still run: False once a user has marked or cleared it.

    What cannot be found out counts as wanted: a run that goes on is found by the next try, and
    has its deadlines.
    """
    ti = context["ti"]
    try:
        states = _states(ti)
    except Exception:  # noqa: BLE001  # whatever happens here, the task is about to end
        return True
    return not states or all(state in _WANTED for state in states)


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


def may_be_retried(context: Mapping[str, Any]) -> bool:
    """Whether Airflow makes another try if this one fails."""
    ti = context["ti"]
    return bool(ti.max_tries) and bool(ti.try_number <= ti.max_tries)
