"""Kubernetes model objects as what they are on the wire, without importing a Kubernetes client.

Whoever passes a `V1EnvVar` has imported the client already; whoever passes a dict should not pay
for it.
"""

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Return model objects, at any depth, as dicts in wire form; anything else as it is."""
    wire_names = getattr(type(value), "attribute_map", None)
    if isinstance(wire_names, Mapping):
        told = ((wire, getattr(value, name)) for name, wire in wire_names.items())
        return {wire: plain(part) for wire, part in told if part is not None}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
