"""The CRD: structural, small, with a description of every field, and its columns and names."""

import json
import re
from typing import Any

import pytest

from taskruns.api import cel_rules, names
from taskruns.api.crd import crd, resource_schema
from taskruns.api.v1alpha1 import TaskRunSpec
from tests.support.builders import schemas, structural_schema
from tests.support.builders.specs import full_with

LARGEST_FOR_CLIENT_SIDE_APPLY = 262_144
"""Size limit of an object for client-side apply, in bytes.

kubectl apply stores the whole object in an annotation, and annotations are limited.
"""

SCHEMA = resource_schema()
FIELDS = {schemas.written(path): each for path, each in schemas.fields(SCHEMA) if path}
NAMED = {place: each for place, each in FIELDS.items() if not place.endswith("]")}


def test_the_crd_is_a_structural_schema() -> None:
    assert list(structural_schema.problems(SCHEMA)) == []


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"anyOf": [{"type": "string"}]}, "type None"),
        ({"type": "string", "title": "Name"}, "['title'] on type string"),
        ({"type": "string", "default": "x"}, "['default'] on type string"),
        ({"type": "array", "x-kubernetes-list-type": "atomic"}, "a list of what?"),
        ({"type": "object", "required": ["name"]}, "['name'] required but not declared"),
    ],
)
def test_the_check_rejects_schemas_that_are_not_structural(
    broken: dict[str, Any], problem: str
) -> None:
    schema = {"type": "object", "properties": {"spec": broken}}
    assert list(structural_schema.problems(schema)) == [f".spec: {problem}"]


def test_the_crd_fits_into_the_annotation_of_client_side_apply() -> None:
    assert len(json.dumps(crd())) < 40_000 < LARGEST_FOR_CLIENT_SIDE_APPLY


@pytest.mark.parametrize("place", sorted(NAMED.keys() - {"metadata"}))
def test_a_field_is_described_by_a_sentence(place: str) -> None:
    assert re.fullmatch(r"[A-Z].*[.]", NAMED[place].get("description", ""))


@pytest.mark.parametrize("place", sorted(each for each in NAMED if each.startswith("spec.")))
def test_a_field_of_spec_states_its_default(place: str) -> None:
    parent, _, name = place.rpartition(".")
    needed = name in FIELDS[parent].get("required", ()) or parent == "spec.template"
    assert needed or "Default: " in NAMED[place]["description"]


@pytest.mark.parametrize("place", sorted(NAMED))
def test_a_description_states_the_bounds_of_the_schema(place: str) -> None:
    schema, description = NAMED[place], NAMED[place].get("description", "")
    for keyword in ("maxLength", "maxItems", "minimum", "maximum"):
        bound = schema.get(keyword)
        assert bound is None or abs(bound) >= 2**31 - 1 or f"{bound:g}" in description


def test_only_the_status_of_a_new_run_has_a_default() -> None:
    defaults = {place: each["default"] for place, each in FIELDS.items() if "default" in each}
    assert defaults == {"status": {"observedGeneration": -1}}


def test_every_field_of_the_models_and_no_other_is_in_the_spec() -> None:
    aliases = {field.alias for field in TaskRunSpec.model_fields.values()}
    assert SCHEMA["properties"]["spec"]["properties"].keys() == aliases


def test_seconds_and_the_budget_are_bounded_from_both_sides() -> None:
    for place, schema in FIELDS.items():
        if place.startswith("spec.") and "[" not in place and schema["type"] == "integer":
            assert {"minimum", "maximum"} <= schema.keys(), place


def test_the_name_is_the_plural_in_the_group() -> None:
    definition = crd()
    assert definition["metadata"] == {"name": f"{names.PLURAL}.{names.GROUP}"}
    assert definition["spec"]["names"]["shortNames"] == ["trun"]
    assert definition["spec"]["scope"] == "Namespaced"


def test_columns_are_those_of_the_contract() -> None:
    (version,) = crd()["spec"]["versions"]
    columns = version["additionalPrinterColumns"]
    plain = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority")]
    assert plain == ["PHASE", "REASON", "EXIT", "ATTEMPT", "STARTED", "FINISHED", "AGE"]
    assert wide == ["POD", "NODE", "IMAGE"]


def test_every_call_returns_another_crd() -> None:
    crd()["spec"]["versions"].clear()
    assert crd()["spec"]["versions"]


def test_every_rule_is_in_the_schema() -> None:
    standing = sum(len(each.get("x-kubernetes-validations", ())) for each in FIELDS.values())
    standing += len(SCHEMA["x-kubernetes-validations"])
    assert standing == sum(len(each) for each in cel_rules.RULES.values())


def test_a_field_of_spec_is_immutable_unless_listed_as_mutable() -> None:
    aliases = {field.alias for field in TaskRunSpec.model_fields.values()}
    (rule,) = (rule for rule in cel_rules.RULES["spec"] if rule.message_expression)
    for field in aliases - cel_rules.MUTABLE:
        assert f"dyn(self).{field} == dyn(oldSelf).{field}" in rule.holds
        assert f"? '{field}'" in rule.message_expression
    assert set(cel_rules.immutable_fields()) == aliases - cel_rules.MUTABLE


