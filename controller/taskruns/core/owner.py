"""The owner of a Pod that is not ours, in words."""

from collections.abc import Mapping
from typing import Any

from taskruns.core.unstructured import mapping, mappings, text


def describe_owner(pod: Mapping[str, Any]) -> str:
    """Return whose Pod it is: "a Pod of Job/hello (uid ...)", or "a Pod without an owner"."""
    owners = mappings(mapping(pod.get("metadata")).get("ownerReferences"))
    owner = next((each for each in owners if each.get("controller") is True), None)
    if owner is None:
        owner = next(iter(owners), None)
    if owner is None:
        return "a Pod without an owner"
    kind, name, uid = (text(owner.get(key)) for key in ("kind", "name", "uid"))
    return f"a Pod of {kind}/{name} (uid {uid})"
