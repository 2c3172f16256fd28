"""The status: a subresource of its own, lenient to read, and final once the run has ended."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskruns.api.cel_rules import RULES
from taskruns.api.conditions import TERMINAL_PHASES, Phase
from taskruns.api.crd import resource_schema
from taskruns.api.v1alpha1 import TaskRun
from taskruns.api.v1alpha1.status import MAX_ATTEMPTS
from taskruns.core.message import MAX_MESSAGE
from tests.api.crd_copy import Api, answer
from tests.support.builders import schemas
from tests.support.builders.schemas import Path
from tests.support.builders.specs import SMALLEST
from tests.support.cluster.client import Refused

STATUS = resource_schema()["properties"]["status"]
NOON = "2026-01-01T12:00:00Z"

FULL: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Failed",
    "reason": "OOMKilled",
    "message": "Container main was killed: out of memory",
    "failureKind": "Application",
    "exitCode": 137,
    "result": "none",
    "attempt": 2,
    "podName": "hello-9f3c1a77d2-2",
    "podUID": "2",
    "startTime": NOON,
    "completionTime": NOON,
    "failed": 2,
    "disrupted": 0,
    "replaced": 1,
    "requeued": 0,
    "attempts": [
        {
            "number": 2,
            "podName": "hello-9f3c1a77d2-2",
            "podUID": "2",
            "nodeName": "node-1",
            "createdTime": NOON,
            "scheduledTime": NOON,
            "startedTime": NOON,
            "finishedTime": NOON,
            "stopTime": NOON,
            "troubleTime": NOON,
            "exitCode": 137,
            "signal": 9,
            "reason": "OOMKilled",
            "message": "out of memory",
            "outcome": "Failed",
            "final": True,
        }
    ],
    "conditions": [
        {
            "type": "Finished",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": NOON,
            "reason": "OOMKilled",
            "message": "out of memory",
        }
    ],
}

BEYOND: dict[str, list[tuple[Any, str]]] = {
    "status.observedGeneration": [(-2, "greater than or equal to -1")],
    "status.phase": [("Sleeping", 'supported values: "Suspended", "Queued"')],
    "status.failureKind": [("Mine", 'supported values: "Application"')],
    "status.attempt": [(-1, "greater than or equal to 0")],
    "status.failed": [(-1, "greater than or equal to 0"), (2**31, "less than or equal to")],
    "status.disrupted": [(-1, "greater than or equal to 0")],
    "status.replaced": [(-1, "greater than or equal to 0")],
    "status.requeued": [(-1, "greater than or equal to 0")],
    "status.exitCode": [(2**31, "less than or equal to")],
    "status.startTime": [
        (wrong, "should match")
        for wrong in ("now", "0000-01-01T00:00:00Z", "2026-01-01T12:00:00+99:99", NOON[:-1])
    ]
    + [("2026-02-30T12:00:00Z", "should match"), ([NOON], "must be of type string")],
    "status.attempts[0].number": [(0, "greater than or equal to 1")],
    "status.attempts[0].outcome": [("Lost", 'supported values: "Succeeded"')],
    "status.conditions[0].type": [
        ("", "at least 1 chars long"),
        ("x" * 317, "Too long: may not be"),
    ],
    "status.conditions[0].status": [("true", 'supported values: "True", "False", "Unknown"')],
}
PATHS = {schemas.written(("status", *path)): path for path, _ in schemas.fields(STATUS)}


def test_the_full_status_has_every_field() -> None:
    for path, schema in schemas.fields(STATUS):
        part: Any = FULL
        for step in path:
            part = part[step]
        assert part is not None, schema


def test_a_status_is_stored_unchanged(api: Api) -> None:
    run = api.create(SMALLEST)
    assert api.report(run, FULL)["status"] == FULL
    assert TaskRun.model_validate(api.read(run)).status.to_json() == FULL


@pytest.mark.parametrize(
    ("place", "value", "answer"),
    [(place, value, answer) for place, each in BEYOND.items() for value, answer in each],
)
def test_a_status_beyond_its_bounds_is_refused(
    api: Api, place: str, value: Any, answer: str
) -> None:
    run = api.create(SMALLEST)
    with pytest.raises(Refused) as refused:
        api.report(run, schemas.replaced(FULL, PATHS[place], value))
    assert answer in refused.value.sentence
    # Kubernetes 1.30 names the place within the status.
    assert place.removeprefix("status.") in refused.value.sentence


def _needed() -> Iterator[Path]:
    for path, schema in schemas.fields(STATUS):
        yield from ((*path, name) for name in schema.get("required", ()))


@pytest.mark.parametrize("path", list(_needed()), ids=schemas.written)
def test_a_missing_required_field_is_refused(api: Api, path: Path) -> None:
    run = api.create(SMALLEST)
    with pytest.raises(Refused, match="Required value"):
        api.report(run, schemas.removed(FULL, path))


@pytest.mark.parametrize("field", ["attempts", "conditions"])
def test_duplicate_attempts_and_conditions_are_refused(api: Api, field: str) -> None:
    run = api.create(SMALLEST)
    with pytest.raises(Refused, match="Duplicate value"):
        api.report(run, {field: FULL[field] * 2})


def test_more_attempts_than_the_maximum_are_refused(api: Api) -> None:
    most = STATUS["properties"]["attempts"]["maxItems"]
    assert most >= MAX_ATTEMPTS
    attempts = [{"number": n, "podName": f"p{n}", "podUID": f"u{n}"} for n in range(1, most + 2)]
    run = api.create(SMALLEST)
    assert api.report(run, {"attempts": attempts[:most]})
    with pytest.raises(Refused, match="must have at most"):
        api.report(run, {"attempts": attempts})


def test_the_longest_texts_of_the_controller_are_accepted(api: Api) -> None:
    """Characters of four bytes, and an API server's complete message about a Pod."""
    wide = "\N{GRINNING FACE}"
    texts = {"message": wide * MAX_MESSAGE, "result": wide * 1024}
    assert api.report(api.create(SMALLEST), texts)["status"].items() >= texts.items()


