"""Tests of which runs a try adopts and cancels: after a retry, a clear, or in another Airflow."""

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.names import ANNOTATION_COLLECTED
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.identity import Try
from taskruns_airflow.reattach import ReattachPlan, plan_reattach

POD = "uid-of-the-pod"
FIRST = Try(
    dag_id="sales",
    task_id="load",
    run_id="manual",
    map_index=-1,
    try_number=1,
    max_tries=2,
    run_start="2026-11-25T04:00:00.000001+00:00",
    instance="i1",
    dag_version="v1",
)
RETRY = dataclasses.replace(FIRST, try_number=2, instance="i2")
CLEAR = dataclasses.replace(FIRST, try_number=2, max_tries=3, instance="i2")
CLEAR_OF_A_FINISHED_DAG_RUN = dataclasses.replace(
    CLEAR, run_start="2026-11-25T05:00:00.000001+00:00"
)
CREATED_AGAIN = dataclasses.replace(
    FIRST, run_start="2026-11-25T05:00:00.000001+00:00", instance="i2"
)


def run(
    of: Try,
    phase: str | None = "Running",
    *,
    collected: bool = False,
    cancel: bool = False,
    deleting: bool = False,
) -> TaskRun:
    annotations = dict(of.annotations) | ({ANNOTATION_COLLECTED: POD} if collected else {})
    metadata: dict[str, Any] = {
        "name": of.name,
        "namespace": "default",
        "uid": f"uid-of-{of.name}",
        "annotations": annotations,
        "deletionTimestamp": "2026-11-25T06:00:00Z" if deleting else None,
    }
    status = {"phase": phase, "podUID": POD} if phase else {}
    return TaskRun.model_validate(
        {"metadata": metadata, "spec": {"cancel": cancel}, "status": status}
    )


def test_without_earlier_runs_a_run_is_created() -> None:
    assert plan_reattach(FIRST, []) == ReattachPlan()


@pytest.mark.parametrize("phase", [None, "Queued", "Running", "Succeeded", "Failed", "Cancelled"])
def test_a_try_reattaches_to_the_run_that_it_created(phase: str | None) -> None:
    mine = run(FIRST, phase)
    assert plan_reattach(FIRST, [mine]) == ReattachPlan(reattached=mine)


@pytest.mark.parametrize("phase", [None, "Queued", "Pending", "Running", "BackingOff"])
def test_a_retry_reattaches_to_an_active_run(phase: str | None) -> None:
    before = run(FIRST, phase)
    assert plan_reattach(RETRY, [before]) == ReattachPlan(reattached=before)


def test_a_retry_takes_a_success_that_is_not_collected() -> None:
    before = run(FIRST, "Succeeded")
    assert plan_reattach(RETRY, [before]) == ReattachPlan(reattached=before)


@pytest.mark.parametrize(
    "before",
    [run(FIRST, "Succeeded", collected=True), run(FIRST, "Failed"), run(FIRST, "Cancelled")],
)
def test_a_retry_creates_a_run_after_a_collected_or_failed_one(
    before: TaskRun,
) -> None:
    assert plan_reattach(RETRY, [before]) == ReattachPlan()


@pytest.mark.parametrize("how", [{"cancel": True}, {"deleting": True}])
def test_a_retry_waits_for_the_end_of_a_run_that_is_stopping(how: dict[str, bool]) -> None:
    before = run(FIRST, "Stopping", **how)
    assert plan_reattach(RETRY, [before]) == ReattachPlan(superseded=(before,))


def test_a_retry_reattaches_to_the_latest_run_and_cancels_the_others() -> None:
    first, second = run(FIRST), run(RETRY)
    third = dataclasses.replace(RETRY, try_number=3, instance="i3")
    assert plan_reattach(third, [second, first]) == ReattachPlan(second, (first,))


@pytest.mark.parametrize("own", [CLEAR, CLEAR_OF_A_FINISHED_DAG_RUN, CREATED_AGAIN])
def test_a_clear_cancels_all_active_runs(own: Try) -> None:
    active = run(FIRST)
    assert plan_reattach(own, [active]) == ReattachPlan(superseded=(active,))
    assert plan_reattach(own, [run(FIRST, "Succeeded")]) == ReattachPlan()
    assert plan_reattach(own, [run(FIRST, "Failed")]) == ReattachPlan()


def test_the_try_after_a_clear_is_a_retry_of_the_clear() -> None:
    after = dataclasses.replace(CLEAR, try_number=3, instance="i3")
    old, cleared = run(FIRST, "Failed"), run(CLEAR)
    assert plan_reattach(after, [old, cleared]) == ReattachPlan(reattached=cleared)


def test_runs_of_another_airflow_are_ignored() -> None:
    theirs = dataclasses.replace(
        FIRST,
        instance="i9",
        dag_version="v9",
        run_start="2026-11-25T04:00:00.000002+00:00",
    )
    for own in (RETRY, CLEAR, CLEAR_OF_A_FINISHED_DAG_RUN, CREATED_AGAIN):
        assert plan_reattach(own, [run(theirs)]) == ReattachPlan()


def test_airflow_2_deployments_differ_by_the_start_of_the_dag_run() -> None:
    before = dataclasses.replace(FIRST, instance="", dag_version="", deployment="d")
    theirs = dataclasses.replace(before, run_start="2026-11-25T04:00:00.000002+00:00")
    own = dataclasses.replace(before, try_number=2)
    assert plan_reattach(own, [run(theirs)]) == ReattachPlan()
    assert plan_reattach(own, [run(before)]) == ReattachPlan(reattached=run(before))


def test_airflow_2_deployments_with_the_same_date_differ_by_their_url() -> None:
    before = dataclasses.replace(FIRST, instance="", dag_version="", deployment="d")
    theirs = dataclasses.replace(before, deployment="e")
    own = dataclasses.replace(before, try_number=2)
    assert plan_reattach(own, [run(theirs)]) == ReattachPlan()


def test_runs_without_a_try_are_ignored() -> None:
    strange = run(FIRST).model_copy()
    nameless = strange.model_copy(
        update={"metadata": strange.metadata.model_copy(update={"annotations": {}})}
    )
    assert plan_reattach(RETRY, [nameless]) == ReattachPlan()


def test_runs_of_later_tries_are_ignored() -> None:
    assert plan_reattach(FIRST, [run(RETRY)]) == ReattachPlan()


CASES = [
    run(of, phase, collected=collected)
    for of, phase, collected in itertools.product(
        (FIRST, RETRY, CLEAR, CREATED_AGAIN),
        (None, "Running", "Stopping", "Succeeded", "Failed"),
        (False, True),
    )
]


@given(st.sampled_from([RETRY, CLEAR, CREATED_AGAIN]), st.lists(st.sampled_from(CASES), max_size=6))
def test_nothing_that_has_ended_is_cancelled_and_nothing_is_both(
    own: Try, runs: list[TaskRun]
) -> None:
    decision = plan_reattach(own, runs)
    assert all(each in runs for each in decision.superseded)
    assert all(each.status.phase not in {"Succeeded", "Failed"} for each in decision.superseded)
    assert decision.reattached not in decision.superseded or runs.count(decision.reattached) > 1
