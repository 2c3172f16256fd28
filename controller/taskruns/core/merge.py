"""Laying one part of a Pod over another, by the table of DESIGN.md 6.4.

What has a name is merged by it, what is a set is united, everything else is replaced. Neither
argument is changed. Parts that are not what they should be are passed on for the apiserver to
refuse: it has the better sentence.
"""

from collections.abc import Callable, Mapping
from typing import Any

Part = Mapping[str, Any]
Merge = Callable[[Any, Any], Any]


def merge_pod_spec(base: Part, over: Part) -> dict[str, Any]:
    """Lay one PodSpec over another."""
    return _merge_fields(base, over, _POD_RULES)


def merge_container(base: Part, over: Part) -> dict[str, Any]:
    """Lay one container over another, field by field."""
    return _merge_fields(base, over, _CONTAINER_RULES)


def merge_keys(base: Any, over: Any) -> Any:
    """Lay labels, annotations or a node selector over another, key by key."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **over}
    return over


def _merge_fields(base: Part, over: Part, rules: Mapping[str, Merge]) -> dict[str, Any]:
    merged = dict(base)
    for field, value in over.items():
        if value is None:
            continue
        before = merged.get(field)
        rule = rules.get(field)
        merged[field] = value if before is None or rule is None else rule(before, value)
    return merged


def _by(key: str, merge: Merge = lambda _, over: over) -> Merge:
    """Merge two lists of objects by the value of one field, keeping the order of first sight."""

    def merged(base: Any, over: Any) -> Any:
        if not _are_keyed(base, key) or not _are_keyed(over, key):
            return over
        found = {item[key]: item for item in base}
        for item in over:
            before = found.get(item[key])
            found[item[key]] = item if before is None else merge(before, item)
        return list(found.values())

    return merged


def _are_keyed(items: Any, key: str) -> bool:
    if not isinstance(items, list | tuple):
        return False
    return all(isinstance(item, Mapping) and isinstance(item.get(key), str) for item in items)


def _united(base: Any, over: Any) -> Any:
    if not isinstance(base, list | tuple) or not isinstance(over, list | tuple):
        return over
    return [*base, *(item for item in over if item not in base)]


_CONTAINER_RULES: Mapping[str, Merge] = {"env": _by("name"), "volumeMounts": _by("mountPath")}

_POD_RULES: Mapping[str, Merge] = {
    "containers": _by("name", merge_container),
    "initContainers": _by("name", merge_container),
    "volumes": _by("name"),
    "imagePullSecrets": _by("name"),
    "nodeSelector": merge_keys,
    "tolerations": _united,
}
