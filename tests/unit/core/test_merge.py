"""Merging one part of a Pod over another, line by line of design.md, Merge."""

from typing import Any

import pytest

from taskruns.core.pods import merge_container, merge_keys, merge_pod_spec

A, B = {"name": "a", "value": 1}, {"name": "b", "value": 1}
OTHER_A = {"name": "a", "from": 2}


@pytest.mark.guarantee(
    "Containers are merged by name and field; items in them that have a name are replaced whole"
)
@pytest.mark.parametrize("field", ["env"])
def test_a_containers_named_items_are_replaced_whole(field: str) -> None:
    assert merge_container({field: [A, B]}, {field: [OTHER_A]}) == {field: [OTHER_A, B]}


@pytest.mark.guarantee(
    "Containers are merged by name and field; items in them that have a name are replaced whole"
)
def test_mounts_are_merged_by_path() -> None:
    base = [{"name": "x", "mountPath": "/a"}, {"name": "x", "mountPath": "/b"}]
    over = [{"name": "y", "mountPath": "/b"}]
    assert merge_container({"volumeMounts": base}, {"volumeMounts": over}) == {
        "volumeMounts": [base[0], over[0]]
    }


@pytest.mark.parametrize("field", ["volumes", "imagePullSecrets"])
def test_a_pods_named_items_are_replaced_whole(field: str) -> None:
    assert merge_pod_spec({field: [A, B]}, {field: [OTHER_A]}) == {field: [OTHER_A, B]}


@pytest.mark.guarantee(
    "Containers are merged by name and field; items in them that have a name are replaced whole"
)
@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_containers_are_merged_field_by_field(field: str) -> None:
    assert merge_pod_spec({field: [A, B]}, {field: [OTHER_A]}) == {
        field: [{"name": "a", "value": 1, "from": 2}, B]
    }


@pytest.mark.guarantee(
    "Labels and selectors are merged by key, tolerations are united, everything else is replaced"
)
def test_a_node_selector_is_merged_by_key() -> None:
    merged = merge_pod_spec({"nodeSelector": {"a": "1", "b": "1"}}, {"nodeSelector": {"b": "2"}})
    assert merged == {"nodeSelector": {"a": "1", "b": "2"}}


@pytest.mark.guarantee(
    "Labels and selectors are merged by key, tolerations are united, everything else is replaced"
)
def test_tolerations_are_added() -> None:
    merged = merge_pod_spec({"tolerations": [A, B]}, {"tolerations": [B, OTHER_A]})
    assert merged == {"tolerations": [A, B, OTHER_A]}


@pytest.mark.guarantee(
    "Labels and selectors are merged by key, tolerations are united, everything else is replaced"
)
def test_everything_else_is_replaced() -> None:
    assert merge_pod_spec({"affinity": {"a": 1}}, {"affinity": {"b": 2}}) == {"affinity": {"b": 2}}
    assert merge_container({"args": ["a"]}, {"args": []}) == {"args": []}


def test_null_overrides_nothing() -> None:
    assert merge_pod_spec({"affinity": {"a": 1}}, {"affinity": None}) == {"affinity": {"a": 1}}


@pytest.mark.parametrize("odd", [["odd"], [{"name": 1}], [{}], {"name": "a"}, "odd", 7])
def test_values_that_cannot_be_merged_pass_unchanged(odd: Any) -> None:
    assert merge_container({"env": odd}, {"env": [A]}) == {"env": [A]}
    assert merge_container({"env": [A]}, {"env": odd}) == {"env": odd}
    assert merge_pod_spec({"tolerations": odd}, {"tolerations": [A]})["tolerations"][-1] == A
    assert merge_keys(odd, {"a": "b"})["a"] == "b"
