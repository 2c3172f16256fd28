"""Merge of Pods and of environment variables, by the rules of KubernetesPodOperator."""

import re
from collections.abc import Mapping, Sequence
from itertools import count, zip_longest
from typing import Any

from taskruns_airflow.spec_fields import plain

Part = Mapping[str, Any]

_JOINED_OF_CONTAINER = ("volumeMounts", "env", "envFrom", "ports", "volumeDevices")


def reconcile_pods(base: Part, over: Part) -> dict[str, Any]:
    """Return the merge of two Pods, where `over` takes precedence; neither is changed."""
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


TEMPLATED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "V1EnvVar": ("value", "name"),
    "V1ResourceRequirements": ("limits", "requests"),
    "V1Volume": ("name", "persistent_volume_claim", "config_map"),
    "V1VolumeMount": ("name", "sub_path"),
    "V1PersistentVolumeClaimVolumeSource": ("claim_name",),
    "V1ConfigMapVolumeSource": ("name",),
    "V1EnvFromSource": ("config_map_ref",),
    "V1ConfigMapEnvSource": ("name",),
}
"""Fields in which KubernetesPodOperator renders templates, by class name of the client object."""


def is_model(value: object) -> bool:
    """Whether a value is an object of the Kubernetes client or can be converted into one."""
    return isinstance(getattr(type(value), "attribute_map", None), Mapping) or callable(
        getattr(value, "to_k8s_client_obj", None)
    )


def owned(value: Any) -> Any:
    """Return a deep copy in which templates can be rendered without changing the original."""
    if callable(convert := getattr(value, "to_k8s_client_obj", None)):
        return owned(convert())
    if is_model(value):
        copy: Any = object.__new__(type(value))
        copy.__dict__.update({name: owned(part) for name, part in vars(value).items()})
        return copy
    if type(value) is dict:
        return {key: owned(part) for key, part in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(owned(part) for part in value)
    return value


def typed(value: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return an object in wire form, with values converted to the types of their fields.

    KubernetesPodOperator reads dicts and files through the client, which converts a number to
    text where a field is text. Fields that the client does not know stay unchanged.

    Args:
        value: The object in wire form, as written by a user.
        model: Name of the client's class, such as V1Pod.

    Raises:
        ValueError: A value cannot be converted to its field's type.
    """
    from kubernetes.client import ApiClient, Configuration, models  # noqa: PLC0415  # takes a second

    configuration = Configuration()
    configuration.client_side_validation = False
    client = ApiClient(configuration=configuration)
    try:
        read = client._ApiClient__deserialize_model(  # noqa: SLF001  # as Airflow's provider does
            plain(value), getattr(models, model)
        )
    except (AttributeError, TypeError) as error:
        raise ValueError(f"is not a {model.removeprefix('V1')}: {error}") from None
    completed: dict[str, Any] = _with_unknown(plain(value), client.sanitize_for_serialization(read))
    return completed


def _with_unknown(written: Any, read: Any) -> Any:
    """Return the object as read by the client, with the written fields that it dropped."""
    if isinstance(written, Mapping) and isinstance(read, Mapping):
        rest = {key: part for key, part in written.items() if key not in read and part is not None}
        return rest | {key: _with_unknown(written.get(key), part) for key, part in read.items()}
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return [_with_unknown(*each) for each in zip(written, read, strict=True)]
    return read


_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")
"""Matches `$$`, an escaped dollar, or `$(NAME)`; matches from the left, as the kubelet does."""

EnvVar = dict[str, Any]


def unique_env(env: Sequence[EnvVar]) -> list[EnvVar]:
    """Return variables with unique names that give the container the same values.

    The last definition of a name stays, in its place. An earlier one to which a `$(NAME)` refers
    stays under another name, such as `PATH.1`.

    Args:
        env: core/v1 EnvVars, in order.

    Raises:
        ValueError: An optional source follows another definition of its name. Kubernetes falls
            back to the earlier value if the source is missing; a single definition cannot.
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
                f"env_vars: {item['name']} has a value and then an optional source, but a TaskRun "
                "has each variable once; remove one of the two"
            )
        defined.add(item["name"])


def _referents(env: Sequence[EnvVar]) -> list[dict[str, int]]:
    """Return, for each variable, the indices of the definitions that it refers to, by name."""
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
