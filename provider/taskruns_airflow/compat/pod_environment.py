"""Environment variables of a Pod, each name once, as a TaskRun requires it.

Kubernetes accepts a name twice: the last definition rules, and a `$(NAME)` in between refers to the
one before it. A TaskRun's `env` is keyed by name.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")
"""`$$`, which stands for a dollar, or `$(NAME)`; read from the left, as the kubelet does."""

EnvVar = dict[str, Any]


def unique_env(env: Sequence[EnvVar]) -> list[EnvVar]:
    """Return variables that give the container the same values, each name once.

    The last definition of a name stays, at its place. An earlier one to which a `$(NAME)` refers
    stays under a name of its own, such as `PATH.1`.

    Args:
        env: core/v1 EnvVars, in order.

    Raises:
        ValueError: an optional source follows another definition of its name. Kubernetes uses the
            earlier value where the source is missing; one definition cannot.
    """
    last = {item["name"]: index for index, item in enumerate(env)}
    if len(last) == len(env):
        return list(env)
    _refuse_fallbacks(env)
    referents = _referents(env)
    kept = set(last.values())
    for index in reversed(range(len(env))):
        if index in kept:
            kept |= set(referents[index].values())
    names: dict[int, str] = {}
    taken = set(last).union(*map(_references, env))
    for index in sorted(kept):
        name = env[index]["name"]
        names[index] = name if last[name] == index else _unused(name, taken)
        taken.add(names[index])
    return [
        _renamed(env[index], names[index], {k: names[i] for k, i in referents[index].items()})
        for index in sorted(kept)
    ]


def _refuse_fallbacks(env: Sequence[EnvVar]) -> None:
    defined: set[str] = set()
    for item in env:
        sources = (item.get("valueFrom") or {}).values()
        optional = any(isinstance(each, Mapping) and each.get("optional") for each in sources)
        if optional and item["name"] in defined:
            raise ValueError(
                f"env_vars: {item['name']} has a value and then an optional source: a TaskRun "
                "has each variable once: leave one of the two out"
            )
        defined.add(item["name"])


def _referents(env: Sequence[EnvVar]) -> list[dict[str, int]]:
    """Return, for each variable, the definitions that its value refers to, by their names."""
    current: dict[str, int] = {}
    referents = []
    for index, item in enumerate(env):
        referents.append({name: current[name] for name in _references(item) if name in current})
        current[item["name"]] = index
    return referents


def _references(item: EnvVar) -> set[str]:
    matches = _REFERENCE.finditer(item.get("value") or "")
    return {match["name"] for match in matches if match["name"] is not None}


def _unused(name: str, taken: set[str]) -> str:
    return next(each for number in count(1) if (each := f"{name}.{number}") not in taken)


def _renamed(item: EnvVar, name: str, references: Mapping[str, str]) -> EnvVar:
    def replacement(match: re.Match[str]) -> str:
        referent = references.get(match["name"])
        return match[0] if referent is None else f"$({referent})"

    renamed = {**item, "name": name}
    if item.get("value"):
        renamed["value"] = _REFERENCE.sub(replacement, item["value"])
    return renamed
