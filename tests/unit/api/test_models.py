"""The models read everything that the CRD accepts, and write it back unchanged."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.conditions import ConditionType
from taskruns.api.crd import resource_schema
from taskruns.api.v1alpha1 import Condition, TaskRun, TaskRunSpec, TaskRunStatus
from taskruns.api.v1alpha1.model import TIME_PATTERN
from tests.support.builders import schemas

SCHEMA = resource_schema()
SPEC, STATUS = SCHEMA["properties"]["spec"], SCHEMA["properties"]["status"]


def a_run(spec: Any, status: Any) -> dict[str, Any]:
    metadata = {"name": "hello", "namespace": "default", "uid": "1"}
    return {"metadata": metadata, "spec": spec, "status": status}


@given(spec=schemas.SPECS, status=schemas.STATUSES)
def test_the_models_parse_every_object_that_the_schema_accepts(spec: Any, status: Any) -> None:
    TaskRun.model_validate(a_run(spec, status))


@given(spec=schemas.SPECS)
def test_a_parsed_spec_is_serialized_unchanged(spec: Any) -> None:
    read = TaskRunSpec.model_validate(spec)
    assert TaskRunSpec.model_validate(read.to_json()) == read


@given(status=schemas.STATUSES)
def test_a_parsed_status_is_serialized_unchanged(status: Any) -> None:
    for condition in status.get("conditions", ()):
        condition.setdefault("message", "")
    assert TaskRunStatus.model_validate(status).to_json() == status


@given(spec=schemas.SPECS, data=st.data())
def test_an_unknown_field_is_ignored(spec: Any, data: st.DataObject) -> None:
    extra = data.draw(schemas.ANYTHING)
    assert TaskRunSpec.model_validate({**spec, "introducedLater": extra}) == (
        TaskRunSpec.model_validate(spec)
    )


def test_an_absent_field_stays_absent() -> None:
    assert TaskRunSpec.model_validate({}).to_json() == {}
    assert TaskRunStatus.model_validate({}).to_json() == {}


def test_a_condition_of_another_client_is_parsed_unchanged() -> None:
    condition = {
        "type": "Archived",
        "status": "True",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
        "reason": "Copied",
        "message": "",
    }
    assert Condition.model_validate(condition).to_json() == condition
    ours = Condition.model_validate(condition | {"type": "Finished"})
    assert ours.type is ConditionType.FINISHED


def test_python_names_and_wire_names_both_make_a_spec() -> None:
    by_name = TaskRunSpec(image="busybox:1", backoff_limit=2, pod_gc=None)
    assert by_name == TaskRunSpec.model_validate({"image": "busybox:1", "backoffLimit": 2})
    assert json.loads(by_name.model_dump_json(by_alias=True, exclude_none=True)) == (
        by_name.to_json()
    )


@given(st.from_regex(TIME_PATTERN.strip("^$"), fullmatch=True))
def test_every_time_that_the_crd_accepts_is_a_time(text: str) -> None:
    read = TaskRunStatus.model_validate({"startTime": text})
    assert read.to_json() == {"startTime": text}


@given(st.integers(-30_610_224_000, 253_402_300_799))
def test_the_crd_accepts_every_time_from_the_year_1000_on(seconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert re.fullmatch(TIME_PATTERN, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:59:60Z",
        "2026-01-01T00:00:00+99:99",
        "2026-01-01 00:00:00Z",
    ],
)
def test_the_crd_rejects_invalid_times(text: str) -> None:
    assert not re.fullmatch(TIME_PATTERN, text)


@pytest.mark.parametrize("text", ["2024-02-29T00:00:00Z", "2000-02-29T23:59:59Z"])
def test_leap_years_have_february_29(text: str) -> None:
    assert re.fullmatch(TIME_PATTERN, text)
