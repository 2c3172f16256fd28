"""Fields that may change after creation and fields that may not: added, changed, removed."""

from typing import Any

import pytest

from taskruns.api.cel_rules import MUTABLE, immutable
from tests.api.crd_copy import Api
from tests.support.builders import schemas
from tests.support.builders.schemas import Path
from tests.support.builders.specs import FULL, OTHER, SMALLEST
from tests.support.cluster.client import Refused

FIXED = sorted(FULL.keys() - MUTABLE)

ADDED: dict[str, Any] = {field: {field: FULL[field]} for field in FIXED}

CHANGED_DEEP_INSIDE: list[tuple[Path, Any]] = [
    (("template", "spec", "hostNetwork"), None),
    (("template", "spec", "fieldOfALaterKubernetes", "deep", 0, "er"), 2.5),
    (("template", "spec", "containers", 1, "image"), "proxy:2"),
    (("template", "metadata", "labels"), {"team": "other"}),
    (("template", "metadata", "annotations"), {"other": "kept"}),
    (("resources", "limits"), {"cpu": 67108864}),
    (("resources", "requests", "cpu"), 1),
    (("affinity", "nodeAffinity"), {"required": {}}),
    (("securityContext", "capabilities", "drop"), ["NET_RAW"]),
    (("env", 1, "valueFrom", "secretKeyRef", "key"), "other"),
    (("env", 1, "valueFrom"), {"fieldRef": {"fieldPath": "metadata.name"}}),
    (("envFrom", 0, "configMapRef", "optional"), False),
    (("volumes", 0), {"name": "data", "hostPath": {"sizeLimit": "1Gi"}}),
    (("tolerations", 0, "effect"), "NoExecute"),
    (("args", 1), "x"),
    (("backoff", "cap"), "20m"),
    (("podGC", "strategy"), "Never"),
    (("podFailurePolicy", "rules", 0, "onExitCodes", "values"), [42]),
    (("podFailurePolicy", "rules", 1, "onPodConditions", 0, "status"), "False"),
]


def refusal(api: Api, before: Any, after: Any) -> str:
    run = api.create(before)
    with pytest.raises(Refused) as refused:
        api.replace(run, after)
    assert refused.value.status == 422
    assert api.read(run)["spec"] == before
    return refused.value.sentence


def message(field: str) -> str:
    return f"spec: Forbidden: {immutable(field)}"


def test_every_immutable_field_has_another_value_here() -> None:
    assert OTHER.keys() == set(FIXED)
    assert all(OTHER[field] != FULL[field] for field in FIXED)


@pytest.mark.parametrize("field", FIXED)
def test_an_immutable_field_cannot_be_changed(api: Api, field: str) -> None:
    assert message(field) in refusal(api, FULL, FULL | {field: OTHER[field]})


@pytest.mark.parametrize("field", sorted(set(FIXED) - {"image"}))
def test_an_immutable_field_cannot_be_added(api: Api, field: str) -> None:
    assert message(field) in refusal(api, SMALLEST, SMALLEST | ADDED[field])


def test_an_image_cannot_be_added(api: Api) -> None:
    before = {"template": {"spec": {"containers": [{"name": "main", "image": "busybox:1"}]}}}
    assert message("image") in refusal(api, before, before | SMALLEST)


@pytest.mark.parametrize("field", FIXED)
def test_an_immutable_field_cannot_be_removed(api: Api, field: str) -> None:
    assert message(field) in refusal(api, FULL, schemas.removed(FULL, (field,)))


@pytest.mark.parametrize(
    ("path", "value"), CHANGED_DEEP_INSIDE, ids=[schemas.written(p) for p, _ in CHANGED_DEEP_INSIDE]
)
def test_a_nested_change_is_refused(api: Api, path: Path, value: Any) -> None:
    assert message(str(path[0])) in refusal(api, FULL, schemas.replaced(FULL, path, value))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"template": {"spec": {"hostPID": True}}}, {"template": {"spec": {"hostIPC": True}}}),
        ({"template": {"spec": {"x": {"a": 1}}}}, {"template": {"spec": {"x": {"b": 1}}}}),
        ({"template": {"metadata": {"a": "1"}}}, {"template": {"metadata": {"b": "1"}}}),
        ({"resources": {"limits": {}}}, {"resources": {"requests": {}}}),
        ({"affinity": {"podAffinity": {}}}, {"affinity": {"podAntiAffinity": {}}}),
        ({"securityContext": {"privileged": True}}, {"securityContext": {"readOnly": True}}),
        (
            {"volumes": [{"name": "data", "emptyDir": {}}]},
            {"volumes": [{"name": "data", "hostPath": {}}]},
        ),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}),
    ],
)
def test_a_swap_of_one_field_for_another_is_refused(api: Api, before: Any, after: Any) -> None:
    """Kubernetes compares objects with unknown fields by the number of their fields only."""
    (field,) = before
    assert message(field) in refusal(api, SMALLEST | before, SMALLEST | after)


def test_the_message_names_the_first_of_several_changed_fields(api: Api) -> None:
    after = SMALLEST | {"image": "other:1", "args": ["x"], "cancel": True}
    assert message("image") in refusal(api, SMALLEST, after)


def test_an_update_without_changes_keeps_the_generation(api: Api) -> None:
    run = api.create(FULL)
    again = api.replace(run, FULL)
    assert again["metadata"]["generation"] == 1
    backwards = {key: FULL[key] for key in reversed(FULL)}
    assert api.replace(again, backwards)["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("before", "after"), [(None, 0), (None, -1), (86_400, 60), (60, None), (-1, 0)]
)
def test_the_ttl_may_change_at_any_time(api: Api, before: Any, after: Any) -> None:
    def spec(seconds: int | None) -> Any:
        return SMALLEST | ({} if seconds is None else {"ttlSecondsAfterFinished": seconds})

    assert api.replace(api.create(spec(before)), spec(after))["spec"] == spec(after)


@pytest.mark.parametrize("before", [{}, {"cancel": False}])
def test_a_run_may_be_cancelled(api: Api, before: Any) -> None:
    run = api.create(FULL | before)
    cancelled = api.replace(run, FULL | {"cancel": True})
    assert cancelled["spec"]["cancel"] is True
    assert cancelled["metadata"]["generation"] == 2
    assert api.replace(cancelled, FULL | {"cancel": True, "ttlSecondsAfterFinished": 0})


@pytest.mark.parametrize("after", [{}, {"cancel": False}])
def test_a_cancel_cannot_be_reset(api: Api, after: Any) -> None:
    sentence = refusal(api, SMALLEST | {"cancel": True}, SMALLEST | after)
    assert "spec.cancel: Forbidden: cancel cannot be reset: leave it true" in sentence


def test_a_run_may_be_suspended_and_resumed_at_any_time(api: Api) -> None:
    run = api.create(FULL)
    for generation, suspend in enumerate((True, False, True), start=2):
        run = api.replace(run, FULL | {"suspend": suspend})
        assert run["metadata"]["generation"] == generation
    assert "suspend" not in api.replace(run, schemas.removed(FULL, ("suspend",)))["spec"]


def test_labels_and_annotations_may_change_at_any_time(api: Api) -> None:
    run = api.create(SMALLEST)
    name = run["metadata"]["name"]
    noted = {"metadata": {"annotations": {"taskruns.dev/collected": "uid"}, "labels": {"a": "b"}}}
    merged = api.kube.merge(api.resource, api.namespace, name, noted)
    assert merged["metadata"]["generation"] == 1
