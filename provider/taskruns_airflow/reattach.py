"""Decision which TaskRun of an earlier try a new try reattaches to, and which ones it cancels.

A retry reattaches to the previous try's run if it is active, or has succeeded without being
collected. After a clear, a try reattaches to none, because the work is to be repeated. All other
active runs of the task must end before a run is created, so that two runs of one task never
overlap.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from taskruns.api.conditions import Phase
from taskruns.api.names import ANNOTATION_COLLECTED
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.identity import Try


@dataclass(frozen=True, slots=True)
class ReattachPlan:
    """Runs of earlier tries, sorted by what the new try does with them."""

    reattached: TaskRun | None = None
    """The run to reattach to; None to create one."""
    superseded: tuple[TaskRun, ...] = ()
    """Active runs of this task to cancel and to wait for, before one is created."""


def plan_reattach(own: Try, runs: Iterable[TaskRun]) -> ReattachPlan:
    """Decide what a try does with the TaskRuns that have its task label.

    Runs of another Airflow with the same label are ignored.
    """
    tries = [(run, Try.of(run.metadata.annotations)) for run in runs]
    kin = [(run, each) for run, each in tries if each is not None and _of_one_task(own, each)]
    mine = next((run for run, each in kin if each.key == own.key), None)
    if mine is not None:
        return ReattachPlan(reattached=mine)
    before = sorted(
        ((run, each) for run, each in kin if _order(each) < _order(own)),
        key=lambda pair: _order(pair[1]),
    )
    reattached = None
    if before and _is_retry_of(own, before[-1][1]) and _can_reattach(before[-1][0]):
        reattached = before[-1][0]
    active = (run for run, _ in before if run is not reattached and not run.is_terminal)
    return ReattachPlan(reattached, tuple(active))


def collected(run: TaskRun) -> bool:
    """Whether the run's last Pod is marked as collected."""
    mark = run.metadata.annotations.get(ANNOTATION_COLLECTED)
    return mark is not None and mark == run.status.pod_uid


def _of_one_task(own: Try, candidate: Try) -> bool:
    """Whether two tries belong to the same task of the same Airflow.

    Two Airflows in one namespace may have the same DAG with the same run ids. They cannot share
    the start time of a DAG run, to the microsecond, or the id of a DAG version. With `dags test`
    of Airflow 2, the start time is the logical date that is tested.
    """
    same_place = candidate.dag_version == own.dag_version if own.dag_version else False
    same_run = bool(own.run_start) and candidate.run_start == own.run_start
    same_names = (candidate.task_label, candidate.deployment) == (own.task_label, own.deployment)
    return same_names and (same_run or same_place)


def _is_retry_of(own: Try, previous: Try) -> bool:
    return (own.run_start, own.max_tries) == (previous.run_start, previous.max_tries)


def _order(each: Try) -> tuple[str, int]:
    return each.run_start, each.try_number


def _can_reattach(run: TaskRun) -> bool:
    if run.is_terminal:
        return run.status.phase is Phase.SUCCEEDED and not collected(run)
    return run.metadata.deletion_timestamp is None and not run.spec.cancel
