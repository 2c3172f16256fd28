"""`taskrun validate` and a real apiserver agree on every TaskRun, except for known differences."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskruns.api.crd import resource_schema
from taskruns.api.names import API_VERSION, KIND
from taskruns.cli.validation import Problem, problems
from taskruns.cli.yaml_source import Document
from tests.api.crd_copy import Api, Object, answer
from tests.api.test_acceptance import GOOD
from tests.support.builders import schemas
from tests.support.builders.invalid_specs import BROKEN, bad_values, without_what_is_needed
from tests.support.builders.specs import SMALLEST, full_with
from tests.support.cluster.client import Refused

SPEC = resource_schema()["properties"]["spec"]
NO_MAIN = {"template": {"spec": {"containers": [{"name": n, "image": n} for n in "ab"]}}}
TINY_FRACTION = SMALLEST | {"activeDeadlineSeconds": 3.0, "attemptDeadlineSeconds": 1}

Known = Callable[[str, list[Problem]], bool]

KNOWN: Mapping[str, Known] = {
    "the main container is undetermined: the apiserver accepts it, and the run fails": (
        lambda sentence, found: (
            not sentence and {each.path for each in found} == {("spec", "template")}
        )
    ),
    "3.0 where a rule reads an integer: CEL refuses it. kubectl sends 3 instead of 3.0": (
        lambda sentence, found: "invalid data, expected int, got float64" in sentence and not found
    ),
    "resourceVersion is set: validate cannot know whether a create or an update is meant": (
        lambda sentence, found: "resourceVersion should not be set" in sentence and not found
    ),
    "the request is for another namespace: validate does not know the request": (
        lambda sentence, found: "does not match the namespace sent" in sentence and not found
    ),
    "ownerReferences and finalizers are not validated": (
        lambda sentence, found: (
            any(name in sentence for name in ("ownerReferences", "finalizers")) and not found
        )
    ),
}
"""All differences, by their reason.

Each is recognised by the apiserver's message, which is empty if it accepts the TaskRun, and by the
problems that `validate` finds.
"""
GOOD_METADATA: list[Object] = [
    *({"name": name} for name in ("a", "a.b", "0", "a" * 63)),
    *({"generateName": prefix} for prefix in ("a-", "a", "x" * 60)),
    *({"labels": labels} for labels in ({"a": ""}, {"p/a_b": "X.y_z-0"}, {"a": None}, {}, None)),
    *({"annotations": found} for found in ({"A/b": "x y"}, {"a": "x" * 200_000}, {"a": None})),
    {"uid": "x", "creationTimestamp": None, "finalizers": []},
]
BAD_METADATA: list[Object] = [
    *({"name": name} for name in ("Not_Valid", "-a", "a..b", "a.-b", "b.", "a b", "\u00e9", 1)),
    {"name": "a" * 64},
    *({"generateName": prefix} for prefix in ("A", "a.", 1)),
    *({"labels": {"a": value}} for value in (1, True, "x y", "x" * 64)),
    *({"labels": {key: "x"}} for key in ("", "a b", "a/b/c", "A/b", "x" * 64, "p" * 254 + "/x")),
    *({"annotations": found} for found in ({"a": 1}, {"a b": "x"}, {"a": "x" * 262_145})),
    {"labels": []},
    {"annotations": "x"},
    {"nmae": "a"},
]


def validate_both(api: Api, spec: Any, metadata: Object | None = None) -> tuple[str, list[Problem]]:
    """Return the apiserver's message, empty if it accepts, and the problems of `validate`."""
    manifest = api.manifest(spec)
    named = {"name", "generateName"} & (metadata or {}).keys()
    manifest["metadata"] = {**({} if named else manifest["metadata"]), **(metadata or {})}
    response = answer(lambda: api.kube.create(api.resource, api.namespace, manifest))
    own = {**manifest, "apiVersion": API_VERSION, "kind": KIND}
    issues = problems(Document("file", own, {(): 1}))
    return response.sentence if isinstance(response, Refused) else "", issues


