"""Invalid TaskRuns, for the tests of the apiserver's validation and of `taskrun validate`.

Violations of types and bounds are derived from the schema itself, so that every bound is tested.
Violations of the rules are a table.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from taskruns.api.cel_rules import RULES
from taskruns.api.crd import resource_schema
from tests.support.builders import schemas
from tests.support.builders.schemas import Path, Schema
from tests.support.builders.specs import BY_CODE, BY_CONDITION, FULL, SMALLEST, full_with

SPEC: Schema = resource_schema()["properties"]["spec"]

WRONG_TYPE: dict[str, Any] = {
    "array": "echo hello",
    "boolean": "yes",
    "integer": "3",
    "number": "fast",
    "object": ["a"],
    "string": 5,
}


def _many(path: Path, count: int) -> list[Any]:
    """Return `count` items, each of which is valid."""
    item: Any = full_with(path)
    for part in (*path, 0):
        item = item[part]
    if isinstance(item, int):
        return list(range(1, count + 1))
    return [item | ({"mountPath": f"/{n}"} if "mountPath" in item else {}) for n in range(count)]


def _beyond_bounds(schema: Schema) -> Iterator[tuple[str, Any, str]]:
    """Yield each bound of a schema: its keyword, a value just beyond it, the expected message."""
    yield "type", WRONG_TYPE[schema["type"]], f"must be of type {schema['type']}"
    if "enum" in schema:
        supported = ", ".join(f'"{word}"' for word in schema["enum"])
        yield "enum", "Sometimes", f"supported values: {supported}"
    if "minimum" in schema:
        least = schema["minimum"]
        yield "minimum", least - 1, f"should be greater than or equal to {least}"
    if "maximum" in schema:
        most = schema["maximum"]
        yield "maximum", most + 1, "should be less than or equal to "
    if "minLength" in schema:
        yield "minLength", "", "should be at least 1 chars long"
    if "minItems" in schema:
        yield "minItems", [], "should have at least 1 items"
    if "maxLength" in schema:
        yield "maxLength", "x" * (schema["maxLength"] + 1), "Too long: may not be "


def bad_values() -> Iterator[Any]:
    for path, schema in schemas.fields(SPEC):
        if not path:
            continue
        place = schemas.written(("spec", *path))
        for keyword, value, answer in _beyond_bounds(schema):
            yield pytest.param(path, value, answer, id=f"{place}-{keyword}")
        if "maxItems" in schema:
            many = _many(path, schema["maxItems"] + 1)
            yield pytest.param(path, many, "must have at most ", id=f"{place}-maxItems")
        if keys := schema.get("x-kubernetes-list-map-keys"):
            item = {"name": "data", "mountPath": "/data", keys[0]: "/same"}
            known = schema["items"]["properties"].keys()
            twice = [{key: item[key] for key in item.keys() & known}] * 2
            yield pytest.param(path, twice, "Duplicate value", id=f"{place}-duplicate")


def without_what_is_needed() -> Iterator[Any]:
    for path, schema in schemas.fields(SPEC):
        for name in schema.get("required", ()):
            place = schemas.written(("spec", *path, name))
            yield pytest.param((*path, name), place, id=place)


def _rule(place: str, *words: str) -> Any:
    """Return the only rule of a place whose message contains all the words."""
    (match,) = [rule for rule in RULES[place] if all(word in rule.message for word in words)]
    return match


def _bad_duration(path: Path, value: str) -> Any:
    rule = _rule(schemas.written(("spec", *path)))
    return rule, schemas.replaced(FULL, path, value), schemas.written(("spec", *path))


def policy(*rules: Any) -> Any:
    return {"podFailurePolicy": {"rules": list(rules)}}


IMAGE = _rule("spec", "write image")
IMAGE_NAME = _rule("spec.image")
DEADLINES = _rule("spec", "an attempt cannot")
MOUNTED = _rule("spec", "a volume is mounted")
NODE = _rule("spec.template", "nodeName")
RESTART = _rule("spec.template", "restartPolicy")
RESULT = _rule("spec.resultPath")
CAP = _rule("spec.backoff")
ONE_WAY = _rule("spec.podFailurePolicy.rules[]")
ZERO = _rule("spec.podFailurePolicy.rules[].onExitCodes")

BROKEN = [
    (IMAGE, {}, "spec.image"),
    (IMAGE, {"command": ["echo"]}, "spec.image"),
    (IMAGE, {"template": {}}, "spec.image"),
    (IMAGE, {"template": {"metadata": {}, "spec": {}}}, "spec.image"),
    (IMAGE, {"template": {"spec": {"containers": None}}}, "spec.image"),
    *(
        (IMAGE_NAME, {"image": image}, "spec.image")
        for image in ("busy box:1", " busybox:1", "busybox:1 ", "busybox:1\n", "busy\tbox", " ")
    ),
    (
        DEADLINES,
        SMALLEST | {"activeDeadlineSeconds": 10, "attemptDeadlineSeconds": 11},
        "spec.attemptDeadlineSeconds",
    ),
    (MOUNTED, FULL | {"resultPath": "/data"}, "spec.resultPath"),
    (
        MOUNTED,
        FULL | {"resultPath": "/a", "volumeMounts": [{"name": "data", "mountPath": "/a/b"}]},
        "spec.resultPath",
    ),
    (
        MOUNTED,
        FULL | {"resultPath": "/a", "volumeMounts": [{"name": "data", "mountPath": "/a/"}]},
        "spec.resultPath",
    ),
    (NODE, SMALLEST | {"template": {"spec": {"nodeName": "node-1"}}}, "spec.template.spec"),
    (NODE, SMALLEST | {"template": {"spec": {"nodeName": ""}}}, "spec.template.spec"),
    *(
        (RESTART, SMALLEST | {"template": {"spec": {"restartPolicy": word}}}, "spec.template.spec")
        for word in ("Always", "OnFailure", "never", "", 5, {"a": 1}, ["Never"])
    ),
    *(
        (RESULT, SMALLEST | {"resultPath": path}, "spec.resultPath")
        for path in (
            "",
            "/",
            "result.json",
            "./result.json",
            "/airflow/",
            "/airflow//result",
            "/airflow/../etc/passwd",
            "/..",
            "/./result",
            "/airflow/.",
            "/a:b",
            "/a\nb",
        )
    ),
    *(
        (ONE_WAY, SMALLEST | policy(rule), "spec.podFailurePolicy.rules[0]")
        for rule in ({"action": "Ignore"}, {**BY_CODE, **BY_CONDITION})
    ),
    (
        ZERO,
        SMALLEST | policy({"action": "Count", "onExitCodes": {"operator": "In", "values": [1, 0]}}),
        "spec.podFailurePolicy.rules[0].onExitCodes.values",
    ),
    (CAP, FULL | {"backoff": {"duration": "2m", "cap": "1m59s"}}, "spec.backoff.cap"),
    (CAP, FULL | {"backoff": {"cap": "9s"}}, "spec.backoff.cap"),
    *(
        _bad_duration(path, value)
        for path in (("backoff", "duration"), ("backoff", "cap"), ("podGC", "deleteDelayDuration"))
        for value in ("", "10", "-1s", "1d", "ten", "1h 1m", "1s\n", "1234567s", "0.0001s")
    ),
]