def test_a_condition_of_another_client_is_kept(api: Api) -> None:
    run = api.create(SMALLEST)
    theirs = FULL["conditions"][0] | {"type": "example.com/Archived"}
    reported = api.report(run, {"conditions": [theirs]})
    assert TaskRun.model_validate(reported).status.to_json()["conditions"] == [theirs]


@pytest.mark.guarantee("A final status never changes")
@pytest.mark.parametrize("end", sorted(TERMINAL_PHASES))
@pytest.mark.parametrize("after", [*Phase, None])
def test_a_final_phase_is_immutable(api: Api, end: Phase, after: Phase | None) -> None:
    run = api.report(api.create(SMALLEST), {"phase": end})
    if after == end:
        assert api.report(run, {"phase": after, "message": "the same"})
        return
    with pytest.raises(Refused) as refused:
        api.report(run, {"phase": after})
    assert "phase: Forbidden: a final phase is immutable" in refused.value.sentence


def test_the_status_of_an_ended_run_cannot_be_removed(api: Api) -> None:
    run = api.report(api.create(SMALLEST), FULL)
    name = run["metadata"]["name"]
    with pytest.raises(Refused, match="a final phase is immutable"):
        api.kube.merge(api.resource, api.namespace, name, {"status": None}, subresource="status")


@pytest.mark.parametrize("after", [1, 0, None])
def test_the_attempt_number_cannot_decrease(api: Api, after: int | None) -> None:
    run = api.report(api.create(SMALLEST), {"attempt": 2})
    with pytest.raises(Refused, match=r"status\.attempt: Forbidden: attempt cannot decrease"):
        api.report(run, {"attempt": after})
    assert api.report(run, {"attempt": 3})


@pytest.mark.parametrize("before", sorted(set(Phase) - TERMINAL_PHASES))
def test_a_phase_that_is_not_final_may_change_to_any_phase(api: Api, before: Phase) -> None:
    for after in Phase:
        run = api.report(api.create(SMALLEST), {"phase": before})
        assert api.report(run, {"phase": after})["status"]["phase"] == after


def test_every_rule_of_the_status_is_tested_here() -> None:
    assert len(RULES["status"]) == 2


def test_status_is_a_subresource(api: Api) -> None:
    run = api.create(SMALLEST)
    name = run["metadata"]["name"]
    both = {"spec": {"cancel": True}, "status": {"phase": "Running"}}
    by_spec = api.kube.merge(api.resource, api.namespace, name, both)
    assert by_spec["spec"]["cancel"] is True
    assert by_spec["status"] == {"observedGeneration": -1}
    assert by_spec["metadata"]["generation"] == 2
    by_status = api.kube.merge(
        api.resource, api.namespace, name, both | {"spec": {"image": "x"}}, subresource="status"
    )
    assert by_status["status"] == {"observedGeneration": -1, "phase": "Running"}
    assert by_status["spec"]["image"] == SMALLEST["image"]
    assert by_status["metadata"]["generation"] == 2


def test_a_status_in_a_manifest_is_ignored(api: Api) -> None:
    manifest = api.manifest(SMALLEST) | {"status": FULL}
    created = api.kube.create(api.resource, api.namespace, manifest)
    assert created["status"] == {"observedGeneration": -1}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_accepted_status_can_be_parsed(api: Api, data: st.DataObject) -> None:
    """A user with the right may forge a status, which must not make the run unreadable."""
    path = data.draw(st.sampled_from([path for path, _ in schemas.fields(STATUS) if path]))
    forged = schemas.replaced(FULL, path, data.draw(schemas.ANYTHING))
    run = api.create(SMALLEST)
    response = answer(lambda: api.report(run, forged))
    if isinstance(response, Refused):
        assert response.status in {400, 422}
    else:
        TaskRun.model_validate(response)