def verdict(api: Api, spec: Any, metadata: Object | None = None) -> tuple[bool, str]:
    """Return whether a TaskRun is accepted, and the difference if it is not a known one."""
    sentence, issues = validate_both(api, spec, metadata)
    agreed = bool(issues) is bool(sentence)
    if agreed or any(is_so(sentence, issues) for is_so in KNOWN.values()):
        return not sentence, ""
    return not sentence, f"{sentence or 'accepted'}, but {issues}: {str((metadata, spec))[:2000]}"


def verdicts(api: Api, specs: Iterable[Any]) -> set[bool]:
    """Return which verdicts the TaskRuns get; assert that both agree on each."""
    judgements = [verdict(api, spec) for spec in specs]
    assert [difference for _, difference in judgements if difference] == []
    return {taken for taken, _ in judgements}


def test_valid_specs_are_accepted_by_both(api: Api) -> None:
    assert verdicts(api, GOOD.values()) == {True}


def test_invalid_specs_are_refused_by_both(api: Api) -> None:
    values = (param.values[:2] for param in bad_values())
    needed = (param.values[0] for param in without_what_is_needed())
    assert verdicts(api, (spec for _, spec, _ in BROKEN)) == {False}
    assert verdicts(api, (schemas.removed(full_with(path), path) for path in needed)) == {False}
    wrong = (schemas.replaced(full_with(path), path, value) for path, value in values)
    assert verdicts(api, wrong) == {False}


def test_both_agree_on_metadata(api: Api) -> None:
    for metadata, good in ((GOOD_METADATA, True), (BAD_METADATA, False)):
        verdicts_by_metadata = {str(each)[:100]: verdict(api, SMALLEST, each) for each in metadata}
        assert verdicts_by_metadata == dict.fromkeys(verdicts_by_metadata, (good, ""))


def test_every_known_difference_still_exists(api: Api) -> None:
    """A difference that no longer exists must be removed from the table."""
    examples: list[tuple[Object, Object]] = [
        (NO_MAIN, {}),
        (TINY_FRACTION, {}),
        (SMALLEST, {"resourceVersion": "1"}),
        (SMALLEST, {"namespace": "other"}),
        (SMALLEST, {"ownerReferences": [{}]}),
    ]
    for (spec, metadata), (reason, is_so) in zip(examples, KNOWN.items(), strict=True):
        assert is_so(*validate_both(api, spec, metadata)), reason


@settings(max_examples=100, deadline=None, derandomize=True)
@given(spec=schemas.conforming(SPEC))
def test_both_agree_on_specs_that_fit_the_schema(api: Api, spec: Any) -> None:
    assert verdict(api, spec)[1] == ""


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_both_agree_on_any_value_in_any_field(api: Api, data: st.DataObject) -> None:
    places = [path for path, _ in schemas.fields(SPEC) if path]
    path = data.draw(st.sampled_from(places))
    value = data.draw(schemas.ANYTHING | st.floats(allow_nan=False, allow_infinity=False))
    assert verdict(api, schemas.replaced(full_with(path), path, value))[1] == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"restartPolicy": "OnFailure"},
        {"restartPolicy": "Always"},
        {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]},
    ],
)
def test_only_validate_refuses_a_restart_policy_of_main(api: Api, fields: Object) -> None:
    """CEL cannot read the values of `template.spec`; the run ends as InvalidPodTemplate."""
    main = {"name": "main", "image": "busybox:1", **fields}
    message, issues = validate_both(api, {"template": {"spec": {"containers": [main]}}})
    assert message == ""
    (problem,) = issues
    assert problem.message.startswith("template.spec.containers[main].restartPolicy")
    assert problem.message.endswith("use backoffLimit for retries")


def test_both_accept_restart_policy_never_of_main(api: Api) -> None:
    main = {"name": "main", "image": "busybox:1", "restartPolicy": "Never"}
    sidecar = {"name": "other", "image": "busybox:1", "restartPolicy": "Always"}
    assert validate_both(api, {"template": {"spec": {"containers": [main, sidecar]}}}) == ("", [])