@pytest.mark.parametrize(
    "rule",
    [rule for each in cel_rules.RULES.values() for rule in each],
    ids=lambda rule: rule.message,
)
def test_a_message_states_the_correction_in_one_line(rule: cel_rules.Rule) -> None:
    assert "\n" not in rule.message
    assert re.search(r"\b(write|create|leave)\b", rule.message) or rule.field == "attempt"
    assert not rule.message.endswith("."), "the apiserver goes on after it"


NOT_IN_FULL = {
    "envFrom[0].secretRef",
    "tolerations[0].tolerationSeconds",
    "tolerations[0].value",
    *(f"volumeMounts[0].{field}" for field in ("mountPropagation", "recursiveReadOnly")),
    *(f"volumeMounts[0].{field}" for field in ("subPath", "subPathExpr")),
}
"""Fields that exclude each other, or another field of the full spec."""


def test_the_full_spec_of_the_tests_has_a_value_in_every_field() -> None:
    spec = SCHEMA["properties"]["spec"]
    paths = [path for path, _ in schemas.fields(spec) if path]
    missing = {schemas.written(path) for path in paths if not values(full_with(path), path)}
    assert missing == NOT_IN_FULL


def values(content: Any, path: schemas.Path) -> list[Any]:
    """Return the values at a path; index 0 stands for every item of a list."""
    if not path:
        return [content]
    if path[0] == 0:
        return [value for item in content or () for value in values(item, path[1:])]
    return values(content[path[0]], path[1:]) if path[0] in content else []


BOUNDS: dict[str, dict[str, Any]] = {
    "image": {"minLength": 1, "maxLength": 1024},
    "workingDir": {"maxLength": 4096},
    "env": {"keys": ["name"]},
    "env[0]": {"required": ["name"]},
    "env[0].name": {"minLength": 1},
    "volumeMounts": {"keys": ["mountPath"], "maxItems": 256},
    "volumeMounts[0]": {"required": ["name", "mountPath"]},
    "volumeMounts[0].name": {"minLength": 1},
    "volumeMounts[0].mountPath": {"minLength": 1, "maxLength": 1024},
    "imagePullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "serviceAccountName": {"maxLength": 253},
    "imagePullSecrets": {"keys": ["name"]},
    "imagePullSecrets[0]": {"required": ["name"]},
    "imagePullSecrets[0].name": {"minLength": 1},
    "priorityClassName": {"maxLength": 253},
    "resultPath": {"maxLength": 1024},
    "backoffLimit": {"minimum": 0, "maximum": 10_000},
    "backoff.duration": {"maxLength": 20},
    "backoff.factor": {"minimum": 1, "maximum": 10},
    "backoff.cap": {"maxLength": 20},
    "podFailurePolicy": {"required": ["rules"]},
    "podFailurePolicy.rules": {"maxItems": 20},
    "podFailurePolicy.rules[0]": {"required": ["action"]},
    "podFailurePolicy.rules[0].action": {"enum": ["FailJob", "Ignore", "Count"]},
    "podFailurePolicy.rules[0].onExitCodes": {"required": ["operator", "values"]},
    "podFailurePolicy.rules[0].onExitCodes.containerName": {"maxLength": 63},
    "podFailurePolicy.rules[0].onExitCodes.operator": {"enum": ["In", "NotIn"]},
    "podFailurePolicy.rules[0].onExitCodes.values": {"minItems": 1, "maxItems": 255},
    "podFailurePolicy.rules[0].onExitCodes.values[0]": {
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
    },
    "podFailurePolicy.rules[0].onPodConditions": {"minItems": 1, "maxItems": 20},
    "podFailurePolicy.rules[0].onPodConditions[0]": {"required": ["type"]},
    "podFailurePolicy.rules[0].onPodConditions[0].type": {"minLength": 1, "maxLength": 316},
    "podFailurePolicy.rules[0].onPodConditions[0].status": {"enum": ["True", "False", "Unknown"]},
    "disruptionLimit": {"minimum": 0, "maximum": 10_000},
    "podReplacementPolicy": {"enum": ["Failed", "TerminatingOrFailed"]},
    "activeDeadlineSeconds": {"minimum": 1, "maximum": 2**31 - 1},
    "attemptDeadlineSeconds": {"minimum": 1, "maximum": 2**31 - 1},
    "scheduleTimeoutSeconds": {"minimum": 1, "maximum": 2**31 - 1},
    "startupTimeoutSeconds": {"minimum": 1, "maximum": 2**31 - 1},
    "podGC.strategy": {"enum": ["OnPodCompletion", "OnPodSuccess", "Never"]},
    "podGC.deleteDelayDuration": {"maxLength": 20},
    "ttlSecondsAfterFinished": {"minimum": -1, "maximum": 2**31 - 1},
}
"""Every bound of spec, written a second time.

The tests against the apiserver are derived from the schema, so they would not notice that a bound
of the schema is lost.
"""


def test_no_bound_is_lost() -> None:
    unbounded = {"type", "description", "properties", "items", "additionalProperties"}
    unbounded |= {"x-kubernetes-validations", "x-kubernetes-list-type", structural_schema.PRESERVED}
    actual = {
        place.removeprefix("spec."): {
            "keys" if key == structural_schema.LIST_KEYS else key: value
            for key, value in schema.items()
            if key not in unbounded
        }
        for place, schema in FIELDS.items()
        if place.startswith("spec.")
    }
    assert {place: bounds for place, bounds in actual.items() if bounds} == BOUNDS
