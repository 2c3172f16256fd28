"""Functions that return changed copies of objects in wire form; the originals are not modified."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskruns.core.unstructured import stamp
from taskruns.engines.engine import Object

Draft = dict[str, Any]
"""A copy of an object that may be modified before it is stored."""


def drafted(original: Any) -> Any:
    """Return a deep copy of an object, which may be modified."""
    if isinstance(original, str):  # first, because most values are strings and the check is fast
        return original
    if isinstance(original, Mapping):
        return {key: drafted(value) for key, value in original.items()}
    if isinstance(original, list | tuple):
        return [drafted(value) for value in original]
    return original


def merged(target: Any, patch: Any) -> Any:
    """Return `target` with a JSON merge patch (RFC 7396) applied."""
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
    """Return a Pod's status with a condition set.

    lastTransitionTime becomes `now` if the condition is new or its status changes.
    """
    conditions = list(status.get("conditions") or ())
    since = stamp(now)
    for index, existing in enumerate(conditions):
        if existing["type"] == condition["type"]:
            if existing["status"] == condition["status"]:
                since = existing["lastTransitionTime"]
            conditions[index] = {**condition, "lastTransitionTime": since}
            return {**status, "conditions": conditions}
    return {**status, "conditions": [*conditions, {**condition, "lastTransitionTime": since}]}
