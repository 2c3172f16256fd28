"""Tests of a try's names, labels and annotations: valid in Kubernetes, and unique."""

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns_airflow.identity import ANNOTATION_TRY, LABEL_TASK, Try, format_time, label_value

START = "2026-11-25T04:00:00.123456+00:00"
FIRST = Try(
    dag_id="sales",
    task_id="load",
    run_id="scheduled__2026-11-25T00:00:00+00:00",
    map_index=-1,
    try_number=1,
    max_tries=2,
    run_start=START,
    instance="0199f0a2-0000-7000-8000-000000000001",
    dag_version="0199f0a2-0000-7000-8000-00000000000f",
)
ON_AIRFLOW_2 = dataclasses.replace(FIRST, instance="", dag_version="", deployment="d1")

tries = st.builds(
    Try,
    dag_id=st.text(min_size=1, max_size=250),
    task_id=st.text(min_size=1, max_size=250),
    run_id=st.text(min_size=1, max_size=250),
    map_index=st.integers(-1, 10**6),
    try_number=st.integers(0, 10**4),
    max_tries=st.integers(0, 10**4),
    run_start=st.sampled_from([START, ""]),
    instance=st.sampled_from(["", FIRST.instance]),
    dag_version=st.sampled_from(["", FIRST.dag_version]),
    deployment=st.sampled_from(["", "d1"]),
)


def test_a_name_contains_dag_and_task() -> None:
    assert re.fullmatch(r"sales-load-[0-9a-f]{10}", FIRST.name)
    assert re.fullmatch(r"sales-load-7-[0-9a-f]{10}", dataclasses.replace(FIRST, map_index=7).name)


def test_a_name_without_allowed_characters_is_a_hash() -> None:
    assert re.fullmatch(r"[0-9a-f]{10}", dataclasses.replace(FIRST, dag_id="é", task_id="日").name)


@given(tries)
def test_every_name_is_a_valid_name_and_label(each: Try) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", each.name)
    assert len(each.name) <= 63


@given(tries)
def test_every_label_is_accepted_by_kubernetes(each: Try) -> None:
    for value in each.labels.values():
        assert len(value) <= 63
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", value)


@given(tries)
def test_a_try_is_read_back_as_it_was_written(each: Try) -> None:
    assert Try.of(each.annotations) == each


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "7",
        "null",
        "{}",
        json.dumps({**dataclasses.asdict(FIRST), "try_number": "1"}),
        json.dumps({**dataclasses.asdict(FIRST), "max_tries": None}),
        json.dumps({**dataclasses.asdict(FIRST), "run_start": 3}),
    ],
)
def test_an_invalid_annotation_names_no_try(text: str) -> None:
    assert Try.of({ANNOTATION_TRY: text}) is None
    assert Try.of({}) is None


def test_an_annotation_of_a_newer_version_is_understood() -> None:
    parts = json.loads(FIRST.annotations[ANNOTATION_TRY]) | {"colour": "red"}
    assert Try.of({ANNOTATION_TRY: json.dumps(parts)}) == FIRST


def test_on_airflow_3_the_name_depends_on_the_task_instance_alone() -> None:
    assert dataclasses.replace(FIRST, instance="another").name != FIRST.name
    same = dataclasses.replace(FIRST, try_number=2, max_tries=5, run_start="", dag_version="")
    assert same.name == FIRST.name


@pytest.mark.parametrize(
    "difference",
    [
        {"try_number": 2},
        {"max_tries": 5},
        {"run_start": "2026-11-25T04:00:00.123457+00:00"},
        {"deployment": "d2"},
        {"run_id": "manual"},
        {"map_index": 0},
    ],
)
def test_on_airflow_2_the_name_depends_on_every_part(difference: dict[str, Any]) -> None:
    assert dataclasses.replace(ON_AIRFLOW_2, **difference).name != ON_AIRFLOW_2.name


def test_all_tries_of_a_task_share_its_label_and_no_other_task_does() -> None:
    again = dataclasses.replace(FIRST, try_number=2, instance="another", run_start="")
    assert again.labels[LABEL_TASK] == FIRST.labels[LABEL_TASK]
    changes: list[dict[str, Any]] = [
        {"dag_id": "x"},
        {"task_id": "x"},
        {"run_id": "x"},
        {"map_index": 0},
    ]
    for change in changes:
        assert dataclasses.replace(FIRST, **change).task_label != FIRST.task_label


def test_a_label_keeps_what_is_allowed_and_hashes_what_is_not() -> None:
    assert label_value("sales_2.0") == "sales_2.0"
    assert re.fullmatch(r"a_b-[0-9a-f]{10}", label_value("a:b"))
    assert label_value("a:b") != label_value("a;b")
    assert label_value("x" * 63) == "x" * 63
    assert label_value("x" * 64) != label_value("x" * 65)


def test_formatted_times_sort_chronologically_in_any_time_zone() -> None:
    east = timezone(timedelta(hours=5))
    first = datetime(2026, 11, 25, 9, 0, tzinfo=east)
    second = datetime(2026, 11, 25, 4, 0, 0, 1, tzinfo=UTC)
    assert format_time(first) == "2026-11-25T04:00:00.000000+00:00"
    assert format_time(first) < format_time(second)
    assert format_time(None) == ""
