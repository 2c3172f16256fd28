"""Invalid TaskRuns are refused when they are applied, with a sentence that names the fix."""

from typing import Any

import pytest

from taskruns.api.cel_rules import RULES
from taskruns.api.v1alpha1 import TaskRunSpec
from tests.api.crd_copy import Api
from tests.support.builders import schemas
from tests.support.builders.invalid_specs import BROKEN, bad_values, policy, without_what_is_needed
from tests.support.builders.schemas import Path
from tests.support.builders.specs import BY_CODE, FULL, SMALLEST, full_with
from tests.support.cluster.client import Refused


def refusal(api: Api, spec: Any, name: str = "") -> str:
    with pytest.raises(Refused) as refused:
        api.create(spec, name)
    assert refused.value.status == 422
    return refused.value.sentence


@pytest.mark.parametrize(("path", "value", "answer"), list(bad_values()))
def test_a_value_of_another_type_or_beyond_a_bound_is_refused(
    api: Api, path: Path, value: Any, answer: str
) -> None:
    sentence = refusal(api, schemas.replaced(full_with(path), path, value))
    assert answer in sentence
    assert schemas.written(("spec", *path)) in sentence


@pytest.mark.parametrize(("path", "place"), list(without_what_is_needed()))
def test_a_missing_required_value_is_refused(api: Api, path: Path, place: str) -> None:
    assert f"{place}: Required value" in refusal(api, schemas.removed(full_with(path), path))


def test_a_run_without_spec_is_refused(api: Api) -> None:
    assert "spec: Required value" in refusal(api, None)


def test_null_in_a_list_is_refused(api: Api) -> None:
    assert "spec.args[0]" in refusal(api, SMALLEST | {"args": [None]})


def test_an_unknown_field_is_refused(api: Api) -> None:
    with pytest.raises(Refused, match=r'unknown field "spec\.comand"') as refused:
        api.create(SMALLEST | {"comand": ["echo"]})
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("rule", "spec", "place"), BROKEN, ids=[f"{place}-{n}" for n, (*_, place) in enumerate(BROKEN)]
)
def test_a_spec_that_breaks_a_rule_is_refused(api: Api, rule: Any, spec: Any, place: str) -> None:
    sentence = refusal(api, spec)
    assert rule.message in sentence
    assert f"{place}: " in sentence
    assert "evaluating rule" not in sentence, "the rule itself failed"


@pytest.mark.guarantee("`FailIndex` is refused, and the message lists the valid actions")
def test_fail_index_is_refused_with_the_supported_actions(api: Api) -> None:
    sentence = refusal(api, SMALLEST | policy({**BY_CODE, "action": "FailIndex"}))
    assert 'supported values: "FailJob", "Ignore", "Count"' in sentence


def test_a_duplicate_exit_code_is_refused(api: Api) -> None:
    rule = {"action": "Count", "onExitCodes": {"operator": "In", "values": [3, 3]}}
    assert "Duplicate value: 3" in refusal(api, SMALLEST | policy(rule))


def test_a_name_longer_than_a_label_is_refused(api: Api) -> None:
    (rule,) = RULES[""]
    assert rule.message in refusal(api, SMALLEST, "n" * 64)
    assert api.create(SMALLEST, "n" * 63)


def test_every_rule_of_the_spec_is_tested_here() -> None:
    """Rules about changes are tested in test_changes."""
    broken = {rule.message for rule, *_ in BROKEN}
    about_values = {
        rule.message
        for place, each in RULES.items()
        for rule in each
        if place.startswith("spec") and "oldSelf" not in rule.holds
    }
    assert about_values == broken


def test_the_full_spec_has_every_field() -> None:
    assert FULL.keys() == {field.alias for field in TaskRunSpec.model_fields.values()}
