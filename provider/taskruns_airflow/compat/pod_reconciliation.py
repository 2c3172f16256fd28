"""Pods laid over each other as KubernetesPodOperator does, in wire form.

The rules are those of its provider's `PodGenerator.reconcile_pods`: a value that is empty leaves
the one below in force, lists of some fields are joined, everything else is replaced.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

Part = Mapping[str, Any]

_JOINED_OF_CONTAINER = ("volumeMounts", "env", "envFrom", "ports", "volumeDevices")


def reconcile_pods(base: Part, over: Part) -> dict[str, Any]:
    """Return one Pod of two; neither is changed."""
    return _overlay(base, over) | {
        "metadata": _reconcile_metadata(base.get("metadata") or {}, over.get("metadata") or {}),
        "spec": _reconcile_specs(base.get("spec") or {}, over.get("spec") or {}),
    }


def _reconcile_metadata(base: Part, over: Part) -> dict[str, Any]:
    merged = _overlay(base, over)
    for field in ("labels", "annotations"):
        if keys := {**(base.get(field) or {}), **(over.get(field) or {})}:
            merged[field] = keys
    return merged


def _reconcile_specs(base: Part, over: Part) -> dict[str, Any]:
    containers = [
        _reconcile_containers(below or {}, above or {})
        for below, above in zip_longest(base.get("containers") or (), over.get("containers") or ())
    ]
    init = _by_name(base.get("initContainers") or (), over.get("initContainers") or ())
    merged = _overlay(base, over) | _joined(base, over, ("volumes",))
    if containers:
        merged["containers"] = containers
    if init:
        merged["initContainers"] = init
    return merged


def _reconcile_containers(base: Part, over: Part) -> dict[str, Any]:
    return _overlay(base, over) | _joined(base, over, _JOINED_OF_CONTAINER)


def _by_name(base: Sequence[Part], over: Sequence[Part]) -> list[Part]:
    above = {each.get("name"): each for each in over}
    below = {each.get("name") for each in base}
    merged = [
        _reconcile_containers(each, above[each.get("name")]) if each.get("name") in above else each
        for each in base
    ]
    return [*merged, *(each for each in over if each.get("name") not in below)]


def _overlay(base: Part, over: Part) -> dict[str, Any]:
    below = {k: value for k, value in base.items() if value is not None and not over.get(k)}
    return {**over, **below}


def _joined(base: Part, over: Part, fields: Sequence[str]) -> dict[str, Any]:
    lists = {field: [*(base.get(field) or ()), *(over.get(field) or ())] for field in fields}
    return {field: items for field, items in lists.items() if items}
