"""Changing objects in wire form: by copies, for what was handed over never changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskruns.core.unstructured import stamp
from taskruns.engines.engine import Object

Draft = dict[str, Any]
"""A copy of an object that may be changed, to be put back."""


def drafted(found: Any) -> Any:
    """Copy an object, so that it may be changed."""
    if isinstance(found, str):  # as most of it is, and what is quickly told
        return found
    if isinstance(found, Mapping):
        return {key: drafted(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [drafted(value) for value in found]
    return found


def merged(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return drafted(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def with_condition(status: Object, now: datetime, condition: Object) -> dict[str, Any]:
    """Return a Pod's status with a condition set; its transition time moves with its status."""
    before = list(status.get("conditions") or ())
    since = stamp(now)
    for index, found in enumerate(before):
        if found["type"] == condition["type"]:
            if found["status"] == condition["status"]:
                since = found["lastTransitionTime"]
            before[index] = {**condition, "lastTransitionTime": since}
            return {**status, "conditions": before}
    return {**status, "conditions": [*before, {**condition, "lastTransitionTime": since}]}
